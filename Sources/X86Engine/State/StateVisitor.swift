/// Goes over the architectural fields of a processor's state; hashing, saving and loading differ only in what they do
/// with each.
package protocol StateVisitor {
    /// Looks at a field, or puts another value in its place.
    mutating func visit<Value: FixedWidthInteger>(_ value: inout Value)
}

extension StateVisitor {
    mutating func visit(_ flag: inout Bool) {
        var bit: UInt8 = flag ? 1 : 0
        visit(&bit)
        flag = bit != 0
    }

    mutating func visit(_ segment: inout SegmentState) {
        visit(&segment.base)
        visit(&segment.limit)
        visit(&segment.attributes)
        visit(&segment.selector)
    }

    mutating func visit(_ table: inout DescriptorTableRegister) {
        visit(&table.base)
        visit(&table.limit)
    }

    mutating func visit(_ vector: inout SIMD8<UInt64>) { for index in 0..<8 { visit(&vector[index]) } }

    mutating func visit(_ vector: inout SIMD16<UInt64>) { for index in 0..<16 { visit(&vector[index]) } }
}

extension ProcessorState {
    /// Every architectural field but those of virtualization; what is derived or bounds a run is left out.
    mutating func visit(_ visitor: inout some StateVisitor) {
        visitor.visit(&rax)
        visitor.visit(&rcx)
        visitor.visit(&rdx)
        visitor.visit(&rbx)
        visitor.visit(&rsp)
        visitor.visit(&rbp)
        visitor.visit(&rsi)
        visitor.visit(&rdi)
        visitor.visit(&r8)
        visitor.visit(&r9)
        visitor.visit(&r10)
        visitor.visit(&r11)
        visitor.visit(&r12)
        visitor.visit(&r13)
        visitor.visit(&r14)
        visitor.visit(&r15)
        visitor.visit(&rip)
        visitor.visit(&rflags)
        visitor.visit(&time)
        visitor.visit(&idleTime)
        visitSegments(&visitor)
        visitControlRegisters(&visitor)
        visitModelSpecificRegisters(&visitor)
        visitActivity(&visitor)
        visitVectors(&visitor)
    }

    private mutating func visitSegments(_ visitor: inout some StateVisitor) {
        visitor.visit(&es)
        visitor.visit(&cs)
        visitor.visit(&ss)
        visitor.visit(&ds)
        visitor.visit(&fs)
        visitor.visit(&gs)
        visitor.visit(&ldtr)
        visitor.visit(&tr)
        visitor.visit(&gdtr)
        visitor.visit(&idtr)
    }

    private mutating func visitControlRegisters(_ visitor: inout some StateVisitor) {
        visitor.visit(&cr0)
        visitor.visit(&cr2)
        visitor.visit(&cr3)
        visitor.visit(&cr4)
        visitor.visit(&xcr0)
        visitor.visit(&pdpte.0)
        visitor.visit(&pdpte.1)
        visitor.visit(&pdpte.2)
        visitor.visit(&pdpte.3)
        visitor.visit(&dr0)
        visitor.visit(&dr1)
        visitor.visit(&dr2)
        visitor.visit(&dr3)
        visitor.visit(&dr6)
        visitor.visit(&dr7)
    }

    private mutating func visitModelSpecificRegisters(_ visitor: inout some StateVisitor) {
        visitor.visit(&efer)
        visitor.visit(&star)
        visitor.visit(&lstar)
        visitor.visit(&cstar)
        visitor.visit(&fmask)
        visitor.visit(&kernelGSBase)
        visitor.visit(&sysenterCS)
        visitor.visit(&sysenterESP)
        visitor.visit(&sysenterEIP)
        visitor.visit(&tscAux)
        visitor.visit(&tscAdjust)
        visitor.visit(&tscOffset)
        visitor.visit(&pat)
        visitor.visit(&msr.miscEnable)
        visitor.visit(&msr.miscFeatures)
        visitor.visit(&msr.speculationControl)
        visitor.visit(&msr.mtrrDefaultType)
        visitor.visit(&msr.systemConfiguration)
        visitor.visit(&msr.hardwareConfiguration)
        visitor.visit(&msr.apicIdentifier)
        visitor.visit(&msr.mtrrVariable)
        visitor.visit(&msr.mtrrFixed)
    }

    private mutating func visitActivity(_ visitor: inout some StateVisitor) {
        visitor.visit(&pendingDebug)
        visitor.visit(&random)
        visitor.visit(&cpl)
        var kind = activity.rawValue
        visitor.visit(&kind)
        activity = Activity(rawValue: kind) ?? .shutdown
        visitor.visit(&interruptShadow)
        visitor.visit(&nmiBlocked)
        // The others are about the run, or derived from the state of a guest.
        let derived = signals & (Signal.stop | Signal.virtualization)
        var waiting = signals & ~derived
        visitor.visit(&waiting)
        signals = waiting & ~(Signal.stop | Signal.virtualization) | derived
    }

    private mutating func visitVectors(_ visitor: inout some StateVisitor) {
        for index in 0..<8 {
            visitor.visit(&x87.significands[index])
            visitor.visit(&x87.signsAndExponents[index])
        }
        visitor.visit(&x87.controlWord)
        visitor.visit(&x87.statusWord)
        visitor.visit(&x87.tagWord)
        visitor.visit(&x87.opcode)
        visitor.visit(&x87.instructionSelector)
        visitor.visit(&x87.dataSelector)
        visitor.visit(&x87.instructionPointer)
        visitor.visit(&x87.dataPointer)
        visitor.visit(&sse.xmm.0)
        visitor.visit(&sse.xmm.1)
        visitor.visit(&sse.xmm.2)
        visitor.visit(&sse.xmm.3)
        visitor.visit(&sse.mxcsr)
    }
}
