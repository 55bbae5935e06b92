import X86Engine

/// The past of a guest: snapshots along its way, from which every moment is reached again by running.
///
/// A guest's run follows from its state, what comes in from outside, and what handlers and scripted devices do. The
/// console keeps the former with its positions, the effect log the latter; so going back is restoring the nearest
/// snapshot and running on, and neither handlers nor scripted devices are called for what has happened already. What the
/// host changes in between (registers, memory) is kept by `changed()`: moments after it are reached from there, but a
/// forward run from before it takes its own way.
public final class GuestHistory {
    /// The guest.
    public let guest: Guest
    /// How many bytes of memory the snapshots may take; older ones are thinned out, the first and the last stay.
    public var memoryLimit = 1 << 30 {
        didSet { thinOut() }
    }
    /// How many instructions lie between two snapshots of a long run.
    public var interval: UInt64 = 50_000_000
    /// Whether the guest is being brought to a moment it has been at.
    public private(set) var isReplaying = false
    private var entries: [Entry] = []
    private let effects: EffectLog

    /// The most snapshots, whatever their size.
    private static let countLimit = 400
    /// Before a moment so many instructions are left to run from the snapshot that is taken on the way.
    private static let approach: UInt64 = 200_000

    private struct Entry {
        var snapshot: GuestSnapshot
        /// Whether the host changed something here.
        var isChange: Bool
        /// How many of its pages the entry before does not share.
        var ownPages: Int

        var position: UInt64 { snapshot.instructions }
    }

    /// A history that begins now.
    public init(_ guest: Guest) {
        self.guest = guest
        effects = guest.effects ?? EffectLog(at: guest.instructions)
        guest.effects = effects
        if guest.history == nil { guest.history = self }
        mark()
    }

    /// How many snapshots there are.
    public var count: Int { entries.count }
    /// The first moment that can be reached, in instructions.
    public var start: UInt64 { entries.first?.position ?? guest.instructions }

    /// Bytes of memory that the snapshots take.
    public var memoryUse: Int { entries.reduce(effects.size) { $0 + $1.ownPages << 12 } }

    // MARK: - Keeping

    /// Keeps the present.
    private func mark(isChange: Bool = false) {
        let snapshot = guest.snapshotBetweenInstructions()
        let place = entries.firstIndex { $0.position > snapshot.instructions } ?? entries.count
        entries.insert(Entry(snapshot: snapshot, isChange: isChange, ownPages: 0), at: place)
        countPages(of: place)
        countPages(of: place + 1)
        thinOut()
    }

    /// Counts what an entry does not share with the one before it.
    private func countPages(of index: Int) {
        guard entries.indices.contains(index) else { return }
        let before = index > 0 ? entries[index - 1].snapshot.memory : nil
        entries[index].ownPages = entries[index].snapshot.memory.pagesNotShared(with: before)
    }

    private func removeEntry(at index: Int) {
        entries.remove(at: index)
        countPages(of: index)
    }

    /// To be called after the host has changed the guest's state: what lay in the future is another guest's.
    public func changed() {
        forgetFuture()
        mark(isChange: true)
    }

    /// Drops what was known of the future, with the input that was to come.
    public func forgetFuture() {
        effects.diverge(at: guest.instructions)
        entries.removeAll { $0.position > guest.instructions }
        guest.console.replaying = []
    }

    private func thinOut() {
        while entries.count > 2, entries.count > Self.countLimit || memoryUse > memoryLimit {
            // The one whose neighbours are nearest to each other is missed least.
            var candidate: (index: Int, gap: UInt64)?
            for index in 1..<entries.count - 1 where !entries[index].isChange {
                let gap = entries[index + 1].position - entries[index - 1].position
                if candidate.map({ gap < $0.gap }) ?? true { candidate = (index, gap) }
            }
            removeEntry(at: candidate?.index ?? 1)
        }
        // What was done since the first snapshot is needed to go on from it.
        while effects.size > memoryLimit / 2, entries.count > 1 {
            removeEntry(at: 0)
            effects.drop(before: entries[0].snapshot.effects)
        }
    }

    // MARK: - Forwards

    /// Runs as `Guest.run` does, and keeps snapshots on the way.
    public func run(
        until condition: EventFilter? = nil, limits: RunLimits = RunLimits(), checkpoint: (() -> Bool)? = nil
    ) -> Stop {
        // A run from before a change of the host's does not meet it again.
        if entries.contains(where: { $0.isChange && $0.position > guest.instructions }) { forgetFuture() }
        // Something else may have taken it out of the past that was known.
        entries.removeAll { $0.position > max(effects.frontier, guest.instructions) }
        defer { effects.reached(guest.instructions) }
        let endCount = limits.instructions.map { guest.instructions.addingReportingOverflow($0) }
            .map { $0.overflow ? UInt64.max : $0.partialValue }
        let endTime = limits.time.map { guest.time.addingReportingOverflow($0) }
            .map { $0.overflow ? UInt64.max : $0.partialValue }
        while true {
            let left = endCount.map { $0 - min(guest.instructions, $0) } ?? .max
            let time = endTime.map { $0 - min(guest.time, $0) }
            let stop = guest.run(
                until: condition, limits: RunLimits(time: time, instructions: min(left, interval)),
                checkpoint: checkpoint)
            if guest.instructions
                >= lastPosition(atMost: guest.instructions).addingReportingOverflow(interval).partialValue
            {
                mark()
            }
            guard stop.reason == .instructions, guest.instructions < endCount ?? .max else { return stop }
        }
    }

