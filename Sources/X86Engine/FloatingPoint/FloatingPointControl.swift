/// The six floating-point exceptions, in the bit positions MXCSR and the x87 status word share.
///
/// SDM volume 1, section 4.9.1.
package struct FloatingPointExceptions: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let invalidOperation = FloatingPointExceptions(rawValue: 0x01)
    package static let denormalOperand = FloatingPointExceptions(rawValue: 0x02)
    package static let divideByZero = FloatingPointExceptions(rawValue: 0x04)
    package static let overflow = FloatingPointExceptions(rawValue: 0x08)
    package static let underflow = FloatingPointExceptions(rawValue: 0x10)
    package static let precision = FloatingPointExceptions(rawValue: 0x20)

    /// The exceptions found in the operands; an unmasked one stops the operation before it computes anything.
    package static let beforeComputation: FloatingPointExceptions = [
        .invalidOperation, .denormalOperand, .divideByZero,
    ]
    /// The exceptions found in the result.
    package static let afterComputation: FloatingPointExceptions = [.overflow, .underflow, .precision]
    package static let all: FloatingPointExceptions = [.beforeComputation, .afterComputation]
}

/// Where a result that does not fit goes; raw values are those of every rounding-control field.
///
/// SDM volume 1, section 4.8.4.
package enum RoundingControl: UInt8, CaseIterable, Sendable {
    case nearestEven = 0
    case down = 1
    case up = 2
    case towardZero = 3

    /// Decodes the low two bits of `bits`.
    @inline(__always)
    package init(bits: UInt32) {
        switch bits & 3 {
        case 0: self = .nearestEven
        case 1: self = .down
        case 2: self = .up
        default: self = .towardZero
        }
    }

    /// Whether a magnitude that lost a part is raised by one unit, where `discarded` is that part as a
    /// fraction of 2^128 units.
    @inline(__always)
    func roundsUp(_ discarded: UInt128, isOdd: Bool, isNegative: Bool) -> Bool {
        switch self {
        case .nearestEven:
            let half: UInt128 = 1 << 127
            return discarded > half || (discarded == half && isOdd)
        case .down: return isNegative && discarded != 0
        case .up: return !isNegative && discarded != 0
        case .towardZero: return false
        }
    }

    /// Whether an overflow of this sign gives infinity rather than the largest finite number.
    ///
    /// SDM volume 1, table 4-10.
    @inline(__always)
    func overflowsToInfinity(isNegative: Bool) -> Bool {
        switch self {
        case .nearestEven: return true
        case .down: return isNegative
        case .up: return !isNegative
        case .towardZero: return false
        }
    }
}

/// How two operands compare.
package enum FloatingPointOrdering: Sendable {
    case less
    case equal
    case greater
    case unordered

    /// C3, C2 and C0 in their places in the x87 status word, as FCOM sets them.
    package var conditionCodes: UInt16 {
        switch self {
        case .less: return 0x0100
        case .equal: return 0x4000
        case .greater: return 0
        case .unordered: return 0x4500
        }
    }

    /// ZF, PF and CF in their places in RFLAGS, as COMISS and FCOMI set them; OF, SF and AF are then zero.
    package var statusFlags: UInt32 {
        switch self {
        case .less: return 0x01
        case .equal: return 0x40
        case .greater: return 0
        case .unordered: return 0x45
        }
    }
}

/// The four operations that round once, plus the square root.
package enum FloatingPointOperation: Sendable {
    case add
    case subtract
    case multiply
    case divide
}
