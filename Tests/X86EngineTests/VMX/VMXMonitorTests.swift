import Testing
import X86
import X86Engine

/// Exits that go to a monitor in Swift instead of guest software.
@Suite struct VMXMonitorTests {
    private func launch(_ code: String, _ vmx: VMXMachine, counts: UInt64 = 1000) throws -> RunResult {
        vmx.machine.write(
            try Assembler(mode: .bits64, origin: VMXMachine.Place.guestCode).assemble(code).bytes,
            at: VMXMachine.Place.guestCode)
        #expect(vmx.processor.enterGuest(launches: true) == nil)
        return vmx.machine.run(counts)
    }

    @Test func advancingGoesOnBehindTheInstructionWhichCounts() throws {
        let vmx = try VMXMachine()
        let monitor = ClosureMonitor { exit, processor in
            guard case .instruction(let instruction) = exit.cause, instruction.operation == .cpuid else { return .stop }
            processor.state.pointee.rbx = 0x1234
            return .advance
        }
        vmx.processor.monitor = monitor
        let start = vmx.machine.state.time
        #expect(try launch("cpuid\nmov ecx, ebx\nhlt", vmx) == .halted)
        #expect(vmx.machine.state.rcx == 0x1234)
        #expect(vmx.machine.state.time - start == 3)
        #expect(monitor.exits.map(\.code) == [10])
        #expect(vmx[.exitReason] == 10)
    }

    @Test func injectedFaultsAreDeliveredToTheGuest() throws {
        let vmx = try VMXMachine()
        vmx.add(PrimaryControls.rdtscExiting)
        vmx.processor.monitor = ClosureMonitor { _, _ in .inject(.generalProtection(0x10)) }
        #expect(try launch("nop\nrdtsc", vmx) == .halted)
        #expect(vmx.machine.stoppedVector == 13)
        #expect(vmx.machine.stack(0) == 0x10)
        #expect(vmx.machine.stack(1) == VMXMachine.Place.guestCode + 1)
    }

    @Test func retryingExecutesTheInstructionAgain() throws {
        let vmx = try VMXMachine()
        vmx.useEPT()
        let entry = vmx.eptEntry(0x6_0000)
        vmx.machine.write(0 as UInt64, at: entry)
        let monitor = ClosureMonitor { exit, processor in
            guard case .secondLevel(let fault) = exit.cause else { return .stop }
            processor.writePhysical(entry, fault.guestPhysical & ~0xFFF | 0x37, width: 8)
            return .retry
        }
        vmx.processor.monitor = monitor
        #expect(try launch("mov dword [0x60010], 5\nhlt", vmx) == .halted)
        #expect(vmx.machine.read(0x6_0010, as: UInt32.self) == 5)
        #expect(monitor.exits.count == 1)
        #expect(monitor.exits.first?.information == 0x6_0010)
    }

    @Test func stoppedGuestsGoOnWithTheNextRun() throws {
        let vmx = try VMXMachine()
        var asked = 0
        vmx.processor.monitor = ClosureMonitor { _, _ in
            asked += 1
            return asked == 1 ? .stop : .advance
        }
        #expect(try launch("cpuid\nhlt", vmx) == .stopped)
        #expect(vmx.machine.state.rip == VMXMachine.Place.guestCode)
        #expect(vmx.machine.run() == .halted)
        #expect(asked == 2 && vmx.machine.state.rip == VMXMachine.Place.guestCode + 3)
    }

    @Test func snapshotsTakenInsideAGuestGoOnThere() throws {
        let vmx = try VMXMachine()
        vmx.useEPT()
        vmx.machine.write(UInt64(0x6_1000 | 0x37), at: vmx.eptEntry(0x6_0000))
        vmx.machine.write(UInt64(0x2222), at: 0x6_1000)
        #expect(try launch("nop\nmov rbx, [0x60000]\ncpuid", vmx, counts: 1) == .deadline)
        let snapshot = vmx.processor.snapshot()
        #expect(vmx.machine.run() == .halted)
        #expect(vmx[.exitReason] == 10)
        vmx.machine.state.rbx = 0
        vmx[.exitReason] = 0
        vmx.processor.restore(snapshot)
        #expect(vmx.machine.state.virtualization.isGuest)
        #expect(vmx.machine.run() == .halted)
        #expect(vmx.machine.state.rbx == 0x2222 && vmx[.exitReason] == 10)
    }

