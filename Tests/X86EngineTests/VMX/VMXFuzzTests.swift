import Testing
import X86
import X86Engine
import _SeededNumbers

/// Guest software can put anything into a VMCS, by VMWRITE or straight into memory: entry then fails or is left again,
/// and the machine stays whole.
@Suite struct VMXFuzzTests {
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
        push rax
        pop rbx
        int3
        sti
        pause
        rdtsc
        mov [0x60000], rax
        invlpg [rbx]
        mov rax, cr8
        mov cr8, rax
        mov rax, dr7
        cli
        ud2
        hlt
        jmp again
        """

    /// Sets random controls among those that the capability MSRs allow.
    private func randomizeControls(_ vmx: VMXMachine, _ generator: inout SeededNumbers) {
        for (index, field) in [
            (UInt32(0x48D), VMCSField.pinBasedControls), (0x48E, .primaryControls), (0x48B, .secondaryControls),
            (0x48F, .exitControls), (0x490, .entryControls),
        ] {
            let capability = vmx.processor.readMSR(index) ?? 0
            let wanted = generator.next() & generator.next()
            vmx[field] = (vmx[field] | wanted | capability & 0xFFFF_FFFF) & capability >> 32
        }
        vmx[.virtualAPICAddress] = VMXMachine.Place.virtualAPIC
        vmx[.ioBitmapA] = VMXMachine.Place.ioBitmapA
        vmx[.ioBitmapB] = VMXMachine.Place.ioBitmapB
        vmx[.msrBitmaps] = VMXMachine.Place.msrBitmaps
        vmx[.virtualProcessorIdentifier] = 1
        vmx[.preemptionTimer] = generator.next() & 0xFF
        vmx[.exceptionBitmap] = generator.next()
        vmx[.guestPAT] = 0x0007_0406_0007_0406
        vmx[.hostPAT] = vmx[.guestPAT]
        vmx[.guestEFER] = vmx.machine.state.efer
        vmx[.hostEFER] = vmx.machine.state.efer
        vmx[.guestDR7] = 0x400
    }

    private func corrupt(_ vmx: VMXMachine, _ generator: inout SeededNumbers) {
        let fields = VMCSField.allCases
        for _ in 0..<Int(generator.next() % 3) {
            let field = fields[Int(generator.next() % UInt64(fields.count))]
            switch generator.next() % 4 {
            case 0: vmx[field] = generator.next()
            case 1: vmx[field] = 0
            default: vmx[field] ^= 1 << (generator.next() & 63)
            }
        }
        if generator.next() % 4 == 0 {
            vmx.machine.write(
                UInt8(truncatingIfNeeded: generator.next()), at: VMXMachine.Place.vmcs + generator.next() % 4096)
        }
    }

    @Test(arguments: UInt64(1)...60)
    func anyVMCSIsRefusedOrLeftAgain(seed: UInt64) throws {
        var generator = SeededNumbers(seed)
        let kinds: [VMXMachine.GuestKind] = [.long, .protected, .real]
        let vmx = try VMXMachine(guest: kinds[Int(seed % 3)])
        vmx.useEPT(accessedAndDirty: seed % 2 == 0)
        randomizeControls(vmx, &generator)
        let good = [UInt8](
            unsafeUninitializedCapacity: 4096,
            initializingWith: { buffer, count in
                count =
                    vmx.machine.memory.read(VMXMachine.Place.vmcs, into: UnsafeMutableRawBufferPointer(buffer))
                    ? 4096 : 0
            })
        for round in 0..<20 {
            vmx.machine.write(good, at: VMXMachine.Place.vmcs)
            vmx.machine.prepare(.long)
            vmx.machine.state.cr0 |= CR0.NE
            vmx.machine.state.cr4 |= CR4.VMXE
            #expect(vmx.processor.clearVMCS(at: VMXMachine.Place.vmcs) == nil)
            #expect(vmx.processor.makeVMCSCurrent(VMXMachine.Place.vmcs) == nil)
            vmx.machine.write([0xF4], at: VMXMachine.Place.hostExit)
            if round > 0 { corrupt(vmx, &generator) }
            let outcome = try vmx.launch(Self.code, counts: 300)
            if vmx.processor.state.pointee.virtualization.isGuest || outcome == .other(.shutdown) {
                // Nothing in the controls takes this guest out again, or the host was lost: start over.
                vmx.processor.reset()
                _ = vmx.processor.writeMSR(0x3A, 5)
                vmx.machine.write(VMCS.revisionIdentifier, at: VMXMachine.Place.vmxon)
                vmx.machine.prepare(.long)
                vmx.machine.state.cr0 |= CR0.NE
                vmx.machine.state.cr4 |= CR4.VMXE
                #expect(vmx.processor.enterVMXOperation(region: VMXMachine.Place.vmxon))
            }
            // The machine still executes what it is given.
            vmx.machine.prepare(.long)
            vmx.machine.state.activity = .active
            try vmx.machine.load("mov eax, \(round + 1)\nhlt", at: TestMachine.Layout.code, bits: 64)
            #expect(vmx.machine.run() == .halted && vmx.machine.state.rax == UInt64(round + 1), "\(outcome)")
        }
    }
}
