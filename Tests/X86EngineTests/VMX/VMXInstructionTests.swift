import Testing
import X86
import X86Engine

/// The instructions of VMX in root operation (SDM volume 3 chapter 31) and the capability MSRs (appendix A).
@Suite struct VMXInstructionTests {
    /// CF, PF, AF, ZF, SF and OF after an instruction in the host.
    private func flags(_ vmx: VMXMachine, _ source: String) throws -> UInt64 {
        vmx.machine.state.rflags |= RFLAGS.status
        try vmx.machine.load(source, at: TestMachine.Layout.code, bits: 64)
        vmx.machine.state.rip = TestMachine.Layout.code
        vmx.machine.step(source.split(separator: "\n").count)
        return vmx.machine.state.rflags & RFLAGS.status
    }

    private func fault(_ vmx: VMXMachine, _ source: String) throws -> UInt8? {
        try vmx.machine.load(source + "\nhlt", at: TestMachine.Layout.code, bits: 64)
        vmx.machine.state.rip = TestMachine.Layout.code
        _ = vmx.machine.run()
        return vmx.machine.stoppedVector
    }

    /// A machine that has not executed VMXON.
    private func cold() throws -> VMXMachine {
        let vmx = try VMXMachine()
        vmx.processor.leaveVMXRootOperation()
        vmx.machine.write(VMXMachine.Place.vmxon, at: 0x6_0000)
        return vmx
    }

    @Test func vmxonEntersRootOperationAndVMXOFFLeavesIt() throws {
        let vmx = try cold()
        #expect(try flags(vmx, "vmxon [0x60000]") == 0)
        #expect(vmx.machine.state.virtualization.vmx.isOperating)
        #expect(vmx.machine.state.virtualization.vmx.currentVMCS == .max)
        // VMXON again: VMfailInvalid without a current VMCS.
        #expect(try flags(vmx, "vmxon [0x60000]") == RFLAGS.CF)
        #expect(try flags(vmx, "vmxoff") == 0)
        #expect(!vmx.machine.state.virtualization.vmx.isOperating)
    }

    @Test(arguments: [UInt64(0x4_0008), 1 << 41, 0x6_1000])
    func vmxonRefusesWhatIsNoRegion(_ region: UInt64) throws {
        let vmx = try cold()
        vmx.machine.write(region, at: 0x6_0000)
        #expect(try flags(vmx, "vmxon [0x60000]") == RFLAGS.CF)
        #expect(!vmx.machine.state.virtualization.vmx.isOperating)
    }

    @Test func vmxonNeedsItsControlBits() throws {
        let withoutVMXE = try cold()
        withoutVMXE.machine.state.cr4 &= ~CR4.VMXE
        #expect(try fault(withoutVMXE, "vmxon [0x60000]") == 6)
        let withoutNE = try cold()
        withoutNE.machine.state.cr0 &= ~CR0.NE
        #expect(try fault(withoutNE, "vmxon [0x60000]") == 13)
        let disabled = try cold()
        disabled.machine.state.virtualization.vmx.featureControl = 1
        #expect(try fault(disabled, "vmxon [0x60000]") == 13)
    }

    @Test func outsideVMXOperationTheInstructionsAreInvalid() throws {
        for source in ["vmxoff", "vmlaunch", "vmread rax, rbx", "vmptrld [0x60000]", "invept rax, [0x60000]", "vmcall"]
        {
            #expect(try fault(try cold(), source) == 6, "\(source)")
        }
        let machine = try TestMachine()
        machine.prepare(.long)
        #expect(try machine.runToHalt("vmxon [0x60000]") == 6)
    }

    @Test func fixedBitsCannotBeClearedInVMXOperation() throws {
        #expect(try fault(try VMXMachine(), "mov rax, cr4\nbtr rax, 13\nmov cr4, rax") == 13)
        #expect(try fault(try VMXMachine(), "mov rax, cr0\nbtr rax, 5\nmov cr0, rax") == 13)
    }

    @Test func initSignalsAreBlockedInRootOperation() throws {
        let vmx = try VMXMachine()
        vmx.processor.raise(Signal.initialize)
        try vmx.machine.load("nop\nhlt", at: TestMachine.Layout.code, bits: 64)
        #expect(vmx.machine.run() == .halted)
        vmx.processor.leaveVMXRootOperation()
        vmx.machine.state.activity = .active
        #expect(vmx.machine.run() == .signal)
    }

    @Test func vmptrldAndVMPTRSTMoveTheCurrentVMCS() throws {
        let vmx = try VMXMachine()
        vmx.machine.write(VMXMachine.Place.otherVMCS, at: 0x6_0000)
        #expect(try flags(vmx, "vmptrld [0x60000]\nvmptrst [0x60008]") == 0)
        #expect(vmx.machine.read(0x6_0008) == VMXMachine.Place.otherVMCS)
        #expect(try flags(vmx, "vmclear [0x60000]\nvmptrst [0x60008]") == 0)
        #expect(vmx.machine.read(0x6_0008) == UInt64.max)
    }

