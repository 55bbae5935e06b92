import PCDevices
import Testing

/// Two controllers wired and programmed as in a PC: vectors 0x20 and 0x28.
private struct ControllerPair {
    let master = Intel8259A(commandPort: 0x20, edgeLevelPort: 0x4D0, edgeLevelMask: 0xF8)
    let slave = Intel8259A(commandPort: 0xA0, edgeLevelPort: 0x4D1, edgeLevelMask: 0xDE)

    init(masterICW4: UInt32 = 0x01, slaveICW4: UInt32 = 0x01) {
        master.slaves = [2: slave]
        slave.outputChanged = { [master] in master.setInput(2, $0) }
        for (port, value): (PortAddress, UInt32) in [
            (0x20, 0x11), (0x21, 0x20), (0x21, 0x04), (0x21, masterICW4),
            (0xA0, 0x11), (0xA1, 0x28), (0xA1, 0x02), (0xA1, slaveICW4),
        ] { write(value, port) }
    }

    func write(_ value: UInt32, _ port: PortAddress) {
        let chip = port == 0x20 || port == 0x21 || port == 0x4D0 ? master : slave
        chip.write(value, to: port, width: .byte)
    }

    func set(_ irq: Int, _ level: Bool) {
        if irq < 8 { master.setInput(irq, level) } else { slave.setInput(irq - 8, level) }
    }

    func inService(_ chip: Intel8259A, _ port: PortAddress) -> UInt32 {
        chip.write(0x0B, to: port, width: .byte)
        return chip.read(port, width: .byte)
    }

    func requests(_ chip: Intel8259A, _ port: PortAddress) -> UInt32 {
        chip.write(0x0A, to: port, width: .byte)
        return chip.read(port, width: .byte)
    }
}

@Suite struct Intel8259ATests {
    @Test func lowerInputHasHigherPriority() {
        let pair = ControllerPair()
        pair.set(5, true)
        pair.set(1, true)
        #expect(pair.master.isInterrupting)
        #expect(pair.master.acknowledge() == 0x21)
        #expect(!pair.master.isInterrupting, "level 1 in service holds back level 5")
        #expect(pair.inService(pair.master, 0x20) == 0x02)
        #expect(pair.requests(pair.master, 0x20) == 0x20)
        pair.write(0x20, 0x20)
        #expect(pair.master.isInterrupting)
        #expect(pair.master.acknowledge() == 0x25)
    }

    @Test func higherPriorityInterruptsTheOneInService() {
        let pair = ControllerPair()
        pair.set(5, true)
        #expect(pair.master.acknowledge() == 0x25)
        pair.set(3, true)
        #expect(pair.master.isInterrupting)
        #expect(pair.master.acknowledge() == 0x23)
        pair.write(0x20, 0x20)
        #expect(pair.inService(pair.master, 0x20) == 0x20, "the non-specific EOI ends the highest level")
    }

    @Test func slaveSuppliesTheVectorOfItsInputs() {
        let pair = ControllerPair()
        pair.set(12, true)
        pair.set(8, true)
        #expect(pair.master.acknowledge() == 0x28)
        #expect(pair.inService(pair.master, 0x20) == 0x04)
        #expect(pair.inService(pair.slave, 0xA0) == 0x01)
        pair.write(0x20, 0xA0)
        pair.write(0x20, 0x20)
        #expect(pair.master.acknowledge() == 0x2C, "the slave raised its output again")
    }

    @Test func maskedRequestWaitsUntilUnmasked() {
        let pair = ControllerPair()
        pair.write(0x10, 0x21)
        pair.set(4, true)
        #expect(!pair.master.isInterrupting)
        #expect(pair.master.read(0x21, width: .byte) == 0x10)
        pair.write(0, 0x21)
        #expect(pair.master.acknowledge() == 0x24)
    }

    @Test func requestThatVanishesGivesTheSpuriousVector() {
        let pair = ControllerPair()
        pair.set(3, true)
        pair.set(3, false)
        #expect(pair.master.acknowledge() == 0x27)
        #expect(pair.inService(pair.master, 0x20) == 0)
    }

    @Test func vanishedSlaveRequestIsSpuriousAtTheSlaveAndInServiceAtTheMaster() {
        let master = Intel8259A(commandPort: 0x20, edgeLevelPort: 0x4D0, edgeLevelMask: 0xF8)
        let slave = Intel8259A(commandPort: 0xA0, edgeLevelPort: 0x4D1, edgeLevelMask: 0xDE)
        master.slaves = [2: slave]
        for (chip, command): (Intel8259A, PortAddress) in [(master, 0x20), (slave, 0xA0)] {
            let data = PortAddress(command.rawValue + 1)
            chip.write(0x11, to: command, width: .byte)
            chip.write(command == 0x20 ? 0x20 : 0x28, to: data, width: .byte)
            chip.write(command == 0x20 ? 0x04 : 0x02, to: data, width: .byte)
            chip.write(0x01, to: data, width: .byte)
        }
        // The master has latched the request, the slave's own input is gone already.
        master.setInput(2, true)
        #expect(master.acknowledge() == 0x2F)
        master.write(0x0B, to: 0x20, width: .byte)
        #expect(master.read(0x20, width: .byte) == 0x04)
    }

