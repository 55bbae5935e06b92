/// The 8042 keyboard controller of a PC with a keyboard and a mouse.
///
/// IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller". The output port's bits
/// are the processor's reset and address line 20. Replies are in the output buffer at once.
package final class Intel8042: BusDevice {
    /// A byte in the output buffer, and which device it is from.
    package struct Output: Codable, Equatable, Sendable {
        package var byte: UInt8
        package var isAuxiliary: Bool
    }

    /// Everything the chip and its devices remember.
    package struct State: Codable, Equatable, Sendable {
        package var commandByte: UInt8 = 0x03
        /// The controller's memory behind the command byte.
        package var memory = [UInt8](repeating: 0, count: 32)
        package var outputPort: UInt8 = 0xCF
        /// The command whose data byte comes next.
        package var awaitedData: UInt8?
        package var lastWriteWasCommand = false
        /// The output buffer, and what waits for it: the controller's replies go before what the devices have sent.
        package var output: Output?
        package var replies: [Output] = []
        package var keyboardQueue: [UInt8] = []
        package var mouseQueue: [UInt8] = []
        package var lastData: UInt8 = 0
        /// Whether the next code of the keyboard is the release of a key, in translation.
        package var translatesRelease = false
        package var keyboard = PS2Keyboard()
        package var mouse = PS2Mouse()
    }

    private enum CommandByte {
        static let keyboardInterrupt: UInt8 = 1 << 0
        static let auxiliaryInterrupt: UInt8 = 1 << 1
        static let systemFlag: UInt8 = 1 << 2
        static let keyboardDisabled: UInt8 = 1 << 4
        static let auxiliaryDisabled: UInt8 = 1 << 5
        static let translates: UInt8 = 1 << 6
    }

    private enum OutputPort {
        /// Low while the processor is held in reset.
        static let notReset: UInt8 = 1 << 0
        static let a20: UInt8 = 1 << 1
    }

    /// The range to attach the chip at: data and command.
    package static let ports: [ClosedRange<PortAddress>] = [0x60...0x60, 0x64...0x64]

    private static let dataPort: PortAddress = 0x60
    /// A keyboard's own buffer; further codes are lost.
    private static let capacity = 32

    /// Everything the chip and its devices remember; a memory of another size is refused.
    package var state: State {
        get { chip }
        set { if newValue.memory.count == 32 { chip = newValue } }
    }

    /// Hears that the guest resets the processor.
    package var resetRequested: () -> Void = {}
    /// Hears that the output port's line for address line 20 has changed.
    package var a20Changed: () -> Void = {}

    private var chip = State()
    private let keyboardInterrupt: InterruptSource
    private let auxiliaryInterrupt: InterruptSource

    /// Makes a chip that drives IRQ 1 and IRQ 12.
    package init(keyboardInterrupt: InterruptSource, auxiliaryInterrupt: InterruptSource) {
        self.keyboardInterrupt = keyboardInterrupt
        self.auxiliaryInterrupt = auxiliaryInterrupt
    }

    /// Returns to the state after RESET, with address line 20 on.
    package func reset() {
        chip = State()
        update()
        a20Changed()
    }

    /// Whether the output port asks for address line 20.
    package var enablesA20: Bool { chip.outputPort & OutputPort.a20 != 0 }

    /// Lets the keyboard send scan codes of set 2, unless the guest has switched it off.
    package func sendKeyboard(_ codes: [UInt8]) {
        guard chip.keyboard.isScanning else { return }
        for code in codes { enqueueKeyboard(code) }
        update()
    }

    // MARK: Output buffer

    private func reply(_ byte: UInt8, isAuxiliary: Bool = false) {
        guard chip.replies.count < Self.capacity else { return }
        chip.replies.append(Output(byte: byte, isAuxiliary: isAuxiliary))
    }

    private func enqueueMouse(_ byte: UInt8) {
        if chip.mouseQueue.count < Self.capacity { chip.mouseQueue.append(byte) }
    }

    private func enqueueKeyboard(_ code: UInt8) {
        guard chip.keyboardQueue.count < Self.capacity else { return }
        guard chip.commandByte & CommandByte.translates != 0 else { return chip.keyboardQueue.append(code) }
        if code == 0xF0 {
            chip.translatesRelease = true
            return
        }
        chip.keyboardQueue.append(ScanCodeTranslation.set1(code) | (chip.translatesRelease ? 0x80 : 0))
        chip.translatesRelease = false
    }

    /// Fills the output buffer if it is empty, and drives the interrupts; bytes of a disabled device wait.
    private func update() {
        if chip.output == nil {
            if !chip.replies.isEmpty {
                chip.output = chip.replies.removeFirst()
            } else if chip.commandByte & CommandByte.keyboardDisabled == 0, !chip.keyboardQueue.isEmpty {
                chip.output = Output(byte: chip.keyboardQueue.removeFirst(), isAuxiliary: false)
            } else if chip.commandByte & CommandByte.auxiliaryDisabled == 0, !chip.mouseQueue.isEmpty {
                chip.output = Output(byte: chip.mouseQueue.removeFirst(), isAuxiliary: true)
            }
        }
        let enabled = chip.commandByte
        keyboardInterrupt.set(
            chip.output?.isAuxiliary == false && enabled & CommandByte.keyboardInterrupt != 0)
        auxiliaryInterrupt.set(
            chip.output?.isAuxiliary == true && enabled & CommandByte.auxiliaryInterrupt != 0)
    }

    private func readData() -> UInt8 {
        guard let output = chip.output else { return chip.lastData }
        chip.lastData = output.byte
        chip.output = nil
        // The interrupt falls with the read, so that the next byte is a new edge.
        keyboardInterrupt.set(false)
        auxiliaryInterrupt.set(false)
        update()
        return chip.lastData
    }

    private func readStatus() -> UInt8 {
        // Bit 4: the keyboard is not locked. The input buffer is always empty.
        var status: UInt8 = 0x10 | (chip.commandByte & CommandByte.systemFlag)
        if let output = chip.output { status |= output.isAuxiliary ? 0x21 : 0x01 }
        if chip.lastWriteWasCommand { status |= 0x08 }
        return status
    }

    // MARK: Ports

    package func read(_ port: PortAddress, width: AccessWidth) -> UInt32 {
        UInt32(port == Self.dataPort ? readData() : readStatus())
    }

    package func write(_ value: UInt32, to port: PortAddress, width: AccessWidth) {
        let byte = UInt8(truncatingIfNeeded: value)
        chip.lastWriteWasCommand = port != Self.dataPort
        if port != Self.dataPort {
            takeCommand(byte)
        } else if let command = chip.awaitedData {
            chip.awaitedData = nil
            takeData(byte, of: command)
        } else {
            chip.commandByte &= ~CommandByte.keyboardDisabled
            for code in chip.keyboard.receive(byte) { enqueueKeyboard(code) }
        }
        update()
    }

    private func takeCommand(_ command: UInt8) {
        chip.awaitedData = nil
        switch command {
        case 0x20: reply(chip.commandByte)
        case 0x21...0x3F: reply(chip.memory[Int(command & 0x1F)])
        case 0x60...0x7F, 0xD1...0xD4: chip.awaitedData = command
        case 0xA7: chip.commandByte |= CommandByte.auxiliaryDisabled
        case 0xA8: chip.commandByte &= ~CommandByte.auxiliaryDisabled
        // The tests of the two interfaces find no error, the self test gives 0x55.
        case 0xA9, 0xAB: reply(0x00)
        case 0xAA:
            chip.commandByte |= CommandByte.systemFlag
            reply(0x55)
        case 0xAD: chip.commandByte |= CommandByte.keyboardDisabled
        case 0xAE: chip.commandByte &= ~CommandByte.keyboardDisabled
        // The input port: the keyboard is not locked.
        case 0xC0: reply(0x80)
        case 0xD0: reply(chip.outputPort)
        case 0xE0: reply(0x00)
        // Pulses the output port's low bits that are zero; bit 0 is the processor's reset.
        case 0xF0...0xFF: if command & OutputPort.notReset == 0 { resetRequested() }
        default: break
        }
    }

    private func takeData(_ byte: UInt8, of command: UInt8) {
        switch command {
        case 0x60: chip.commandByte = byte
        case 0x61...0x7F: chip.memory[Int(command & 0x1F)] = byte
        case 0xD1:
            let changes = byte ^ chip.outputPort
            chip.outputPort = byte
            if changes & OutputPort.a20 != 0 { a20Changed() }
            if byte & OutputPort.notReset == 0 { resetRequested() }
        case 0xD2: reply(byte)
        case 0xD3: reply(byte, isAuxiliary: true)
        case 0xD4:
            chip.commandByte &= ~CommandByte.auxiliaryDisabled
            for reply in chip.mouse.receive(byte) { enqueueMouse(reply) }
        default: break
        }
    }
}

