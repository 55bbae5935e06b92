import Testing
import X86
import X86Engine
import _SeededNumbers

/// Guest software can put anything into a VMCB, into the host state-save area and into nested page tables: VMRUN then
/// refuses or is left again, or the processor shuts down; the machine around it stays whole.
@Suite struct SVMFuzzTests {
    private static let code = """
        again:
        cpuid
        mov rax, cr0
        mov cr0, rax
        mov rax, cr4
        mov cr4, rax
        mov rax, cr3
        mov cr3, rax
        in al, 0x21
        out 0x80, eax
        mov ecx, 0xc0000082
        rdmsr
        wrmsr
        pushfq
        popfq
        int3
        sti
        pause
        rdtsc
        mov [0x60000], rax
        invlpg [rbx]
        mov rax, cr8
        mov cr8, rax
        mov rax, dr7
        mov dr7, rax
        clgi
        stgi
        mov eax, 0x42000
        vmsave
        vmload
        vmmcall
        cli
        int 0x33
        ud2
        hlt
        jmp again
        """

    private func bytes(_ svm: SVMMachine, at address: UInt64) -> [UInt8] {
        [UInt8](
            unsafeUninitializedCapacity: 4096,
            initializingWith: { buffer, count in
                count = svm.machine.memory.read(address, into: UnsafeMutableRawBufferPointer(buffer)) ? 4096 : 0
            })
    }

    private func corrupt(_ svm: SVMMachine, _ generator: inout SeededNumbers) {
        let fields = VMCBField.allCases
        for _ in 0..<Int(generator.next() % 4) {
            let field = fields[Int(generator.next() % UInt64(fields.count))]
            switch generator.next() % 4 {
            case 0: svm[field] = generator.next()
            case 1: svm[field] = 0
            default: svm[field] ^= 1 << (generator.next() & 63)
            }
        }
        // What most random values would be refused for.
        if generator.next() % 4 != 0 {
            svm[.secondInstructionIntercepts] |= 1
            svm[.efer] = svm[.efer] & 0x1D01 | EFER.SVME
            if svm[.eventInjection] & 1 << 31 != 0 && generator.next() % 2 == 0 {
                svm[.eventInjection] = generator.next() & 0xFFFF_FFFF_0000_081F | 1 << 31 | 3 << 8
            }
        }
        if generator.next() % 4 == 0 {
            svm.machine.write(
                UInt8(truncatingIfNeeded: generator.next()), at: SVMMachine.Place.vmcb + generator.next() % 4096)
        }
    }

    @Test(arguments: UInt64(1)...80)
    func anyVMCBIsRefusedOrLeftAgain(seed: UInt64) throws {
        var generator = SeededNumbers(seed)
        let kinds: [SVMMachine.GuestKind] = [.long, .protected, .real, .user, .compatibility]
        let kind = kinds[Int(seed % 5)]
        let svm = try SVMMachine(guest: kind)
        if seed % 3 != 0 { svm.useNestedPaging() }
        for _ in 0..<Int(generator.next() % 40) { svm.intercept(generator.next() % 0xA4) }
        svm[.virtualInterrupt] = generator.next() & 0xFF_011F_010F
        let good = bytes(svm, at: SVMMachine.Place.vmcb)
        for round in 0..<20 {
            svm.machine.write(good, at: SVMMachine.Place.vmcb)
            svm.prepareHost()
            svm.machine.state.virtualization.svm.globalInterruptFlag = true
            if round > 0 { corrupt(svm, &generator) }
            let outcome = try svm.launch(Self.code, counts: 400)
            svm.processor.reset()
            #expect(svm.processor.writeMSR(0xC001_0117, SVMMachine.Place.hostSave))
            expectWhole(svm, round, outcome)
        }
    }

    /// The machine still executes what it is given.
    private func expectWhole(_ svm: SVMMachine, _ round: Int, _ outcome: SVMMachine.Outcome) {
        do {
            svm.machine.prepare(.long)
            svm.machine.state.activity = .active
            try svm.machine.load("mov eax, \(round + 1)\nhlt", at: TestMachine.Layout.code, bits: 64)
            #expect(svm.machine.run() == .halted && svm.machine.state.rax == UInt64(round + 1), "\(outcome)")
        } catch {
            Issue.record("\(error)")
        }
    }

    @Test(arguments: UInt64(1)...40)
    func aCorruptHostStateSaveAreaShutsDownOrGoesOn(seed: UInt64) throws {
        var generator = SeededNumbers(seed)
        let svm = try SVMMachine()
        svm.intercept(0x72)
        for round in 0..<10 {
            svm.prepareHost()
            svm[.rip] = SVMMachine.Place.guestCode
            // The guest shares the host's memory: it overwrites words of the area, then leaves.
            var code = ""
            for _ in 0...2 {
                let offset = 0x400 + generator.next() % 0x240 & ~7
                code += "mov rax, \(generator.next())\nmov [\(SVMMachine.Place.hostSave + offset)], rax\n"
            }
            let outcome = try svm.launch(code + "cpuid", counts: 300)
            svm.processor.reset()
            #expect(svm.processor.writeMSR(0xC001_0117, SVMMachine.Place.hostSave))
            expectWhole(svm, round, outcome)
        }
    }

    @Test(arguments: UInt64(1)...40)
    func anyNestedPageTableIsWalked(seed: UInt64) throws {
        var generator = SeededNumbers(seed)
        let svm = try SVMMachine()
        for round in 0..<10 {
            svm.useNestedPaging()
            svm.prepareHost()
            svm[.rip] = SVMMachine.Place.guestCode
            for _ in 0..<Int(generator.next() % 6) {
                let entry = SVMMachine.Place.nested + generator.next() % 4 * 0x1000 + generator.next() % 0x70 * 8
                svm.machine.write(generator.next() & generator.next() | generator.next() & 7, at: entry)
            }
            let outcome = try svm.launch(Self.code, counts: 300)
            svm.processor.reset()
            #expect(svm.processor.writeMSR(0xC001_0117, SVMMachine.Place.hostSave))
            expectWhole(svm, round, outcome)
        }
    }

    @Test func vmrunWhereNoMemoryIsComesBack() throws {
        let svm = try SVMMachine()
        try svm.machine.load("vmrun\nhlt")
        svm.machine.state.rax = 0x80_0000_0000
        #expect(svm.machine.run() == .halted)
        #expect(svm.machine.state.rip == TestMachine.Layout.code + 4)
        // Nor is a host saved where there is none.
        svm.prepareHost()
        svm.machine.state.activity = .active
        #expect(svm.processor.writeMSR(0xC001_0117, 0x80_0000_0000))
        svm.machine.state.rax = SVMMachine.Place.vmcb
        svm[.guestASID] = 0
        #expect(svm.machine.run() == .shutdown)
    }
}