    @Test func edgeInputNeedsANewEdgeAndLevelInputDoesNot() {
        let pair = ControllerPair()
        pair.set(5, true)
        #expect(pair.master.acknowledge() == 0x25)
        pair.write(0x20, 0x20)
        #expect(!pair.master.isInterrupting)
        pair.write(0xFF, 0x4D0)
        #expect(pair.master.read(0x4D0, width: .byte) == 0xF8, "inputs 0 to 2 stay edge-triggered")
        #expect(pair.master.acknowledge() == 0x25)
        pair.write(0x20, 0x20)
        #expect(pair.master.isInterrupting)
        pair.set(5, false)
        #expect(!pair.master.isInterrupting)
    }

    @Test func initializationClearsMaskAndEdges() {
        let pair = ControllerPair()
        pair.write(0xAA, 0x21)
        pair.set(6, true)
        pair.write(0x11, 0x20)
        #expect(!pair.master.isInterrupting)
        for value: UInt32 in [0x40, 0x04, 0x01] { pair.write(value, 0x21) }
        #expect(pair.master.read(0x21, width: .byte) == 0)
        #expect(!pair.master.isInterrupting, "an input that is high already needs a new edge")
        pair.set(6, false)
        pair.set(6, true)
        #expect(pair.master.acknowledge() == 0x46)
    }

    @Test func automaticEOILeavesNothingInService() {
        let pair = ControllerPair(masterICW4: 0x03)
        pair.set(4, true)
        pair.set(6, true)
        #expect(pair.master.acknowledge() == 0x24)
        #expect(pair.inService(pair.master, 0x20) == 0)
        #expect(pair.master.acknowledge() == 0x26)
    }

    @Test func rotationGivesTheServicedInputTheLowestPriority() {
        let pair = ControllerPair()
        pair.set(3, true)
        #expect(pair.master.acknowledge() == 0x23)
        pair.write(0xA0, 0x20)
        pair.set(3, false)
        pair.set(3, true)
        pair.set(4, true)
        #expect(pair.master.acknowledge() == 0x24)
    }

    @Test func rotationInAutomaticEOIMode() {
        let pair = ControllerPair(masterICW4: 0x03)
        pair.write(0x80, 0x20)
        pair.set(0, true)
        pair.set(1, true)
        #expect(pair.master.acknowledge() == 0x20)
        pair.set(0, false)
        pair.set(0, true)
        #expect(pair.master.acknowledge() == 0x21)
        #expect(pair.master.acknowledge() == 0x20)
    }

    @Test func setPriorityAndSpecificEOI() {
        let pair = ControllerPair()
        pair.write(0xC0 | 4, 0x20)
        pair.set(5, true)
        pair.set(0, true)
        #expect(pair.master.acknowledge() == 0x25, "5 follows the lowest priority 4, so it is first")
        pair.write(0x60 | 5, 0x20)
        #expect(pair.master.acknowledge() == 0x20)
    }

    @Test func specialMaskModeLetsLowerPrioritiesThrough() {
        let pair = ControllerPair()
        pair.set(1, true)
        #expect(pair.master.acknowledge() == 0x21)
        pair.set(6, true)
        pair.write(0x02, 0x21)
        #expect(!pair.master.isInterrupting)
        pair.write(0x68, 0x20)
        #expect(pair.master.acknowledge() == 0x26)
        pair.write(0x20, 0x20)
        #expect(pair.inService(pair.master, 0x20) == 0x02, "the masked level is not ended by a non-specific EOI")
    }

    @Test func specialFullyNestedModeAcceptsASecondRequestOfTheSlave() {
        for (icw4, nests): (UInt32, Bool) in [(0x01, false), (0x11, true)] {
            let pair = ControllerPair(masterICW4: icw4)
            pair.set(12, true)
            #expect(pair.master.acknowledge() == 0x2C)
            pair.set(9, true)
            #expect(pair.master.isInterrupting == nests)
        }
    }

    @Test func pollAcknowledgesWithoutAVector() {
        let pair = ControllerPair()
        pair.write(0x0C, 0x20)
        #expect(pair.master.read(0x20, width: .byte) == 0)
        pair.set(6, true)
        pair.write(0x0C, 0x20)
        #expect(pair.master.read(0x20, width: .byte) == 0x86)
        #expect(pair.inService(pair.master, 0x20) == 0x40)
    }

    @Test func without8086ModeTheVectorIsTheLowAddressOfTheCall() {
        let chip = Intel8259A(commandPort: 0x20, edgeLevelPort: 0x4D0, edgeLevelMask: 0xF8)
        chip.write(0x16 | 0xA0, to: 0x20, width: .byte)
        chip.write(0x00, to: 0x21, width: .byte)
        chip.setInput(3, true)
        #expect(chip.acknowledge() == 0xAC)
    }
}
