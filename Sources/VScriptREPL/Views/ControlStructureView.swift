import VirtualMachine
import X86Engine

/// Shows the fields of the current VMCS or VMCB, decoded to words.
struct ControlStructureView {
    let guest: DebuggedGuest
    let kind: ControlStructure.Kind

    /// The width of the column of names.
    private static let nameWidth = 17

    /// The names of all fields.
    static func names(_ kind: ControlStructure.Kind) -> [String] { kind.fields.map(\.name) }

    /// The chosen fields, all if none is named.
    func table(_ names: [String]) throws(CommandFailure) -> Table {
        guard let structure = guest.guest.cpu.controlStructure(kind) else { throw missing }
        var fields = kind.fields
        if !names.isEmpty {
            fields = []
            for name in names { fields.append(try field(name)) }
        }
        var table = Table([
            Table.Column("field"), Table.Column("name", width: Self.nameWidth), Table.Column("value"), Table.Column(""),
        ])
        for field in fields {
            let value = structure[field]
            table.rows.append([
                Table.Cell(number: field.number, Self.padded(UInt64(field.number), kind == .vmcs ? 4 : 3)),
                Table.Cell(field.name, .register),
                Table.Cell(number: value, text(field, value)),
                Table.Cell(words(field, value, structure)),
            ])
        }
        return table
    }

    /// Rows as the transcript of the documentation has them.
    static func lines(_ table: Table) -> [StyledText] {
        let width = max(nameWidth, table.rows.map { $0[1].text.count }.max() ?? 0)
        return table.rows.map { row in
            let value = StyledText(row[2].text)
            let words = row[3].text.isEmpty ? StyledText("") : StyledText("  " + row[3].text, .symbol)
            return StyledText("   ") + StyledText(row[0].text, .faint) + " "
                + StyledText(row[1].text.padded(to: width + 2), .register) + value + words
        }
    }

    // MARK: - Names

    private var missing: CommandFailure {
        switch kind {
        case .vmcs:
            CommandFailure(
                "there is no current VMCS", notes: ["guests under `.vmx` have one, and guests that execute VMPTRLD"])
        case .vmcb:
            CommandFailure(
                "there is no current VMCB",
                notes: ["guests under `.svm` have one as soon as they run, and guests that execute VMRUN"])
        }
    }

    /// The field that is meant: by its number, by the manual's name in any spelling, or by ours.
    private func field(_ name: String) throws(CommandFailure) -> ControlStructure.Field {
        func plain(_ text: String) -> String { text.lowercased().filter { $0 != "_" && $0 != "." } }
        let lower = name.lowercased()
        if let number = Numbers.parse(lower), let field = UInt32(exactly: number).flatMap(kind.field) { return field }
        if let field = kind.fields.first(where: { [plain($0.name), plain($0.caseName)].contains(plain(name)) }) {
            return field
        }
        let near = Spelling.near(lower, in: Self.names(kind))
        throw CommandFailure(
            "the \(kind.rawValue.uppercased()) has no field `\(name)`",
            notes: [near.map { "did you mean `\($0)`?" } ?? "`\(kind.rawValue)` lists them"])
    }

    // MARK: - Values

    private static func padded(_ value: UInt64, _ digits: Int) -> String {
        let text = String(value, radix: 16)
        return "0x" + String(repeating: "0", count: max(digits - text.count, 0)) + text
    }

    private func text(_ field: ControlStructure.Field, _ value: UInt64) -> String {
        if case .vmcs(.exitReason) = field.source { return String(value & 0xFFFF) }
        return field.isSelector ? Self.padded(value, 4) : Numbers.hex(value)
    }

    private func words(_ field: ControlStructure.Field, _ value: UInt64, _ structure: ControlStructure) -> String {
        if field.isSelector { return value & 0xFFFC == 0 ? "null" : "ring \(value & 3)" }
        let context = FieldContext(guest: guest, structure: structure)
        return switch field.source {
        case .vmcs(let field): VMCSFieldWords.words[field]?(value, context) ?? ""
        case .vmcb(let field): VMCBFieldWords.words[field]?(value, context) ?? ""
        }
    }
}

/// What the words for a field's value may depend on.
struct FieldContext {
    let guest: DebuggedGuest
    let structure: ControlStructure

    /// The words for a value in its structure.
    typealias Words = @Sendable (UInt64, FieldContext) -> String

    /// Those that are the same everywhere.
    static let bits: @Sendable (String) -> Words = { register in { value, _ in VMXWords.bits(register, value) } }
    /// The name of a place in the guest.
    static let place: Words = { value, context in PlaceView(guest: context.guest).name(value) ?? "" }
    /// The vectors of a bitmap of exceptions.
    static let exceptions: Words = { value, _ in
        (UInt8(0)..<32).filter { value >> UInt64($0) & 1 != 0 }.map { ExceptionName.short($0) }.joined(separator: " ")
    }

    /// A segment's attributes as a descriptor has them in bits 8 to 23.
    static func segment(_ attributes: UInt32) -> String {
        SegmentWords.text(SegmentState(selector: 0, base: 0, limit: 0, attributes: attributes))
            .replacing(" limit 0x0", with: "")
    }
}
