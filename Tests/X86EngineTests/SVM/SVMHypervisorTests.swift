import Testing
import X86
import X86Engine

/// A hypervisor in assembly that runs on the machine's SVM and boots a guest of its own, from real mode to long mode.
@Suite struct SVMHypervisorTests {
    /// Where things lie in the machine's memory.
    private enum Place {
        /// The host state-save area is at 40000H, nested tables are at 50000H, permission maps from 58000H on.
        static let vmcb: UInt64 = 0x4_1000
        /// The guest's boot image, which the hypervisor loads to 1000H of the guest.
        static let image: UInt64 = 0x6_0000
        /// What comes on demand behind the guest's 256 KiB from 100000H on.
        static let onDemand: UInt64 = 0x14_0000
    }

    // MARK: The guest

    private static let realMode = """
        mov al, 0x52
        out 0xe9, al
        lgdt [0x1300]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        push 0x08
        push 0x1100
        retf
        """

    private static let protectedMode = """
        mov ax, 0x10
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, 0x3000
        mov al, 0x50
        out 0xe9, al
        mov edi, 0x4000
        xor eax, eax
        mov ecx, 0xc00
        rep stosd
        mov dword [0x4000], 0x5007
        mov dword [0x5000], 0x6007
        mov dword [0x6000], 0x87
        mov eax, cr4
        or eax, 0x20
        mov cr4, eax
        mov eax, 0x4000
        mov cr3, eax
        mov ecx, 0xc0000080
        rdmsr
        or eax, 0x100
        wrmsr
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        push 0x18
        push 0x1200
        retf
        """

    private static let longMode = """
        mov al, 0x4c
        out 0xe9, al
        lidt [0x1310]
        sti
        hlt
        xor eax, eax
        cpuid
        mov al, bl
        out 0xe9, al
        mov byte [0x80000], 0x4e
        mov al, [0x80000]
        out 0xe9, al
        mov eax, 1
        vmmcall
        handler:
        push rax
        mov al, 0x54
        out 0xe9, al
        pop rax
        iretq
        """

    /// The three programs, then GDTR and IDTR at 1300H, the GDT at 1340H, and the IDT's gate of vector 20H at 2200H.
    private func writeImage(_ machine: TestMachine) throws {
        let programs: [(String, CodeMode, UInt64)] = [
            (Self.realMode, .bits16, 0x1000), (Self.protectedMode, .bits32, 0x1100), (Self.longMode, .bits64, 0x1200),
        ]
        var labels: [String: UInt64] = [:]
        for (source, mode, origin) in programs {
            let code = try Assembler(mode: mode, origin: origin).assemble(source)
            #expect(code.bytes.count <= 0x100)
            machine.write(code.bytes, at: Place.image + origin - 0x1000)
            labels.merge(code.labels.mapValues { $0 }) { $1 }
        }
        machine.write(UInt16(0x1F), at: Place.image + 0x300)
        machine.write(UInt32(0x1340), at: Place.image + 0x302)
        machine.write(UInt16(0xFFF), at: Place.image + 0x310)
        machine.write(UInt64(0x2000), at: Place.image + 0x312)
        let all: UInt32 = 0xFFFF_FFFF
        for (index, attributes) in [UInt32(0xC09B), 0xC093, 0xA09B].enumerated() {
            machine.write(
                Descriptor(base: 0, limit: all, attributes: attributes).low,
                at: Place.image + 0x348 + UInt64(index) * 8)
        }
        let gate = Descriptor(
            gate: SystemDescriptorType.interruptGate32, selector: 0x18, offset: labels["handler"] ?? 0,
            descriptorPrivilegeLevel: 0)
        machine.write(gate.low, at: Place.image + 0x1200)
        machine.write(gate.high, at: Place.image + 0x1208)
    }

    // MARK: The hypervisor

