import Testing
import X86
import X86Engine

private typealias Layout = TestMachine.Layout
private typealias Selectors = TestMachine.Selectors

/// Faults during the delivery of others (SDM volume 3 table 6-5).
@Suite struct SystemDoubleFaultTests {
    /// What raises a first exception, in ring 3 of 64-bit code, and how the manual classes it.
    private static let firsts: [(source: String, vector: UInt8, isContributory: Bool)] = [
        ("xor ecx, ecx\ndiv ecx", 0, true),
        ("int3", 3, false),
        ("ud2", 6, false),
        ("mov eax, 0xff0\nmov ds, eax", 13, true),
        ("mov eax, \(Selectors.free)\nmov ds, eax", 11, true),
        ("mov rsp, 0x800000000010\npush rax", 12, true),
    ]

    /// Gates whose use faults in turn.
    private enum BadGate: CaseIterable { case absent, nullSelector, dataSegment }

    private func spoil(_ vector: UInt8, _ gate: BadGate, in machine: TestMachine) {
        let bad =
            switch gate {
            case .absent:
                Descriptor(
                    gate: SystemDescriptorType.interruptGate32, selector: Selectors.code64,
                    offset: TestMachine.handler(vector), descriptorPrivilegeLevel: 3)
            case .nullSelector:
                Descriptor(
                    gate: SystemDescriptorType.interruptGate32, selector: 0, offset: 0, descriptorPrivilegeLevel: 3)
            case .dataSegment:
                Descriptor(
                    gate: SystemDescriptorType.interruptGate32, selector: Selectors.data, offset: 0,
                    descriptorPrivilegeLevel: 3)
            }
        machine.setGate(vector, bad)
        if gate == .absent {
            let address = Layout.idt + UInt64(vector) * 16 + 5
            machine.write(machine.read(address, as: UInt8.self) & 0x7F, at: address)
        }
    }

    private func machine() throws -> TestMachine {
        let machine = try TestMachine()
        machine.prepare(.long, ring: 3)
        // Present is clear: #NP where it is loaded.
        machine.setDescriptor(Selectors.free, Descriptor(base: 0, limit: 0xFFFF, attributes: 0x0072))
        return machine
    }

    @Test func contributoryAfterContributoryIsADoubleFault() throws {
        for first in Self.firsts {
            for gate in BadGate.allCases {
                let machine = try machine()
                spoil(first.vector, gate, in: machine)
                let stopped = try machine.runToHalt(first.source)
                // After a benign exception the second one is delivered, as an event from outside the program.
                let isNotPresent = gate == .absent
                let second: UInt8 = isNotPresent ? 11 : 13
                #expect(stopped == (first.isContributory ? 8 : second), "\(first.source), \(gate)")
                let inIDT = UInt64(first.vector) << 3 | 2
                // INT3 is the program's own, so EXT is clear.
                let external: UInt64 = first.vector == 3 ? 0 : 1
                let code: UInt64 =
                    switch gate {
                    case .absent: inIDT | external
                    case .nullSelector: external
                    case .dataSegment: UInt64(Selectors.data) | external
                    }
                #expect(machine.stack(0) == (first.isContributory ? 0 : code), "\(first.source), \(gate)")
            }
        }
    }

    @Test func pageFaultThenContributoryOrPageFaultIsADoubleFault() throws {
        for gate in BadGate.allCases {
            let machine = try machine()
            spoil(14, gate, in: machine)
            #expect(try machine.runToHalt("mov rax, 0x7000000000\nmov eax, [rax]") == 8)
            #expect(machine.stack(0) == 0)
            #expect(machine.state.cr2 == 0x70_0000_0000)
        }
        // The stack of the handler is not mapped: a page fault while a page fault is delivered.
        let machine = try machine()
        machine.write(UInt64(0x60_0000_0000), at: Layout.tss + 4)
        var gate = Descriptor(
            gate: SystemDescriptorType.interruptGate32, selector: Selectors.code64, offset: TestMachine.handler(8),
            descriptorPrivilegeLevel: 0)
        gate.low |= 1 << 32
        machine.setGate(8, gate)
        #expect(try machine.runToHalt("mov rax, 0x7000000000\nmov eax, [rax]") == 8)
        #expect(machine.state.cr2 & ~0xFFF == 0x5F_FFFF_F000)
    }

    @Test func faultsOfAnExternalInterruptsDeliveryCarryEXT() throws {
        let machine = try machine()
        spoil(0x55, .absent, in: machine)
        machine.state.rflags |= RFLAGS.IF
        machine.interrupt(0x55)
        #expect(try machine.runToHalt("nop\nnop") == 11)
        #expect(machine.stack(0) == 0x55 << 3 | 3)
    }

    @Test func vectorBeyondTheTableIsAProtectionFaultOfItsGate() throws {
        let machine = try machine()
        machine.state.idtr.limit = 16 * 0x80 - 1
        #expect(try machine.runToHalt("int 0x80") == 13)
        #expect(machine.stack(0) == 0x80 << 3 | 2)
    }

    @Test func doubleFaultThatFaultsShutsDownWhateverTheSecondFaultIs() throws {
        for gate in BadGate.allCases {
            let machine = try machine()
            spoil(13, gate, in: machine)
            spoil(8, gate, in: machine)
            try machine.load("mov eax, 0xff0\nmov ds, eax")
            #expect(machine.run() == .shutdown)
            #expect(machine.processor.faultChain.first?.fault.vector == 13)
        }
    }
}
