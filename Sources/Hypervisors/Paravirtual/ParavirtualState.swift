/// What a paravirtual kernel has told its monitor, and how it runs.
struct ParavirtualState: Equatable {
    /// The kernel's code is 64-bit code, at ring 3; else 32-bit code at ring 1.
    var isWide = true
    /// The kernel runs, not user code.
    var isKernel = true
    /// Handlers by vector.
    var traps: [UInt8: UInt64] = [:]
    var systemCallHandler: UInt64 = 0
    var eventHandler: UInt64 = 0
    /// The physical address of the shared page; nil before there is one.
    var sharedPage: UInt64?
    /// The stack of entries from user code.
    var stack: UInt64 = 0
    /// The top-level tables; without one of its own user code runs in the kernel's.
    var kernelRoot: UInt64 = 0
    var userRoot: UInt64?
    /// The guest's descriptor table, by physical address and number of pages.
    var descriptorTable: UInt64 = 0
    var descriptorPages: UInt64 = 0
    /// What is bound to the event ports.
    var ports = [EventSource?](repeating: nil, count: 64)
    var isBlocked = false
    /// The guest time at which the timer goes off; all ones for never.
    var timer = UInt64.max

    /// What can raise an event.
    enum EventSource: Equatable {
        case timer, console, kernel
        /// One of the 16 lines of the interrupt controllers, the second's being 8...15.
        case line(UInt8)
    }
}

extension ParavirtualState {
    /// Everything as words, with the pages that are pinned.
    func words(pinned: [(physical: UInt64, level: Int)]) -> [UInt64] {
        var words: [UInt64] = [
            isWide ? 1 : 0, isKernel ? 1 : 0, systemCallHandler, eventHandler, sharedPage ?? .max, stack, kernelRoot,
            userRoot ?? .max, descriptorTable, descriptorPages, isBlocked ? 1 : 0, timer,
        ]
        words += ports.map(Self.word)
        words.append(UInt64(traps.count))
        for (vector, handler) in traps.sorted(by: { $0.key < $1.key }) { words += [UInt64(vector), handler] }
        words.append(UInt64(pinned.count))
        for (physical, level) in pinned { words += [physical, UInt64(level)] }
        return words
    }

    /// Reads what `words` has given; nil if the words are no such state.
    static func read(_ words: [UInt64]) -> (state: ParavirtualState, pinned: [(physical: UInt64, level: Int)])? {
        var rest = words[...]
        func next() -> UInt64? { rest.popFirst() }
        func pairs() -> [(UInt64, UInt64)]? {
            guard let count = rest.popFirst(), count <= UInt64(rest.count / 2) else { return nil }
            return (0..<count).compactMap { _ in
                guard let first = rest.popFirst(), let second = rest.popFirst() else { return nil }
                return (first, second)
            }
        }
        var state = ParavirtualState()
        guard rest.count > 12 + state.ports.count else { return nil }
        let fixed = (0..<12).compactMap { _ in next() }
        state.isWide = fixed[0] != 0
        state.isKernel = fixed[1] != 0
        state.systemCallHandler = fixed[2]
        state.eventHandler = fixed[3]
        state.sharedPage = fixed[4] == .max ? nil : fixed[4]
        state.stack = fixed[5]
        state.kernelRoot = fixed[6]
        state.userRoot = fixed[7] == .max ? nil : fixed[7]
        state.descriptorTable = fixed[8]
        state.descriptorPages = min(fixed[9], GuestDescriptor.pageLimit)
        state.isBlocked = fixed[10] != 0
        state.timer = fixed[11]
        for port in state.ports.indices { state.ports[port] = source(next() ?? 0) }
        guard let traps = pairs(), let pins = pairs(), rest.isEmpty else { return nil }
        for (vector, handler) in traps { state.traps[UInt8(truncatingIfNeeded: vector)] = handler }
        return (state, pins.map { ($0, Int(truncatingIfNeeded: $1 & 7)) })
    }

    private static func word(_ source: EventSource?) -> UInt64 {
        switch source {
        case nil: 0
        case .timer: 1
        case .console: 2
        case .kernel: 3
        case .line(let line): 16 | UInt64(line & 15)
        }
    }

    private static func source(_ word: UInt64) -> EventSource? {
        switch word {
        case 1: .timer
        case 2: .console
        case 3: .kernel
        case 16...31: .line(UInt8(word & 15))
        case _: nil
        }
    }
}
