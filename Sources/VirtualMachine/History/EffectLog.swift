/// What handlers, scripted devices and timers have done to a guest, so that its past can be gone through again without
/// them.
///
/// A run follows from the guest's state and this: the log has an entry, in the order of their happening, for every call
/// of theirs that had an effect. While the guest is in a past that the log knows, nobody is called; the entries are done
/// again at their positions. What only printed or counted leaves no entry, and is not repeated.
final class EffectLog {
    /// Who was called.
    enum Source: Hashable {
        case handler(HandlerID)
        case device(ObjectIdentifier)
        case timer(ObjectIdentifier)
    }

    /// What a call did to the guest besides its answer.
    enum Effect {
        case register(String, UInt64)
        case flag(String, Bool)
        case memory(UInt64, [UInt8])
        case line(ScriptedDevice, Bool)
        case state(ScriptedDevice, [String: DeviceValue])
        case arm(GuestTimer)
        case cancel(GuestTimer)
        case reset
        /// The end of the run, with its reason.
        case stop(String)

        /// Bytes that it takes, about.
        var size: Int { if case .memory(_, let bytes) = self { 48 + bytes.count } else { 48 } }
    }

    struct Entry {
        var source: Source
        /// Instructions before it.
        var position: UInt64
        var verdict = Verdict.proceed
        /// What a device's register read as.
        var value: UInt64 = 0
        var effects: [Effect] = []

        var size: Int { effects.reduce(96) { $0 + $1.size } }
    }

    private var entries: [Entry] = []
    /// How many older entries have been dropped; positions in the log count them.
    private var dropped = 0
    /// The next entry to be done again, as a position in the log.
    private(set) var cursor = 0
    /// The instruction up to which the past is known.
    private(set) var frontier: UInt64
    /// Bytes that the entries take, about.
    private(set) var size = 0
    /// What the present call has done so far; nil while nobody is called.
    private var gathered: [Effect]?
    /// What handlers with entries waited for, also those that have gone since.
    private(set) var filters: [HandlerID: EventFilter] = [:]
    /// Whether the run is on its way to a moment: stops that handlers asked for do not count then.
    var ignoresStops = false

    /// A log that begins at an instruction.
    init(at instructions: UInt64) { frontier = instructions }

    private var end: Int { dropped + entries.count }

    /// Whether what happens now has happened before.
    func isPast(_ instructions: UInt64) -> Bool {
        instructions < frontier || (cursor < end && instructions == frontier)
    }

    /// The run has come so far.
    func reached(_ instructions: UInt64) { frontier = max(frontier, instructions) }

    /// Goes to a position in the log, with the guest that was there.
    func go(to position: Int) { cursor = min(max(position, dropped), end) }

    /// Forgets what was known of the future: the guest goes its own way from here.
    func diverge(at instructions: UInt64) {
        let kept = cursor - dropped
        size -= entries[kept...].reduce(0) { $0 + $1.size }
        entries.removeSubrange(kept...)
        frontier = instructions
    }

    /// Forgets what lies before a position in the log.
    func drop(before position: Int) {
        let count = min(max(position - dropped, 0), entries.count)
        size -= entries[..<count].reduce(0) { $0 + $1.size }
        entries.removeFirst(count)
        dropped += count
        cursor = max(cursor, dropped)
    }

    /// The handlers that have entries ahead.
    var handlersAhead: [(id: HandlerID, filter: EventFilter)] {
        var ids: Set<HandlerID> = []
        for entry in entries[(cursor - dropped)...] { if case .handler(let id) = entry.source { ids.insert(id) } }
        return filters.filter { ids.contains($0.key) }.sorted { $0.key.rawValue < $1.key.rawValue }.map { ($0, $1) }
    }

    // MARK: - The first time

    /// Notes something that a call does.
    func note(_ effect: @autoclosure () -> Effect) { if gathered != nil { gathered?.append(effect()) } }

    /// Calls somebody for the first time.
    private func gather<Result>(_ body: () -> Result) -> (Result, [Effect]) {
        let outer = gathered
        gathered = []
        let result = body()
        let effects = gathered ?? []
        // What a call within a call does is the outer one's: that is done again as a whole.
        gathered = outer.map { $0 + effects }
        return (result, outer == nil ? effects : [])
    }