    /// Enables SVM, builds nested tables that give the guest memory of its own, and starts it in real mode; then ports,
    /// CPUID, HLT, VMMCALL and nested page faults come here.
    private static let hypervisor = """
        mov ecx, 0xc0000080
        rdmsr
        or eax, 0x1000
        wrmsr
        mov ecx, 0xc0010117
        mov eax, 0x40000
        xor edx, edx
        wrmsr
        mov edi, 0x50000
        xor eax, eax
        mov ecx, 0x800
        rep stosq
        mov qword [0x50000], 0x51007
        mov qword [0x51000], 0x52007
        mov qword [0x52000], 0x53007
        xor ecx, ecx
        eachPage:
        mov rax, rcx
        shl rax, 12
        add rax, 0x100007
        mov [0x53000 + rcx * 8], rax
        inc ecx
        cmp ecx, 64
        jb eachPage
        mov esi, 0x60000
        mov edi, 0x101000
        mov ecx, 0x1400
        rep movsb
        mov edi, 0x58000
        mov eax, 0xffffffff
        mov ecx, 0xc01
        rep stosd
        mov edi, 0x41000
        xor eax, eax
        mov ecx, 0x200
        rep stosq
        mov dword [0x4100c], 0x09040000
        mov dword [0x41010], 3
        mov qword [0x41040], 0x58000
        mov qword [0x41048], 0x5c000
        mov dword [0x41058], 1
        mov qword [0x41090], 1
        mov qword [0x410b0], 0x50000
        mov rax, 0x0007040600070406
        mov [0x41668], rax
        mov edi, 0x41400
        mov ecx, 6
        eachSegment:
        mov word [rdi + 2], 0x93
        mov dword [rdi + 4], 0xffff
        add edi, 16
        loop eachSegment
        mov dword [0x41484], 0x3ff
        mov qword [0x414d0], 0x1000
        mov qword [0x41558], 0x10
        mov qword [0x41560], 0x400
        mov dword [0x41568], 0xffff0ff0
        mov qword [0x41570], 2
        mov qword [0x41578], 0x1000
        mov qword [0x415d8], 0xf00
        resume:
        clgi
        mov eax, 0x41000
        vmrun
        stgi
        mov rax, [0x41070]
        cmp rax, 0x7b
        je onPort
        cmp rax, 0x72
        je onCPUID
        cmp rax, 0x78
        je onHalt
        cmp rax, 0x400
        je onFault
        cmp rax, 0x81
        je onCall
        failed:
        hlt
        onPort:
        cmp word [0x4107a], 0xe9
        jne failed
        mov al, [0x415f8]
        out 0xe9, al
        jmp goOn
        onCPUID:
        mov ebx, 0x56
        goOn:
        mov rax, [0x410c8]
        mov [0x41578], rax
        jmp resume
        onHalt:
        mov rax, 0x00000020010f0100
        mov [0x41060], rax
        jmp goOn
        onFault:
        cmp qword [0x41080], 0x80000
        jne failed
        mov qword [0x53400], 0x140007
        mov byte [0x4105c], 3
        jmp resume
        onCall:
        cmp dword [0x415f8], 1
        jne failed
        mov byte [0x4105c], 0
        done:
        hlt
        """

    @Test func bootsAGuestOfItsOwn() throws {
        let machine = try TestMachine(model: .amd64SVM)
        machine.prepare(.long)
        try writeImage(machine)
        let labels = try machine.load(Self.hypervisor)
        let before: UInt64 = machine.read(0x1000)
        #expect(machine.run(100_000) == .halted)
        let done = try #require(labels["done"])
        let code: UInt64 = machine.read(Place.vmcb + 0x70)
        let rip: UInt64 = machine.read(Place.vmcb + 0x578)
        #expect(machine.state.rip == done + 1, "exit \(SVMExitCode(rawValue: code)) at \(rip)")
        let bytes = machine.portWrites.filter { $0.port == 0xE9 }.map { UInt8(truncatingIfNeeded: $0.value) }
        let output = bytes.map { Character(UnicodeScalar($0)) }
        #expect(String(output) == "RPLTVN")
        // The guest's memory is its own: its address 80000H is the page at 140000H.
        #expect(machine.read(Place.onDemand, as: UInt8.self) == UInt8(ascii: "N"))
        #expect(machine.read(0x1000, as: UInt64.self) == before)
    }
}
