import VirtualMachine
import X86
import X86Engine

/// Shows registers with what their bits mean.
package struct RegistersView {
    let guest: DebuggedGuest

    /// The registers that `info registers` shows without being told which.
    static let usual =
        ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp"] + (8...15).map { "r\($0)" } + [
            "rip", "rflags", "cs", "ss", "ds", "es", "fs", "gs", "fs_base", "gs_base", "cr0", "cr2", "cr3", "cr4",
            "efer",
        ]

    func table(_ names: [String]) throws(CommandFailure) -> Table {
        var table = Table([
            Table.Column("register", width: 8), Table.Column("value", width: 18), Table.Column("meaning"),
        ])
        for name in names {
            let bare = name.hasPrefix("$") ? String(name.dropFirst()) : name
            if let value = guest.guest.cpu[bare] {
                let isChanged = guest.earlier.map { $0.values[bare] != nil && $0.values[bare] != value } ?? false
                table.rows.append([
                    Table.Cell(bare, .register), Self.cell(value, isChanged), Table.Cell(meaning(bare, value)),
                ])
            } else if let flag = guest.guest.cpu.flag(bare.uppercased()) {
                table.rows.append([Table.Cell(bare.uppercased(), .register), Table.Cell(flag ? "1" : "0"), ""])
            } else {
                let guess = Spelling.near(bare, in: RegisterSnapshot.names)
                throw CommandFailure(
                    "there is no register `\(bare)`", notes: guess.map { ["did you mean `\($0)`?"] } ?? [])
            }
        }
        return table
    }

    private static func cell(_ value: UInt64, _ isChanged: Bool) -> Table.Cell {
        var cell = Table.Cell(number: value, Numbers.hex(value))
        if isChanged { cell.role = .changed }
        return cell
    }

    /// The value in other words: a symbol, a signed number, the names of bits, the segment.
    func meaning(_ name: String, _ value: UInt64) -> String {
        if let bits = RegisterBits.all[name] {
            let set = bits.filter { value & $0.mask != 0 }.map { bit in
                bit.mask.nonzeroBitCount == 1
                    ? bit.name : "\(bit.name)=\((value & bit.mask) >> UInt64(bit.mask.trailingZeroBitCount))"
            }
            return set.joined(separator: " ")
        }
        let state = guest.guest.processor.state.pointee
        switch name {
        case "cs": return SegmentWords.text(state.cs)
        case "ss": return SegmentWords.text(state.ss)
        case "ds": return SegmentWords.text(state.ds)
        case "es": return SegmentWords.text(state.es)
        case "fs": return SegmentWords.text(state.fs)
        case "gs": return SegmentWords.text(state.gs)
        case "ldtr": return SegmentWords.text(state.ldtr)
        case "tr": return SegmentWords.text(state.tr)
        case "gdtr": return "limit \(Numbers.hex(state.gdtr.limit))"
        case "idtr": return "limit \(Numbers.hex(state.idtr.limit))"
        case "cr3":
            return "table \(Numbers.hex(value & 0x000F_FFFF_FFFF_F000))"
                + (state.cr4 & CR4.PCIDE != 0 ? " pcid \(value & 0xFFF)" : "")
        case "star":
            return
                "syscall cs \(Numbers.hex(value >> 32 & 0xFFFC)), sysret cs \(Numbers.hex((value >> 48 & 0xFFFC) + 16 | 3))"
        case _: break
        }
        if let symbol = PlaceView(guest: guest).name(value), value > 0xFFF { return symbol }
        if value < 10 { return "" }
        let signed = Int64(bitPattern: value)
        return signed < 0 && signed > -0x1_0000_0000 ? String(signed) : String(value)
    }

    /// What has changed since the stop before: registers, then how far the guest has come.
    func difference() -> Table {
        var table = Table([
            Table.Column("register", width: 8), Table.Column("before", width: 18), Table.Column("now", width: 18),
            Table.Column("meaning"),
        ])
        guard let earlier = guest.earlier else { return table }
        for name in RegisterSnapshot.names {
            guard let before = earlier.values[name], let now = guest.guest.cpu[name], before != now else { continue }
            table.rows.append([
                Table.Cell(name, .register), Table.Cell(number: before, Numbers.hex(before)),
                Table.Cell(number: now, Numbers.hex(now)), Table.Cell(change(name, before, now)),
            ])
        }
        for (before, now) in zip(earlier.counts, RegisterSnapshot(guest.guest).counts) where before.value != now.value {
            let isTime = now.name == "time"
            func text(_ value: UInt64) -> String { isTime ? Numbers.time(value) : Numbers.grouped(value) }
            let (less, more) = (min(before.value, now.value), max(before.value, now.value))
            table.rows.append([
                Table.Cell(now.name), Table.Cell(number: before.value, text(before.value)),
                Table.Cell(number: now.value, text(now.value)),
                Table.Cell((now.value > before.value ? "+" : "-") + text(more - less)),
            ])
        }
        return table
    }

    /// What a change means: the bits that were set and cleared, or the new value in other words.
    private func change(_ name: String, _ before: UInt64, _ now: UInt64) -> String {
        guard let bits = RegisterBits.all[name] else { return meaning(name, now) }
        return bits.filter { (before ^ now) & $0.mask != 0 }.map { bit in
            let shift = UInt64(bit.mask.trailingZeroBitCount)
            return "\(bit.name) \((before & bit.mask) >> shift) → \((now & bit.mask) >> shift)"
        }.joined(separator: "  ")
    }
}