    @Test func aGuestAndABareMachineAreInTheSameState() throws {
        let code = """
            mov eax, 1
            cpuid
            mov [0x60000], ecx
            rdtsc
            mov [0x60008], rax
            mov rax, cr4
            mov [0x60010], rax
            mov rcx, cr0
            mov cr0, rcx
            in al, 0x60
            out 0x80, al
            mov dx, 0x3f8
            mov ecx, 3
            mov esi, 0x60000
            rep outsb
            hlt
            """
        let bare = try TestMachine()
        bare.prepare(.long)
        bare.state.cr0 |= CR0.NE
        bare.portValues[0x60] = 0x5A
        try bare.load(code)
        #expect(bare.run() == .halted)

        let vmx = try VMXMachine()
        let machine = vmx.machine
        machine.portValues[0x60] = 0x5A
        try machine.load(code)
        machine.state.rip = TestMachine.Layout.code
        machine.state.time = 0
        vmx.processor.captureGuestState()
        vmx.add(PrimaryControls.unconditionalIOExiting)
        vmx[.cr4Mask] = CR4.VMXE
        vmx.processor.monitor = ClosureMonitor { exit, processor in
            let s = processor.state
            switch exit.cause {
            case .instruction(let instruction) where instruction.operation == .cpuid:
                let result = ProcessorModel.intel64.cpuid(1, 0, CPUIDContext())
                (s.pointee.rax, s.pointee.rbx) = (UInt64(result.eax), UInt64(result.ebx))
                (s.pointee.rcx, s.pointee.rdx) = (UInt64(result.ecx), UInt64(result.edx))
                return .advance
            case .port(let access) where access.isString:
                // One iteration; the last one ends the instruction.
                let value = processor.readPhysical(access.linear, width: 1)
                machine.writePort(access.port, UInt32(value), width: 1)
                s.pointee.rsi += 1
                s.pointee.rcx -= 1
                if s.pointee.rcx == 0 { return .advance }
                s.pointee.time += 1
                return .retry
            case .port(let access):
                if access.isInput {
                    s.pointee.rax = s.pointee.rax & ~0xFF | UInt64(machine.readPort(access.port, width: 1) & 0xFF)
                } else {
                    machine.writePort(access.port, access.value, width: 1)
                }
                return .advance
            default: return .stop
            }
        }
        #expect(vmx.processor.enterGuest(launches: true) == nil)
        #expect(machine.run() == .halted)
        #expect(machine.portWrites.map(\.value) == bare.portWrites.map(\.value))
        for address in [UInt64(0x6_0000), 0x6_0008, 0x6_0010] {
            #expect(machine.read(address, as: UInt64.self) == bare.read(address, as: UInt64.self))
        }
        #expect(vmx.processor.guestVisibleStateHash() == bare.processor.guestVisibleStateHash())
        #expect(bare.processor.guestVisibleStateHash() == bare.processor.stateHash())
    }

    @Test func aMonitorThatBreaksTheVMCSIsTold() throws {
        let vmx = try VMXMachine()
        let monitor = ClosureMonitor { exit, processor in
            switch exit.cause {
            case .instruction:
                processor.writeVMCS(.guestRFLAGS, 0)
                return .retry
            case .invalidGuestState:
                processor.writeVMCS(.guestRFLAGS, 2)
                processor.writeVMCS(.hostCR3, .max)
                return .advance
            case .invalidControls(let error):
                #expect(error == .invalidHostState)
                processor.writeVMCS(.hostCR3, 0)
                processor.writeVMCS(.guestRIP, VMXMachine.Place.guestCode + 2)
                return .retry
            default: return .stop
            }
        }
        vmx.processor.monitor = monitor
        #expect(try launch("cpuid\nhlt", vmx) == .halted)
        #expect(monitor.exits.count == 3)
    }
}