    private func append(_ entry: Entry) {
        if cursor < end { diverge(at: entry.position) }
        entries.append(entry)
        size += entry.size
        cursor = end
    }

    // MARK: - Calls

    /// The verdict of a handler: by calling it, or as it was.
    func verdict(
        of id: HandlerID, _ filter: EventFilter, at instructions: UInt64, in guest: Guest, _ body: () -> Verdict
    )
        -> Verdict
    {
        if isPast(instructions) {
            guard let entry = take(.handler(id), instructions, guest) else { return .proceed }
            if case .stop = entry.verdict, ignoresStops { return .proceed }
            return entry.verdict
        }
        let (verdict, effects) = gather(body)
        if verdict != .proceed || !effects.isEmpty {
            filters[id] = filter
            append(Entry(source: .handler(id), position: instructions, verdict: verdict, effects: effects))
        }
        return verdict
    }

    /// What a device's register reads as.
    func read(_ device: ScriptedDevice, at instructions: UInt64, in guest: Guest, _ body: () -> UInt64) -> UInt64 {
        let source = Source.device(ObjectIdentifier(device))
        if isPast(instructions) { return take(source, instructions, guest)?.value ?? .max }
        let (value, effects) = gatherWithState(device, body)
        append(Entry(source: source, position: instructions, value: value, effects: effects))
        return value
    }

    /// Lets a device do something that gives no value.
    func perform(_ device: ScriptedDevice, at instructions: UInt64, in guest: Guest, _ body: () -> Void) {
        let source = Source.device(ObjectIdentifier(device))
        if isPast(instructions) {
            _ = take(source, instructions, guest)
            return
        }
        let (_, effects) = gatherWithState(device, body)
        if !effects.isEmpty { append(Entry(source: source, position: instructions, effects: effects)) }
    }

    /// Does what a timer is for.
    func fire(_ timer: GuestTimer, at instructions: UInt64, in guest: Guest, _ body: () -> Void) {
        let source = Source.timer(ObjectIdentifier(timer))
        if isPast(instructions) {
            _ = take(source, instructions, guest)
            return
        }
        let states = guest.devices.map(\.currentState)
        var (_, effects) = gather(body)
        for (device, before) in zip(guest.devices, states) where device.currentState != before {
            effects.append(.state(device, device.state))
        }
        if !effects.isEmpty { append(Entry(source: source, position: instructions, effects: effects)) }
    }

    private func gatherWithState<Result>(_ device: ScriptedDevice, _ body: () -> Result) -> (Result, [Effect]) {
        let before = device.currentState
        var (result, effects) = gather(body)
        if gathered == nil, device.currentState != before { effects.append(.state(device, device.state)) }
        return (result, effects)
    }

    // MARK: - Again

    /// The entry of a source here, done again; nil if the call had no effect.
    private func take(_ source: Source, _ instructions: UInt64, _ guest: Guest) -> Entry? {
        guard cursor < end else { return nil }
        let entry = entries[cursor - dropped]
        guard entry.source == source, entry.position == instructions else { return nil }
        cursor += 1
        for effect in entry.effects { guest.doAgain(effect) }
        return entry
    }
}

extension Guest {
    fileprivate func doAgain(_ effect: EffectLog.Effect) {
        switch effect {
        case .register(let name, let value):
            // A write that was refused then is refused again.
            do throws(RegisterError) { try cpu.write(name, value) } catch { cpu.set(name, value) }
        case .flag(let name, let value): cpu.setFlag(name, value)
        case .memory(let address, let bytes): _ = bytes.withUnsafeBytes { memory.write(address, $0) }
        case .line(let device, let level): device.setLine(level)
        case .state(let device, let values):
            device.state = values
            device.restoreState?(values)
        case .arm(let timer): timers.armAgain(timer)
        case .cancel(let timer): timer.cancel()
        case .reset: reset()
        case .stop(let why): if effects?.ignoresStops != true { requestStop(why) }
        }
    }
}
