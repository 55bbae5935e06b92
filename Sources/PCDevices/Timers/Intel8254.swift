/// The 8254 programmable interval timer and the system control port B (0x61) beside it.
///
/// Counter 0 is the system timer on IRQ 0, counter 1 was the memory refresh, counter 2 is the speaker's tone with its
/// gate and output at port 0x61. Intel 8254 datasheet (231164); port 0x61 as in the PIIX3 datasheet, "NMI Status and
/// Control Register".
package final class Intel8254: BusDevice {
    /// Everything the chip remembers.
    package struct State: Codable, Equatable, Sendable {
        package var counters = [
            Intel8254Counter(gate: true), Intel8254Counter(gate: true), Intel8254Counter(gate: false),
        ]
        /// The writable bits 0 to 3 of port 0x61.
        package var controlB: UInt8 = 0
    }

    /// The rate of the CLK inputs: the colour carrier of NTSC divided by three.
    package static let frequency = Frequency(hertz: 1_193_182)

    /// The ranges to attach the chip at.
    package static let ports: [ClosedRange<PortAddress>] = [0x40...0x43, 0x61...0x61]

    private static let controlPortB: PortAddress = 0x61
    /// The refresh bit toggles with each refresh cycle, every 15 microseconds, which are 18 pulses.
    private static let pulsesPerRefresh: UInt64 = 18

    /// Everything the chip remembers; a state with another number of counters is refused.
    package var state: State {
        get { chip }
        set {
            guard newValue.counters.count == 3 else { return }
            chip = newValue
            schedule()
        }
    }

    private var chip = State()
    private let clock: VirtualClock
    private let timer: VirtualClock.Timer
    private let interrupt: InterruptSource

    /// Makes a chip whose counter 0 drives `interrupt`.
    package init(clock: VirtualClock, interrupt: InterruptSource) {
        self.clock = clock
        self.interrupt = interrupt
        timer = clock.makeTimer()
        timer.action = { [weak self] in self?.timerFired() }
    }

    /// Lets the clock know whether an interrupt of the chip's would get through.
    package func setAwaited(interrupt: @escaping () -> Bool) { timer.isAwaited = interrupt }

    /// Returns to the state after power-on.
    package func reset() {
        let pulse = pulse
        chip = State()
        for index in chip.counters.indices { chip.counters[index].pulse = pulse }
        updateInterrupt()
        schedule()
    }

    /// Whether counter 2 drives the speaker at present.
    package var speakerOutput: Bool {
        var counter = chip.counters[2]
        counter.advance(to: pulse)
        return chip.controlB & 0x02 != 0 && counter.output
    }

    private var pulse: UInt64 { Self.frequency.ticks(in: clock.now) }

    private func advance() {
        let pulse = pulse
        for index in chip.counters.indices { chip.counters[index].advance(to: pulse) }
    }

    // MARK: Interrupt

    private func timerFired() {
        let isRate = chip.counters[0].mode == 2
        advance()
        // In mode 2 the output falls one pulse before it rises; both are done at the rise.
        if isRate { interrupt.raiseEdge() } else { updateInterrupt() }
        schedule()
    }

    private func updateInterrupt() {
        let counter = chip.counters[0]
        interrupt.set(counter.mode == 2 || counter.output)
    }

    private func schedule() {
        guard let change = chip.counters[0].nextChange else { return timer.cancel() }
        timer.arm(at: Self.frequency.nanoseconds(for: change))
    }

    // MARK: Ports

    package func read(_ port: PortAddress, width: AccessWidth) -> UInt32 {
        advance()
        if port == Self.controlPortB {
            let refresh: UInt8 = pulse / Self.pulsesPerRefresh & 1 == 1 ? 0x10 : 0
            return UInt32(chip.controlB | refresh | (chip.counters[2].output ? 0x20 : 0))
        }
        let index = Int(port.rawValue & 3)
        // The control register cannot be read.
        return index == 3 ? 0xFF : UInt32(chip.counters[index].read())
    }

    package func write(_ value: UInt32, to port: PortAddress, width: AccessWidth) {
        let byte = UInt8(truncatingIfNeeded: value)
        advance()
        if port == Self.controlPortB {
            chip.controlB = byte & 0x0F
            chip.counters[2].setGate(byte & 0x01 != 0)
            return
        }
        let index = Int(port.rawValue & 3)
        if index == 3 {
            writeControl(byte)
        } else {
            chip.counters[index].write(byte)
        }
        updateInterrupt()
        schedule()
    }

    private func writeControl(_ byte: UInt8) {
        let select = Int(byte >> 6)
        guard select != 3 else { return readBack(byte) }
        guard let access = Intel8254Counter.AccessMode(rawValue: byte >> 4 & 3) else {
            return chip.counters[select].latchCount()
        }
        chip.counters[select].program(access: access, mode: byte >> 1 & 7, isBCD: byte & 1 != 0)
    }

    /// The read-back command latches counts (bit 5 clear) and statuses (bit 4 clear) of several counters.
    private func readBack(_ byte: UInt8) {
        for index in chip.counters.indices where byte & (2 << UInt8(index)) != 0 {
            if byte & 0x20 == 0 { chip.counters[index].latchCount() }
            if byte & 0x10 == 0 { chip.counters[index].latchStatus() }
        }
    }
}
