import Testing
import X86
import X86Engine

/// A machine whose host has enabled SVM and whose VMCB is ready for a guest that shares the host's tables.
///
/// The host executes VMRUN at `Layout.code` and halts behind it.
final class SVMMachine {
    enum Place {
        static let vmcb: UInt64 = 0x4_0000
        static let hostSave: UInt64 = 0x4_1000
        static let otherVMCB: UInt64 = 0x4_2000
        /// 12 KiB.
        static let ioMap: UInt64 = 0x4_4000
        /// 8 KiB.
        static let msrMap: UInt64 = 0x4_8000
        static let guestCode: UInt64 = 0x4_A000
        static let guestStack: UInt64 = 0x4_D000
        /// PML4, PDPT, page directory, page table of the nested page tables.
        static let nested: UInt64 = 0x5_0000
    }

    /// Where the guest starts.
    enum GuestKind { case long, user, compatibility, protected, real }

    let machine: TestMachine
    var processor: Processor { machine.processor }

    init(guest: GuestKind = .long, model: ProcessorModel = .amd64SVM) throws {
        machine = try TestMachine(model: model)
        prepareHost()
        #expect(processor.writeMSR(0xC001_0117, Place.hostSave))
        makeVMCB(guest)
    }

    /// The host as it is before VMRUN.
    func prepareHost() {
        machine.prepare(.long)
        machine.state.efer |= EFER.SVME
        machine.state.activity = .active
    }

    subscript(field: VMCBField) -> UInt64 {
        get { processor.readVMCB(field, at: Place.vmcb) }
        set { processor.writeVMCB(field, newValue, at: Place.vmcb) }
    }

    // MARK: Controls

    private static let vectors: [VMCBField] = [
        .controlRegisterIntercepts, .debugRegisterIntercepts, .exceptionIntercepts, .firstInstructionIntercepts,
        .secondInstructionIntercepts, .thirdInstructionIntercepts,
    ]

    /// Sets the intercept whose exit code is `code` (appendix C numbers the bits of the vectors).
    func intercept(_ code: UInt64) { self[Self.vectors[Int(code / 32)]] |= 1 << (code % 32) }

    /// Nested page tables that map the first GiB to itself by 2 MiB pages, the first of them by 4 KiB pages.
    func useNestedPaging() {
        self[.nestedPaging] = 1
        self[.nestedCR3] = Place.nested
        self[.guestPAT] = 0x0007_0406_0007_0406
        machine.write(Place.nested + 0x1000 | 7, at: Place.nested)
        machine.write(Place.nested + 0x2000 | 7, at: Place.nested + 0x1000)
        machine.write(Place.nested + 0x3000 | 7, at: Place.nested + 0x2000)
        for index in UInt64(1)..<512 { machine.write(index << 21 | 0x87, at: Place.nested + 0x2000 + index * 8) }
        for index in UInt64(0)..<512 { machine.write(index << 12 | 7, at: Place.nested + 0x3000 + index * 8) }
    }

    /// Where the nested entry of a guest-physical 4 KiB page below 2 MiB lies.
    func nestedEntry(_ guest: UInt64) -> UInt64 { Place.nested + 0x3000 + (guest >> 12) * 8 }

    // MARK: The guest

    private func makeVMCB(_ guest: GuestKind) {
        processor.captureGuestState(inVMCB: Place.vmcb)
        self[.secondInstructionIntercepts] = 1
        self[.guestASID] = 1
        self[.ioPermissionsMap] = Place.ioMap
        self[.msrPermissionsMap] = Place.msrMap
        self[.rsp] = Place.guestStack
        self[.rip] = Place.guestCode
        self[.rflags] = 2
        switch guest {
        case .long: break
        case .user:
            self[.cpl] = 3
            self[.csSelector] = UInt64(TestMachine.Selectors.userCode64)
            self[.csAttributes] = 0xAFB
            self[.ssSelector] = UInt64(TestMachine.Selectors.userData)
            self[.ssAttributes] = 0xCF3
        case .compatibility:
            self[.csSelector] = UInt64(TestMachine.Selectors.code32)
            self[.csAttributes] = 0xC9B
        case .protected: makeProtected()
        case .real: makeReal()
        }
    }

    private func makeProtected() {
        self[.efer] = EFER.SVME
        self[.cr0] &= ~CR0.PG
        self[.csSelector] = UInt64(TestMachine.Selectors.code32)
        self[.csAttributes] = 0xC9B
        for vector in UInt64(0)..<256 {
            let gate = Descriptor(
                gate: SystemDescriptorType.interruptGate32, selector: TestMachine.Selectors.code32,
                offset: TestMachine.handler(UInt8(vector)), descriptorPrivilegeLevel: 0)
            machine.write(gate.low, at: 0x5_8000 + vector * 8)
        }
        self[.idtrBase] = 0x5_8000
        self[.idtrLimit] = 0x7FF
    }

    private func makeReal() {
        self[.efer] = EFER.SVME
        self[.cr0] = 0x10
        self[.cr4] = 0
        for (selector, attributes, limit, base) in [
            (VMCBField.csSelector, VMCBField.csAttributes, VMCBField.csLimit, VMCBField.csBase),
            (.ssSelector, .ssAttributes, .ssLimit, .ssBase), (.dsSelector, .dsAttributes, .dsLimit, .dsBase),
            (.esSelector, .esAttributes, .esLimit, .esBase),
        ] {
            self[selector] = 0
            self[attributes] = 0x93
            self[limit] = 0xFFFF
            self[base] = 0
        }
        self[.csSelector] = Place.guestCode >> 4
        self[.csBase] = Place.guestCode
        self[.csAttributes] = 0x9B
        for vector in UInt64(0)..<256 { machine.write(UInt32(TestMachine.handler(UInt8(vector))), at: vector * 4) }
        self[.idtrBase] = 0
        self[.idtrLimit] = 0x3FF
        self[.rip] = 0
        self[.rsp] = 0x7000
    }

    // MARK: Running

    /// What VMRUN came to.
    enum Outcome: Equatable {
        case exit(UInt64)
        /// The processor did something else.
        case other(RunResult)
    }

    static let invalid = Outcome.exit(.max)

    /// Assembles guest code, enters the guest by VMRUN and comes back at the first exit.
    @discardableResult
    func launch(_ code: String = "hlt", bits: Int = 64, counts: UInt64 = 1000) throws -> Outcome {
        let mode: CodeMode = bits == 64 ? .bits64 : bits == 32 ? .bits32 : .bits16
        machine.write(
            try Assembler(mode: mode, origin: bits == 16 ? 0 : Place.guestCode).assemble(code).bytes,
            at: Place.guestCode)
        return try enter(counts: counts)
    }

    /// Executes VMRUN in the host, which halts afterwards.
    @discardableResult
    func enter(_ host: String = "vmrun\nhlt", counts: UInt64 = 1000) throws -> Outcome {
        self[.exitCode] = 0xDEAD
        try machine.load(host, at: TestMachine.Layout.code, bits: 64)
        machine.state.rax = Place.vmcb
        machine.state.rip = TestMachine.Layout.code
        machine.state.activity = .active
        let result = machine.run(counts)
        guard result == .halted, !processor.state.pointee.virtualization.isGuest,
            machine.state.rip == TestMachine.Layout.code + 4
        else { return .other(result) }
        return .exit(self[.exitCode])
    }

    /// Moves the guest behind the instruction that caused the exit.
    func skipInstruction() { self[.rip] = self[.nextRIP] }
}