/// The controller's translation from scan code set 2 to set 1.
private enum ScanCodeTranslation {
    /// The codes of set 1 for 0x00 to 0x7F of set 2.
    // swift-format-ignore
    private static let table: [UInt8] = [
        0xFF, 0x43, 0x41, 0x3F, 0x3D, 0x3B, 0x3C, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3E, 0x0F, 0x29, 0x59,
        0x65, 0x38, 0x2A, 0x70, 0x1D, 0x10, 0x02, 0x5A, 0x66, 0x71, 0x2C, 0x1F, 0x1E, 0x11, 0x03, 0x5B,
        0x67, 0x2E, 0x2D, 0x20, 0x12, 0x05, 0x04, 0x5C, 0x68, 0x39, 0x2F, 0x21, 0x14, 0x13, 0x06, 0x5D,
        0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5E, 0x6A, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5F,
        0x6B, 0x33, 0x25, 0x17, 0x18, 0x0B, 0x0A, 0x60, 0x6C, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0C, 0x61,
        0x6D, 0x73, 0x28, 0x74, 0x1A, 0x0D, 0x62, 0x6E, 0x3A, 0x36, 0x1C, 0x1B, 0x75, 0x2B, 0x63, 0x76,
        0x55, 0x56, 0x77, 0x78, 0x79, 0x7A, 0x0E, 0x7B, 0x7C, 0x4F, 0x7D, 0x4B, 0x47, 0x7E, 0x7F, 0x6F,
        0x52, 0x53, 0x50, 0x4C, 0x4D, 0x48, 0x01, 0x45, 0x57, 0x4E, 0x51, 0x4A, 0x37, 0x49, 0x46, 0x54,
    ]

    static func set1(_ code: UInt8) -> UInt8 {
        switch code {
        case 0x83: 0x41
        case 0x84: 0x54
        case 0x80...: code
        default: table[Int(code)]
        }
    }
}
