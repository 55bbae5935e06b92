import PCDevices
import Testing

/// A PC with the accesses of processor 0 written short.
private final class Machine {
    let pc: PersonalComputer

    init(_ change: (inout PersonalComputer.Configuration) -> Void = { _ in }) throws {
        var configuration = PersonalComputer.Configuration()
        change(&configuration)
        pc = try PersonalComputer(configuration)
    }

    func out(_ port: PortAddress, _ value: UInt32, _ width: AccessWidth = .byte) {
        pc.writePort(value, to: port, width: width)
    }

    func input(_ port: PortAddress, _ width: AccessWidth = .byte) -> UInt32 { pc.readPort(port, width: width) }

    func store(_ address: UInt64, _ value: UInt64, processor: Int = 0) {
        pc.writeMemory(value, to: MemoryAddress(address), width: .dword, processor: processor)
    }

    func load(_ address: UInt64, processor: Int = 0) -> UInt64 {
        pc.readMemory(MemoryAddress(address), width: .dword, processor: processor)
    }

    func advance(to time: UInt64) {
        pc.clock.now = time
        pc.clock.fireDue()
    }

    /// Routes a pin of the I/O APIC to a vector of processor 0 and enables its local APIC.
    func route(pin: UInt64, vector: UInt64, isLevelTriggered: Bool = false) {
        store(0xFEE0_00F0, 0x1FF)
        store(0xFEC0_0000, 0x11 + 2 * pin)
        store(0xFEC0_0010, 0)
        store(0xFEC0_0000, 0x10 + 2 * pin)
        store(0xFEC0_0010, vector | (isLevelTriggered ? 0x8000 : 0))
    }
}

@Suite struct PersonalComputerTests {
    @Test func timerInterruptsThroughTheControllerPairInVirtualWireMode() throws {
        let machine = try Machine()
        machine.out(0x21, 0xFE)
        machine.out(0x43, 0x34)
        machine.out(0x40, 11_931 & 0xFF)
        machine.out(0x40, 11_931 >> 8)
        machine.advance(to: 9_000_000)
        _ = machine.pc.acknowledgeInterrupt(0)
        machine.out(0x20, 0x20)
        #expect(!machine.pc.interruptPending(0))
        machine.advance(to: 10_100_000)
        #expect(machine.pc.interruptPending(0))
        #expect(machine.pc.acknowledgeInterrupt(0) == 0x08)
        #expect(machine.pc.acknowledgeInterrupt(0) == nil)
    }

    @Test func timerReachesPinTwoOfTheIOAPIC() throws {
        let machine = try Machine()
        machine.route(pin: 2, vector: 0x30)
        machine.out(0x43, 0x30)
        machine.out(0x40, 100)
        machine.out(0x40, 0)
        machine.advance(to: 100_000)
        #expect(machine.pc.acknowledgeInterrupt(0) == 0x30)
    }

    @Test func controllerPairReachesPinZeroAsExternalInterrupt() throws {
        let machine = try Machine()
        machine.store(0xFEE0_0350, 0x1_0700)
        machine.route(pin: 0, vector: 0x0700)
        machine.out(0x21, 0xFD)
        machine.pc.sendKeyboardInput([0x1C])
        #expect(machine.pc.acknowledgeInterrupt(0) == 0x09)
        #expect(machine.input(0x60) == 0x1E, "translated to set 1")
    }

    @Test func calendarInterruptsOnIRQ8ThroughTheSlave() throws {
        let machine = try Machine()
        machine.out(0x21, 0xFB)
        machine.out(0xA1, 0xFE)
        machine.out(0x70, 0x0B)
        machine.out(0x71, 0x12)
        machine.advance(to: 1_000_000_000)
        #expect(machine.pc.acknowledgeInterrupt(0) == 0x70)
    }

    @Test func serialPortInterruptsOnIRQ4AndSendsToTheOutput() throws {
        let machine = try Machine()
        var sent: [UInt8] = []
        machine.pc.serialOutput = { sent.append($0) }
        machine.route(pin: 4, vector: 0x44)
        machine.out(0x3FB, 0x03)
        machine.out(0x3FC, 0x08)
        machine.out(0x3F9, 0x01)
        machine.out(0x3F8, 0x21)
        machine.pc.sendSerialInput([0x6B], at: 5_000)
        #expect(machine.pc.clock.nextDeadline == 5_000)
        machine.advance(to: 5_000)
        #expect(machine.pc.acknowledgeInterrupt(0) == 0x44)
        #expect(machine.input(0x3F8) == 0x6B)
        #expect(sent == [0x21])
    }

