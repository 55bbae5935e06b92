import Hypervisors
import VirtualMachine
import X86Engine

/// Shows the fields of the current virtual-machine control structure, decoded to words.
///
/// SDM vol. 3 appendix B and chapter 25.
struct VMCSView {
    let guest: DebuggedGuest

    /// The processor whose VMCS is meant: the monitor's machine, or the guest's own if it is a hypervisor itself.
    private var processor: Processor? {
        let candidates = [guest.guest.monitor?.machine, guest.guest.processor].compactMap { $0 }
        return candidates.first { $0.state.pointee.virtualization.vmx.currentVMCS != .max }
    }

    /// The chosen fields, all if none is named.
    func table(_ names: [String]) throws(CommandFailure) -> Table {
        guard let processor else {
            throw CommandFailure(
                "there is no current VMCS", notes: ["guests under `.vmx` have one, and guests that execute VMPTRLD"])
        }
        var fields = VMCSField.allCases.sorted { $0.rawValue < $1.rawValue }
        if !names.isEmpty {
            fields = []
            for name in names { fields.append(try Self.field(name)) }
        }
        var table = ControlStructureTable.empty
        for field in fields {
            let value = processor.readVMCS(field)
            table.rows.append([
                Table.Cell(number: field.rawValue, Self.encoding(field)), Table.Cell(field.name, .register),
                Table.Cell(number: value, Self.number(field, value)), Table.Cell(words(field, value)),
            ])
        }
        return table
    }

    // MARK: - Names

    /// The names of all fields.
    static let names = VMCSField.allCases.map(\.name)

    private static func field(_ name: String) throws(CommandFailure) -> VMCSField {
        let lower = name.lowercased()
        if let number = Numbers.parse(lower), let field = UInt32(exactly: number).flatMap(VMCSField.init(rawValue:)) {
            return field
        }
        if let field = VMCSField.allCases.first(where: { $0.name == lower || "\($0)".lowercased() == lower }) {
            return field
        }
        let near = Spelling.near(lower, in: names)
        throw CommandFailure(
            "the VMCS has no field `\(name)`", notes: [near.map { "did you mean `\($0)`?" } ?? "`vmcs` lists them"])
    }

    private static func encoding(_ field: VMCSField) -> String {
        let digits = String(field.rawValue, radix: 16)
        return "0x" + String(repeating: "0", count: 4 - digits.count) + digits
    }

    // MARK: - Values

    private static func number(_ field: VMCSField, _ value: UInt64) -> String {
        if field == .exitReason { return String(value & 0xFFFF) }
        let digits = String(value, radix: 16)
        return field.isSelector
            ? "0x" + String(repeating: "0", count: max(4 - digits.count, 0)) + digits : "0x" + digits
    }

    private func words(_ field: VMCSField, _ value: UInt64) -> String {
        if field.isSelector { return value & 0xFFFC == 0 ? "null" : "ring \(value & 3)" }
        switch field {
        case .exitReason:
            return VMXWords.reason(UInt32(truncatingIfNeeded: value))
                + (value >> 31 & 1 != 0 ? ", VM entry failed" : "")
        case .exitQualification:
            guard let processor else { return "" }
            return VMXWords.qualification(
                value, reason: UInt32(truncatingIfNeeded: processor.readVMCS(.exitReason) & 0xFFFF))
        case .guestCR0, .hostCR0, .cr0Mask, .cr0Shadow: return VMXWords.bits("cr0", value)
        case .guestCR4, .hostCR4, .cr4Mask, .cr4Shadow: return VMXWords.bits("cr4", value)
        case .guestEFER, .hostEFER: return VMXWords.bits("efer", value)
        case .guestRFLAGS: return VMXWords.bits("rflags", value)
        case .pinBasedControls, .primaryControls, .secondaryControls, .exitControls, .entryControls:
            return VMXWords.controls(field, value)
        case .entryInterruptionInformation, .exitInterruptionInformation, .idtVectoringInformation:
            return VMXWords.interruption(value)
        case .guestESAccessRights, .guestCSAccessRights, .guestSSAccessRights, .guestDSAccessRights,
            .guestFSAccessRights, .guestGSAccessRights, .guestLDTRAccessRights, .guestTRAccessRights:
            return SegmentWords.text(
                SegmentState(selector: 0, base: 0, limit: 0, attributes: UInt32(truncatingIfNeeded: value))
            )
            .replacing(" limit 0x0", with: "")
        case .exceptionBitmap:
            return (UInt8(0)..<32).filter { value >> UInt64($0) & 1 != 0 }.map { ExceptionName.short($0) }
                .joined(separator: " ")
        case .guestActivity:
            return ["active", "HLT", "shutdown", "wait-for-SIPI"][Int(min(value, 3))]
        case .guestInterruptibility:
            return value == 0
                ? ""
                : ["STI", "MOV SS", "SMI", "NMI"].enumerated().filter { value >> UInt64($0.offset) & 1 != 0 }
                    .map { "blocking by \($0.element)" }.joined(separator: ", ")
        case .eptPointer:
            return "root \(Numbers.hex(value & 0x000F_FFFF_FFFF_F000)), \((value >> 3 & 7) + 1) levels"
                + (value >> 6 & 1 != 0 ? ", accessed and dirty flags" : "")
        case .guestRIP: return PlaceView(guest: guest).name(value) ?? ""
        case _: return ""
        }
    }
}
