/// An MC146818 real-time clock with 256 bytes of battery-backed memory, the "CMOS" of a PC.
///
/// Motorola MC146818A datasheet; the upper 128 bytes at ports 0x72 and 0x73 as in the PIIX3. The calendar starts at the
/// date given and runs in guest time. Bytes 0x00 to 0x09 are the calendar, 0x0A to 0x0D the registers A to D, 0x32 the
/// century.
package final class MC146818: BusDevice {
    /// Everything the chip remembers.
    package struct State: Codable, Equatable, Sendable {
        package var index: UInt8 = 0
        package var extendedIndex: UInt8 = 0
        /// All bytes; those of registers C and D are not used.
        package var memory: [UInt8]
        /// The alarm and update-ended flags of register C.
        package var flags: UInt8 = 0
        /// When the divider chain last came out of reset.
        package var dividerStart: UInt64 = 0
        /// The periods that had passed when the periodic flag was last cleared.
        package var clearedPeriods: UInt64 = 0
        /// When the present second ends, `never` while the divider is held in reset.
        package var nextUpdate: UInt64
    }

    enum Register {
        static let a = 0x0A
        static let b = 0x0B
        static let c = 0x0C
        static let d = 0x0D
        static let century = 0x32
    }

    enum ControlB {
        static let hours24: UInt8 = 1 << 1
        static let binary: UInt8 = 1 << 2
        static let squareWave: UInt8 = 1 << 3
        static let updateInterrupt: UInt8 = 1 << 4
        static let alarmInterrupt: UInt8 = 1 << 5
        static let periodicInterrupt: UInt8 = 1 << 6
        static let set: UInt8 = 1 << 7
    }

    /// The ranges to attach the chip at.
    package static let ports: [ClosedRange<PortAddress>] = [0x70...0x73]

    private static let second: UInt64 = 1_000_000_000
    /// UIP is set 244 µs before an update, which takes 1,984 µs at 32.768 kHz.
    private static let updateInProgress: UInt64 = 244_000 + 1_984_000
    /// After a reset of the divider chain the first update comes half a second later.
    private static let firstUpdate: UInt64 = 500_000_000

    /// Everything the chip remembers; setting it arms the timers again.
    ///
    /// A memory of another size is refused.
    package var state: State {
        get { chip }
        set {
            guard newValue.memory.count == 256 else { return }
            chip = newValue
            schedule()
        }
    }

    /// Hears that the alarm went off, also when its interrupt is not enabled.
    package var alarmWentOff: () -> Void = {}

    var chip: State
    private let clock: VirtualClock
    private let interrupt: InterruptSource
    private let updateTimer: VirtualClock.Timer
    private let periodicTimer: VirtualClock.Timer

    /// Makes a chip that shows `date` now, in decimal digits and 24 hours; `interrupt` is IRQ 8.
    package init(date: CalendarDate, clock: VirtualClock, interrupt: InterruptSource) {
        self.clock = clock
        self.interrupt = interrupt
        chip = State(
            memory: Array(repeating: 0, count: 256), dividerStart: clock.now, nextUpdate: clock.now &+ Self.second)
        // 32.768 kHz, periodic rate 1,024 Hz; 24 hours in decimal digits.
        chip.memory[Register.a] = 0x26
        chip.memory[Register.b] = ControlB.hours24
        updateTimer = clock.makeTimer()
        periodicTimer = clock.makeTimer()
        updateTimer.action = { [weak self] in self?.secondEnded() }
        periodicTimer.action = { [weak self] in self?.update() }
        store(date)
        schedule()
    }

    /// Lets the clock know whether an interrupt of the chip's would get through, and whether `alarmWentOff` would come
    /// to anything.
    package func setAwaited(interrupt: @escaping () -> Bool, alarm: @escaping () -> Bool) {
        periodicTimer.isAwaited = interrupt
        updateTimer.isAwaited = { [weak self] in
            let interrupts = ControlB.alarmInterrupt | ControlB.updateInterrupt
            return (self?.chip.memory[Register.b] ?? 0) & interrupts != 0 && interrupt() || alarm()
        }
    }

    /// Takes RESET#: interrupts are off and their flags clear; the calendar goes on, memory stays.
    package func reset() {
        let interrupts = ControlB.periodicInterrupt | ControlB.alarmInterrupt | ControlB.updateInterrupt
        chip.memory[Register.b] &= ~(interrupts | ControlB.squareWave)
        chip.flags = 0
        chip.clearedPeriods = periods
        update()
    }

    /// Sets a byte of the memory as the firmware does, without the effects of a guest's write.
    package func setMemory(_ index: Int, _ value: UInt8) {
        guard chip.memory.indices.contains(index) else { return }
        chip.memory[index] = value
    }

    // MARK: Time

    private var isDividerRunning: Bool { chip.memory[Register.a] >> 4 & 7 == 0b010 }
    private var isSet: Bool { chip.memory[Register.b] & ControlB.set != 0 }

    /// The length of a period in nanoseconds times 32,768; nil if none is selected.
    private var periodTicks: UInt64? {
        let rate = UInt64(chip.memory[Register.a] & 0x0F)
        switch rate {
        case 0: return nil
        case 1, 2: return 1 << (rate + 6)
        default: return 1 << (rate - 1)
        }
    }

    private static let crystal = Frequency(hertz: 32_768)

    /// The periods that have passed since the divider chain started.
    private var periods: UInt64 {
        guard isDividerRunning, let periodTicks else { return 0 }
        return Self.crystal.ticks(in: clock.now &- chip.dividerStart) / periodTicks
    }

    private var periodicFlag: Bool { periods > chip.clearedPeriods }

    private func secondEnded() {
        let isHeld = isSet
        chip.nextUpdate &+= Self.second
        if !isHeld {
            advanceSecond()
            chip.flags |= 0x10
            if isAlarm {
                chip.flags |= 0x20
                alarmWentOff()
            }
        }
        update()
    }

    private var isUpdating: Bool {
        guard chip.nextUpdate != VirtualClock.never, !isSet else { return false }
        return chip.nextUpdate &- clock.now <= Self.updateInProgress
    }

    private func update() {
        interrupt.set(registerC & 0x80 != 0)
        schedule()
    }

    private func schedule() {
        updateTimer.arm(at: chip.nextUpdate)
        let interruptsPeriodically = chip.memory[Register.b] & ControlB.periodicInterrupt != 0
        guard interruptsPeriodically, isDividerRunning, !periodicFlag, let periodTicks else {
            return periodicTimer.cancel()
        }
        let next = Self.crystal.nanoseconds(for: (periods &+ 1) &* periodTicks)
        periodicTimer.arm(at: chip.dividerStart &+ next)
    }

    // MARK: Registers

    private var registerC: UInt8 {
        let flags = chip.flags | (periodicFlag ? 0x40 : 0)
        return flags & chip.memory[Register.b] & 0x70 != 0 ? flags | 0x80 : flags
    }

    private func readRegister(_ index: Int) -> UInt8 {
        switch index {
        case Register.a: return chip.memory[Register.a] & 0x7F | (isUpdating ? 0x80 : 0)
        case Register.c:
            let value = registerC
            chip.flags = 0
            chip.clearedPeriods = periods
            update()
            return value
        // VRT: the battery is good.
        case Register.d: return 0x80
        default: return chip.memory[index & 0xFF]
        }
    }

    private func writeRegister(_ index: Int, _ value: UInt8) {
        switch index {
        case Register.a: writeA(value)
        case Register.b:
            let setsNow = value & ~chip.memory[Register.b] & ControlB.set != 0
            // Setting SET clears the update-ended interrupt enable.
            chip.memory[Register.b] = setsNow ? value & ~ControlB.updateInterrupt : value
        case Register.c, Register.d: return
        default: chip.memory[index & 0xFF] = value
        }
        update()
    }

    private func writeA(_ value: UInt8) {
        let wasRunning = isDividerRunning
        let pending = periodicFlag
        chip.memory[Register.a] = value & 0x7F
        if isDividerRunning, !wasRunning {
            chip.dividerStart = clock.now
            chip.nextUpdate = clock.now &+ Self.firstUpdate
        } else if !isDividerRunning {
            chip.nextUpdate = VirtualClock.never
        }
        // A flag that was set stays set under the new rate; it cannot be older than the first period.
        chip.clearedPeriods = pending && periods > 0 ? periods - 1 : periods
    }

    package func read(_ port: PortAddress, width: AccessWidth) -> UInt32 {
        switch port.rawValue & 3 {
        case 1: UInt32(readRegister(Int(chip.index & 0x7F)))
        case 2: UInt32(chip.extendedIndex)
        case 3: UInt32(chip.memory[Int(chip.extendedIndex) | 0x80])
        // The index is write-only.
        default: 0xFF
        }
    }

    package func write(_ value: UInt32, to port: PortAddress, width: AccessWidth) {
        let byte = UInt8(truncatingIfNeeded: value)
        switch port.rawValue & 3 {
        // Bit 7 masks the NMI, which nothing raises here but the machine's own button.
        case 0: chip.index = byte
        case 1: writeRegister(Int(chip.index & 0x7F), byte)
        case 2: chip.extendedIndex = byte & 0x7F
        default: chip.memory[Int(chip.extendedIndex) | 0x80] = byte
        }
    }
}
