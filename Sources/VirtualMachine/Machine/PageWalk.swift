import Hypervisors
import X86Engine

/// How a linear address is translated, level by level.
public struct PageWalk: Equatable, Sendable, CustomStringConvertible {
    /// One entry of a paging structure.
    public struct Step: Equatable, Sendable {
        /// `PML4E`, `PDPTE`, `PDE` or `PTE`.
        public var name: String
        /// 4 for a PML4 entry down to 1 for a page-table entry.
        public var level: Int
        /// The entry's physical address.
        public var address: UInt64
        /// The entry.
        public var entry: UInt64
        /// The flags that are set: `P RW US PWT PCD A D PS G XD`.
        public var flags: [String]
    }

    /// The address.
    public var linear: UInt64
    /// The entries, from the top; empty without paging.
    public var steps: [Step]
    /// Where it leads; nil if an access would fault.
    public var physical: UInt64?
    /// `readable`, `no paging`, or the fault that a read raises, with the reason.
    public var verdict: String
    /// Where the entries lead, also if a read is not allowed; nil if they end before.
    public var target: UInt64?
    /// How the monitor's own tables go on from there, or stand for the guest's; nil without any.
    public var monitor: MonitorWalk?

    /// The way through tables of the monitor's: second-level ones, or shadow page tables.
    public struct MonitorWalk: Equatable, Sendable {
        /// `EPT`, `NPT` or `shadow`.
        public var name: String
        /// The entries, from the top, with addresses of the machine's memory.
        public var steps: [Step]
        /// Where they lead in the machine's memory; nil if they end before.
        public var physical: UInt64?
    }

    /// The table as text, a line for each level and one for the verdict.
    public var description: String {
        func padded(_ value: UInt64, _ digits: Int) -> String {
            let text = String(value, radix: 16)
            return "0x" + String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        var lines = ["linear \(hexadecimal(linear))"]
        func line(_ step: Step, _ prefix: String, width: Int) -> String {
            let name = prefix + step.name
            let gap = String(repeating: " ", count: max(0, width - name.count))
            return "  \(name)\(gap) at \(padded(step.address, 9))  "
                + "\(padded(step.entry, 16))  " + step.flags.joined(separator: " ")
        }
        for step in steps { lines.append(line(step, "", width: 6)) }
        lines.append("  " + (target.map { "physical \(hexadecimal($0)), " } ?? "") + verdict)
        guard let monitor else { return lines.joined(separator: "\n") }
        for step in monitor.steps { lines.append(line(step, monitor.name + " ", width: monitor.name.count + 6)) }
        let end =
            monitor.name == "shadow"
            ? "not in the shadow page tables now: an access comes to the monitor, which fills them or passes the fault on"
            : "not in the \(monitor.name): an access comes to the monitor, as one to a device does"
        lines.append("  " + (monitor.physical.map { "machine \(hexadecimal($0))" } ?? end))
        return lines.joined(separator: "\n")
    }
}

extension CPUView {
    /// Translates a linear address as a read at the current privilege level would; sets no accessed or dirty flag.
    public func walk(_ linear: UInt64) -> PageWalk {
        guard mode != "64-bit" || Int64(bitPattern: linear << 16) >> 16 == Int64(bitPattern: linear) else {
            return PageWalk(
                linear: linear, steps: [], physical: nil,
                verdict: "#GP(0): the address is not canonical, its bits 48 to 63 are no copies of bit 47")
        }
        let result = guest.processor.walk(linear, .read)
        let paging = flag("PG") == true
        let steps = result.steps.enumerated().map { index, step in
            PageWalk.Step(
                name: Self.entryName(step.level), level: step.level,
                address: step.address, entry: step.entry, flags: Self.flags(of: step.entry, level: step.level))
        }
        var verdict = paging ? "readable" : "no paging"
        if let fault = result.fault {
            verdict = ExceptionName.short(fault.vector)
            if let code = fault.errorCode { verdict += "(\(hexadecimal(code)))" }
            verdict += ": " + Self.reason(of: fault, after: result.steps.last)
        } else if paging, ring < 3, flag("SMAP") == true, result.steps.allSatisfy({ $0.entry & PageEntry.US != 0 }) {
            verdict += " because AC is set (STAC): without it SMAP forbids user pages"
        }
        var walk = PageWalk(linear: linear, steps: steps, physical: result.physical, verdict: verdict)
        walk.target = result.physical ?? target(of: linear, result)
        walk.monitor = guest.monitorWalk(linear, walk.target)
        return walk
    }

    /// Where the entries lead if only their rights end the way.
    private func target(of linear: UInt64, _ result: PageWalkResult) -> UInt64? {
        guard let fault = result.fault, fault.vector == 14, let last = result.steps.last,
            (fault.errorCode ?? 0) & PageFaultCode.P != 0, (fault.errorCode ?? 0) & PageFaultCode.RSVD == 0,
            last.level == 1 || last.entry & PageEntry.PS != 0
        else { return nil }
        let isLong = flag("PAE") == true || flag("LMA") == true
        let shift = UInt64(last.level == 1 ? 12 : isLong ? 12 + 9 * (last.level - 1) : 22)
        let mask = UInt64(1) << shift - 1
        let frame = isLong ? last.entry & 0x000F_FFFF_FFFF_F000 : last.entry & 0xFFFF_F000
        return frame & ~mask | linear & mask
    }

    /// What an entry of a level is called.
    static func entryName(_ level: Int) -> String {
        ["PTE", "PDE", "PDPTE", "PML4E", "PML5E"][max(0, min(level, 5) - 1)]
    }

    /// What a fault's error code says.
    ///
    /// SDM vol. 3 section 4.7.
    private static func reason(of fault: Fault, after last: WalkStep?) -> String {
        let code = fault.errorCode ?? 0
        guard fault.vector == 14 else { return "the second level of translation ends it" }
        if code & PageFaultCode.P == 0 { return "not present at level \(last?.level ?? 0)" }
        if code & PageFaultCode.RSVD != 0 { return "a reserved bit is set at level \(last?.level ?? 0)" }
        return code & PageFaultCode.US != 0
            ? "a supervisor page, read at CPL 3"
            : "a user page, which SMAP forbids to the kernel while AC is clear; after STAC it is readable"
    }

    /// The names of the flags that are set.
    ///
    /// SDM vol. 3 tables 4-5 to 4-20.
    static func flags(of entry: UInt64, level: Int) -> [String] {
        var names: [(UInt64, String)] = [
            (PageEntry.P, "P"), (PageEntry.RW, "RW"), (PageEntry.US, "US"), (1 << 3, "PWT"), (1 << 4, "PCD"),
            (PageEntry.A, "A"), (PageEntry.D, "D"),
        ]
        names.append((PageEntry.PS, level == 1 ? "PAT" : "PS"))
        names += [(PageEntry.G, "G"), (PageEntry.XD, "XD")]
        return names.filter { entry & $0.0 != 0 }.map(\.1)
    }
}
