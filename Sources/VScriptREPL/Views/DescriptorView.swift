import VirtualMachine
import X86
import X86Engine

/// Descriptors in words.
///
/// SDM vol. 3 sections 3.4.5, 3.5, 6.11 and 8.2.3.
enum DescriptorWords {
    static func systemType(_ type: UInt8, isLong: Bool) -> String {
        switch type {
        case 1: "TSS 16 available"
        case 2: "LDT"
        case 3: "TSS 16 busy"
        case 4: "call gate 16"
        case 5: "task gate"
        case 6: "interrupt gate 16"
        case 7: "trap gate 16"
        case 9: isLong ? "TSS 64 available" : "TSS available"
        case 11: isLong ? "TSS 64 busy" : "TSS busy"
        case 12: "call gate"
        case 14: "interrupt gate"
        case 15: "trap gate"
        case _: "reserved type \(type)"
        }
    }

    /// Kind and rights of a code or data segment.
    static func segment(_ descriptor: Descriptor) -> String {
        if descriptor.isCode {
            let width = descriptor.isLong ? "64" : descriptor.isDefault32 ? "32" : "16"
            return "code \(width)" + (descriptor.isReadableCode ? "" : " execute-only")
                + (descriptor.isConforming ? " conforming" : "")
        }
        return "data" + (descriptor.isWritableData ? "" : " read-only")
            + (descriptor.low >> 42 & 1 != 0 ? " expand-down" : "")
    }
}

