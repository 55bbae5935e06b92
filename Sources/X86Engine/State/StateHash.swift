/// Mixes values into 64 bits; the order counts.
package struct StateHasher {
    package private(set) var value: UInt64 = 0x243F_6A88_85A3_08D3

    package init() {}

    package mutating func combine(_ word: UInt64) { value = mix(value ^ word) &+ 0x9E37_79B9_7F4A_7C15 }

    /// Mixes in any plain integer.
    package mutating func combine<Value: FixedWidthInteger>(_ word: Value) {
        combine(UInt64(truncatingIfNeeded: word))
    }
}

extension StateHasher: StateVisitor {
    package mutating func visit<Value: FixedWidthInteger>(_ value: inout Value) { combine(value) }
}

extension ProcessorState {
    /// Every architectural field, in the order of `visit`.
    package func combine(into hasher: inout StateHasher) {
        var copy = self
        copy.visit(&hasher)
        virtualization.combine(into: &hasher)
    }
}

extension Processor {
    /// A hash of everything architectural the processor holds.
    package func stateHash() -> UInt64 {
        var hasher = StateHasher()
        state.pointee.combine(into: &hasher)
        return hasher.value
    }

    /// A hash of what a guest can see of the processor: control registers and time-stamp counter as it reads them, and
    /// nothing of who virtualizes it; on bare metal the same as `stateHash`.
    package func guestVisibleStateHash() -> UInt64 {
        var visible = state.pointee
        visible.cr0 = visibleControlRegister(0, visible.cr0)
        visible.cr4 = visibleControlRegister(4, visible.cr4)
        visible.efer = visibleEFER
        visible.tscOffset &+= visible.virtualization.timeStampOffset
        visible.virtualization = VirtualizationState()
        var hasher = StateHasher()
        visible.combine(into: &hasher)
        return hasher.value
    }

    /// The physical address that a linear one leads to, whatever the page's permissions; nil where there is none.
    ///
    /// Changes nothing.
    package func inspect(_ linear: UInt64) -> UInt64? {
        try? translate(linear, .read, .inspection, touch: false).physical
    }
}