    @Test func powerButtonIsALevelInterruptOnPinNine() throws {
        let machine = try Machine()
        machine.route(pin: 9, vector: 0x59, isLevelTriggered: true)
        machine.out(0x602, 0x100, .word)
        machine.pc.pressPowerButton()
        #expect(machine.pc.acknowledgeInterrupt(0) == 0x59)
        machine.store(0xFEE0_00B0, 0)
        #expect(machine.pc.acknowledgeInterrupt(0) == 0x59, "still asserted")
        machine.out(0x600, 0x100, .word)
        machine.store(0xFEE0_00B0, 0)
        #expect(machine.pc.acknowledgeInterrupt(0) == nil)
    }

    @Test func hpetReplacesTheTimerOnIRQ0() throws {
        let machine = try Machine()
        machine.route(pin: 2, vector: 0x30)
        machine.store(0xFED0_0010, 3)
        machine.store(0xFED0_0100, 0x4)
        machine.store(0xFED0_0108, 5_000)
        machine.store(0xFED0_010C, 0)
        machine.out(0x43, 0x30)
        machine.out(0x40, 10)
        machine.out(0x40, 0)
        machine.advance(to: 49_999)
        #expect(machine.pc.acknowledgeInterrupt(0) == nil, "the 8254 is cut off")
        machine.advance(to: 50_000)
        #expect(machine.pc.acknowledgeInterrupt(0) == 0x30)
    }

    @Test func pciInterruptsReachTheirPinAndTheRoutedIRQ() throws {
        let machine = try Machine()
        var identity = PCIFunction.Identity(vendor: 0x1234, device: 1, classCode: 0xFF_0000)
        identity.interruptPin = 1
        let function = PCIFunction(identity)
        try machine.pc.pci.attach(function, at: .init(slot: 5))
        machine.route(pin: 17, vector: 0x61, isLevelTriggered: true)
        function.setInterrupt(true)
        #expect(machine.pc.acknowledgeInterrupt(0) == 0x61, "slot 5, INTA#: PIRQB#")
        // PIRQB# goes to IRQ 11.
        machine.out(0x21, 0xFB)
        machine.out(0xA1, 0xF7)
        #expect(machine.pc.acknowledgeInterrupt(0) == 0x73)
        function.setInterrupt(false)
        machine.out(0xA0, 0x20)
        machine.out(0x20, 0x20)
        #expect(!machine.pc.masterPIC.isInterrupting)
    }

    @Test func requestsOfTheGuest() throws {
        let machine = try Machine()
        machine.out(0x604, 1 << 13, .word)
        machine.out(0xF4, 0x10, .dword)
        machine.out(0xCF9, 0x02)
        machine.out(0xCF9, 0x06)
        machine.out(0x92, 0x01)
        machine.out(0x64, 0xFE)
        var requests: [GuestRequest] = []
        while let request = machine.pc.takeRequest() { requests.append(request) }
        #expect(requests == [.powerOff, .debugExit(value: 0x10), .reset, .reset, .reset])
        #expect(requests[1].exitStatus == 0x21)
    }

    @Test func debugConsoleReadsItsNumber() throws {
        let machine = try Machine()
        var sent: [UInt8] = []
        machine.pc.debugOutput = { sent.append($0) }
        machine.out(0xE9, 0x58)
        #expect(machine.input(0xE9) == 0xE9)
        #expect(sent == [0x58])
    }

    @Test func addressLine20IsOnUnlessBothPortsSwitchItOff() throws {
        let machine = try Machine()
        var changes = 0
        machine.pc.memoryMapChanged = { changes += 1 }
        #expect(machine.pc.isA20Enabled)
        machine.out(0x64, 0xD1)
        machine.out(0x60, 0xCD)
        #expect(!machine.pc.isA20Enabled)
        machine.out(0x92, 0x02)
        #expect(machine.pc.isA20Enabled)
        #expect(changes == 2)
    }

    @Test func localAPICPageMovesAndDisappears() throws {
        let machine = try Machine()
        var changes = 0
        machine.pc.memoryMapChanged = { changes += 1 }
        #expect(machine.pc.localAPICPage(of: 0) == 0xFEE0_0000)
        #expect(machine.load(0xFEE0_0030) == 0x0105_0015)
        #expect(machine.pc.writeMSR(0x8000_0900, to: 0x1B, processor: 0))
        #expect(machine.load(0x8000_0030) == 0x0105_0015)
        #expect(machine.load(0xFEE0_0030) == 0xFFFF_FFFF)
        #expect(machine.pc.writeMSR(0x8000_0D00, to: 0x1B, processor: 0))
        #expect(machine.pc.localAPICPage(of: 0) == nil)
        #expect(changes == 2)
        #expect(machine.pc.readMSR(0x803, processor: 0) == 0x0105_0015)
        #expect(machine.pc.readMSR(0x10, processor: 0) == nil)
    }

    @Test func unclaimedAddressesReadAsOnes() throws {
        let machine = try Machine()
        #expect(machine.input(0x1234) == 0xFF)
        #expect(machine.input(0x1234, .word) == 0xFFFF)
        #expect(machine.input(0xFFFF, .dword) == 0xFFFF_FFFF)
        #expect(machine.pc.readMemory(0xD000_0000, width: .qword, processor: 0) == .max)
        #expect(machine.pc.readMemory(0xFFFF_FFFF_FFFF_FFFC, width: .qword, processor: 0) == .max)
        machine.out(0xFFFF, 0, .dword)
    }