/// Shows the descriptor tables of a guest.
package struct DescriptorView {
    let guest: DebuggedGuest

    private var state: ProcessorState { guest.guest.processor.state.pointee }
    private var place: PlaceView { PlaceView(guest: guest) }

    /// The entries of the GDT that are not null.
    func globalTable() -> Table {
        var table = Table([
            Table.Column("selector"), Table.Column("kind"), Table.Column("dpl", isRight: true), Table.Column("base"),
            Table.Column("limit or target"), Table.Column(""),
        ])
        var offset: UInt64 = 0
        let size = given.map(\.size) ?? UInt64(state.gdtr.limit) + 1
        while offset + 8 <= size, table.rows.count < 512 {
            defer { offset += 8 }
            guard let low = globalEntry(offset), low != 0 else { continue }
            var descriptor = Descriptor(low: low)
            let selector = Numbers.hex(offset)
            let isWide = guest.isLongMode && !descriptor.isCodeOrData
            if isWide, let high = globalEntry(offset &+ 8) { descriptor = Descriptor(low: low, high: high) }
            let kind =
                descriptor.isCodeOrData
                ? DescriptorWords.segment(descriptor)
                : DescriptorWords.systemType(descriptor.type, isLong: guest.isLongMode)
            let isGate = !descriptor.isCodeOrData && [4, 5, 12].contains(descriptor.type)
            let target =
                isGate
                ? "\(Numbers.hex(descriptor.gateSelector.rawValue)):\(place.text(isWide ? descriptor.gateOffset64 : descriptor.gateOffset32))"
                : Numbers.hex(descriptor.limit)
            table.rows.append([
                Table.Cell(selector), Table.Cell(kind), Table.Cell(number: descriptor.descriptorPrivilegeLevel),
                Table.Cell(isGate ? "" : Numbers.hex(descriptor.base)), Table.Cell(target),
                Table.Cell(descriptor.isPresent ? users(UInt16(truncatingIfNeeded: offset)) : "not present", .faint),
            ])
            if isWide { offset += 8 }
        }
        return table
    }

    /// The table of a paravirtual guest, which has no GDTR.
    private var given: (physical: UInt64, size: UInt64)? { guest.guest.monitor?.descriptorTable }

    private func globalEntry(_ offset: UInt64) -> UInt64? {
        given.map { guest.guest.memory.quadword(at: $0.physical &+ offset) }
            ?? guest.number(state.gdtr.base &+ offset, bytes: 8)
    }

    /// The registers that hold a selector.
    private func users(_ offset: UInt16) -> String {
        let registers: [(String, SegmentState)] = [
            ("cs", state.cs), ("ss", state.ss), ("ds", state.ds), ("es", state.es), ("fs", state.fs), ("gs", state.gs),
            ("ldtr", state.ldtr), ("tr", state.tr),
        ]
        let names = registers.filter { $0.1.selector & ~7 == offset && $0.1.selector & 4 == 0 && offset != 0 }.map(\.0)
        return names.isEmpty ? "" : "in \(names.joined(separator: " "))"
    }

    /// The gates of the IDT; runs of equal targets are one row.
    func interruptTable(_ chosen: ClosedRange<Int>?) -> Table {
        var table = Table([
            Table.Column("vector"), Table.Column("kind"), Table.Column("dpl", isRight: true),
            Table.Column("ist", isRight: true),
            Table.Column("target"),
        ])
        if state.cr0 & CR0.PE == 0 { return realVectors(chosen, table) }
        let size: UInt64 = guest.isLongMode ? 16 : 8
        for vector in chosen ?? 0...255 {
            let offset = UInt64(vector) * size
            guard offset + size - 1 <= UInt64(state.idtr.limit),
                let low = guest.number(state.idtr.base &+ offset, bytes: 8)
            else { break }
            let high = guest.isLongMode ? guest.number(state.idtr.base &+ offset &+ 8, bytes: 8) ?? 0 : 0
            let gate = Descriptor(low: low, high: high)
            guard gate.isPresent || chosen != nil else { continue }
            let target = guest.isLongMode ? gate.gateOffset64 : gate.gateOffset32
            let name = vector < 32 ? " \(ExceptionName.short(UInt8(vector)))" : ""
            table.rows.append([
                Table.Cell(Numbers.hex(vector) + (name.hasPrefix(" #") ? name : "")),
                Table.Cell(
                    gate.isPresent ? DescriptorWords.systemType(gate.type, isLong: guest.isLongMode) : "not present"),
                Table.Cell(number: gate.descriptorPrivilegeLevel),
                guest.isLongMode && gate.interruptStack > 0 ? Table.Cell(number: gate.interruptStack) : "",
                Table.Cell(
                    gate.type == 5
                        ? "task \(Numbers.hex(gate.gateSelector.rawValue))"
                        : "\(Numbers.hex(gate.gateSelector.rawValue)):\(place.text(target))"),
            ])
        }
        return table
    }

    /// The interrupt vectors of real mode: offset and segment.
    ///
    /// SDM vol. 3 section 20.1.4.
    private func realVectors(_ chosen: ClosedRange<Int>?, _ empty: Table) -> Table {
        var table = empty
        for vector in chosen ?? 0...255 {
            guard let entry = guest.number(state.idtr.base &+ UInt64(vector) * 4, bytes: 4), entry != 0 else {
                continue
            }
            table.rows.append([
                Table.Cell(Numbers.hex(vector)), "real-mode vector", "", "",
                Table.Cell("\(Numbers.hex(entry >> 16)):\(Numbers.hex(entry & 0xFFFF))"),
            ])
        }
        return table
    }

    /// The task-state segment.
    ///
    /// SDM vol. 3 sections 8.2.1 and 8.7.
    func taskState() throws(CommandFailure) -> Table {
        var table = Table([Table.Column("field", width: 8), Table.Column("value"), Table.Column("")])
        let tr = state.tr
        guard tr.selector & ~3 != 0, !tr.isUnusable else { throw CommandFailure("TR is null: there is no TSS") }
        func add(_ name: String, _ offset: UInt64, _ bytes: Int) {
            guard offset &+ UInt64(bytes) <= UInt64(tr.limit) + 1,
                let value = guest.number(tr.base &+ offset, bytes: bytes)
            else { return }
            table.rows.append([
                Table.Cell(name, .register), Table.Cell(number: value, Numbers.hex(value)),
                Table.Cell(value > 0xFFF ? place.name(value) ?? "" : "", .symbol),
            ])
        }
        if guest.isLongMode {
            for level in UInt64(0)..<3 { add("rsp\(level)", 4 + level * 8, 8) }
            for index in UInt64(1)..<8 { add("ist\(index)", 0x24 + (index - 1) * 8, 8) }
            add("iomap", 0x66, 2)
        } else if [1, 3].contains(tr.type) {
            for level in UInt64(0)..<3 {
                add("sp\(level)", 2 + level * 4, 2)
                add("ss\(level)", 4 + level * 4, 2)
            }
        } else {
            add("link", 0, 2)
            for level in UInt64(0)..<3 {
                add("esp\(level)", 4 + level * 8, 4)
                add("ss\(level)", 8 + level * 8, 2)
            }
            for (name, offset) in [("cr3", 0x1C), ("eip", 0x20), ("eflags", 0x24)] as [(String, UInt64)] {
                add(name, offset, 4)
            }
            add("iomap", 0x66, 2)
        }
        return table
    }
}
