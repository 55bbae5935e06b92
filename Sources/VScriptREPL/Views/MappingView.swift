import VirtualMachine
import X86Engine

/// Lists what the guest's page tables map, as runs of pages with equal rights.
package struct MappingView {
    let guest: DebuggedGuest

    /// The most rows.
    private static let limit = 2_000

    /// The rights of a page.
    private struct Rights: Equatable {
        var isUser: Bool
        var isWritable: Bool
        var isExecutable: Bool

        var text: String { "\(isUser ? "u" : "s")r\(isWritable ? "w" : "-")\(isExecutable ? "x" : "-")" }
    }

    /// Pages that follow each other with the same rights.
    private struct Run {
        var start: UInt64
        var end: UInt64
        var rights: Rights
    }

    /// The shape of a paging mode.
    ///
    /// SDM vol. 3 sections 4.3 to 4.5.
    private struct Shape {
        var entrySize: UInt64
        /// The lowest bit of the index at each level, the top first.
        var shifts: [UInt64]
        /// How many entries the top table has.
        var topCount: UInt64
        var largeLevels: Set<Int>
    }

    private var state: ProcessorState { guest.guest.processor.state.pointee }

    private var shape: Shape {
        if state.efer & EFER.LMA != 0 {
            return Shape(entrySize: 8, shifts: [39, 30, 21, 12], topCount: 512, largeLevels: [1, 2])
        }
        if state.cr4 & CR4.PAE != 0 { return Shape(entrySize: 8, shifts: [30, 21, 12], topCount: 4, largeLevels: [1]) }
        let hasLarge = state.cr4 & CR4.PSE != 0
        return Shape(entrySize: 4, shifts: [22, 12], topCount: 1_024, largeLevels: hasLarge ? [0] : [])
    }

    func table() throws(CommandFailure) -> Table {
        guard state.cr0 & CR0.PG != 0 else { throw CommandFailure("paging is off: linear addresses are physical") }
        let shape = shape
        var runs: [Run] = []
        let mask: UInt64 =
            shape.entrySize == 4 ? 0xFFFF_F000 : shape.topCount == 4 ? 0xFFFF_FFE0 : 0x000F_FFFF_FFFF_F000
        visit(
            state.cr3 & mask, level: 0, base: 0, shape,
            Rights(isUser: true, isWritable: true, isExecutable: true), &runs)
        try Command.untilInterrupted { () throws(Interrupted) in try Checkpoint.pass() }
        var table = Table([
            Table.Column("from", width: 18), Table.Column("to", width: 18), Table.Column("size", isRight: true),
            Table.Column("rights"),
        ])
        for run in runs.prefix(Self.limit) {
            table.rows.append([
                Table.Cell(number: run.start, Numbers.hex(run.start)),
                Table.Cell(number: run.end, Numbers.hex(run.end)),
                Table.Cell(number: run.end &- run.start &+ 1, ByteSize.text(run.end &- run.start &+ 1)),
                Table.Cell(run.rights.text),
            ])
        }
        if runs.count > Self.limit { table.rows.append(["…", Table.Cell("\(runs.count - Self.limit) more"), "", ""]) }
        return table
    }

    private func visit(
        _ address: UInt64, level: Int, base: UInt64, _ shape: Shape, _ outer: Rights, _ runs: inout [Run]
    ) {
        let count = level == 0 ? shape.topCount : 4_096 / shape.entrySize
        var bytes = [UInt8](repeating: 0, count: Int(count * shape.entrySize))
        guard bytes.withUnsafeMutableBytes({ guest.guest.memory.read(address, into: $0) }) else { return }
        guard Checkpoint.isPassed else { return }
        for index in 0..<count {
            let offset = Int(index * shape.entrySize)
            let entry = bytes[offset..<offset + Int(shape.entrySize)].reversed().reduce(UInt64(0)) {
                $0 << 8 | UInt64($1)
            }
            guard entry & 1 != 0 else { continue }
            var linear = base | index << shape.shifts[level]
            // Canonical: bit 47 fills the bits above it.
            if shape.shifts.count == 4, level == 0, index >= 256 { linear |= 0xFFFF_0000_0000_0000 }
            // PAE's four top entries have no rights of their own (SDM vol. 3 table 4-8).
            let isPointer = shape.topCount == 4 && level == 0
            let rights = Rights(
                isUser: outer.isUser && (isPointer || entry & 4 != 0),
                isWritable: outer.isWritable && (isPointer || entry & 2 != 0),
                isExecutable: outer.isExecutable && (shape.entrySize == 4 || isPointer || entry >> 63 == 0))
            let isLast = level == shape.shifts.count - 1
            if isLast || (shape.largeLevels.contains(level) && entry & 0x80 != 0) {
                let end = linear &+ (1 << shape.shifts[level] - 1)
                if let last = runs.indices.last, runs[last].end &+ 1 == linear, runs[last].rights == rights {
                    runs[last].end = end
                } else {
                    runs.append(Run(start: linear, end: end, rights: rights))
                }
            } else {
                let mask: UInt64 = shape.entrySize == 4 ? 0xFFFF_F000 : 0x000F_FFFF_FFFF_F000
                visit(entry & mask, level: level + 1, base: linear, shape, rights, &runs)
            }
        }
    }
}
