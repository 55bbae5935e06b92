import Testing
import X86
import X86Engine

/// Exits that go to a monitor in Swift instead of guest software.
@Suite struct SVMMonitorTests {
    private func launch(_ code: String, _ svm: SVMMachine, counts: UInt64 = 1000) throws -> RunResult {
        svm.machine.write(
            try Assembler(mode: .bits64, origin: SVMMachine.Place.guestCode).assemble(code).bytes,
            at: SVMMachine.Place.guestCode)
        #expect(svm.processor.enterGuest(vmcb: SVMMachine.Place.vmcb))
        return svm.machine.run(counts)
    }

    @Test func advancingGoesOnBehindTheInstructionWhichCounts() throws {
        let svm = try SVMMachine()
        svm.intercept(0x72)
        let monitor = ClosureMonitor { exit, processor in
            guard case .instruction(let instruction) = exit.cause, instruction.operation == .cpuid else { return .stop }
            processor.state.pointee.rbx = 0x1234
            return .advance
        }
        svm.processor.monitor = monitor
        let start = svm.machine.state.time
        #expect(try launch("cpuid\nmov ecx, ebx\nhlt", svm) == .halted)
        #expect(svm.machine.state.rcx == 0x1234)
        #expect(svm.machine.state.time - start == 3)
        #expect(monitor.exits.map(\.code) == [0x72])
    }

    @Test func injectedFaultsAreDeliveredToTheGuest() throws {
        let svm = try SVMMachine()
        svm.intercept(0x6E)
        svm.processor.monitor = ClosureMonitor { _, _ in .inject(.generalProtection(0x10)) }
        #expect(try launch("nop\nrdtsc", svm) == .halted)
        #expect(svm.machine.stoppedVector == 13)
        #expect(svm.machine.stack(0) == 0x10)
        #expect(svm.machine.stack(1) == SVMMachine.Place.guestCode + 1)
    }

    @Test func injectedPageFaultsSetCR2() throws {
        let svm = try SVMMachine()
        svm.intercept(0x6E)
        svm.processor.monitor = ClosureMonitor { _, _ in .inject(.pageFault(0x1_2345_6000, 2)) }
        #expect(try launch("rdtsc", svm) == .halted)
        #expect(svm.machine.stoppedVector == 14 && svm.machine.state.cr2 == 0x1_2345_6000)
    }

    @Test func retryingExecutesTheInstructionAgain() throws {
        let svm = try SVMMachine()
        svm.useNestedPaging()
        let entry = svm.nestedEntry(0x6_0000)
        svm.machine.write(0 as UInt64, at: entry)
        let monitor = ClosureMonitor { exit, processor in
            guard case .secondLevel(let fault) = exit.cause else { return .stop }
            processor.writePhysical(entry, fault.guestPhysical & ~0xFFF | 7, width: 8)
            return .retry
        }
        svm.processor.monitor = monitor
        #expect(try launch("mov dword [0x60010], 5\nhlt", svm) == .halted)
        #expect(svm.machine.read(0x6_0010, as: UInt32.self) == 5)
        #expect(monitor.exits.count == 1)
        #expect(monitor.exits.first?.information == 0x6_0010)
    }

    @Test func stoppedGuestsGoOnWithTheNextRun() throws {
        let svm = try SVMMachine()
        svm.intercept(0x72)
        var asked = 0
        svm.processor.monitor = ClosureMonitor { _, _ in
            asked += 1
            return asked == 1 ? .stop : .advance
        }
        #expect(try launch("cpuid\nhlt", svm) == .stopped)
        #expect(svm[.rip] == SVMMachine.Place.guestCode)
        #expect(svm.machine.run() == .halted)
        #expect(asked == 2 && svm.machine.state.rip == SVMMachine.Place.guestCode + 3)
    }

    @Test func advancingOverATrapFlagSteps() throws {
        let svm = try SVMMachine()
        svm.intercept(0x72)
        svm[.rflags] = 2 | RFLAGS.TF
        svm.processor.monitor = ClosureMonitor { _, _ in .advance }
        #expect(try launch("cpuid\nnop\nhlt", svm) == .halted)
        #expect(svm.machine.stoppedVector == 1)
        #expect(svm.machine.stack(0) == SVMMachine.Place.guestCode + 2)
        #expect(svm.machine.state.dr6 & 1 << 14 != 0)
    }

    @Test func aMonitorThatBreaksTheVMCBIsTold() throws {
        let svm = try SVMMachine()
        svm.intercept(0x72)
        let monitor = ClosureMonitor { exit, processor in
            switch exit.cause {
            case .instruction:
                processor.writeVMCB(.guestASID, 0)
                return .advance
            case .invalidVMCB(let reason):
                #expect(reason == .addressSpaceIdentifier)
                processor.writeVMCB(.guestASID, 1)
                return .retry
            default: return .stop
            }
        }
        svm.processor.monitor = monitor
        #expect(try launch("cpuid\nhlt", svm) == .halted)
        #expect(monitor.exits.count == 2)
    }

    @Test func aGuestAndABareMachineAreInTheSameState() throws {
        let code = """
            mov ecx, 0xc0000080
            rdmsr
            mov [0x60018], eax
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
            hlt
            """
        let bare = try TestMachine(model: .amd64)
        bare.prepare(.long)
        bare.portValues[0x60] = 0x5A
        try bare.load(code)
        #expect(bare.run() == .halted)

        let svm = try SVMMachine()
        let machine = svm.machine
        machine.portValues[0x60] = 0x5A
        machine.prepare(.long)
        try machine.load(code)
        machine.state.time = 0
        svm.processor.captureGuestState(inVMCB: SVMMachine.Place.vmcb)
        svm.intercept(0x72)
        svm.intercept(0x7B)
        svm.intercept(0x7C)
        machine.write([UInt8](repeating: 0xFF, count: 0x2001), at: SVMMachine.Place.ioMap)
        // Both accesses to EFER, which holds SVME.
        machine.write(UInt8(3), at: SVMMachine.Place.msrMap + 0x800 + 0x80 / 4)
        svm.processor.monitor = ClosureMonitor { exit, processor in
            let s = processor.state
            switch exit.cause {
            case .instruction(let instruction) where instruction.operation == .cpuid:
                let result = ProcessorModel.amd64.cpuid(1, 0, CPUIDContext())
                s.pointee.rax = UInt64(result.eax)
                s.pointee.rbx = UInt64(result.ebx)
                (s.pointee.rcx, s.pointee.rdx) = (UInt64(result.ecx), UInt64(result.edx))
                return .advance
            case .readModelSpecificRegister(0xC000_0080):
                (s.pointee.rax, s.pointee.rdx) = (processor.readVMCB(.efer) & ~EFER.SVME, 0)
                return .advance
            case .port(let access):
                if access.isInput {
                    let value = UInt64(machine.readPort(access.port, width: 1) & 0xFF)
                    s.pointee.rax = s.pointee.rax & ~0xFF | value
                } else {
                    machine.writePort(access.port, access.value, width: 1)
                }
                return .advance
            default: return .stop
            }
        }
        #expect(svm.processor.enterGuest(vmcb: SVMMachine.Place.vmcb))
        #expect(machine.run() == .halted)
        #expect(machine.portWrites.map(\.value) == bare.portWrites.map(\.value))
        for address in [UInt64(0x6_0000), 0x6_0008, 0x6_0010, 0x6_0018] {
            #expect(machine.read(address, as: UInt64.self) == bare.read(address, as: UInt64.self))
        }
        #expect(svm.processor.guestVisibleStateHash() == bare.processor.guestVisibleStateHash())
    }
}
