import X86Engine

/// What differs between VT-x and AMD-V for a monitor: the control structure and its vocabulary.
///
/// The machine's processor is outside the guest whenever a method is called. What it then holds in its registers is the
/// guest's state as it is to run; `enter` moves that into the control structure.
protocol HardwareBackEnd: AnyObject {
    /// What of the guest's control registers belongs to the monitor.
    var owned: OwnedBits { get }
    /// Whether real mode, and protected mode without paging, run without the monitor's help.
    var runsUnpaged: Bool { get }
    /// Whether the page-directory-pointer-table registers are those of the guest's processor alone.
    var isLoadingPointersByGuest: Bool { get }
    /// Exceptions that the machine may raise where the guest's processor raises another: their instructions are
    /// interpreted.
    var interpretedExceptions: UInt32 { get }

    /// Whether the control structure keeps the guest's state as it is.
    func canHold(_ guest: Processor) -> Bool

    /// Enters the guest; the next run of the machine goes on in it. The guest's processor tells what it is to read of
    /// the bits that it does not own.
    func enter(_ guest: Processor, _ controls: HardwareControls)
    /// Gives the guest's processor what an exit does not leave in registers: blocking of interrupts, the activity
    /// state, debug exceptions that wait.
    func completeExit(_ guest: Processor)
    /// Lets the guest go on by `.retry` after a page fault that it does not see, with shadow page tables whose root may be
    /// new.
    func retry(_ guest: Processor, with shadow: ShadowPaging)
    /// The value of CR3 that puts shadow page tables in force.
    func shadowCR3(_ shadow: ShadowPaging) -> UInt64
}

/// The bits of control registers that the guest does not own: it reads what its own processor holds, its writes leave
/// the guest, and the machine's processor has what the monitor needs.
struct OwnedBits {
    var cr0: UInt64 = 0
    var cr4: UInt64 = 0
    var efer: UInt64 = 0
    /// The values of those bits that are always set.
    var setCR0: UInt64 = 0
    var setCR4: UInt64 = 0
    var setEFER: UInt64 = 0
    /// Those that have the guest's values all the same.
    var keptCR4: UInt64 = 0
    var keptEFER: UInt64 = 0

    /// Owns what shadow page tables need: paging with 64-bit entries, write protection for the monitor's tracing, and NXE,
    /// without which page faults do not tell fetches from reads (SDM volume 3 section 4.7).
    mutating func useShadowPaging() {
        cr0 |= CR0.PE | CR0.PG | CR0.WP
        setCR0 |= CR0.PE | CR0.PG | CR0.WP
        cr4 |= CR4.PAE | CR4.PSE | CR4.PGE | CR4.PCIDE | CR4.SMEP
        setCR4 |= CR4.PAE
        keptCR4 = CR4.PSE | CR4.PGE | CR4.SMEP
        efer = .max
        setEFER = EFER.NXE
        keptEFER = EFER.SCE | EFER.LMA
    }

    func cr0(for guest: UInt64) -> UInt64 { guest & ~cr0 | setCR0 }
    func cr4(for guest: UInt64) -> UInt64 { guest & (~cr4 | keptCR4) | setCR4 }
    func efer(for guest: UInt64) -> UInt64 {
        // Where the monitor always pages, LME cannot wait for the guest to do so.
        let enabled = efer & EFER.LME != 0 && guest & EFER.LMA != 0 ? EFER.LME : 0
        return guest & (~efer | keptEFER) | setEFER | enabled
    }
}

/// What can change from one entry to the next.
struct HardwareControls: Equatable {
    /// Exceptions that leave the guest, by vector.
    var exceptions: UInt32 = 0
    /// The guest is to be left as soon as it can take an interrupt.
    var interruptWindow = false
    /// Every access to a model-specific register leaves the guest, not only those that the monitor must do.
    var allModelSpecificRegisters = false
    /// The vector of an interrupt that the entry delivers.
    var injection: UInt8?
}

extension HardwareBackEnd {
    /// The MSRs that the processor switches or that only the guest uses: SPEC_CTRL, SYSENTER, STAR to FMASK, FS, GS and
    /// kernel GS bases, TSC_AUX.
    var passedThroughRegisters: [UInt32] {
        [
            0x48, 0x174, 0x175, 0x176, 0xC000_0081, 0xC000_0082, 0xC000_0083, 0xC000_0084, 0xC000_0100, 0xC000_0101,
            0xC000_0102, 0xC000_0103,
        ]
    }
}
