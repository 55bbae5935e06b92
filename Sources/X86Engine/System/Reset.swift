extension Processor {
    /// Sets the state that power-up and RESET give (SDM vol. 3 table 9-1).
    package func reset() {
        updateMode()
    }
}
