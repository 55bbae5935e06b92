/// Writes every field as a word.
private struct StateWriter: StateVisitor {
    var words: [UInt64] = []

    mutating func visit<Value: FixedWidthInteger>(_ value: inout Value) {
        words.append(UInt64(truncatingIfNeeded: value))
    }
}

/// Reads every field from a word, in the order in which they were written.
private struct StateReader: StateVisitor {
    var words: ArraySlice<UInt64>
    /// Words were missing, or did not fit their fields.
    var isDamaged = false

    mutating func visit<Value: FixedWidthInteger>(_ value: inout Value) {
        guard let word = words.popFirst() else {
            isDamaged = true
            return
        }
        value = Value(truncatingIfNeeded: word)
        if UInt64(truncatingIfNeeded: value) != word { isDamaged = true }
    }
}

extension ProcessorSnapshot {
    /// Everything as words, for writing it out.
    package var words: [UInt64] {
        var writer = StateWriter()
        var copy = state
        copy.visit(&writer)
        copy.virtualization.visit(&writer)
        writer.visit(&copy.work)
        var counts = transitions.words
        for index in counts.indices { writer.visit(&counts[index]) }
        return writer.words
    }
}

extension Processor {
    /// Reads the words of a snapshot of a processor of the same model; nil if no such processor can hold that state.
    ///
    /// Words that a damaged or forged file holds lead to no state that breaks the engine. The faults of a triple fault
    /// are not among them: the stop that it led to tells them.
    package func snapshot(words: [UInt64]) -> ProcessorSnapshot? {
        var reader = StateReader(words: words[...])
        var loaded = state.pointee
        loaded.virtualization = VirtualizationState()
        loaded.visit(&reader)
        loaded.virtualization.visit(&reader)
        reader.visit(&loaded.work)
        var counts = TransitionCounters().words
        for index in counts.indices { reader.visit(&counts[index]) }
        guard !reader.isDamaged, reader.words.isEmpty, let transitions = TransitionCounters(words: counts),
            isPossible(loaded)
        else { return nil }
        if loaded.virtualization.isGuest { loaded.signals |= Signal.virtualization }
        return ProcessorSnapshot(state: loaded, faultChain: [], transitions: transitions)
    }

    /// Whether the model can be in a state, as far as the engine relies on it.
    private func isPossible(_ s: ProcessorState) -> Bool {
        let isPaging = s.cr0 & CR0.PG != 0
        let isLong = s.efer & EFER.LMA != 0
        return s.cpl <= 3 && s.interruptShadow <= 3 && s.xcr0 & 1 != 0
            && s.xcr0 & ~model.extendedStateComponents == 0 && s.cr4 & ~model.writableCR4 == 0
            && s.efer & ~(model.writableEFER | EFER.LMA) == 0
            && (!isPaging || s.cr0 & CR0.PE != 0 || s.virtualization.mode == .svm)
            && isLong == (isPaging && s.efer & EFER.LME != 0) && (!isLong || s.cr4 & CR4.PAE != 0)
            && s.time <= 1 << 62 && s.idleTime <= s.time && s.mxcsrIsPossible && s.virtualization.isPossible(model)
    }
}

extension ProcessorState {
    /// The reserved bits of MXCSR are clear.
    ///
    /// SDM vol. 1 section 10.2.3.
    fileprivate var mxcsrIsPossible: Bool { sse.mxcsr >> 16 == 0 }
}

extension VirtualizationState {
    fileprivate func isPossible(_ model: ProcessorModel) -> Bool {
        let hasMode =
            switch mode {
            case .none: true
            case .vmx: vmx.isOperating
            case .svm: model.features.contains(.svm)
            }
        return hasMode && (secondLevel.levels == 4 || mode == .svm) && (2...4).contains(secondLevel.levels)
            && (0...4).contains(vmx.controls.cr3TargetCount) && (svm.vmcb == .max || svm.vmcb & 0xFFF == 0)
            && svm.hostSaveArea & 0xFFF == 0
    }
}