    /// Keeps the present, or has it near something that is kept, so that it is come back to at once.
    package func keepPresent() {
        guard guest.instructions - lastPosition(atMost: guest.instructions) > Self.approach else { return }
        effects.reached(guest.instructions)
        mark()
    }

    /// Keeps the present on the way of a run that is not the history's own; between two instructions.
    func passing() {
        let next = lastPosition(atMost: guest.instructions).addingReportingOverflow(interval)
        if !isReplaying, !next.overflow, guest.instructions >= next.partialValue { mark() }
    }

    /// The guest was brought to a snapshot that may be of another past: what lay after it is another guest's.
    func wasRestored() { entries.removeAll { $0.position > guest.instructions } }

    private func lastPosition(atMost position: UInt64) -> UInt64 {
        entries.last { $0.position <= position }?.position ?? 0
    }

    // MARK: - Backwards

    /// Brings the guest to the moment when it had executed so many instructions.
    ///
    /// - Parameters:
    ///   - position: The moment; one before the first snapshot is that.
    ///   - checkpoint: Asked now and then; false ends the way where it is.
    /// - Returns: Whether it is there.
    @discardableResult
    public func go(to position: UInt64, checkpoint: (() -> Bool)? = nil) -> Bool {
        if let checkpoint, !checkpoint() { return false }
        let target = max(position, start)
        begin()
        defer { end() }
        let nearest = entries.lastIndex { $0.position <= target }
        if let nearest, target < guest.instructions || entries[nearest].position > guest.instructions {
            guard restore(entries[nearest]) else { return false }
        }
        // A snapshot shortly before makes the next step back quick.
        if target - guest.instructions > 4 * Self.approach {
            guard advance(to: target - Self.approach, checkpoint) else { return false }
            mark()
        }
        return advance(to: target, checkpoint)
    }

    /// The last of the events before a moment that one of some filters lets through and `accept` takes.
    ///
    /// The guest is then somewhere before that moment.
    public func lastEvent(
        before position: UInt64, matching filters: [EventFilter], checkpoint: (() -> Bool)? = nil,
        where accept: @escaping (_ filter: Int, GuestEvent) -> Bool = { _, _ in true }
    ) -> (filter: Int, event: GuestEvent)? {
        begin()
        defer { self.end() }
        var end = position
        for entry in entries.filter({ $0.position < position }).reversed() {
            if let checkpoint, !checkpoint() { return nil }
            guard restore(entry) else { return nil }
            var found: (filter: Int, event: GuestEvent)?
            // The event of the instruction that the guest stands at may have been reported already.
            for (index, filter) in filters.enumerated() where filter.kind == .exec {
                let present = guest.presentEvent
                if filter.numbers?.contains(guest.cpu.rip) ?? true, accept(index, present) { found = (index, present) }
            }
            let handlers = filters.enumerated().map { index, filter in
                guest.observe(filter) { event in
                    if event.start < end, accept(index, event) { found = (index, event) }
                    return .proceed
                }
            }
            let isThere = advance(to: end, checkpoint)
            for handler in handlers { guest.off(handler) }
            guard isThere else { return nil }
            if let found { return found }
            end = entry.position
        }
        return nil
    }

    private func begin() {
        effects.reached(guest.instructions)
        effects.ignoresStops = true
        isReplaying = true
    }

    private func end() {
        effects.ignoresStops = false
        isReplaying = false
    }

    /// Restores a snapshot, and lets all later input come in again.
    private func restore(_ entry: Entry) -> Bool {
        let inputs = guest.console.inputs + guest.console.replaying
        do throws(SnapshotError) { try guest.bringBack(entry.snapshot) } catch { return false }
        let later = inputs.dropFirst(guest.console.inputs.count)
        return (try? guest.replay(Array(later))) != nil
    }

    /// Runs forwards to a moment; stops on the way that handlers ask for do not count.
    private func advance(to target: UInt64, _ checkpoint: (() -> Bool)?) -> Bool {
        while guest.instructions < target {
            let before = (guest.instructions, guest.time)
            _ = guest.run(limits: RunLimits(instructions: target - guest.instructions), checkpoint: checkpoint)
            if let checkpoint, !checkpoint() { return false }
            if (guest.instructions, guest.time) == before { return false }
        }
        return true
    }
}
