import Testing
import X86
import X86Engine

private typealias Layout = TestMachine.Layout
private typealias Selectors = TestMachine.Selectors

/// Segment limits, 16-bit stacks and instruction lengths (SDM volume 3 section 5.3).
@Suite struct SystemLimitTests {
    private func machine(stack: Descriptor, sp: UInt64) throws -> TestMachine {
        let machine = try TestMachine()
        machine.prepare(.protected)
        machine.setDescriptor(Selectors.free, stack)
        machine.state.rsp = sp
        machine.state.ss = SegmentState(
            selector: Selectors.free, base: stack.base, limit: stack.limit, attributes: stack.attributes)
        machine.processor.updateMode()
        return machine
    }

    /// With SS.B clear the stack pointer is SP: it wraps at 64 KiB and leaves the upper half of ESP alone.
    @Test func sixteenBitStackOfProtectedModeWraps() throws {
        let small = Descriptor(base: 0x4_0000, limit: 0xFFFF, attributes: 0x0093)
        let machine = try machine(stack: small, sp: 0x1234_0000)
        try machine.load("push dword 0x11223344\nhlt")
        #expect(machine.run() == .halted)
        #expect(machine.state.rsp == 0x1234_FFFC)
        #expect(machine.read(0x4_FFFC, as: UInt32.self) == 0x1122_3344)

        let popping = try self.machine(stack: small, sp: 0xABCD_FFFE)
        popping.write(UInt16(0xBEEF), at: 0x4_FFFE)
        try popping.load("pop ax\nhlt")
        #expect(popping.run() == .halted)
        #expect(popping.state.rsp == 0xABCD_0000)
        #expect(popping.state.rax & 0xFFFF == 0xBEEF)
    }

    /// A value that would lie on both sides of the wrap is beyond the limit.
    @Test func valueAcrossTheWrapIsAStackFault() throws {
        let small = Descriptor(base: 0x4_0000, limit: 0xFFFF, attributes: 0x0093)
        for (code, sp): (String, UInt64) in [("push dword 1", 2), ("pop eax", 0xFFFE), ("pop ax", 0xFFFF)] {
            let machine = try machine(stack: small, sp: sp)
            // The handler needs a stack of its own: a task gate's.
            machine.setDescriptor(Selectors.free + 8, Descriptor(base: 0xA000, limit: 0x67, attributes: 0x0089))
            let words: [(UInt64, UInt32)] = [
                (0x20, UInt32(TestMachine.handler(12))), (0x24, 2), (0x38, 0xC000), (0x48, UInt32(Selectors.data)),
                (0x4C, UInt32(Selectors.code32)), (0x50, UInt32(Selectors.data)), (0x54, UInt32(Selectors.data)),
            ]
            for (offset, value) in words { machine.write(value, at: 0xA000 + offset) }
            machine.setGate(
                12,
                Descriptor(
                    gate: SystemDescriptorType.taskGate, selector: Selectors.free + 8, offset: 0,
                    descriptorPrivilegeLevel: 0))
            #expect(try machine.runToHalt(code) == 12, "\(code)")
            #expect(machine.stack(0) == 0)
            // SP of the task that faulted is as before.
            #expect(machine.read(Layout.tss + 0x38, as: UInt32.self) == UInt32(sp))
        }
    }

    /// Real mode: there is no room to push the frame of the #SS either, so the processor shuts down (PUSH, "#SS").
    @Test func pushWithOneByteLeftShutsDownInRealMode() throws {
        let machine = try TestMachine()
        machine.prepare(.real)
        machine.state.rsp = 1
        try machine.load("push ax")
        #expect(machine.run() == .shutdown)
    }

