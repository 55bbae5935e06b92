/// A number in an operand, with what the choice of the form may rest on.
package struct OperandValue: Sendable, Hashable {
    package var bits: Int64
    /// True for addresses, which take the full size of their field; only a short jump can hold a distance to one.
    package var isAddress: Bool
    /// False if a shorter form must not be chosen because of the value: it changes while the source is being laid
    /// out, or a jump to it goes elsewhere than the same section.
    package var allowsShortForm: Bool

    package init(_ bits: Int64, isAddress: Bool = false, allowsShortForm: Bool = true) {
        self.bits = bits
        self.isAddress = isAddress
        self.allowsShortForm = allowsShortForm
    }

    /// True if the value may decide between a short and a long field.
    var decidesSize: Bool { allowsShortForm && !isAddress }
}

/// What can stand before an operand.
package struct OperandModifiers: Sendable, Hashable {
    /// How far a jump goes.
    package enum Distance: Sendable { case short, near, far }

    /// The width in bits by `byte` … `oword`, if written.
    package var size: Int?
    package var isStrict = false
    package var distance: Distance?
    /// True for `to`, the x87 direction.
    package var isDestination = false

    package init(size: Int? = nil) { self.size = size }
}

/// An address expression as the encoder takes it.
package struct RequestedMemory: Sendable, Hashable {
    /// The segment to override with, or `none`.
    package var segment: Register = .none
    /// A general register, RIP or EIP (with the address meant as displacement), or `none`.
    package var base: Register = .none
    package var index: Register = .none
    /// 1, 2, 4 or 8.
    package var scale: UInt8 = 1
    package var displacement = OperandValue(0)
    /// The width in bits of the displacement, if it is demanded; without registers that of the address.
    package var displacementSize: Int?
    /// The width in bits of the address, if it is demanded.
    package var addressSize: Int?

    package init() {}
}

/// An operand to be encoded.
package struct RequestedOperand: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        case register(Register)
        case immediate(OperandValue)
        case memory(RequestedMemory)
        case farPointer(selector: OperandValue, offset: OperandValue)
    }

    package var kind: Kind
    package var modifiers: OperandModifiers

    package init(_ kind: Kind, modifiers: OperandModifiers = OperandModifiers()) {
        self.kind = kind
        self.modifiers = modifiers
    }
}

/// The prefixes that the source writes.
package struct RequestedPrefixes: Sendable, Hashable {
    /// REP, REPE or REPNE.
    package enum Repeat: Sendable { case whileEqual, whileNotEqual }

    package var isLocked = false
    package var repetition: Repeat?
    /// A segment written before the mnemonic, or `none`.
    package var segment: Register = .none
    /// 16, 32 or 64 by `o16 o32 o64`.
    package var operandSize: Int?
    /// 16, 32 or 64 by `a16 a32 a64`.
    package var addressSize: Int?
    /// True if WAIT comes first.
    package var waits = false

    package init() {}
}

/// An instruction to be encoded.
package struct EncoderRequest: Sendable {
    package var mnemonic: Mnemonic
    package var operands: [RequestedOperand]
    package var prefixes: RequestedPrefixes
    package var mode: CodeMode
    /// The address of the first byte, for relative operands.
    package var address: UInt64

    package init(
        mnemonic: Mnemonic, operands: [RequestedOperand] = [],
        prefixes: RequestedPrefixes = RequestedPrefixes(), mode: CodeMode, address: UInt64 = 0
    ) {
        self.mnemonic = mnemonic
        self.operands = operands
        self.prefixes = prefixes
        self.mode = mode
        self.address = address
    }
}

/// Why operands cannot be encoded; operands are counted from 0.
package enum EncodingFailure: Error, Sendable, Hashable {
    /// No form of the instruction takes this many operands.
    case operandCount
    /// No form of the instruction takes these kinds of operands.
    case operandKinds
    case sizeMismatch(operand: Int)
    case sizeNotSpecified(operand: Int)
    /// The form does not exist in this mode.
    case mode
    case needs64BitMode(operand: Int, Register)
    /// `bits` wide, `isSigned` if it is extended to a larger size.
    case outOfRange(operand: Int, value: Int64, bits: Int, isSigned: Bool)
    case jumpTooFar(operand: Int, distance: Int64, bits: Int)
    case address(operand: Int, AddressProblem)
    /// A high byte register together with a REX prefix.
    case highByte(Register)
    case notLockable
    case prefix(PrefixProblem)
    /// More than 15 bytes.
    case tooLong
    /// No processor executes it: #UD.
    case undefined

    package enum AddressProblem: Sendable {
        case mixedSizes, notInMode, prefixDisagrees, stackPointerAsIndex, scale, registers16, displacementSize
    }

    package enum PrefixProblem: Sendable { case operandSize, addressSize, repetition, twoSegments }
}
