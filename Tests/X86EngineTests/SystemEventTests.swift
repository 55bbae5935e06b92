import Testing
import X86
import X86Engine

private typealias Layout = TestMachine.Layout
private typealias Selectors = TestMachine.Selectors

@Suite struct SystemEventTests {
    @Test func portsGoByIOPLAndBitmap() throws {
        let machine = try TestMachine()
        machine.prepare(.long, ring: 3)
        // Port 0x60 is allowed, 0x61 is not.
        machine.write(UInt8(0xFE), at: Layout.tss + 0x68 + 12)
        machine.portValues[0x60] = 0x1C
        #expect(try machine.runToHalt("in al, 0x60\nout 0x60, al\nin ax, 0x60") == 13)
        #expect(machine.state.rax == 0x1C)
        #expect(machine.portWrites.count == 1 && machine.portWrites.first?.value == 0x1C)
        #expect(machine.stack(1) == Layout.code + 4)
        let privileged = try TestMachine()
        privileged.prepare(.long, ring: 3)
        privileged.state.rflags = 0x3002
        #expect(try privileged.runToHalt("mov edx, 0x1234\nin eax, dx\nint 0x80") == 0x80)
        #expect(privileged.state.rax == 0xFFFF_FFFF)
    }

    @Test func bitmapBeyondTheTaskLimitForbids() throws {
        let machine = try TestMachine()
        machine.prepare(.long, ring: 3)
        machine.write([UInt8](repeating: 0, count: 0x2000), at: Layout.tss + 0x68)
        machine.state.tr.limit = 0x68 + 12
        #expect(try machine.runToHalt("in al, 0x57\nin al, 0x60") == 13)
        #expect(machine.stack(1) == Layout.code + 2)
    }

    @Test func transitionRecordTellsBothSides() throws {
        let machine = try TestMachine()
        machine.prepare(.long, ring: 3)
        machine.processor.watched = .transition
        #expect(try machine.runToHalt("mov eax, [0x300000]\nmov [0xFFFFFFFFFFFFF000], eax") == 14)
        #expect(machine.events.count == 1)
        guard case .transition(let record) = machine.events.first else {
            Issue.record("no transition")
            return
        }
        #expect(record.cause == .exception(vector: 14, errorCode: 6))
        #expect(record.address == 0xFFFF_FFFF_FFFF_F000)
        #expect(record.gate == GateRecord(type: 14, descriptorPrivilegeLevel: 0, index: 14))
        #expect(record.before.cpl == 3 && record.after.cpl == 0)
        #expect(record.before.rip == Layout.code + 7 && record.after.rip == TestMachine.handler(14))
        #expect(record.before.rsp == Layout.userStack && record.after.rsp == Layout.stack0 - 48)
        #expect(record.switchedStack)
    }

    @Test func interruptInRing0IsNoTransition() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        machine.processor.watched = .transition
        #expect(try machine.runToHalt("int 0x80") == 0x80)
        #expect(machine.events.isEmpty && machine.processor.transitionCounters.total == 0)
    }

    @Test func eachInstructionAndEachDeliveryCountsOne() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        let start = machine.state.time
        #expect(try machine.runToHalt("nop\nnop\nud2") == 6)
        // Two NOPs, the delivery of #UD, HLT.
        #expect(machine.state.time == start + 4)
    }

    @Test func watchersSkipReplyAndInject() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        machine.processor.watched = [.port, .modelSpecificRegister, .halt, .hypercall, .exception]
        machine.verdict = { event in
            switch event {
            case .portRead(port: 0x71, width: 1): .reply(0x5A)
            case .portWrite(port: 0x72, _, _): .skip
            case .readModelSpecificRegister(index: 0x999): .reply(0x1_0000_0002)
            case .hypercall: .reply(77)
            default: .proceed
            }
        }
        #expect(
            try machine.runToHalt(
                """
                in al, 0x71
                mov ebx, eax
                out 0x72, al
                mov ecx, 0x999
                rdmsr
                mov esi, edx
                vmcall
                hlt
                """) == nil)
        #expect(machine.state.rbx == 0x5A)
        #expect(machine.portWrites.isEmpty)
        #expect(machine.state.rsi == 1 && machine.state.rax == 77)
        let injecting = try TestMachine()
        injecting.prepare(.long)
        injecting.processor.watched = .controlRegister
        injecting.verdict = { _ in .inject(.generalProtection(0x1234)) }
        #expect(try injecting.runToHalt("mov cr3, rax") == 13)
        #expect(injecting.stack(0) == 0x1234)
    }

    @Test func skippedExceptionGoesOnBehindTheInstruction() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        machine.processor.watched = .exception
        machine.verdict = { _ in .skip }
        #expect(try machine.runToHalt("ud2\nmov ecx, 5\nhlt") == nil)
        #expect(machine.state.rcx == 5)
        #expect(machine.events.count == 1)
    }

    @Test func skippedLoadInARunningBlockGoesOnBehindIt() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        machine.processor.watched = .exception
        machine.verdict = { _ in .skip }
        #expect(try machine.runToHalt("mov ecx, 5\nmov eax, [0xFFFFFFFFFFFF0000]\ninc ecx\nhlt") == nil)
        #expect(machine.state.rcx == 6 && machine.state.rax == 0)
    }

    @Test func interruptBetweenIterationsSavesResumeFlag() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        machine.state.rflags = 0x202
        machine.state.rcx = 100
        machine.state.rsi = 0x9000
        machine.state.rdi = 0xA000
        try machine.load("rep movsb\nnop\nhlt")
        machine.step(10)
        #expect(machine.state.rcx == 90 && machine.state.rip == Layout.code)
        machine.interrupt(0x40)
        machine.write([0x48, 0xCF], at: TestMachine.handler(0x40))
        machine.step()
        #expect(machine.state.rip == TestMachine.handler(0x40))
        #expect(machine.stack(0) == Layout.code && machine.stack(2) == 0x1_0202)
        #expect(machine.run() == .halted)
        #expect(machine.state.rcx == 0 && machine.state.rflags & RFLAGS.RF == 0)
    }

    @Test func unwatchedHypercallIsInvalid() throws {
        for code in ["vmcall", "vmmcall", "vmlaunch", "clgi", "rsm", "monitor", "mwait"] {
            let machine = try TestMachine()
            machine.prepare(.long)
            #expect(try machine.runToHalt(code) == 6, "\(code)")
        }
    }

    @Test func watchingChangesNothing() throws {
        func hash(_ watched: EventKinds) throws -> UInt64 {
            let machine = try TestMachine()
            machine.prepare(.long, ring: 3)
            machine.processor.watched = watched
            machine.write([0x48, 0xCF], at: TestMachine.handler(0x80))
            #expect(try machine.runToHalt("int 0x80\ncpuid\nint 0x80\nmov eax, [0xFFFFFFFFFFFF0000]") == 14)
            return machine.processor.stateHash()
        }
        #expect(try hash([]) == hash([.transition, .exception, .interrupt, .cpuid, .syscall]))
    }
}
