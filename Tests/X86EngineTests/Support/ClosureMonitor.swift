import X86Engine

/// A monitor that answers exits by a closure and remembers them.
final class ClosureMonitor: VirtualMachineMonitor {
    var exits: [VMExit] = []
    var answer: (VMExit, Processor) -> ExitDisposition

    init(_ answer: @escaping (VMExit, Processor) -> ExitDisposition) { self.answer = answer }

    func handle(_ exit: VMExit, on processor: Processor) -> ExitDisposition {
        exits.append(exit)
        return answer(exit, processor)
    }
}
