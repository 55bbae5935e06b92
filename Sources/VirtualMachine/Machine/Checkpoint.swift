/// Asked now and then by work that may take long: whether somebody still waits for it.
///
/// Whoever begins work that a person may give up (a command at a prompt, a script) says how that is known, with
/// `$isWanted.withValue`; else work is given up when its task is cancelled. The work asks every few milliseconds, and when it is
/// given up leaves everything as it was.
package enum Checkpoint {
    /// Whether the work is still wanted; nil for as long as its task is not cancelled.
    @TaskLocal package static var isWanted: (@Sendable () -> Bool)?

    /// Whether the work goes on.
    package static var isPassed: Bool { isWanted?() ?? !Task.isCancelled }

    /// Does work that is given up also when a condition no longer holds.
    package static func whileTrue<Result>(
        _ condition: @escaping @Sendable () -> Bool, _ work: () throws -> Result
    ) rethrows -> Result {
        let outer = isWanted
        return try $isWanted.withValue({ condition() && outer?() ?? !Task.isCancelled }, operation: work)
    }

    /// Does short work that must not be left out.
    package static func unconditionally<Result>(_ work: () throws -> Result) rethrows -> Result {
        try $isWanted.withValue({ true }, operation: work)
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
