/// A run of pages whose translations the soft TLB holds, for those who look at it.
package struct SoftTLBRun: Equatable, Sendable {
    /// `supervisor`, `user`, and so on: whose accesses they are for.
    package var context: String
    package var linear: UInt64
    /// The last linear address.
    package var last: UInt64
    package var physical: UInt64
    package var isReadable: Bool
    package var isWritable: Bool
    package var isExecutable: Bool
}

extension Processor {
    /// What the soft TLB holds, by context and linear address; neighbours with equal rights are one run.
    package var cachedTranslations: [SoftTLBRun] {
        var runs: [SoftTLBRun] = []
        for context in TLBContext.allCases where context != .unfilled && context != .guestUnfilled {
            let lines = tlb.lines(of: context).sorted { $0.linear < $1.linear }
            for line in lines {
                guard let physical = memory.physicalAddress(ofMapped: line.linear &+ line.addend) else { continue }
                let run = SoftTLBRun(
                    context: "\(context)", linear: line.linear, last: line.linear | 0xFFF, physical: physical,
                    isReadable: line.isReadable, isWritable: line.isWritable, isExecutable: line.isExecutable)
                if let previous = runs.last, previous.continues(with: run) {
                    runs[runs.count - 1].last = run.last
                } else {
                    runs.append(run)
                }
            }
        }
        return runs
    }
}

extension SoftTLBRun {
    fileprivate func continues(with next: SoftTLBRun) -> Bool {
        context == next.context && last &+ 1 == next.linear && physical &+ (next.linear &- linear) == next.physical
            && isReadable == next.isReadable && isWritable == next.isWritable && isExecutable == next.isExecutable
    }
}

extension SoftTLB {
    /// The lines of a context that hold something.
    func lines(
        of context: TLBContext
    ) -> [(linear: UInt64, addend: UInt64, isReadable: Bool, isWritable: Bool, isExecutable: Bool)] {
        let table = table(context)
        return (0...Int(truncatingIfNeeded: mask)).compactMap { index in
            // SAFETY: the table of a context has `mask + 1` lines.
            let line = table[index]
            let tags = [line.readTag, line.writeTag, line.executeTag]
            guard let linear = tags.first(where: { $0 != TLBEntry.invalid }) else { return nil }
            return (linear, line.addend, tags[0] == linear, tags[1] == linear, tags[2] == linear)
        }
    }
}

extension PhysicalMemory {
    /// The physical address that a host address inside RAM stands for; nil outside.
    func physicalAddress(ofMapped host: UInt64) -> UInt64? {
        let offset = host &- UInt64(UInt(bitPattern: base))
        return offset < UInt64(reservedPageCount) << 12 ? physicalAddress(ofHost: host) : nil
    }
}
