import X86
import X86Engine

/// AMD-V: one VMCB with its permission maps in the monitor's memory.
final class SVMBackEnd: HardwareBackEnd {
    /// The pages of the monitor's structures.
    private enum Page {
        static let vmcb = 0
        /// Three pages.
        static let ioPermissions = 1
        /// Two pages.
        static let msrPermissions = 4
        /// Page-directory-pointer tables.
        static let pointers = 6
    }

    let owned: OwnedBits
    let runsUnpaged: Bool
    let isLoadingPointersByGuest: Bool
    /// #UD may be a VMCALL, which guests may use as well as VMMCALL; and with EFER.SVME set the SVM instructions of a
    /// guest that has no SVM are #GP outside ring 0, not #UD.
    let interpretedExceptions: UInt32 = 1 << 6 | 1 << 13
    private let machine: Processor
    private let memory: HardwareMemory
    private let tables: SecondLevelTables?
    private let always: [SVMExitCode]
    private var mapsHoldAll: Bool?
    /// What the intercept vectors were written for.
    private var knownIntercepts: (controls: HardwareControls, registers: Bool)?
    private var isLaunched = false

    /// Nil if the machine's SVM cannot do what is asked.
    init?(machine: Processor, guest: Processor, memory: HardwareMemory, paging: Paging) {
        guard machine.model.features.contains(.svm) else { return nil }
        self.machine = machine
        self.memory = memory
        var owned = OwnedBits()
        // VMRUN demands SVME; the guest's accesses to EFER leave it.
        owned.efer = EFER.SVME
        owned.setEFER = EFER.SVME
        var always: [SVMIntercept] = [
            .cpuid, .hlt, .port, .modelSpecificRegister, .taskSwitch, .shutdown, .selectiveCR0Write, .rsm, .xsetbv,
            .vmrun, .vmmcall, .vmload, .vmsave, .stgi, .clgi, .invlpga,
        ]
        var registers: [SVMExitCode] = [.readControlRegister(8), .writeControlRegister(8)]
        switch paging {
        case .nested:
            tables = SecondLevelTables(memory: memory, guest: guest, format: .nested)
            runsUnpaged = true
            // The guest's processor loads PDPTEs as MOV to CR3 does on the bare machine; here walks read them.
            isLoadingPointersByGuest = true
        case .shadow:
            tables = nil
            runsUnpaged = false
            isLoadingPointersByGuest = false
            owned.useShadowPaging()
            owned.setEFER |= EFER.SVME
            always += [.invlpg, .invpcid]
            registers += [0, 3, 4].flatMap { [.readControlRegister($0), .writeControlRegister($0)] }
        }
        self.owned = owned
        self.always = always.map { .intercept($0) } + registers
        writeConstants(guest)
    }

    // MARK: Setting up

    private func write(_ field: VMCBField, _ value: UInt64) {
        machine.writeVMCB(field, value, at: memory.address(Page.vmcb))
    }

    /// Writes everything that never changes.
    private func writeConstants(_ guest: Processor) {
        write(.guestASID, 1)
        write(.ioPermissionsMap, memory.address(Page.ioPermissions))
        write(.msrPermissionsMap, memory.address(Page.msrPermissions))
        for page in 0..<3 { memory.fill(Page.ioPermissions + page, with: 0xFF) }
        if let tables {
            write(.nestedPaging, 1)
            write(.nestedCR3, tables.root)
        }
    }

    /// Every MSR leaves the guest, but for those that the processor switches or that only the guest uses.
    private func writeMSRPermissions(_ guest: Processor, all: Bool) {
        guard mapsHoldAll != all else { return }
        mapsHoldAll = all
        for page in 0..<2 { memory.fill(Page.msrPermissions + page, with: 0xFF) }
        guard !all else { return }
        for index in passedThroughRegisters where guest.readMSR(index) != nil {
            // Two bits for each MSR; those of C000_0000H start at 800H (APM volume 2 table 15-8).
            let bit = UInt64(index & 0x1FFF) * 2 + (index >= 0xC000_0000 ? 0x4000 : 0)
            let quadword = memory.address(Page.msrPermissions) + bit >> 6 * 8
            memory.machine.setQuadword(memory.machine.quadword(at: quadword) & ~(3 << (bit & 63)), at: quadword)
        }
    }

    // MARK: Entries and exits

    /// VMRUN takes CS of protected mode for code; from real mode on until the first far jump it may be of data.
    func canHold(_ guest: Processor) -> Bool {
        let s = guest.state
        return s.pointee.cs.isCode || s.pointee.cr0 & CR0.PE == 0 || s.pointee.systemFlags & RFLAGS.VM != 0
    }

    func enter(_ guest: Processor, _ controls: HardwareControls) {
        tables?.update()
        let vmcb = memory.address(Page.vmcb)
        machine.captureGuestState(inVMCB: vmcb)
        write(.eventInjection, controls.injection.map { 1 << 31 | UInt64($0) } ?? 0)
        writeIntercepts(guest, controls)
        // A virtual interrupt that never comes to be delivered: its intercept opens the window.
        var window = VirtualInterrupt(rawValue: 0)
        window.isPending = controls.interruptWindow
        window.ignoresTaskPriority = true
        write(.virtualInterrupt, window.rawValue)
        writeMSRPermissions(guest, all: controls.allModelSpecificRegisters)
        guard !isLaunched else { return }
        isLaunched = machine.enterGuestAtNextRun(vmcb: vmcb)
    }

    private func writeIntercepts(_ guest: Processor, _ controls: HardwareControls) {
        var controls = controls
        controls.injection = nil
        let loadsPointers = isLoadingPointersByGuest && guest.state.pointee.efer & EFER.LMA == 0
        if let known = knownIntercepts, known.controls == controls, known.registers == loadsPointers { return }
        knownIntercepts = (controls, loadsPointers)
        var vectors = [UInt32](repeating: 0, count: 6)
        func set(_ code: SVMExitCode) { vectors[Int(code.rawValue >> 5)] |= 1 << UInt32(code.rawValue & 31) }
        for code in always { set(code) }
        // Vector 2 is NMI's, which has no exception intercept; INT1 has one of its own.
        vectors[2] = (controls.exceptions | interpretedExceptions) & ~4
        if controls.exceptions & 2 != 0 { set(.intercept(.icebp)) }
        if controls.interruptWindow { set(.intercept(.virtualInterrupt)) }
        if loadsPointers {
            set(.writeControlRegister(3))
            set(.writeControlRegister(4))
        }
        let fields: [VMCBField] = [
            .controlRegisterIntercepts, .debugRegisterIntercepts, .exceptionIntercepts, .firstInstructionIntercepts,
            .secondInstructionIntercepts, .thirdInstructionIntercepts,
        ]
        for (field, vector) in zip(fields, vectors) { write(field, UInt64(vector)) }
    }

    func completeExit(_ guest: Processor) {
        let svm = machine.state.pointee.virtualization.svm
        guest.state.pointee.interruptShadow = svm.unsavedShadow
        guest.state.pointee.pendingDebug = svm.unsavedDebug
        guest.state.pointee.activity = .active
    }

    // MARK: Shadow page tables

    func retry(_ guest: Processor, with shadow: ShadowPaging) { write(.cr3, shadowCR3(shadow)) }

    func shadowCR3(_ shadow: ShadowPaging) -> UInt64 { memory.shadowRoot(shadow, pointers: Page.pointers) }
}