    /// Instruction, its operand, the error number.
    static let failures: [(String, UInt64, UInt64)] = [
        ("vmptrld [0x60000]", 0x4_1008, 9), ("vmptrld [0x60000]", 1 << 41, 9),
        ("vmptrld [0x60000]", VMXMachine.Place.vmxon, 10), ("vmptrld [0x60000]", 0x6_1000, 11),
        ("vmclear [0x60000]", 0x4_1008, 2), ("vmclear [0x60000]", VMXMachine.Place.vmxon, 3),
        ("vmxon [0x60000]", VMXMachine.Place.vmxon, 15), ("vmcall", 0, 1), ("vmread rbx, rax", 0x2, 12),
        ("vmread rbx, rax", 0x1_0000_6800, 12), ("vmread rbx, rax", 0x6801, 12), ("vmwrite rax, rbx", 0x4402, 13),
        ("vmwrite rax, rbx", 0x4030, 12), ("invept rax, [0x60010]", 0, 28), ("invept rax, [0x60010]", 3, 28),
        ("invept rax, [0x60000]", 1, 28), ("invvpid rax, [0x60010]", 4, 28), ("invvpid rax, [0x60010]", 1, 28),
    ]

    @Test(arguments: failures)
    func failuresHaveTheirNumber(_ source: String, _ operand: UInt64, _ error: UInt64) throws {
        let vmx = try VMXMachine()
        vmx.machine.write(operand, at: 0x6_0000)
        vmx.machine.state.rax = operand
        #expect(try flags(vmx, source) == RFLAGS.ZF)
        #expect(vmx[.instructionError] == error)
    }

    @Test func vmreadAndVMWRITEReachEveryFieldAtItsWidth() throws {
        let vmx = try VMXMachine()
        for field in VMCSField.allCases where !field.isReadOnly {
            vmx.machine.state.rax = UInt64(field.rawValue)
            vmx.machine.state.rcx = 0x8877_6655_4433_2211 &+ UInt64(field.rawValue)
            #expect(try flags(vmx, "vmwrite rax, rcx") == 0, "\(field)")
        }
        for field in VMCSField.allCases where !field.isReadOnly {
            vmx.machine.state.rax = UInt64(field.rawValue)
            #expect(try flags(vmx, "vmread [0x60000], rax") == 0, "\(field)")
            let width = field.rawValue >> 13 & 3
            let mask: UInt64 = width == 0 ? 0xFFFF : width == 2 ? 0xFFFF_FFFF : .max
            let expected = (0x8877_6655_4433_2211 &+ UInt64(field.rawValue)) & mask
            #expect(vmx.machine.read(0x6_0000) == expected, "\(field)")
        }
        // The upper half of a 64-bit field.
        vmx.machine.state.rax = 0x2011
        vmx.machine.state.rcx = 0x1234_5678
        #expect(try flags(vmx, "vmwrite rax, rcx\nvmread rdx, rax") == 0)
        #expect(vmx.machine.state.rdx == 0x1234_5678 && vmx[.tscOffset] >> 32 == 0x1234_5678)
    }

    @Test func inveptAndINVVPIDOfEveryTypeSucceed() throws {
        let vmx = try VMXMachine()
        vmx.machine.write(VMXMachine.Place.ept | 3 << 3 | 6, at: 0x6_0000)
        vmx.machine.write(5 as UInt64, at: 0x6_0010)
        for type in UInt64(1)...2 {
            vmx.machine.state.rax = type
            #expect(try flags(vmx, "invept rax, [0x60000]") == 0)
        }
        for type in UInt64(0)...3 {
            vmx.machine.state.rax = type
            #expect(try flags(vmx, "invvpid rax, [0x60010]") == 0)
        }
    }

    @Test func ring3CannotUseVMXInstructions() throws {
        let machine = try TestMachine(model: .intel64VMX)
        machine.prepare(.long, ring: 3)
        machine.write(VMCS.revisionIdentifier, at: VMXMachine.Place.vmxon)
        machine.state.cr0 |= CR0.NE
        machine.state.cr4 |= CR4.VMXE
        #expect(machine.processor.enterVMXOperation(region: VMXMachine.Place.vmxon))
        #expect(try machine.runToHalt("vmread rax, rbx") == 13)
    }

    // MARK: Capabilities