/// The names of the bits of control registers.
///
/// SDM vol. 1 section 3.4.3, vol. 3 section 2.5, vol. 4 table 2-2 (IA32_EFER), vol. 1 section 13.3 (XCR0).
enum RegisterBits {
    struct Bit: Sendable {
        let mask: UInt64
        let name: String
    }

    private static func bits(_ names: [(Int, String)]) -> [Bit] {
        names.reversed().map { Bit(mask: 1 << UInt64($0.0), name: $0.1) }
    }

    static let all: [String: [Bit]] = [
        "rflags": bits([
            (0, "CF"), (2, "PF"), (4, "AF"), (6, "ZF"), (7, "SF"), (8, "TF"), (9, "IF"), (10, "DF"), (11, "OF"),
            (14, "NT"), (16, "RF"), (17, "VM"), (18, "AC"), (19, "VIF"), (20, "VIP"), (21, "ID"),
        ]) + [Bit(mask: 3 << 12, name: "IOPL")],
        "cr0": bits([
            (0, "PE"), (1, "MP"), (2, "EM"), (3, "TS"), (4, "ET"), (5, "NE"), (16, "WP"), (18, "AM"), (29, "NW"),
            (30, "CD"), (31, "PG"),
        ]),
        "cr4": bits([
            (0, "VME"), (1, "PVI"), (2, "TSD"), (3, "DE"), (4, "PSE"), (5, "PAE"), (6, "MCE"), (7, "PGE"), (8, "PCE"),
            (9, "OSFXSR"), (10, "OSXMMEXCPT"), (11, "UMIP"), (12, "LA57"), (13, "VMXE"), (14, "SMXE"), (16, "FSGSBASE"),
            (17, "PCIDE"), (18, "OSXSAVE"), (20, "SMEP"), (21, "SMAP"), (22, "PKE"), (23, "CET"),
        ]),
        "efer": bits([(0, "SCE"), (8, "LME"), (10, "LMA"), (11, "NXE"), (12, "SVME")]),
        "xcr0": bits([(0, "x87"), (1, "SSE"), (2, "AVX")]),
    ]
}

/// A segment's hidden part in words.
enum SegmentWords {
    static func text(_ segment: SegmentState) -> String {
        if segment.isUnusable { return "null" }
        var words = ["ring \(segment.descriptorPrivilegeLevel)"]
        if segment.isCodeOrData {
            if segment.isCode {
                words.append("code \(segment.isLong ? "64" : segment.isDefault32 ? "32" : "16")")
                if segment.isConforming { words.append("conforming") }
                if !segment.isWritableOrReadable { words.append("execute-only") }
            } else {
                words.append("data" + (segment.isWritableOrReadable ? "" : " read-only"))
                if segment.isExpandDown { words.append("expand-down") }
            }
        } else {
            words.append(DescriptorWords.systemType(UInt8(truncatingIfNeeded: segment.type), isLong: false))
        }
        if segment.base != 0 { words.append("base \(Numbers.hex(segment.base))") }
        words.append("limit \(Numbers.hex(segment.limit))")
        return words.joined(separator: " ")
    }
}