    @Test func wideAccessToByteDevicesIsSplit() throws {
        let machine = try Machine()
        // Index 0x20 and data 0x5A in one access.
        machine.out(0x70, 0x5A20, .word)
        #expect(machine.input(0x71) == 0x5A)
        machine.out(0x80, 0x4433_2211, .dword)
        #expect(machine.input(0x82, .word) == 0x4433)
        #expect(machine.pc.pageRegisters.diagnosticCode == 0x11)
    }

    @Test func firmwareLeavesTheSizesOfMemory() throws {
        let machine = try Machine {
            $0.memorySize = 5 << 30
            $0.processorCount = 2
        }
        func byte(_ index: UInt32) -> UInt32 {
            machine.out(0x70, index)
            return machine.input(0x71)
        }
        #expect(byte(0x15) | byte(0x16) << 8 == 640)
        #expect(byte(0x30) | byte(0x31) << 8 == 0xFFFF)
        #expect(byte(0x34) | byte(0x35) << 8 == 0xBF00)
        #expect(byte(0x5B) | byte(0x5C) << 8 | byte(0x5D) << 16 == 0x8000)
        #expect(byte(0x5F) == 1)
        let sum = (0x10...0x2D).reduce(UInt32(0)) { $0 + byte(UInt32($1)) }
        #expect(byte(0x2E) << 8 | byte(0x2F) == sum)
    }

    @Test func secondProcessorIsStartedByTheFirst() throws {
        let machine = try Machine { $0.processorCount = 2 }
        machine.store(0xFEE0_0310, 1 << 24)
        machine.store(0xFEE0_0300, 0xC500)
        #expect(machine.pc.signals(to: 1) == [.initialize])
        machine.pc.acknowledgeInitialize(1)
        machine.store(0xFEE0_0300, 0x4608)
        #expect(machine.pc.acknowledgeStartUp(1) == 0x08)
        #expect(machine.pc.signals(to: 1) == [])
        #expect(machine.load(0xFEE0_0020, processor: 1) == 1 << 24)
        #expect(machine.pc.readMSR(0x1B, processor: 1) == 0xFEE0_0800)
    }

    @Test func nmiButtonGoesThroughLINT1() throws {
        let machine = try Machine()
        machine.pc.pressNMIButton()
        #expect(machine.pc.signals(to: 0) == [.nonMaskableInterrupt])
        machine.pc.acknowledgeNonMaskableInterrupt(0)
        #expect(machine.pc.signals(to: 0) == [])
    }

    @Test func taskPriorityIsThatOfTheAPIC() throws {
        let machine = try Machine()
        machine.pc.setTaskPriority(0xB, of: 0)
        #expect(machine.load(0xFEE0_0080) == 0xB0)
        machine.store(0xFEE0_0080, 0x47)
        #expect(machine.pc.taskPriority(of: 0) == 4)
    }

    @Test func chipsAreReleasedWithTheMachine() throws {
        var machine: Machine? = try Machine()
        weak let pc = machine?.pc
        weak let timer = machine?.pc.eventTimer
        weak let controller = machine?.pc.masterPIC
        weak let apic = machine?.pc.interruptBus.localAPICs.first
        machine = nil
        #expect(pc == nil)
        #expect(timer == nil)
        #expect(controller == nil)
        #expect(apic == nil)
    }

    @Test func resetReturnsToTheFirstStateButForTimeAndMemory() throws {
        let machine = try Machine()
        machine.pc.reset()
        let fresh = machine.pc.state
        machine.advance(to: 3_000_000_123)
        machine.out(0x21, 0x00)
        machine.out(0x3FB, 0x03)
        machine.out(0x64, 0xD1)
        machine.out(0x60, 0xCD)
        machine.route(pin: 4, vector: 0x44)
        machine.store(0xFED0_0010, 1)
        machine.out(0x604, 5 << 10, .word)
        machine.out(0xCF9, 0x06)
        machine.out(0x70, 0x50)
        machine.out(0x71, 0x99)
        machine.pc.reset()
        let state = machine.pc.state
        #expect(state.masterPIC == fresh.masterPIC)
        #expect(state.slavePIC == fresh.slavePIC)
        #expect(state.ioAPIC == fresh.ioAPIC)
        #expect(state.localAPICs == fresh.localAPICs)
        #expect(state.eventTimer == fresh.eventTimer)
        #expect(state.serialPort == fresh.serialPort)
        #expect(state.keyboardController == fresh.keyboardController)
        #expect(state.pci == fresh.pci)
        #expect(state.requests == [])
        #expect(state.calendar.memory[0x50] == 0x99)
        #expect(state.calendar.memory[0] == 3)
    }
}
