import Testing
import X86
import X86Engine

private typealias Layout = TestMachine.Layout

/// Stacks and near transfers of 16 bits, which the comparison with the host's processor does not reach.
@Suite struct GeneralStackTests {
    private func real() throws -> TestMachine {
        let machine = try TestMachine()
        machine.prepare(.real)
        return machine
    }

    @Test func pushesWrapInsideThe16BitStack() throws {
        let machine = try real()
        machine.state.rsp = 0xABCD_0000_1234_0002
        machine.state.ss.base = 0x4_0000
        try machine.load("push 0x1111\npush 0x2222")
        machine.step(2)
        // Only SP moves.
        #expect(machine.state.rsp == 0xABCD_0000_1234_FFFE)
        #expect(machine.read(0x4_0000, as: UInt16.self) == 0x1111)
        #expect(machine.read(0x4_FFFE, as: UInt16.self) == 0x2222)
    }

    @Test func pushaStoresTheOldStackPointerAndPopaSkipsIt() throws {
        let machine = try real()
        try machine.load(
            """
            mov ax, 1
            mov cx, 2
            mov dx, 3
            mov bx, 4
            mov bp, 6
            mov si, 7
            mov di, 8
            pusha
            mov bp, sp
            mov word [bp + 6], 0x5555
            mov word [bp], 0x8888
            popa
            hlt
            """)
        let stack = machine.state.rsp
        machine.step(8)
        let words = (0..<8).map { machine.read(machine.state.rsp + UInt64($0 * 2), as: UInt16.self) }
        #expect(words == [8, 7, 6, UInt16(stack), 4, 3, 2, 1])
        #expect(machine.run() == .halted)
        #expect(machine.state.rsp == stack)
        #expect(machine.state.rdi == 0x8888)
        #expect(machine.state.rbp == 6)
        #expect(machine.state.rax == 1)
    }

    @Test func popToMemoryAddressesWithTheStackPointerAfterwards() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        try machine.load("push 0x1234\npop dword [esp + 8]\npush esp\npop eax\nhlt")
        let stack = machine.state.rsp
        #expect(machine.run() == .halted)
        #expect(machine.read(stack + 8, as: UInt32.self) == 0x1234)
        #expect(machine.state.rax == stack)
        #expect(machine.state.rsp == stack)
    }

    /// SDM volume 1 section 6.6.1: the display holds the frames of the outer levels and the new one.
    @Test func enterBuildsTheDisplay() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        let stack = machine.state.rsp
        machine.state.rbp = stack + 0x40
        machine.write(UInt32(0xAAAA), at: stack + 0x3C)
        machine.write(UInt32(0xBBBB), at: stack + 0x38)
        try machine.load("enter 16, 3\nhlt")
        #expect(machine.run() == .halted)
        let frame = stack - 4
        #expect(machine.state.rbp == frame)
        #expect(machine.state.rsp == frame - 12 - 16)
        #expect(machine.read(frame, as: UInt32.self) == UInt32(stack + 0x40))
        #expect(machine.read(frame - 4, as: UInt32.self) == 0xAAAA)
        #expect(machine.read(frame - 8, as: UInt32.self) == 0xBBBB)
        #expect(machine.read(frame - 12, as: UInt32.self) == UInt32(frame))
    }

    @Test func enterChangesNothingIfTheNewTopCannotBeWritten() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        // An expand-down stack that ends 16 bytes below its top.
        machine.state.ss.attributes = 0xC097
        machine.state.ss.limit = UInt32(machine.state.rsp) - 17
        machine.processor.updateMode()
        machine.state.rbp = 0x7777
        try machine.load("enter 64, 0")
        let stack = machine.state.rsp
        machine.state.idtr.limit = 0
        #expect(machine.run() == .shutdown)
        #expect(machine.processor.faultChain.first?.fault == .stackFault(0))
        #expect(machine.state.rsp == stack)
        #expect(machine.state.rbp == 0x7777)
    }

    @Test func nearTargetsAreCutTo16BitsByTheOperandSize() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        machine.state.rax = 0xFFFF_4321
        try machine.load("o16 jmp ax")
        machine.step()
        #expect(machine.state.rip == 0x4321)
    }

    @Test(arguments: ["jmp eax", "call eax", "push eax\nret"])
    func targetsBeyondTheLimitFaultBeforeAnythingChanges(source: String) throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        machine.state.cs.limit = 0x2_FFFF
        machine.processor.updateMode()
        machine.state.rax = 0x3_0000
        machine.state.idtr.limit = 0
        try machine.load(source)
        #expect(machine.run() == .shutdown)
        let first = machine.processor.faultChain.first
        #expect(first?.fault == .generalProtection(0))
        let pushed: UInt64 = source.hasPrefix("push") ? 4 : 0
        #expect(machine.state.rsp == Layout.kernelStack - pushed)
        #expect(first?.rip == Layout.code + (pushed > 0 ? 1 : 0))
    }

    @Test func loopCountsWithTheAddressSize() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        machine.state.rcx = 0x5555_0003
        try machine.load("again: inc eax\na16 loop again\nhlt")
        machine.state.rax = 0
        #expect(machine.run() == .halted)
        #expect(machine.state.rax == 3)
        #expect(machine.state.rcx == 0x5555_0000)
    }

    @Test func boundIncludesBothEnds() throws {
        for (index, faults) in [(-6, true), (-5, false), (9, false), (10, true)] {
            let machine = try real()
            machine.write(Int16(-5), at: 0x5000)
            machine.write(Int16(9), at: 0x5002)
            machine.state.rax = UInt64(UInt16(bitPattern: Int16(index)))
            try machine.load("bound ax, [0x5000]\nhlt")
            machine.run()
            #expect(machine.stoppedVector == (faults ? 5 : nil), "\(index)")
        }
    }
}
