extension Session {
    /// Runs a script to its end and gives way to other tasks meanwhile.
    ///
    /// It does so now and then between the script's steps, and between slices of a guest's time. The script stops if the
    /// task is cancelled.
    ///
    /// A script does the same, to the guests' digests, as in a run that does not give way. Scripts that are run while
    /// another one of the session gives way wait for their turn.
    ///
    /// - Throws: `ScriptError`, or `CancellationError` if the task was cancelled before the script's end.
    @discardableResult
    public nonisolated(nonsending) func run(_ program: Program) async throws -> Value {
        while isGivingWay { await withCheckedContinuation { waiting.append($0) } }
        try Task.checkCancellation()
        isGivingWay = true
        defer {
            isGivingWay = false
            if !waiting.isEmpty { waiting.removeFirst().resume() }
        }
        do {
            return try finish(try await interpreter.runGivingWay(program.code))
        } catch {
            let failure = Self.scriptError(error)
            if failure.exitCode == .interrupted, Task.isCancelled, !stopSignal.isSet { throw CancellationError() }
            throw failure
        }
    }
}
