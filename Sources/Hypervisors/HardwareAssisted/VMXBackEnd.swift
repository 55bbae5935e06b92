import X86
import X86Engine

/// VT-x: one VMCS with its bitmaps in the monitor's memory.
final class VMXBackEnd: HardwareBackEnd {
    /// The pages of the monitor's structures.
    private enum Page {
        static let region = 0
        static let vmcs = 1
        static let ioBitmapA = 2
        static let ioBitmapB = 3
        static let msrBitmaps = 4
        /// Page-directory-pointer tables, and what stands for the host's top table.
        static let pointers = 5
        static let host = 6
    }

    let owned: OwnedBits
    let runsUnpaged: Bool
    let isLoadingPointersByGuest = false
    let interpretedExceptions: UInt32 = 0
    private let machine: Processor
    private let memory: HardwareMemory
    private let tables: SecondLevelTables?
    private var known = HardwareControls()
    private var primary: PrimaryControls
    private var isLaunched = false

    /// Nil if the machine's VMX cannot do what is asked.
    init?(machine: Processor, guest: Processor, memory: HardwareMemory, paging: Paging) {
        self.machine = machine
        self.memory = memory
        var owned = OwnedBits()
        owned.cr0 = CR0.NE
        owned.setCR0 = CR0.NE
        owned.cr4 = CR4.VMXE
        owned.setCR4 = CR4.VMXE
        primary = [
            .hltExiting, .useIOBitmaps, .useMSRBitmaps, .activateSecondaryControls, .cr8LoadExiting, .cr8StoreExiting,
        ]
        switch paging {
        case .nested:
            tables = SecondLevelTables(memory: memory, guest: guest, format: .extended)
            runsUnpaged = true
        case .shadow:
            tables = nil
            runsUnpaged = false
            owned.useShadowPaging()
            primary.formUnion([.cr3LoadExiting, .cr3StoreExiting, .invlpgExiting])
        }
        self.owned = owned
        guard startVMX(), writeControls(guest) else { return nil }
    }

    // MARK: Setting up

    private func startVMX() -> Bool {
        for page in [Page.region, Page.vmcs] {
            memory.machine.setQuadword(UInt64(VMCS.revisionIdentifier), at: memory.address(page))
        }
        let vmcs = memory.address(Page.vmcs)
        return machine.enterVMXOperation(region: memory.address(Page.region)) && machine.clearVMCS(at: vmcs) == nil
            && machine.makeVMCSCurrent(vmcs) == nil
    }

    /// The bits that a capability MSR wants to be one.
    private func required(_ index: UInt32) -> UInt64 { (machine.readMSR(index) ?? 0) & 0xFFFF_FFFF }

    /// Writes everything that never changes; false if the capabilities do not allow it.
    private func writeControls(_ guest: Processor) -> Bool {
        let pin: PinBasedControls = .externalInterruptExiting
        var secondary: SecondaryControls = [.enableVPID]
        if tables != nil { secondary.formUnion([.enableEPT, .unrestrictedGuest]) }
        let features = guest.model.features
        if features.contains(.rdtscp) || features.contains(.rdpid) { secondary.insert(.enableRDTSCP) }
        if features.contains(.invpcid) { secondary.insert(.enableINVPCID) }
        if features.contains(.xsaves) { secondary.insert(.enableXSAVES) }
        let exit: ExitControls = [.hostAddressSpaceSize, .saveEFER, .savePAT, .saveDebugControls]
        let entry: EntryControls = [.loadDebugControls, .loadPAT, .loadEFER]
        func isAllowed(_ bits: UInt32, _ index: UInt32) -> Bool {
            UInt64(bits) & ~((machine.readMSR(index) ?? 0) >> 32) == 0
        }
        guard isAllowed(pin.rawValue, 0x48D), isAllowed(primary.rawValue, 0x48E), isAllowed(exit.rawValue, 0x48F),
            isAllowed(entry.rawValue, 0x490), isAllowed(secondary.rawValue, 0x48B)
        else { return false }
        machine.writeVMCS(.pinBasedControls, UInt64(pin.rawValue) | required(0x48D))
        machine.writeVMCS(.primaryControls, UInt64(primary.rawValue) | required(0x48E))
        machine.writeVMCS(.secondaryControls, UInt64(secondary.rawValue))
        machine.writeVMCS(.exitControls, UInt64(exit.rawValue) | required(0x48F))
        machine.writeVMCS(.entryControls, UInt64(entry.rawValue) | required(0x490))
        machine.writeVMCS(.virtualProcessorIdentifier, 1)
        machine.writeVMCS(.vmcsLinkPointer, .max)
        machine.writeVMCS(.cr0Mask, owned.cr0)
        machine.writeVMCS(.cr4Mask, owned.cr4)
        if let tables { machine.writeVMCS(.eptPointer, tables.root | 3 << 3 | 6) }
        writeBitmaps(guest, all: false)
        writeHostState()
        return true
    }

