/// Everything that the translations in the soft TLB depend on, for the host's or the guest's tables.
///
/// Entries and exits keep both sides' translations as long as each side comes back to the context it was left with.
struct TranslationContext: Equatable {
    var cr0: UInt64 = 0
    var cr3: UInt64 = 0
    var cr4: UInt64 = 0
    var efer: UInt64 = 0
    var pdpte = SIMD4<UInt64>(repeating: 0)
    var secondLevel = SecondLevel()
    /// DR7 and DR0 to DR3 while breakpoints are enabled: pages with breakpoints have no fast path.
    var breakpoints = SIMD8<UInt64>(repeating: 0)
}

extension Processor {
    private var translationContext: TranslationContext {
        let s = state
        var context = TranslationContext()
        context.cr0 = s.pointee.cr0 & (CR0.PG | CR0.WP | CR0.PE)
        context.cr3 = s.pointee.cr3
        context.cr4 =
            s.pointee.cr4 & (CR4.PAE | CR4.PSE | CR4.PGE | CR4.PCIDE | CR4.SMEP | CR4.SMAP)
        context.efer = s.pointee.efer & (EFER.NXE | EFER.LMA)
        if context.cr4 & CR4.PAE != 0, context.efer & EFER.LMA == 0, !readsPageDirectoryPointersOnDemand {
            context.pdpte = SIMD4(s.pointee.pdpte.0, s.pointee.pdpte.1, s.pointee.pdpte.2, s.pointee.pdpte.3)
        }
        context.secondLevel = s.pointee.virtualization.secondLevel
        if s.pointee.dr7 & DR7.enables != 0 {
            context.breakpoints = SIMD8(
                s.pointee.dr7, s.pointee.dr0, s.pointee.dr1, s.pointee.dr2, s.pointee.dr3, 0, 0, 0)
        }
        return context
    }

    /// Notes with which context the side that is being left leaves its translations; `isGuest` still tells which.
    func rememberTranslationContext() {
        if isGuest {
            control.pointee.guestTranslations = translationContext
        } else {
            control.pointee.hostTranslations = translationContext
        }
    }

    /// Forgets what is derived from the virtualization state, which has been replaced.
    func forgetVirtualization() {
        control.pointee.exit = nil
        control.pointee.vectoring = nil
        control.pointee.unblockedNMIsAt = .max
        control.pointee.hostTranslations = nil
        control.pointee.guestTranslations = nil
        secondLevelCache.current = nil
        useSecondLevel(state.pointee.virtualization.secondLevel)
    }

    /// Drops translations if the side that has been entered does not have the context it was left with.
    func checkTranslationContext() {
        let known = isGuest ? control.pointee.guestTranslations : control.pointee.hostTranslations
        if known != translationContext { flushTLB() }
    }
}
