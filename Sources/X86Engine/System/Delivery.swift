extension Processor {
    /// Delivers a fault through the IDT.
    func deliver(_ fault: Fault) {
        state.pointee.activity = .shutdown
    }
}
