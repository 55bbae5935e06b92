/// A high precision event timer with three comparators.
///
/// IA-PC HPET Specification 1.0a. The main counter is 64 bits wide and runs at 100 MHz; every comparator can be
/// periodic and 64-bit; interrupts go by wires (no FSB delivery).
package final class HPET: BusDevice {
    /// One comparator.
    package struct Comparator: Codable, Equatable, Sendable {
        package var configuration: UInt64 = 0
        package var comparator = UInt64.max
        package var period: UInt64 = 0
        /// Whether the next write to the comparator sets the accumulator of a periodic one (Tn_VAL_SET_CNF).
        package var setsAccumulator = false
        /// The next count that matches; nil while none is waited for.
        package var nextMatch: UInt64?
    }

    /// Everything the chip remembers.
    package struct State: Codable, Equatable, Sendable {
        package var configuration: UInt64 = 0
        package var interruptStatus: UInt64 = 0
        /// The main counter while it is halted; while it runs, what is to be added to the ticks since power-on.
        package var counterOffset: UInt64 = 0
        package var comparators = Array(repeating: Comparator(), count: HPET.comparatorCount)
    }

    private enum General {
        static let enabled: UInt64 = 1 << 0
        static let legacyReplacement: UInt64 = 1 << 1
    }

    private enum Timer {
        static let levelTriggered: UInt64 = 1 << 1
        static let interruptEnabled: UInt64 = 1 << 2
        static let periodic: UInt64 = 1 << 3
        static let periodicCapable: UInt64 = 1 << 4
        static let wideCapable: UInt64 = 1 << 5
        static let setsValue: UInt64 = 1 << 6
        static let narrow: UInt64 = 1 << 8
        static let writable: UInt64 = levelTriggered | interruptEnabled | periodic | narrow | 0x3E00
    }

    /// The number of comparators.
    package static let comparatorCount = 3
    /// The rate of the main counter.
    package static let frequency = Frequency(hertz: 100_000_000)
    /// The registers on a PC.
    package static let range: ClosedRange<MemoryAddress> = 0xFED0_0000...0xFED0_03FF
    /// The event timer block ID of the ACPI table, the low half of the capabilities.
    package static let blockIdentifier: UInt32 = 0x8086_A201
    /// The I/O APIC pins that a comparator can drive, a bit for each.
    package static let routablePins: UInt32 = 0x00F0_0000

    private static let femtosecondsPerTick: UInt64 = 10_000_000

    /// Everything the chip remembers; a state with another number of comparators is refused.
    package var state: State {
        get { chip }
        set {
            guard newValue.comparators.count == Self.comparatorCount else { return }
            chip = newValue
            schedule()
        }
    }

    /// Hears when the chip takes over, or gives back, the interrupts of the 8254 and the calendar.
    package var legacyReplacementChanged: (Bool) -> Void = { _ in }

    private var chip = State()
    private let clock: VirtualClock
    private let timers: [VirtualClock.Timer]
    private let legacyLines: [InterruptSource]
    private let pins: [Int: InterruptSource]

    /// Makes a chip.
    ///
    /// - Parameters:
    ///   - clock: guest time.
    ///   - legacyLines: IRQ 0 and IRQ 8, for comparators 0 and 1 in legacy replacement mode.
    ///   - pins: the lines of the I/O APIC pins in `routablePins`.
    package init(clock: VirtualClock, legacyLines: [InterruptSource], pins: [Int: InterruptSource]) {
        self.clock = clock
        self.legacyLines = legacyLines
        self.pins = pins
        timers = (0..<Self.comparatorCount).map { _ in clock.makeTimer() }
        for (index, timer) in timers.enumerated() {
            timer.action = { [weak self] in self?.comparatorMatched(index) }
        }
    }

    /// Returns to the state after RESET.
    package func reset() {
        let wasReplacing = isLegacyReplacing
        releaseLines()
        chip = State()
        schedule()
        if wasReplacing { legacyReplacementChanged(false) }
    }

    // MARK: Counter

    private var isRunning: Bool { chip.configuration & General.enabled != 0 }
    /// Whether comparators 0 and 1 own IRQ 0 and IRQ 8.
    package var isLegacyReplacing: Bool { chip.configuration & General.legacyReplacement != 0 }

    private var ticks: UInt64 { Self.frequency.ticks(in: clock.now) }

    /// The main counter.
    package var counter: UInt64 { isRunning ? ticks &+ chip.counterOffset : chip.counterOffset }

    private func mask(_ comparator: Comparator) -> UInt64 {
        comparator.configuration & Timer.narrow != 0 ? 0xFFFF_FFFF : .max
    }

    private func writeCounter(_ value: UInt64) {
        chip.counterOffset = isRunning ? value &- ticks : value
        restartComparators()
    }

    private func restartComparators() {
        for index in chip.comparators.indices { restart(index) }
    }

    /// Finds the next match of a comparator after what it compares with has changed.
    private func restart(_ index: Int) {
        let comparator = chip.comparators[index]
        let mask = mask(comparator)
        // The counter matches when it next becomes equal; it does so after a wrap if it has passed.
        let distance = (comparator.comparator &- counter) & mask
        chip.comparators[index].nextMatch =
            distance == 0 && isRunning ? wrapped(counter, mask) : counter.addingIfFits(distance)
        schedule(index)
    }

    /// One whole turn of a 32-bit counter; a 64-bit one never comes round.
    private func wrapped(_ counter: UInt64, _ mask: UInt64) -> UInt64? {
        mask == .max ? nil : counter.addingIfFits(mask + 1)
    }

    private func schedule() {
        for index in chip.comparators.indices { schedule(index) }
    }

    private func schedule(_ index: Int) {
        guard isRunning, let match = chip.comparators[index].nextMatch, hasEffect(index) else {
            return timers[index].cancel()
        }
        timers[index].arm(at: Self.frequency.nanoseconds(for: match &- chip.counterOffset))
    }

    /// A match does nothing to a one-shot comparator whose interrupt is off and whose status is not level-triggered.
    private func hasEffect(_ index: Int) -> Bool {
        let configuration = chip.comparators[index].configuration
        return configuration & (Timer.interruptEnabled | Timer.levelTriggered | Timer.periodic) != 0
    }

    private func comparatorMatched(_ index: Int) {
        let comparator = chip.comparators[index]
        guard let match = comparator.nextMatch else { return }
        let mask = mask(comparator)
        if comparator.configuration & Timer.periodic != 0, comparator.period != 0 {
            let next = match.addingIfFits(comparator.period)
            chip.comparators[index].nextMatch = next
            chip.comparators[index].comparator = (comparator.comparator &+ comparator.period) & mask
        } else {
            chip.comparators[index].nextMatch = wrapped(match, mask)
        }
        interrupt(index)
        schedule(index)
    }

    // MARK: Interrupts

    /// The line that a comparator drives.
    private func line(_ index: Int) -> InterruptSource? {
        if isLegacyReplacing, index < legacyLines.count { return legacyLines[index] }
        return pins[Int(chip.comparators[index].configuration >> 9 & 0x1F)]
    }

    private func interrupt(_ index: Int) {
        let configuration = chip.comparators[index].configuration
        let isEnabled = configuration & Timer.interruptEnabled != 0
        if configuration & Timer.levelTriggered != 0 {
            chip.interruptStatus |= 1 << UInt64(index)
            if isEnabled { line(index)?.set(true) }
        } else if isEnabled {
            line(index)?.raiseEdge()
        }
    }

    private func releaseLines() {
        for index in chip.comparators.indices { line(index)?.set(false) }
    }

    /// Drives the lines of level-triggered comparators from the status register.
    private func updateLevels() {
        for index in chip.comparators.indices {
            let configuration = chip.comparators[index].configuration
            let isLevel = configuration & Timer.levelTriggered != 0
            let isPending = chip.interruptStatus >> UInt64(index) & 1 == 1
            if isLevel, isPending, configuration & Timer.interruptEnabled != 0 { line(index)?.set(true) }
        }
    }

    // MARK: Registers

    /// Reads one of the 64-bit registers.
    private func readRegister(_ offset: UInt64) -> UInt64 {
        switch offset {
        // Legacy replacement and 64-bit counter capable, three timers, revision 1.
        case 0x000: return Self.femtosecondsPerTick << 32 | UInt64(Self.blockIdentifier)
        case 0x010: return chip.configuration
        case 0x020: return chip.interruptStatus
        case 0x0F0: return counter
        default: break
        }
        guard let index = comparatorIndex(offset) else { return 0 }
        switch offset & 0x1F {
        case 0x00:
            return UInt64(Self.routablePins) << 32 | Timer.periodicCapable | Timer.wideCapable
                | chip.comparators[index].configuration
        case 0x08: return chip.comparators[index].comparator
        default: return 0
        }
    }

    private func comparatorIndex(_ offset: UInt64) -> Int? {
        guard offset >= 0x100 else { return nil }
        let index = Int(truncatingIfNeeded: (offset - 0x100) / 0x20)
        return index < Self.comparatorCount ? index : nil
    }

    /// Writes the bits of `mask` in one of the 64-bit registers.
    private func writeRegister(_ offset: UInt64, _ value: UInt64, mask: UInt64) {
        let merged = readRegister(offset) & ~mask | (value & mask)
        switch offset {
        case 0x010: return writeConfiguration(merged)
        case 0x020:
            // Writing ones clears level-triggered status.
            let cleared = value & mask & chip.interruptStatus
            chip.interruptStatus &= ~cleared
            for index in chip.comparators.indices where cleared >> UInt64(index) & 1 == 1 { line(index)?.set(false) }
            return
        case 0x0F0: return writeCounter(merged)
        default: break
        }
        guard let index = comparatorIndex(offset) else { return }
        switch offset & 0x1F {
        case 0x00: writeTimerConfiguration(index, merged, setsValue: value & mask & Timer.setsValue != 0)
        case 0x08: writeComparator(index, value, bits: mask)
        default: break
        }
    }

    private func writeConfiguration(_ value: UInt64) {
        let configuration = value & (General.enabled | General.legacyReplacement)
        let changes = configuration ^ chip.configuration
        if changes & General.legacyReplacement != 0 { releaseLines() }
        let counter = counter
        chip.configuration = configuration
        if changes & General.enabled != 0 { writeCounter(counter) }
        if changes & General.legacyReplacement != 0 { legacyReplacementChanged(isLegacyReplacing) }
        updateLevels()
    }

    private func writeTimerConfiguration(_ index: Int, _ value: UInt64, setsValue: Bool) {
        line(index)?.set(false)
        var configuration = value & Timer.writable
        // A route that the capabilities do not list reads back as zero.
        let pin = configuration >> 9 & 0x1F
        if Self.routablePins >> UInt32(pin) & 1 == 0 { configuration &= ~0x3E00 }
        chip.comparators[index].configuration = configuration
        chip.comparators[index].setsAccumulator = setsValue && configuration & Timer.periodic != 0
        chip.comparators[index].comparator &= mask(chip.comparators[index])
        restart(index)
        updateLevels()
    }

    private func writeComparator(_ index: Int, _ value: UInt64, bits: UInt64) {
        let mask = mask(chip.comparators[index])
        if chip.comparators[index].configuration & Timer.periodic != 0 {
            // The first write after Tn_VAL_SET_CNF sets the comparator as well, the others only the period.
            let period = chip.comparators[index].period & ~bits | (value & bits)
            chip.comparators[index].period = period & mask
            guard chip.comparators[index].setsAccumulator else { return }
            chip.comparators[index].setsAccumulator = false
        }
        let comparator = chip.comparators[index].comparator & ~bits | (value & bits)
        chip.comparators[index].comparator = comparator & mask
        restart(index)
    }

    package func read(_ address: MemoryAddress, width: AccessWidth) -> UInt64 {
        let offset = address.rawValue & 0x3FF
        return readRegister(offset & ~7) >> ((offset & 7) * 8)
    }

    package func write(_ value: UInt64, to address: MemoryAddress, width: AccessWidth) {
        let offset = address.rawValue & 0x3FF
        let shift = (offset & 7) * 8
        // An access that is not aligned would touch two registers.
        guard offset & UInt64(width.rawValue - 1) == 0 else { return }
        writeRegister(offset & ~7, value << shift, mask: width.allOnes << shift)
    }
}

extension UInt64 {
    /// The sum, nil if it does not fit.
    fileprivate func addingIfFits(_ other: UInt64) -> UInt64? {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? nil : sum
    }
}
