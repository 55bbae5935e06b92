import VirtualMachine
import X86Engine

/// Shows the fields of the current virtual machine control block, decoded to words.
///
/// APM vol. 2 appendix B.
struct VMCBView {
    let guest: DebuggedGuest

    /// The processor whose VMCB is meant: the monitor's machine, or the guest's own if it is a hypervisor itself.
    private var processor: Processor? {
        let candidates = [guest.guest.monitor?.machine, guest.guest.processor].compactMap { $0 }
        return candidates.first { $0.currentVMCB != .max }
    }

    /// The chosen fields, all if none is named.
    func table(_ names: [String]) throws(CommandFailure) -> Table {
        guard let processor else {
            let notes = ["guests under `.svm` have one as soon as they run, and guests that execute VMRUN"]
            throw CommandFailure("there is no current VMCB", notes: notes)
        }
        var fields = VMCBField.allCases.sorted { $0.offset < $1.offset }
        if !names.isEmpty {
            fields = []
            for name in names { fields.append(try Self.field(name)) }
        }
        var table = ControlStructureTable.empty
        for field in fields {
            let value = processor.readVMCB(field)
            table.rows.append([
                Table.Cell(number: field.offset, Self.padded(UInt64(field.offset), 3)),
                Table.Cell(field.name, .register),
                Table.Cell(number: value, Self.isSelector(field) ? Self.padded(value, 4) : Numbers.hex(value)),
                Table.Cell(words(field, value, processor)),
            ])
        }
        return table
    }

    // MARK: - Names

    /// The names of all fields.
    static let names = VMCBField.allCases.map(\.name)

    private static func field(_ name: String) throws(CommandFailure) -> VMCBField {
        func plain(_ text: String) -> String { text.lowercased().filter { $0 != "_" && $0 != "." } }
        if let number = Numbers.parse(name.lowercased()),
            let field = VMCBField.allCases.first(where: { UInt64($0.offset) == number })
        {
            return field
        }
        if let field = VMCBField.allCases.first(where: {
            plain($0.name) == plain(name) || plain("\($0)") == plain(name)
        }) {
            return field
        }
        let near = Spelling.near(name.lowercased(), in: names)
        throw CommandFailure(
            "the VMCB has no field `\(name)`", notes: [near.map { "did you mean `\($0)`?" } ?? "`vmcb` lists them"])
    }

    private static func isSelector(_ field: VMCBField) -> Bool {
        switch field {
        case .esSelector, .csSelector, .ssSelector, .dsSelector, .fsSelector, .gsSelector, .ldtrSelector, .trSelector:
            true
        case _: false
        }
    }

    private static func padded(_ value: UInt64, _ digits: Int) -> String {
        let text = String(value, radix: 16)
        return "0x" + String(repeating: "0", count: max(digits - text.count, 0)) + text
    }

    // MARK: - Values

    private func words(_ field: VMCBField, _ value: UInt64, _ processor: Processor) -> String {
        if Self.isSelector(field) { return value & 0xFFFC == 0 ? "null" : "ring \(value & 3)" }
        let code = processor.readVMCB(.exitCode)
        switch field {
        case .controlRegisterIntercepts: return SVMWords.intercepts(value, vector: 0)
        case .debugRegisterIntercepts: return SVMWords.intercepts(value, vector: 1)
        case .exceptionIntercepts:
            return (UInt8(0)..<32).filter { value >> UInt64($0) & 1 != 0 }.map { ExceptionName.short($0) }
                .joined(separator: " ")
        case .firstInstructionIntercepts: return SVMWords.intercepts(value, vector: 3)
        case .secondInstructionIntercepts: return SVMWords.intercepts(value, vector: 4)
        case .thirdInstructionIntercepts: return SVMWords.intercepts(value, vector: 5)
        case .exitCode: return SVMWords.reason(value)
        case .exitInformation1: return SVMWords.information1(value, code: code)
        case .exitInformation2: return SVMWords.information2(value, code: code)
        case .exitInterruptInformation, .eventInjection: return SVMWords.event(value)
        case .virtualInterrupt:
            let interrupt = VirtualInterrupt(rawValue: value)
            return "V_TPR \(interrupt.taskPriority)" + (interrupt.isPending ? ", V_IRQ pending" : "")
        case .nestedPaging: return value & 1 != 0 ? "nested paging" : "shadow or no paging"
        case .cr0: return VMXWords.bits("cr0", value)
        case .cr4: return VMXWords.bits("cr4", value)
        case .efer: return VMXWords.bits("efer", value)
        case .rflags: return VMXWords.bits("rflags", value)
        case .cpl: return "ring \(value)"
        case .rip, .nextRIP, .lstar: return PlaceView(guest: guest).name(value) ?? ""
        case .interruptShadow: return value & 1 != 0 ? "interrupts are held off for one instruction" : ""
        case .esAttributes, .csAttributes, .ssAttributes, .dsAttributes, .fsAttributes, .gsAttributes,
            .ldtrAttributes, .trAttributes:
            // Bits 8 to 11 are bits 12 to 15 of a descriptor's (section 15.5.1).
            let attributes = UInt32(truncatingIfNeeded: value & 0xFF | (value & 0xF00) << 4)
            guard attributes & 0x80 != 0 else { return "not present" }
            return SegmentWords.text(SegmentState(selector: 0, base: 0, limit: 0, attributes: attributes))
                .replacing(" limit 0x0", with: "")
        case _: return ""
        }
    }
}

/// How the fields of a VMCS or VMCB are laid out.
enum ControlStructureTable {
    /// The width of the column of names.
    private static let nameWidth = 17

    static let empty = Table([
        Table.Column("field"), Table.Column("name", width: nameWidth), Table.Column("value"), Table.Column(""),
    ])

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
}
