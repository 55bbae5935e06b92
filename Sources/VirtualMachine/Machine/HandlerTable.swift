import X86Engine

/// Names an installed handler.
public struct HandlerID: Hashable, Sendable {
    let rawValue: UInt64
}

/// The handlers of a guest, in order of installation.
final class HandlerTable {
    final class Entry {
        let id: HandlerID
        let filter: EventFilter
        let body: (GuestEvent) -> Verdict
        /// What a handler does that neither looks at the event nor answers it.
        let notice: (() -> Void)?
        let consoleMatcher: ((UInt8) -> Bool)?
        /// Whether it only looks on: it is called again when the past is gone through again.
        let isObserver: Bool
        /// Whether it stands for a handler that has gone, which had effects in the past that lies ahead.
        let isGone: Bool
        // What `accepts` looks at, apart from the filter, whose copies would count references.
        private let kind: GuestEvent.Kind
        private let from: Level?
        private let to: Level?
        private let numbers: ClosedRange<UInt64>
        /// False once it is removed, which may happen while an event goes round.
        var isInstalled = true

        init(
            _ id: HandlerID, _ filter: EventFilter, isObserver: Bool, isGone: Bool = false,
            notice: (() -> Void)? = nil, _ body: @escaping (GuestEvent) -> Verdict
        ) {
            self.id = id
            self.isObserver = isObserver
            self.isGone = isGone
            self.filter = filter
            self.body = body
            self.notice = notice
            consoleMatcher = filter.kind == .console ? filter.consolePattern?.makeMatcher() ?? { _ in true } : nil
            (kind, from, to) = (filter.kind, filter.from, filter.to)
            numbers = filter.numbers ?? 0...UInt64.max
        }

        func accepts(_ key: EventKey) -> Bool {
            guard key.kind == kind, from == nil || from == key.from, to == nil || to == key.to else { return false }
            guard case .number(let number) = key.subject else { return filter.accepts(key) }
            return numbers.contains(number)
        }
    }

    private(set) var entries: [Entry] = [] {
        didSet {
            watchesTransitions = entries.contains { $0.filter.kind == .transition }
            watchesCrossings =
                watchesTransitions || entries.contains { [.vmexit, .vmentry].contains($0.filter.kind) }
        }
    }
    /// Whether anybody waits for changes of level.
    private(set) var watchesTransitions = false
    /// Whether anybody waits for what happens between a guest and its monitor.
    private(set) var watchesCrossings = false
    private(set) var watchesConsole = false
    private var next: UInt64 = 1

    func add(
        _ filter: EventFilter, isObserver: Bool, notice: (() -> Void)? = nil,
        _ body: @escaping (GuestEvent) -> Verdict
    ) -> HandlerID {
        defer { next += 1 }
        let entry = Entry(HandlerID(rawValue: next), filter, isObserver: isObserver, notice: notice, body)
        entries.append(entry)
        watchesConsole = watchesConsole || filter.kind == .console
        return entry.id
    }

    /// Adds many handlers that look on, at the cost of one.
    func addObservers(_ observers: [(filter: EventFilter, body: (GuestEvent) -> Verdict)]) -> [HandlerID] {
        let added = observers.enumerated().map { index, observer in
            Entry(
                HandlerID(rawValue: next &+ UInt64(index)), observer.filter, isObserver: true, observer.body)
        }
        next &+= UInt64(added.count)
        entries += added
        watchesConsole = entries.contains { $0.filter.kind == .console }
        return added.map(\.id)
    }

    func remove(_ ids: Set<HandlerID>) {
        for entry in entries where ids.contains(entry.id) { entry.isInstalled = false }
        entries.removeAll { ids.contains($0.id) }
        watchesConsole = entries.contains { $0.filter.kind == .console }
    }

    /// Lets events be reported that handlers waited for which have gone since.
    func recall(_ handlers: [(id: HandlerID, filter: EventFilter)]) {
        entries.removeAll(where: \.isGone)
        let missing = handlers.filter { handler in !entries.contains { $0.id == handler.id } }
        entries.insert(
            contentsOf: missing.map { Entry($0.id, $0.filter, isObserver: false, isGone: true) { _ in .proceed } },
            at: 0)
        watchesConsole = entries.contains { $0.filter.kind == .console }
    }

    /// Whether any handler accepts an event.
    func accept(_ key: EventKey) -> Bool { entries.contains { $0.accepts(key) } }

    /// Who waits for an event.
    enum Audience {
        case nobody
        /// Only handlers that do not look at it: to make it would cost more than they do.
        case noticed
        case observed
    }

    func audience(of key: EventKey) -> Audience {
        var audience = Audience.nobody
        for entry in entries where entry.accepts(key) {
            guard entry.notice != nil else { return .observed }
            audience = .noticed
        }
        return audience
    }

    /// Calls the handlers of an event that none of them looks at.
    func notice(_ key: EventKey) {
        for entry in entries where entry.accepts(key) && entry.isInstalled { entry.notice?() }
    }

    /// The kinds that the processor must report.
    var kinds: EventKinds { entries.reduce(into: []) { $0.insert($1.filter.processorKinds) } }

    /// The memory whose accesses are waited for.
    var watchedMemory: [MemoryWatch] {
        entries.filter { $0.filter.processorKinds == .memory }.map(\.filter.memoryWatch)
    }

    /// The instructions that are waited for.
    var watchedInstructions: InstructionWatch {
        var watch = InstructionWatch()
        var addresses: Set<UInt64> = []
        for entry in entries {
            if entry.filter.kind == .instruction { watch.patterns.formUnion(entry.filter.patterns) }
            guard entry.filter.kind == .exec else { continue }
            let range = entry.filter.numbers ?? 0...UInt64.max
            if range.count(isAtMost: 1) { addresses.insert(range.lowerBound) } else { watch.ranges.append(range) }
        }
        watch.addresses = addresses
        return watch
    }
}

extension ClosedRange<UInt64> {
    fileprivate func count(isAtMost limit: UInt64) -> Bool { upperBound &- lowerBound < limit }
}
