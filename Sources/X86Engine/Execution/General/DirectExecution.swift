import X86

extension Processor {
    /// Executes the instruction at `state.rip` on the slow path, without delivering the fault it may throw.
    ///
    /// For tools and tests: no interrupt, trap or watcher is looked at.
    package func executeDirectly() throws(Fault) {
        let s = state
        var instruction = try fetchInstruction()
        if let failure = unavailable(&instruction) { throw failure }
        let next = s.pointee.rip &+ UInt64(instruction.length)
        s.pointee.nextRIP = s.pointee.mode.code == 64 ? next : next & 0xFFFF_FFFF
        try execute(instruction)
        s.pointee.rip = s.pointee.nextRIP
        s.pointee.time &+= 1
    }
}
