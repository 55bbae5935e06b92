import X86

extension ExecutionMode {
    /// The decoder's view of `code`.
    var codeMode: CodeMode { code == 64 ? .bits64 : code == 32 ? .bits32 : .bits16 }
}

extension Processor {
    /// Derives everything the fast paths rely on from the architectural state.
    ///
    /// To be called after any change of CR0, CR4, EFER, CS, SS, DS, ES, CPL, RFLAGS.VM, RFLAGS.AC or the watchpoints.
    package func updateMode() {
        let s = state
        var mode = ExecutionMode()
        mode.isLongActive = s.pointee.efer & EFER.LMA != 0
        let protected = s.pointee.cr0 & CR0.PE != 0
        let virtual8086 = protected && s.pointee.VM
        if mode.isLongActive && s.pointee.cs.isLong {
            mode.code = 64
            mode.stackWidth = 64
            mode.isFlat = true
        } else {
            mode.code = s.pointee.cs.isDefault32 && !virtual8086 ? 32 : 16
            mode.stackWidth = s.pointee.ss.isDefault32 && !virtual8086 ? 32 : 16
            mode.isFlat =
                protected && !virtual8086 && mode.code == 32 && mode.stackWidth == 32
                && isFlatData(s.pointee.ds) && isFlatData(s.pointee.es) && isFlatData(s.pointee.ss)
                && s.pointee.cs.base == 0 && s.pointee.cs.limit == 0xFFFF_FFFF
        }
        if s.pointee.cpl == 3 {
            mode.tlbContext = alignmentChecking ? .unfilled : .user
        } else if s.pointee.cr4 & CR4.SMAP != 0 && s.pointee.systemFlags & RFLAGS.AC == 0 {
            mode.tlbContext = .supervisor
        } else {
            mode.tlbContext = .supervisorWithUserAccess
        }
        if isGuest { mode.tlbContext = mode.tlbContext.inGuest }
        s.pointee.mode = mode
        s.pointee.tlb = tlb.table(mode.tlbContext)
    }

    private func isFlatData(_ segment: SegmentState) -> Bool {
        !segment.isUnusable && segment.base == 0 && segment.limit == 0xFFFF_FFFF && !segment.isExpandDown
            && !segment.isCode && segment.isWritableOrReadable
    }
}
