/// Turns an instruction with its operands into bytes by the instruction table.
package enum Encoder {
    /// The shortest encoding of the request; among equals the row that stands first in the table.
    ///
    /// Where NASM prefers one of several encodings (a register destination in ModRM.rm, zero-extending moves, sign-
    /// extended immediates), so does this.
    package static func encode(_ request: EncoderRequest) throws(EncodingFailure) -> [UInt8] {
        try requireRegistersOfMode(request)
        let kinds = request.operands.map { OperandKinds($0) }
        var forms: [EncodedForm] = []
        var failure = EncodingFailure.operandCount
        func fail(_ other: EncodingFailure) {
            if other.rank > failure.rank { failure = other }
        }
        for (index, signature) in request.mnemonic.signatures.enumerated() {
            if let mismatch = signature.mismatch(kinds) {
                fail(mismatch)
                continue
            }
            let candidate = request.mnemonic.candidates[index]
            let definition = candidate.definition
            let demanded = signature.demandedSize(kinds)
            var isTried = false
            for size in EncodingAttempt.operandSizes(of: candidate, definition, in: request)
            where demanded == nil || demanded == size {
                isTried = true
                do throws(EncodingFailure) {
                    var attempt = try EncodingAttempt(candidate, definition, operandSize: size, request)
                    forms.append(try attempt.encode())
                } catch {
                    fail(error)
                }
            }
            if !isTried { fail(.operandKinds) }
        }
        try chooseMemoryWidth(&forms, request)
        for form in forms {
            if let misfit = form.misfit, misfit.rank > failure.rank { failure = misfit }
        }
        forms.removeAll { $0.misfit != nil }
        guard let best = forms.min(by: { $0.preference < $1.preference }) else { throw failure }
        guard best.bytes.count <= 15 else { throw .tooLong }
        guard isDefined(best.bytes, request) else { throw .undefined }
        return best.bytes
    }

    /// False for what has an encoding and means nothing, as MOV CS and MOV CR1 do.
    private static func isDefined(_ bytes: [UInt8], _ request: EncoderRequest) -> Bool {
        let isWaiting = bytes.first == 0x9B && bytes.count > 1
        return bytes.withUnsafeBytes { bytes in
            // SAFETY: neither buffer outlives the closure.
            let code = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(isWaiting ? 1 : 0))
            return if case .instruction = Decoder.decode(code, mode: request.mode) { true } else { false }
        }
    }

    private static func requireRegistersOfMode(_ request: EncoderRequest) throws(EncodingFailure) {
        guard request.mode != .bits64 else { return }
        for (index, operand) in request.operands.enumerated() {
            if case .register(let register) = operand.kind, register.needs64BitMode {
                throw .needs64BitMode(operand: index, register)
            }
        }
    }

    /// The prefixes alone, for a line that holds nothing else.
    package static func encode(_ prefixes: RequestedPrefixes, mode: CodeMode) throws(EncodingFailure) -> [UInt8] {
        var bytes = EncodingAttempt.legacyPrefixes(prefixes, segment: prefixes.segment)
        switch (prefixes.operandSize, mode) {
        case (nil, _), (16, .bits16), (32, .bits32), (32, .bits64): break
        case (64, .bits64): bytes.append(0x48)
        case (16, _), (32, .bits16): bytes.append(0x66)
        default: throw .prefix(.operandSize)
        }
        switch (prefixes.addressSize, mode) {
        case (nil, _), (16, .bits16), (32, .bits32), (64, .bits64): break
        case (16, .bits32), (32, .bits16), (32, .bits64): bytes.append(0x67)
        default: throw .prefix(.addressSize)
        }
        return bytes
    }

    /// Operations whose memory operand has a size without being given one: that of the mode.
    private static let defaultedOperations: Set<Operation> = [
        .call, .jmp, .callFar, .jmpFar, .cvtsi2sd, .cvtsi2ss,
    ]

    /// Keeps one width of a memory operand that is written without a size.
    private static func chooseMemoryWidth(
        _ forms: inout [EncodedForm], _ request: EncoderRequest
    ) throws(EncodingFailure) {
        let widths = Set(forms.compactMap(\.unsizedMemoryWidth))
        guard widths.count > 1 else { return }
        let operand = request.operands.firstIndex { if case .memory = $0.kind { true } else { false } } ?? 0
        // As `add [rax], byte 1` in NASM: the size of the immediate is that of the operation
        let immediateSize = request.operands.lazy.compactMap { operand -> Int? in
            if case .immediate = operand.kind { operand.modifiers.size } else { nil }
        }.first
        if let immediateSize, forms.allSatisfy(\.sizeFollowsImmediate), widths.contains(immediateSize) {
            forms.removeAll { $0.unsizedMemoryWidth != immediateSize }
            return
        }
        guard forms.allSatisfy({ defaultedOperations.contains($0.operation) }) else {
            throw .sizeNotSpecified(operand: operand)
        }
        // Far pointers in 64-bit mode are taken as the longest, the rest by the size without prefix
        let isFar = forms.contains { $0.operation == .callFar || $0.operation == .jmpFar }
        if isFar && request.mode == .bits64 {
            forms.removeAll { $0.unsizedMemoryWidth != widths.max() }
        } else {
            forms.removeAll { !$0.hasNaturalSize }
        }
    }
}

extension EncodingFailure {
    /// How close to an encoding the attempt came: the closest failure is reported.
    fileprivate var rank: Int {
        switch self {
        case .operandCount: 0
        case .operandKinds: 1
        case .mode: 2
        case .sizeMismatch: 3
        case .needs64BitMode: 4
        case .sizeNotSpecified: 5
        case .prefix: 6
        case .address: 7
        case .outOfRange: 8
        case .jumpTooFar: 9
        case .highByte: 10
        case .notLockable: 11
        case .tooLong: 12
        case .undefined: 13
        }
    }
}

/// One way of encoding that works.
struct EncodedForm {
    var bytes: [UInt8]
    var operation: Operation
    /// The width of a memory operand that is written without one, if the form has a width at all.
    var unsizedMemoryWidth: Int?
    /// True if the operand size is the one without prefixes.
    var hasNaturalSize: Bool
    /// True if an address was put into a field that extends its sign: other forms hold it in full.
    var extendsAddress: Bool
    /// True if the immediate is a byte that is extended.
    var hasShortImmediate: Bool
    /// True if the size of the immediate tells that of a memory operand.
    var sizeFollowsImmediate: Bool

    /// True if the row demands REX.W.
    var needsW: Bool
    /// Why the form is not possible after all.
    var misfit: EncodingFailure?

    /// The smallest wins.
    var preference: (Int, Int, Int, Int) {
        (extendsAddress ? 1 : 0, bytes.count, hasShortImmediate ? 0 : 1, needsW ? 1 : 0)
    }
}
