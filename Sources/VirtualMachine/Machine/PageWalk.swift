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

    /// The table as text, a line for each level and one for the verdict.
    public var description: String {
        func padded(_ value: UInt64, _ digits: Int) -> String {
            let text = String(value, radix: 16)
            return "0x" + String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        var lines = ["linear \(hexadecimal(linear))"]
        for step in steps {
            let name = step.name + String(repeating: " ", count: max(0, 6 - step.name.count))
            lines.append(
                "  \(name) at \(padded(step.address, 9))  \(padded(step.entry, 16))  "
                    + step.flags.joined(separator: " "))
        }
        lines.append("  " + (physical.map { "physical \(hexadecimal($0)), " } ?? "") + verdict)
        return lines.joined(separator: "\n")
    }
}

extension CPUView {
    /// Translates a linear address as a read at the current privilege level would; sets no accessed or dirty flag.
    public func walk(_ linear: UInt64) -> PageWalk {
        let result = guest.processor.walk(linear, .read)
        let paging = flag("PG") == true
        let steps = result.steps.enumerated().map { index, step in
            PageWalk.Step(
                name: ["PTE", "PDE", "PDPTE", "PML4E", "PML5E"][max(0, min(step.level, 5) - 1)], level: step.level,
                address: step.address, entry: step.entry, flags: Self.flags(of: step.entry, level: step.level))
        }
        var verdict = paging ? "readable" : "no paging"
        if let fault = result.fault {
            verdict = ExceptionName.short(fault.vector)
            if let code = fault.errorCode { verdict += "(\(hexadecimal(code)))" }
            verdict += ": " + Self.reason(of: fault, after: result.steps.last)
        }
        return PageWalk(linear: linear, steps: steps, physical: result.physical, verdict: verdict)
    }

    /// What a fault's error code says.
    ///
    /// SDM vol. 3 section 4.7.
    private static func reason(of fault: Fault, after last: WalkStep?) -> String {
        let code = fault.errorCode ?? 0
        guard fault.vector == 14 else { return "the second level of translation ends it" }
        if code & PageFaultCode.P == 0 { return "not present at level \(last?.level ?? 0)" }
        if code & PageFaultCode.RSVD != 0 { return "a reserved bit is set at level \(last?.level ?? 0)" }
        return code & PageFaultCode.US != 0 ? "a supervisor page, read at CPL 3" : "a user page, which SMAP forbids"
    }

    /// The names of the flags that are set.
    ///
    /// SDM vol. 3 tables 4-5 to 4-20.
    private static func flags(of entry: UInt64, level: Int) -> [String] {
        var names: [(UInt64, String)] = [
            (PageEntry.P, "P"), (PageEntry.RW, "RW"), (PageEntry.US, "US"), (1 << 3, "PWT"), (1 << 4, "PCD"),
            (PageEntry.A, "A"), (PageEntry.D, "D"),
        ]
        names.append((PageEntry.PS, level == 1 ? "PAT" : "PS"))
        names += [(PageEntry.G, "G"), (PageEntry.XD, "XD")]
        return names.filter { entry & $0.0 != 0 }.map(\.1)
    }
}
