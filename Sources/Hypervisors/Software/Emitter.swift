import X86

/// Writes translated code: assembles each sequence's instructions once and then only fills in numbers.
///
/// In a text `@` stands for a field of the virtual-state page, `#` for a number, and `{ax}` for RAX or EAX by the mode.
struct Emitter {
    let mode: CodeMode
    /// The linear address of the first byte.
    let origin: UInt64
    /// The linear address of the virtual-state page.
    let virtualState: UInt64
    private(set) var bytes: [UInt8] = []
    /// For each instruction its offset and whether it is none of the guest's.
    private(set) var instructions: [(offset: Int, isHidden: Bool)] = []

    private let templates: Templates

    init(mode: CodeMode, origin: UInt64, virtualState: UInt64, templates: Templates) {
        self.templates = templates
        self.mode = mode
        self.origin = origin
        self.virtualState = virtualState
    }

    /// Bytes with one or two numbers to be filled in.
    struct Template: Sendable {
        var bytes: [UInt8]
        /// Where a field's address goes, relative to the next instruction in 64-bit mode.
        var field: Int?
        var number: Int?
        var numberSize = 0
    }

    /// Templates by text, for each mode.
    final class Templates {
        private var known: [String: Template] = [:]

        func template(_ text: String, _ mode: CodeMode) -> Template? {
            if let template = known[text] { return template }
            let made = Self.make(text, mode)
            known[text] = made
            return made
        }

        private static let address: UInt64 = 0x1122_3344
        private static let number: UInt64 = 0x5566_7701
        private static let wideNumber: UInt64 = 0x5566_7701_8899_AABB

        private static func make(_ text: String, _ mode: CodeMode) -> Template? {
            let isWide = mode == .bits64
            var source = ""
            for character in text {
                switch character {
                case "{": source.append(isWide ? "r" : "e")
                case "}": break
                case "@": source += (isWide ? "rel 0x" : "0x") + String(address, radix: 16)
                case "#": source += "0x" + String(text.contains("qword #") ? wideNumber : number, radix: 16)
                default: source.append(character)
                }
            }
            guard let code = try? Assembler(mode: mode, origin: 0).assemble(source).bytes else { return nil }
            var template = Template(bytes: code)
            if text.contains("@") {
                let target = isWide ? address &- UInt64(code.count) : address
                template.field = position(of: target, size: 4, in: code)
                guard template.field != nil else { return nil }
            }
            if text.contains("qword #") {
                template.number = position(of: wideNumber, size: 8, in: code)
                template.numberSize = 8
                guard template.number != nil else { return nil }
            } else if text.contains("#") {
                template.number = position(of: number, size: 4, in: code)
                template.numberSize = 4
                guard template.number != nil else { return nil }
            }
            return template
        }

        private static func position(of value: UInt64, size: Int, in code: [UInt8]) -> Int? {
            let wanted = (0..<size).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
            guard code.count >= size else { return nil }
            return (0...code.count - size).first { Array(code[$0..<$0 + size]) == wanted }
        }
    }

    /// The linear address of what comes next.
    var address: UInt64 { origin &+ UInt64(bytes.count) }

    /// Adds one instruction of a sequence; hidden unless it is the one that counts for the guest's instruction.
    mutating func add(
        _ text: String, _ field: VirtualState? = nil, number: UInt64 = 0, counts: Bool = false
    ) {
        guard let template = templates.template(text, mode) else {
            preconditionUnreachable(text)
            return
        }
        let start = bytes.count
        instructions.append((start, !counts))
        bytes += template.bytes
        if let position = template.field, let field {
            let target = virtualState &+ field.rawValue
            let value = mode == .bits64 ? target &- (origin &+ UInt64(bytes.count)) : target
            put(value, at: start + position, size: 4)
        }
        if let position = template.number { put(number, at: start + position, size: template.numberSize) }
    }

    /// A text that does not assemble is a mistake of the translator's own; UD2 makes it show as a fault.
    private mutating func preconditionUnreachable(_ text: String) {
        assertionFailure("no such instruction: \(text)")
        instructions.append((bytes.count, true))
        bytes += [0x0F, 0x0B]
    }

    /// Adds an instruction as it is.
    mutating func copy(_ code: [UInt8], counts: Bool = true) {
        instructions.append((bytes.count, !counts))
        bytes += code
    }

    /// Replaces 1, 2, 4 or 8 bytes.
    mutating func put(_ value: UInt64, at offset: Int, size: Int) {
        for index in 0..<size { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(index * 8)) }
    }
}