    @Test func capabilityMSRsAreReadOnlyAndConsistent() throws {
        let vmx = try VMXMachine()
        func msr(_ index: UInt32) throws -> UInt64 { try #require(vmx.processor.readMSR(index)) }
        let basic = try msr(0x480)
        #expect(basic & 0x7FFF_FFFF == UInt64(VMCS.revisionIdentifier) && basic >> 31 & 1 == 0)
        #expect(basic >> 32 & 0x1FFF == 4096 && basic >> 50 & 0xF == 6 && basic >> 55 & 1 == 1)
        // Default1 bits (appendices A.3.1, A.3.2, A.4, A.5) are reported as 1, and allowed.
        for (index, defaults) in [(0x481, 0x16), (0x482, 0x0401_E172), (0x483, 0x3_6DFF), (0x484, 0x11FF)] {
            let value = try msr(UInt32(index))
            #expect(value & 0xFFFF_FFFF == UInt64(defaults))
            #expect(value >> 32 & UInt64(defaults) == UInt64(defaults))
            #expect(!vmx.processor.writeMSR(UInt32(index), value))
        }
        #expect(try msr(0x486) == 0x8000_0021 && (try msr(0x487)) == 0xFFFF_FFFF && (try msr(0x488)) == 0x2000)
        let translation = try msr(0x48C)
        #expect(translation & 1 == 0 && translation >> 6 & 1 == 1 && translation >> 21 & 1 == 1)
        #expect(vmx.processor.readMSR(0x491) == nil)
        let plain = try TestMachine()
        #expect(plain.processor.readMSR(0x480) == nil && plain.processor.readMSR(0x3A) == nil)
    }

    @Test func modelsWithVMXHoldTogetherAndSayIt() throws {
        try ProcessorModel.intel64VMX.check()
        #expect(ProcessorModel.intel64VMX.cpuid(1, 0, CPUIDContext()).ecx >> 5 & 1 == 1)
        #expect(ProcessorModel.intel64.cpuid(1, 0, CPUIDContext()).ecx >> 5 & 1 == 0)
    }

    @Test func featureControlLocks() throws {
        let machine = try TestMachine(model: .intel64VMX)
        #expect(machine.processor.readMSR(0x3A) == 0)
        #expect(!machine.processor.writeMSR(0x3A, 2))
        let isSet = machine.processor.writeMSR(0x3A, 5)
        #expect(isSet && !machine.processor.writeMSR(0x3A, 5))
        machine.processor.reset()
        #expect(machine.processor.readMSR(0x3A) == 0)
    }

    // MARK: MSR areas

    @Test func msrAreasAreStoredAndLoaded() throws {
        let vmx = try VMXMachine()
        let area = VMXMachine.Place.msrArea
        for (offset, index, value) in [
            (UInt64(0), UInt64(0xC000_0082), UInt64(0x1111)), (0x100, 0xC000_0082, 0), (0x200, 0xC000_0082, 0x3333),
        ] {
            vmx.machine.write(index, at: area + offset)
            vmx.machine.write(value, at: area + offset + 8)
        }
        (vmx[.entryMSRLoadCount], vmx[.entryMSRLoadAddress]) = (1, area)
        (vmx[.exitMSRStoreCount], vmx[.exitMSRStoreAddress]) = (1, area + 0x100)
        (vmx[.exitMSRLoadCount], vmx[.exitMSRLoadAddress]) = (1, area + 0x200)
        vmx.add(PrimaryControls.useMSRBitmaps)
        vmx[.msrBitmaps] = VMXMachine.Place.msrBitmaps
        #expect(
            try vmx.launch("mov ecx, 0xc0000082\nrdmsr\nmov ebx, eax\nmov eax, 0x2222\nwrmsr\ncpuid") == .exit(10))
        #expect(vmx.machine.state.rbx == 0x1111)
        #expect(vmx.machine.read(area + 0x108) == UInt64(0x2222))
        #expect(vmx.machine.state.lstar == 0x3333)
    }

    @Test func anMSRThatCannotBeLoadedForTheHostAborts() throws {
        let vmx = try VMXMachine()
        vmx.machine.write(UInt64(0xC000_0101), at: VMXMachine.Place.msrArea)
        (vmx[.exitMSRLoadCount], vmx[.exitMSRLoadAddress]) = (1, VMXMachine.Place.msrArea)
        #expect(try vmx.launch("cpuid") == .other(.shutdown))
        #expect(vmx.machine.read(VMXMachine.Place.vmcs + 4, as: UInt32.self) == 4)
    }

    // MARK: Host state

    @Test func exitsLoadTheHostState() throws {
        let vmx = try VMXMachine()
        vmx[.hostFSBase] = 0x1234_5000
        vmx[.hostSYSENTEREIP] = 0x77
        vmx[.guestFSBase] = 0x5000
        vmx.add([.savePAT, .saveEFER, .saveDebugControls] as ExitControls)
        #expect(try vmx.launch("mov rax, 0x555\nmov dr7, rax\nsti\ncpuid") == .exit(10))
        let s = vmx.machine.state
        #expect(s.fs.base == 0x1234_5000 && s.sysenterEIP == 0x77 && s.dr7 == 0x400)
        #expect(s.rsp == TestMachine.Layout.kernelStack && s.rflags & RFLAGS.IF == 0)
        #expect(s.gdtr.limit == 0xFFFF && s.tr.limit == 0x67 && s.ldtr.isUnusable)
        #expect(vmx[.guestDR7] == 0x555 && vmx[.guestFSBase] == 0x5000)
        #expect(vmx[.guestEFER] == s.efer && vmx[.guestPAT] == s.pat)
    }
}