    /// Valid offsets of an expand-down segment lie above its limit, up to 64 KiB or 4 GiB by its B bit.
    @Test(arguments: [
        (UInt64(0xFFF), false, true), (0x1000, false, false), (0xFFFC, false, false), (0xFFFD, false, true),
        (0x1_0000, false, true), (0xFFF, true, true), (0x1000, true, false), (0x1_0000, true, false),
        (0xFFFF_FFFC, true, false), (0xFFFF_FFFD, true, true),
    ])
    func expandDownSegmentsReachAboveTheirLimit(offset: UInt64, isBig: Bool, faults: Bool) throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        machine.setDescriptor(
            Selectors.free, Descriptor(base: 0x10_0000, limit: 0xFFF, attributes: isBig ? 0x4097 : 0x0097))
        let vector = try machine.runToHalt(
            "mov ax, \(Selectors.free)\nmov es, ax\nmov ebx, \(offset)\nmov eax, [es:ebx]\nhlt")
        #expect(vector == (faults ? 13 : nil))
    }

    @Test func instructionBeyondTheCodeLimitFaults() throws {
        for (limit, vector): (UInt32, UInt8?) in [(4, 13), (5, nil)] {
            let machine = try TestMachine()
            machine.prepare(.protected)
            machine.setDescriptor(
                Selectors.free, Descriptor(base: UInt32(Layout.code), limit: limit, attributes: 0x409B))
            // MOV EAX, imm32 ends at offset 4; HLT is at 5.
            try machine.load("mov eax, 1\nhlt")
            try machine.load("jmp \(Selectors.free):0", at: 0x9000)
            machine.state.rip = 0x9000
            #expect(machine.run() == .halted)
            #expect(machine.stoppedVector == vector)
            #expect(machine.state.rax == 1)
            if vector != nil { #expect(machine.stack(1) == 5) }
        }
    }

    /// Fifteen bytes are the longest instruction; one more is #GP(0), whatever the bytes are.
    @Test func instructionOfSixteenBytesFaults() throws {
        for (count, vector): (Int, UInt8?) in [(14, nil), (15, 13)] {
            for preparation in [TestMachine.Preparation.protected, .long] {
                let machine = try TestMachine()
                machine.prepare(preparation)
                let prefixes = [UInt8](repeating: 0x66, count: count)
                machine.write(prefixes + [0x90, 0xF4], at: Layout.code)
                #expect(machine.run() == .halted)
                #expect(machine.stoppedVector == vector)
            }
        }
    }

    /// LOCK is for the memory forms of certain instructions; anything else is #UD, before its operands are touched.
    @Test(arguments: [
        "01 03", "87 03", "0f b1 0b", "0f ab 03", "f7 13", "fe 03", "0f c1 03", "0f c7 0b", "80 03 01", "ff 0b",
    ])
    func lockPrefixIsTaken(bytes: String) throws { #expect(try vectorOfLocked(bytes) == nil) }

    @Test(arguments: [
        "01 c3", "03 03", "89 03", "90", "39 03", "0f a3 03", "f7 23", "ff 33", "f4", "a5", "80 3b 01", "0f b1 cb",
        "0f c1 c3", "0f 05", "0f a2", "c3", "eb 00", "0f ba 23 01", "d1 03",
    ])
    func lockPrefixIsRefusedWhereItHasNoMeaning(bytes: String) throws { #expect(try vectorOfLocked(bytes) == 6) }

    private func vectorOfLocked(_ text: String) throws -> UInt8? {
        let bytes = text.split(separator: " ").compactMap { UInt8($0, radix: 16) }
        let machine = try TestMachine()
        machine.prepare(.protected)
        machine.state.rbx = 0x10_0000
        machine.write([0xF0] + bytes + [0xF4], at: Layout.code)
        #expect(machine.run() == .halted)
        return machine.stoppedVector
    }

    /// With a count of zero a repeated string instruction touches nothing: no segment is checked, no page walked.
    @Test func repetitionWithoutCountTouchesNothing() throws {
        for code in ["rep movsd", "rep stosb", "repe cmpsd", "repne scasb", "rep lodsd", "rep insb"] {
            let machine = try TestMachine()
            machine.prepare(.protected)
            try machine.load(
                """
                xor ecx, ecx
                mov es, cx
                mov ds, cx
                mov esi, 0xfffffffe
                mov edi, 0xfffffffe
                \(code)
                hlt
                """)
            #expect(machine.run() == .halted)
            #expect(machine.stoppedVector == nil, "\(code)")
            #expect(machine.state.rsi == 0xFFFF_FFFE && machine.state.rdi == 0xFFFF_FFFE)
        }
    }

    /// A data breakpoint met by MOV SS or POP SS waits until after the next instruction; if that is INT n, the trap
    /// comes before the first instruction of the handler (SDM volume 3 section 6.8.3).
    @Test(arguments: ["mov ss, [ebx]", "pop ss"])
    func debugTrapOfAStackSegmentLoadWaitsForTheInterruptHandler(load: String) throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        let word = load == "pop ss" ? Layout.kernelStack - 0x100 : 0x10_0000
        machine.write(UInt32(Selectors.data), at: word)
        machine.state.rbx = 0x10_0000
        if load == "pop ss" { machine.state.rsp = word }
        machine.state.dr0 = word
        // A break on reads and writes of two bytes.
        machine.state.dr7 = 0x7_0402
        #expect(try machine.runToHalt("\(load)\nint 0x80\nhlt") == 1)
        #expect(machine.state.dr6 & 0xF == 1)
        // The trap interrupted the handler of INT 80h before its first instruction.
        #expect(machine.stack(0) == TestMachine.handler(0x80))
    }
}
