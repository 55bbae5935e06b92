/// Words that stand where an instruction could and are none.
enum AssemblyDirective: String, CaseIterable {
    case db, dw, dd, dq, dt
    case resb, resw, resd, resq, rest
    case align, alignb, bits, use16, use32, use64, org, `default`, equ, times
    // Known to NASM, refused here with a reason.
    case section, segment, global, `static`, extern, required, common, absolute, incbin, cpu, dup, `do`, dy, dz, float
    case struc, istruc

    /// The bytes of an item of data.
    var unit: Int {
        switch self {
        case .db, .resb: 1
        case .dw, .resw: 2
        case .dd, .resd: 4
        case .dq, .resq: 8
        case .dt, .rest: 10
        case .align, .alignb, .bits, .use16, .use32, .use64, .org, .default, .equ, .times, .section, .segment, .global,
            .static, .extern, .required, .common, .absolute, .incbin, .cpu, .dup, .do, .dy, .dz, .float, .struc,
            .istruc:
            1
        }
    }

    /// True if `times` may stand before it.
    var canBeCounted: Bool {
        switch self {
        case .db, .dw, .dd, .dq, .dt, .resb, .resw, .resd, .resq, .rest: true
        case .align, .alignb, .bits, .use16, .use32, .use64, .org, .default, .equ, .times, .section, .segment, .global,
            .static, .extern, .required, .common, .absolute, .incbin, .cpu, .dup, .do, .dy, .dz, .float, .struc,
            .istruc:
            false
        }
    }

    /// Why a directive of NASM does not exist here, and what to do instead.
    var refusal: (message: String, hint: String?)? {
        switch self {
        case .section, .segment, .absolute:
            ("there are no sections: everything is placed in the order of the source", "remove the line")
        case .global, .static, .common:
            ("every label is visible outside the source", "remove the line")
        case .extern, .required:
            ("labels of other sources need no declaration", "remove the line")
        case .incbin: ("files cannot be included", nil)
        case .cpu: ("instructions are not limited to a processor", "remove the line")
        case .dup: ("`dup` is not known", "times 5 db 0")
        case .do, .dy, .dz: ("data of more than ten bytes is not known", "use `dq` several times")
        case .float: ("floating-point options are not known", "remove the line")
        case .struc, .istruc: ("structures are not known", "define offsets with `equ`")
        case .db, .dw, .dd, .dq, .dt, .resb, .resw, .resd, .resq, .rest, .align, .alignb, .bits, .use16, .use32, .use64,
            .org, .default, .equ, .times:
            nil
        }
    }
}

/// Words that stand before an instruction.
enum AssemblyPrefix: String, CaseIterable {
    case lock, rep, repe, repz, repne, repnz
    case o16, o32, o64, a16, a32, a64
    case es, cs, ss, ds, fs, gs
    case wait

    /// The bits of an address, of the prefixes that give one.
    var addressSize: Int? {
        switch self {
        case .a16: 16
        case .a32: 32
        case .a64: 64
        case .lock, .rep, .repe, .repz, .repne, .repnz, .o16, .o32, .o64, .es, .cs, .ss, .ds, .fs, .gs, .wait: nil
        }
    }
}

/// Words that stand before an operand or in an address.
enum OperandKeyword: String, CaseIterable {
    case byte, word, dword, qword, tword, oword
    case short, near, far, strict, to
    case rel, abs, nosplit

    /// The width in bits, of the words that give one.
    var size: Int? {
        switch self {
        case .byte: 8
        case .word: 16
        case .dword: 32
        case .qword: 64
        case .tword: 80
        case .oword: 128
        case .short, .near, .far, .strict, .to, .rel, .abs, .nosplit: nil
        }
    }
}

/// Registers by the names the assembler takes.
enum RegisterNames {
    private static let registers: [String: Register] = Dictionary(
        uniqueKeysWithValues: Register.allCases.filter { $0.class != .none && $0.class != .instructionPointer }
            .map { ("\($0)", $0) })

    /// The register with this lower-case name.
    static func register(named name: String) -> Register? { registers[name] }

    /// The names of all registers.
    static var all: [String] { Array(registers.keys) }
}

/// Finds the word that was probably meant.
enum Suggestions {
    /// After so many mistakes no suggestions are looked for.
    static let mistakesWithSuggestion = 20

    /// The word nearest to `word`, at most two edits away, one if it is short; the first in the alphabet among equals.
    static func nearest(to word: String, in words: some Sequence<String>, atMost limit: Int = 2) -> String? {
        let letters = Array(word.utf8)
        guard letters.count >= 2, letters.count <= 32 else { return nil }
        let most = letters.count <= 4 ? 1 : limit
        var best: (word: String, distance: Int)?
        for candidate in words {
            let distance = distance(letters, Array(candidate.utf8), atMost: most)
            guard let distance else { continue }
            if let known = best, (known.distance, known.word) <= (distance, candidate) { continue }
            best = (candidate, distance)
        }
        return best?.word
    }

    /// The number of letters to insert, remove, replace or swap, or nil if it is more than `most`.
    private static func distance(_ left: [UInt8], _ right: [UInt8], atMost most: Int) -> Int? {
        guard abs(left.count - right.count) <= most else { return nil }
        var beforePrevious: [Int] = []
        var previous = Array(0...right.count)
        for row in 0..<left.count {
            var line = [row + 1]
            for column in 0..<right.count {
                var cost = min(
                    previous[column + 1] + 1, line[column] + 1, previous[column] + (left[row] == right[column] ? 0 : 1))
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    cost = min(cost, beforePrevious[column - 1] + 1)
                }
                line.append(cost)
            }
            (beforePrevious, previous) = (previous, line)
        }
        let result = previous[right.count]
        return result <= most ? result : nil
    }
}