    /// Every port and every MSR leaves the guest, but for the MSRs that the processor switches or that only the guest
    /// uses.
    private func writeBitmaps(_ guest: Processor, all: Bool) {
        for page in [Page.ioBitmapA, Page.ioBitmapB, Page.msrBitmaps] { memory.fill(page, with: 0xFF) }
        machine.writeVMCS(.ioBitmapA, memory.address(Page.ioBitmapA))
        machine.writeVMCS(.ioBitmapB, memory.address(Page.ioBitmapB))
        machine.writeVMCS(.msrBitmaps, memory.address(Page.msrBitmaps))
        guard !all else { return }
        for index in passedThroughRegisters where guest.readMSR(index) != nil {
            // Reads of low MSRs, reads of high ones, writes of low ones, writes of high ones: 1 KiB each.
            let start: UInt64 = index >= 0xC000_0000 ? 1024 : 0
            let byte = start + UInt64(index & 0x1FFF) >> 3
            for address in [byte, byte + 2048] {
                let quadword = memory.address(Page.msrBitmaps) + address & ~7
                let bit: UInt64 = 1 << ((address & 7) * 8 + UInt64(index & 7))
                memory.machine.setQuadword(memory.machine.quadword(at: quadword) & ~bit, at: quadword)
            }
        }
    }

    /// A 64-bit host; it never runs, because the monitor takes every exit.
    private func writeHostState() {
        machine.writeVMCS(.hostCR0, CR0.PE | CR0.ET | CR0.NE | CR0.WP | CR0.PG)
        machine.writeVMCS(.hostCR3, memory.address(Page.host))
        machine.writeVMCS(.hostCR4, CR4.PAE | CR4.VMXE)
        machine.writeVMCS(.hostCS, 0x08)
        machine.writeVMCS(.hostSS, 0x10)
        machine.writeVMCS(.hostTR, 0x18)
    }

    // MARK: Entries and exits

    /// VM entry refuses what it cannot take.
    func canHold(_ guest: Processor) -> Bool { true }

    func enter(_ guest: Processor, _ controls: HardwareControls) {
        tables?.update()
        machine.captureGuestState()
        machine.writeVMCS(.cr0Shadow, guest.state.pointee.cr0)
        machine.writeVMCS(.cr4Shadow, guest.state.pointee.cr4)
        let injection = controls.injection.map { 1 << 31 | UInt64($0) }
        machine.writeVMCS(.entryInterruptionInformation, injection ?? 0)
        apply(controls, guest)
        guard !isLaunched else { return }
        isLaunched = machine.enterGuest(launches: true) == nil
    }

    private func apply(_ controls: HardwareControls, _ guest: Processor) {
        guard controls != known else { return }
        machine.writeVMCS(.exceptionBitmap, UInt64(controls.exceptions))
        var primary = primary
        if controls.interruptWindow { primary.insert(.interruptWindowExiting) }
        machine.writeVMCS(.primaryControls, UInt64(primary.rawValue) | required(0x48E))
        if controls.allModelSpecificRegisters != known.allModelSpecificRegisters {
            writeBitmaps(guest, all: controls.allModelSpecificRegisters)
        }
        known = controls
        known.injection = nil
    }

    func completeExit(_ guest: Processor) {
        let s = guest.state
        s.pointee.interruptShadow = UInt8(truncatingIfNeeded: machine.readVMCS(.guestInterruptibility) & 3)
        s.pointee.activity =
            Activity(rawValue: UInt8(truncatingIfNeeded: machine.readVMCS(.guestActivity) & 3)) ?? .active
        // Bit 12 only says that there is a breakpoint among them.
        s.pointee.pendingDebug = machine.readVMCS(.guestPendingDebugExceptions) & ~(1 << 12)
    }

    // MARK: Shadow page tables

    func retry(_ guest: Processor, with shadow: ShadowPaging) {
        machine.writeVMCS(.guestCR3, shadowCR3(shadow))
        // The exit has set RF (SDM volume 3 section 28.3.3), as for a fault that is delivered.
        machine.writeVMCS(.guestRFLAGS, guest.state.pointee.rflags)
    }

    func shadowCR3(_ shadow: ShadowPaging) -> UInt64 { memory.shadowRoot(shadow, pointers: Page.pointers) }
}
