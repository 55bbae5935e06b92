/// Mixes values into 64 bits; the order counts.
package struct StateHasher {
    package private(set) var value: UInt64 = 0x243F_6A88_85A3_08D3

    package init() {}

    package mutating func combine(_ word: UInt64) { value = mix(value ^ word) &+ 0x9E37_79B9_7F4A_7C15 }

    /// Mixes in any plain integer.
    package mutating func combine<Value: FixedWidthInteger>(_ word: Value) {
        combine(UInt64(truncatingIfNeeded: word))
    }

    package mutating func combine(_ segment: SegmentState) {
        combine(segment.base)
        combine(UInt64(segment.limit) << 32 | UInt64(segment.attributes))
        combine(segment.selector)
    }

    package mutating func combine(_ table: DescriptorTableRegister) {
        combine(table.base)
        combine(table.limit)
    }
}

extension ProcessorState {
    /// Every architectural field, in the order of declaration; what is derived or bounds a run is left out.
    package func combine(into hasher: inout StateHasher) {
        for register in [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15] {
            hasher.combine(register)
        }
        hasher.combine(rip)
        hasher.combine(rflags)
        hasher.combine(time)
        hasher.combine(idleTime)
        for segment in [es, cs, ss, ds, fs, gs, ldtr, tr] { hasher.combine(segment) }
        hasher.combine(gdtr)
        hasher.combine(idtr)
        for register in [cr0, cr2, cr3, cr4, xcr0, pdpte.0, pdpte.1, pdpte.2, pdpte.3] { hasher.combine(register) }
        for register in [dr0, dr1, dr2, dr3, dr6, dr7] { hasher.combine(register) }
        for register in [efer, star, lstar, cstar, fmask, kernelGSBase, sysenterCS, sysenterESP, sysenterEIP] {
            hasher.combine(register)
        }
        for register in [tscAux, tscAdjust, tscOffset, pat, pendingDebug, random] { hasher.combine(register) }
        for register in msr.words { hasher.combine(register) }
        hasher.combine(cpl)
        hasher.combine(activity.rawValue)
        hasher.combine(interruptShadow)
        hasher.combine(nmiBlocked ? 1 : 0)
        hasher.combine(signals & ~(Signal.stop | Signal.virtualization))
        for index in 0..<8 {
            hasher.combine(x87.significands[index])
            hasher.combine(x87.signsAndExponents[index])
        }
        for word in [
            x87.controlWord, x87.statusWord, x87.tagWord, x87.opcode, x87.instructionSelector, x87.dataSelector,
        ] {
            hasher.combine(word)
        }
        hasher.combine(x87.instructionPointer)
        hasher.combine(x87.dataPointer)
        for part in [sse.xmm.0, sse.xmm.1, sse.xmm.2, sse.xmm.3] {
            for index in 0..<8 { hasher.combine(part[index]) }
        }
        hasher.combine(sse.mxcsr)
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
