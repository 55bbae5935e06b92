/// A 16550A universal asynchronous receiver/transmitter as a PC's serial port.
///
/// National Semiconductor PC16550D datasheet. On a PC the output OUT2 gates the interrupt. The other end keeps CTS, DSR
/// and DCD asserted and sends only while the receiver has room, so input is never overrun from outside.
package final class UART16550A: BusDevice {
    /// How long a character takes.
    package enum Timing: String, Hashable, Codable, Sendable {
        /// As long as divisor and frame say.
        case baudRate
        /// No time: the transmitter is empty again at once, and input arrives as soon as there is room.
        case instantaneous
    }

    /// A character in the receive FIFO with the errors that the line status shows for it.
    package struct ReceivedCharacter: Codable, Equatable, Sendable {
        package var byte: UInt8
        package var errors: UInt8
    }

    /// A character that has not arrived yet.
    package struct StampedCharacter: Codable, Equatable, Sendable {
        package var byte: UInt8
        package var time: UInt64
    }

    /// Everything the chip remembers.
    package struct State: Codable, Equatable, Sendable {
        package var interruptEnable: UInt8 = 0
        package var fifoControl: UInt8 = 0
        package var lineControl: UInt8 = 0
        package var modemControl: UInt8 = 0
        package var modemDeltas: UInt8 = 0
        package var scratch: UInt8 = 0
        package var divisor: UInt16 = 0
        package var received: [ReceivedCharacter] = []
        package var hasOverrun = false
        /// What waits for the shift register, and what is in it.
        package var transmitQueue: [UInt8] = []
        package var shiftRegister: UInt8?
        package var transmitterEmptyPending = false
        package var receiveTimeoutPending = false
        /// Characters from outside, the next to arrive first.
        package var input: [StampedCharacter] = []
        /// When the line is free for the next character.
        package var nextArrival: UInt64 = 0
        package var transmitDone = VirtualClock.never
        package var receiveTimeout = VirtualClock.never
    }

    enum LineStatus {
        static let dataReady: UInt8 = 1 << 0
        static let overrun: UInt8 = 1 << 1
        static let framingError: UInt8 = 1 << 3
        static let breakReceived: UInt8 = 1 << 4
        static let holdingEmpty: UInt8 = 1 << 5
        static let transmitterEmpty: UInt8 = 1 << 6
        static let fifoError: UInt8 = 1 << 7
    }

    enum ModemControl {
        static let out2: UInt8 = 1 << 3
        static let loopback: UInt8 = 1 << 4
    }

    private static let fifoSize = 16
    /// The crystal's rate, 16 times the highest baud rate.
    private static let crystal: UInt64 = 1_843_200

    /// Takes each transmitted byte.
    package var transmit: (UInt8) -> Void = { _ in }

    /// Everything the chip remembers; setting it arms the timers again.
    package var state: State {
        get { chip }
        set {
            chip = newValue
            schedule()
        }
    }

    private var chip = State()
    private let base: PortAddress
    private let timing: Timing
    private let clock: VirtualClock
    private let interrupt: InterruptSource
    private let transmitTimer: VirtualClock.Timer
    private let receiveTimer: VirtualClock.Timer
    private let timeoutTimer: VirtualClock.Timer

    /// Makes a chip with eight ports from `base`.
    package init(base: PortAddress, timing: Timing, clock: VirtualClock, interrupt: InterruptSource) {
        self.base = base
        self.timing = timing
        self.clock = clock
        self.interrupt = interrupt
        transmitTimer = clock.makeTimer()
        receiveTimer = clock.makeTimer()
        timeoutTimer = clock.makeTimer()
        transmitTimer.action = { [weak self] in self?.characterSent() }
        receiveTimer.action = { [weak self] in self?.charactersArrive() }
        timeoutTimer.action = { [weak self] in self?.receiverTimedOut() }
    }

    /// The range to attach the chip at.
    package var ports: ClosedRange<PortAddress> { base...PortAddress(base.rawValue &+ 7) }

    /// Returns to the state after master reset; what is on its way from outside still arrives.
    package func reset() {
        let input = chip.input
        chip = State()
        chip.input = input
        update()
    }

    // MARK: Time

    /// The time of one character: start bit, data, parity and stop bits.
    private var characterTime: UInt64 {
        let dataBits = UInt64(chip.lineControl & 3) + 5
        let parityBits: UInt64 = chip.lineControl & 0x08 != 0 ? 1 : 0
        // Two stop bits, but one and a half with five data bits.
        let stopHalves: UInt64 = chip.lineControl & 0x04 == 0 ? 2 : dataBits == 5 ? 3 : 4
        let halves = 2 * (1 + dataBits + parityBits) + stopHalves
        let divisor = chip.divisor == 0 ? 65_536 : UInt64(chip.divisor)
        return halves * divisor * 8 * 1_000_000_000 / Self.crystal
    }

    /// Updates everything that follows from the registers: interrupt and timers.
    private func update() {
        interrupt.set(pendingInterrupt != nil && chip.modemControl & ModemControl.out2 != 0 && !isLooping)
        schedule()
    }

    private func schedule() {
        transmitTimer.arm(at: chip.transmitDone)
        timeoutTimer.arm(at: chip.receiveTimeout)
        guard let next = chip.input.first, hasRoom, !isLooping else { return receiveTimer.cancel() }
        receiveTimer.arm(at: timing == .instantaneous ? next.time : max(next.time, chip.nextArrival))
    }

    // MARK: Transmitter

    private var isFIFO: Bool { chip.fifoControl & 1 != 0 }
    private var isLooping: Bool { chip.modemControl & ModemControl.loopback != 0 }

    private func writeHolding(_ byte: UInt8) {
        chip.transmitterEmptyPending = false
        update()
        if !isFIFO {
            chip.transmitQueue = [byte]
        } else if chip.transmitQueue.count < Self.fifoSize {
            chip.transmitQueue.append(byte)
        }
        if chip.shiftRegister == nil { loadShiftRegister() }
        update()
    }

    private func loadShiftRegister() {
        while !chip.transmitQueue.isEmpty {
            let byte = chip.transmitQueue.removeFirst() & dataMask
            if chip.transmitQueue.isEmpty { chip.transmitterEmptyPending = true }
            if timing == .baudRate {
                chip.shiftRegister = byte
                chip.transmitDone = clock.now &+ characterTime
                return
            }
            emit(byte)
        }
    }

    private func characterSent() {
        chip.transmitDone = VirtualClock.never
        if let byte = chip.shiftRegister {
            chip.shiftRegister = nil
            emit(byte)
        }
        loadShiftRegister()
        update()
    }

    private func emit(_ byte: UInt8) {
        if isLooping { receive(byte, errors: 0) } else { transmit(byte) }
    }

    // MARK: Receiver

    private var dataMask: UInt8 { 0xFF >> (3 - (chip.lineControl & 3)) }
    private var hasRoom: Bool { chip.received.count < (isFIFO ? Self.fifoSize : 1) }
    private var triggerLevel: Int { isFIFO ? [1, 4, 8, 14][Int(chip.fifoControl >> 6)] : 1 }

    /// Lets bytes arrive from outside, the first at `time`, or at once if that has passed.
    package func enqueue(_ bytes: [UInt8], at time: UInt64) {
        let start = max(time, clock.now)
        chip.input += bytes.map { StampedCharacter(byte: $0, time: start) }
        schedule()
    }

    private func charactersArrive() {
        repeat {
            guard let next = chip.input.first, next.time <= clock.now, hasRoom, !isLooping else { break }
            chip.input.removeFirst()
            chip.nextArrival = clock.now &+ characterTime
            receive(next.byte & dataMask, errors: 0)
        } while timing == .instantaneous
        update()
    }

    private func receive(_ byte: UInt8, errors: UInt8) {
        if !hasRoom {
            chip.hasOverrun = true
            // The holding register is overwritten; a full FIFO keeps what it has.
            if isFIFO { return }
            chip.received = []
        }
        chip.received.append(ReceivedCharacter(byte: byte, errors: errors))
        restartTimeout()
    }

    /// The FIFO interrupts as well when nothing happened to it for four character times.
    private func restartTimeout() {
        let waits = isFIFO && !chip.received.isEmpty
        chip.receiveTimeout = waits ? clock.now &+ 4 &* characterTime : VirtualClock.never
    }

    private func receiverTimedOut() {
        chip.receiveTimeout = VirtualClock.never
        chip.receiveTimeoutPending = true
        update()
    }

    private func readBuffer() -> UInt8 {
        guard !chip.received.isEmpty else { return 0 }
        let byte = chip.received.removeFirst().byte
        chip.receiveTimeoutPending = false
        restartTimeout()
        update()
        return byte
    }

    // MARK: Interrupts

    /// The interrupt of the highest priority as the identification register shows it; nil if none is pending.
    private var pendingInterrupt: UInt8? {
        let enabled = chip.interruptEnable
        if enabled & 0x04 != 0, chip.hasOverrun || (chip.received.first?.errors ?? 0) != 0 { return 0x06 }
        if enabled & 0x01 != 0, chip.received.count >= triggerLevel { return 0x04 }
        if enabled & 0x01 != 0, chip.receiveTimeoutPending { return 0x0C }
        if enabled & 0x02 != 0, chip.transmitterEmptyPending { return 0x02 }
        if enabled & 0x08 != 0, chip.modemDeltas != 0 { return 0x00 }
        return nil
    }

    private func readIdentification() -> UInt8 {
        let pending = pendingInterrupt
        if pending == 0x02 {
            chip.transmitterEmptyPending = false
            update()
        }
        return (pending ?? 0x01) | (isFIFO ? 0xC0 : 0)
    }

    // MARK: Modem

    /// The levels of CTS, DSR, RI and DCD in bits 4 to 7.
    private var modemInputs: UInt8 {
        guard isLooping else { return 0xB0 }
        let control = chip.modemControl
        return (control & 0x02) << 3 | (control & 0x01) << 5 | (control & 0x04) << 4 | (control & 0x08) << 4
    }

    private func writeModemControl(_ value: UInt8) {
        let before = modemInputs
        chip.modemControl = value & 0x1F
        let changes = (before ^ modemInputs) >> 4
        // The delta of RI shows its trailing edge only.
        let ringEnded = before & 0x40 != 0 && modemInputs & 0x40 == 0
        chip.modemDeltas |= changes & 0x0B | (ringEnded ? 0x04 : 0)
        update()
    }

    // MARK: Ports

    private var divisorAccess: Bool { chip.lineControl & 0x80 != 0 }

    private func readLineStatus() -> UInt8 {
        var status: UInt8 = 0
        if let first = chip.received.first { status |= LineStatus.dataReady | first.errors }
        if chip.hasOverrun { status |= LineStatus.overrun }
        if chip.transmitQueue.isEmpty { status |= LineStatus.holdingEmpty }
        if chip.transmitQueue.isEmpty, chip.shiftRegister == nil { status |= LineStatus.transmitterEmpty }
        if isFIFO, chip.received.contains(where: { $0.errors != 0 }) { status |= LineStatus.fifoError }
        chip.hasOverrun = false
        if !chip.received.isEmpty { chip.received[0].errors = 0 }
        update()
        return status
    }

    package func read(_ port: PortAddress, width: AccessWidth) -> UInt32 {
        switch port.rawValue &- base.rawValue {
        case 0: return UInt32(divisorAccess ? UInt8(truncatingIfNeeded: chip.divisor) : readBuffer())
        case 1: return UInt32(divisorAccess ? UInt8(chip.divisor >> 8) : chip.interruptEnable)
        case 2: return UInt32(readIdentification())
        case 3: return UInt32(chip.lineControl)
        case 4: return UInt32(chip.modemControl)
        case 5: return UInt32(readLineStatus())
        case 6:
            let status = modemInputs | chip.modemDeltas
            chip.modemDeltas = 0
            update()
            return UInt32(status)
        default: return UInt32(chip.scratch)
        }
    }

    package func write(_ value: UInt32, to port: PortAddress, width: AccessWidth) {
        let byte = UInt8(truncatingIfNeeded: value)
        switch port.rawValue &- base.rawValue {
        case 0 where divisorAccess: chip.divisor = chip.divisor & 0xFF00 | UInt16(byte)
        case 0: writeHolding(byte)
        case 1 where divisorAccess: chip.divisor = chip.divisor & 0x00FF | UInt16(byte) << 8
        case 1: writeInterruptEnable(byte)
        case 2: writeFIFOControl(byte)
        case 3: writeLineControl(byte)
        case 4: writeModemControl(byte)
        case 7: chip.scratch = byte
        default: break  // Line and modem status are read-only.
        }
    }

    private func writeInterruptEnable(_ byte: UInt8) {
        let newlyEnabled = byte & ~chip.interruptEnable
        chip.interruptEnable = byte & 0x0F
        // Enabling the interrupt of an empty transmitter raises it.
        if newlyEnabled & 0x02 != 0, chip.transmitQueue.isEmpty { chip.transmitterEmptyPending = true }
        update()
    }

    private func writeFIFOControl(_ byte: UInt8) {
        let switches = (byte ^ chip.fifoControl) & 1 != 0
        // The other bits count only while bit 0 is written as one; the clear bits clear themselves.
        chip.fifoControl = byte & 1 != 0 ? byte & 0xC9 : 0
        if switches || byte & 0x03 == 0x03 {
            chip.received = []
            chip.receiveTimeoutPending = false
            restartTimeout()
        }
        if switches || byte & 0x05 == 0x05, !chip.transmitQueue.isEmpty {
            chip.transmitQueue = []
            chip.transmitterEmptyPending = true
        }
        update()
    }

    private func writeLineControl(_ byte: UInt8) {
        let beginsBreak = byte & ~chip.lineControl & 0x40 != 0
        chip.lineControl = byte
        if beginsBreak, isLooping { receive(0, errors: LineStatus.breakReceived | LineStatus.framingError) }
        update()
    }
}
