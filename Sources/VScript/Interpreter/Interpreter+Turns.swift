import VScriptSyntax

// Runs that give way to other tasks: what `async` makes of the run loop.
//
// The run loop is left after an instruction and taken up again behind it; only one that was begun by the task itself
// can be left, not one inside of a host function, such as what `list.map` calls.

/// The state of a run that gives way.
struct Turns {
    /// Whether there is such a run.
    var isOn = false
    /// Whether it is time to give way.
    var isDue = false
    /// Whether the run loop has been left to give way.
    var isSuspended = false
    /// How many functions are open that host code has called without opening the run loop.
    var hostCalls = 0
    /// Work of a builtin that goes on in the next turn, and the register for what it gives.
    var work: (body: () throws -> ScriptValue?, window: UnsafeMutablePointer<Cell>?)?
}

extension Interpreter {
    /// Whether the run loop can be left once the current instruction is done.
    var canGiveWay: Bool { turns.isOn && nesting == 0 && turns.hostCalls == 0 }

    /// Whether the run loop is to be left after the instruction that has been carried out.
    func givesWay() -> Bool {
        guard turns.isDue || turns.work != nil, canGiveWay else { return false }
        turns.isDue = false
        turns.isSuspended = true
        // The instruction may have opened or closed a function.
        markTop()
        return true
    }

    /// Runs a script and gives way to other tasks now and then.
    nonisolated(nonsending) func runGivingWay(_ program: ProgramCode) async throws -> ProgramResult {
        let (closure, registers) = try prepare(program)
        let start = heap.stackTop + 1
        start.update(repeating: .unset, count: registers)
        let activation = try open(closure)
        turns = Turns()
        turns.isOn = true
        var isFinished = turn(until: activation.floor)
        while turns.isSuspended {
            await Task.yield()
            isFinished = turn(until: activation.floor)
        }
        turns = Turns()
        close(activation)
        return (try outcome(isFinished), names(of: program, at: start))
    }

    /// Goes on until the next time to give way; whether the script has ended.
    private func turn(until floor: UnsafeMutablePointer<Frame>) -> Bool {
        turns.isSuspended = false
        // A task may go on in another thread.
        stack = StackGuard()
        if let work = turns.work {
            do {
                if let stop = checkStop() { throw stop }
                guard let value = try work.body() else {
                    turns.isSuspended = true
                    return false
                }
                turns.work = nil
                work.window?.pointee = try heap.cell(value)
            } catch {
                turns.work = nil
                guard unwind(error, until: floor) else { return false }
            }
        }
        return run(until: floor)
    }
}
