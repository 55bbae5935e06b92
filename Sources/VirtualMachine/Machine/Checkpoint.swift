import CHostSupport

/// Asked now and then by work that may take long: whether somebody still waits for it.
///
/// Whoever begins work that a person may give up (a command at a prompt, a script) says how that is known, with
/// `whileTrue`; else work is given up when its task is cancelled. The work asks every few milliseconds, and when it is
/// given up leaves everything as it was.
package enum Checkpoint {
    /// How it is known whether what a thread does is still wanted.
    private final class Watch {
        let isWanted: () -> Bool
        init(_ isWanted: @escaping () -> Bool) { self.isWanted = isWanted }
    }

    /// The watch over the current thread's work; nil for as long as its task is not cancelled.
    ///
    /// A thread's own and no task-local value, since all of it is synchronous: the compiler's release builds of
    /// `TaskLocal.withValue` outside of tasks crash (Swift 6.3).
    private static var watch: Watch? {
        // SAFETY: `watched` alone sets the pointer, to an object that it keeps for as long as the pointer stands.
        host_thread_pointer().map { Unmanaged<Watch>.fromOpaque($0).takeUnretainedValue() }
    }

    /// Whether the work goes on.
    package static var isPassed: Bool { watch?.isWanted() ?? !Task.isCancelled }

    private static func watched<Result>(by watch: Watch, _ work: () throws -> Result) rethrows -> Result {
        let outer = host_thread_pointer()
        // SAFETY: the object outlives the pointer to it, which is taken back when the work ends.
        host_thread_set_pointer(Unmanaged.passUnretained(watch).toOpaque())
        defer { withExtendedLifetime(watch) { host_thread_set_pointer(outer) } }
        return try work()
    }

    /// Does work that is given up also when a condition no longer holds.
    package static func whileTrue<Result>(
        _ condition: @escaping () -> Bool, _ work: () throws -> Result
    ) rethrows -> Result {
        let outer = watch
        return try watched(by: Watch { condition() && outer?.isWanted() ?? !Task.isCancelled }, work)
    }

    /// Does short work that must not be left out.
    package static func unconditionally<Result>(_ work: () throws -> Result) rethrows -> Result {
        try watched(by: Watch { true }, work)
    }

    /// Ends the work if nobody waits for it.
    package static func pass() throws(Interrupted) {
        guard isPassed else { throw Interrupted() }
    }

    /// The same at every so-many-th element of a loop, whose index is given.
    package static func pass(at index: Int, every count: Int = 1024) throws(Interrupted) {
        if index % count == 0 { try pass() }
    }

    /// What sorts elements, as long as somebody waits for that.
    package static func sorted<Element>(
        _ elements: some Sequence<Element>, by areInOrder: (Element, Element) -> Bool
    ) throws(Interrupted) -> [Element] {
        var comparisons = 0
        do {
            return try elements.sorted { first, second in
                comparisons += 1
                try pass(at: comparisons, every: 16_384)
                return areInOrder(first, second)
            }
        } catch {
            throw Interrupted()
        }
    }
}

/// Work was given up by whoever waited for it.
package struct Interrupted: Error, Equatable, CustomStringConvertible {
    package var description: String { Self.text }
    /// The word for it in errors that have reasons.
    package static let text = "interrupted"
}
