extension PersonalComputer.State {
    /// Whether the lists of a state are as long as those of another of the same machine: what comes from a file need
    /// not be.
    func hasShape(of other: Self) -> Bool {
        lines.count == other.lines.count
            && localAPICs.map(\.timestampCounter.frequency) == other.localAPICs.map(\.timestampCounter.frequency)
            && functions.map({ [$0.slot, $0.function] }) == other.functions.map { [$0.slot, $0.function] }
            && functions.map(\.state.configuration.count) == other.functions.map(\.state.configuration.count)
            && ioAPIC.entries.count == other.ioAPIC.entries.count
            && intervalTimer.counters.count == other.intervalTimer.counters.count
            && calendar.memory.count == other.calendar.memory.count
            && eventTimer.comparators.count == other.eventTimer.comparators.count
            && keyboardController.memory.count == other.keyboardController.memory.count
            && pageRegisters.registers.count == other.pageRegisters.registers.count
            && [masterPIC, slavePIC].allSatisfy { $0.lowestPriority < 8 }
    }
}
