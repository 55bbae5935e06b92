/// One of the three counters of an 8254, advanced in closed form from clock pulse to clock pulse.
///
/// Intel 8254 datasheet (order number 231164), "Mode Definitions". All times are counts of CLK pulses since power-on.
/// A count written, or a trigger, takes effect on the next pulse.
package struct Intel8254Counter: Codable, Equatable, Sendable {
    /// Which bytes of the count an access transfers.
    package enum AccessMode: UInt8, Codable, Sendable { case low = 1, high, lowThenHigh }

    package var mode: UInt8 = 0
    package var isBCD = false
    package var accessMode = AccessMode.lowThenHigh
    package var gate: Bool
    package var output = true
    /// The count register as written; 0 stands for the modulus.
    package var reload: UInt32 = 0
    /// The counting element; in mode 3 the pulses that remain of the half period.
    package var element: UInt32 = 0
    /// Whether a count has been written since the control word.
    package var hasCount = false
    /// Whether the counting element was loaded since the control word.
    package var isLoaded = false
    /// Whether the next pulse loads the counting element.
    package var loadsNext = false
    /// Whether the terminal count will still change the output (modes 0, 1, 4, 5).
    package var isArmed = false
    /// Whether the half period of mode 3 started from an odd count.
    package var isOddPeriod = false
    /// The status bit "null count".
    package var isNullCount = true
    /// Whether the first byte of two was written, which it is in `writtenLow`, or read.
    package var writesHighNext = false
    package var readsHighNext = false
    package var writtenLow: UInt8 = 0
    package var latchedCount: UInt16?
    package var latchedStatus: UInt8?
    /// The pulse that the other fields describe.
    package var pulse: UInt64 = 0

    /// Makes a counter that has not been programmed.
    package init(gate: Bool) { self.gate = gate }

    private var modulus: UInt32 { isBCD ? 10_000 : 65_536 }
    private var period: UInt32 { reload == 0 ? modulus : reload }

    private var isCounting: Bool {
        switch mode {
        case 0: gate && isLoaded && !writesHighNext
        case 2, 3, 4: gate && isLoaded
        default: isLoaded
        }
    }

    // MARK: Counting

    /// Lets the pulses up to `target` pass.
    package mutating func advance(to target: UInt64) {
        guard target > pulse else { return }
        var pulses = target - pulse
        pulse = target
        if loadsNext {
            load()
            pulses -= 1
        }
        guard pulses > 0, isCounting else { return }
        switch mode {
        case 2: countRate(pulses)
        case 3: countSquareWave(pulses)
        case 0, 1: countDown(pulses, strobes: false)
        default: countDown(pulses, strobes: true)
        }
    }

    private mutating func load() {
        loadsNext = false
        isLoaded = true
        isNullCount = false
        switch mode {
        case 0:
            element = period
            isArmed = true
        case 1:
            element = period
            output = false
            isArmed = true
        case 3:
            output = true
            beginHalfPeriod()
        case 2:
            element = period
            output = element != 1
        default:
            element = period
            isArmed = true
            output = true
        }
    }

    /// Modes 0, 1, 4 and 5: one event at the terminal count, then the count wraps.
    private mutating func countDown(_ pulses: UInt64, strobes: Bool) {
        let distance = UInt64(element == 0 ? modulus : element)
        if strobes {
            if isArmed, pulses >= distance {
                isArmed = false
                output = pulses != distance
            } else {
                output = true
            }
        } else if isArmed, pulses >= distance {
            isArmed = false
            output = true
        }
        let remainder = UInt32((pulses % UInt64(modulus)))
        element = (element &+ modulus &- remainder) % modulus
    }

    /// Mode 2: from the count down to 1, where the output is low for one pulse.
    private mutating func countRate(_ pulses: UInt64) {
        if pulses < UInt64(element) {
            element -= UInt32(pulses)
        } else {
            isNullCount = false
            element = period - UInt32((pulses - UInt64(element)) % UInt64(period))
        }
        output = element != 1
    }

    /// Mode 3: the output is high for the longer half of an odd count.
    private mutating func countSquareWave(_ pulses: UInt64) {
        guard pulses >= UInt64(element) else {
            element -= UInt32(pulses)
            return
        }
        var rest = pulses - UInt64(element)
        output.toggle()
        isNullCount = false
        beginHalfPeriod()
        let whole = UInt64(max(period, 2))
        if rest >= whole { rest %= whole }
        if rest >= UInt64(element) {
            rest -= UInt64(element)
            output.toggle()
            beginHalfPeriod()
        }
        element -= UInt32(rest)
    }

    private mutating func beginHalfPeriod() {
        let count = max(period, 2)
        isOddPeriod = count & 1 == 1
        element = output ? (count + 1) / 2 : count / 2
    }

    /// The pulse of the next change of the output, in mode 2 of its next rise; nil if none will come by itself.
    package var nextChange: UInt64? {
        let distance: UInt64?
        switch mode {
        case 2: distance = period == 1 ? nil : loadsNext ? UInt64(period) : isCounting ? UInt64(element) : nil
        case 3: distance = loadsNext ? UInt64((max(period, 2) + 1) / 2) : isCounting ? UInt64(element) : nil
        case 0, 1:
            if loadsNext {
                distance = mode == 1 || output || !gate ? 0 : UInt64(period)
            } else {
                distance = isCounting && isArmed ? UInt64(element == 0 ? modulus : element) : nil
            }
        default:
            if loadsNext {
                distance = output ? UInt64(period) : 0
            } else if !output {
                distance = 1
            } else {
                distance = isCounting && isArmed ? UInt64(element == 0 ? modulus : element) : nil
            }
        }
        return distance.map { pulse &+ $0 &+ (loadsNext ? 1 : 0) }
    }

    // MARK: Programming

    /// Takes the mode part of a control word; the counter waits for a count then.
    package mutating func program(access: AccessMode, mode: UInt8, isBCD: Bool) {
        accessMode = access
        // Modes 6 and 7 are 2 and 3: the highest bit does not matter there.
        self.mode = mode > 5 ? mode & 3 : mode
        self.isBCD = isBCD
        output = self.mode != 0
        hasCount = false
        isLoaded = false
        loadsNext = false
        isArmed = false
        isNullCount = true
        writesHighNext = false
        readsHighNext = false
        latchedCount = nil
        latchedStatus = nil
    }

    /// Takes a byte of a count.
    package mutating func write(_ byte: UInt8) {
        switch accessMode {
        case .low: setCount(UInt16(byte))
        case .high: setCount(UInt16(byte) << 8)
        case .lowThenHigh:
            if writesHighNext {
                writesHighNext = false
                setCount(UInt16(byte) << 8 | UInt16(writtenLow))
            } else {
                writtenLow = byte
                writesHighNext = true
                // The first byte stops mode 0 and sets its output low.
                if mode == 0 {
                    output = false
                    isArmed = false
                    loadsNext = false
                }
            }
        }
    }

    private mutating func setCount(_ count: UInt16) {
        reload = isBCD ? Self.binary(count) : UInt32(count)
        isNullCount = true
        let isFirst = !hasCount
        hasCount = true
        switch mode {
        case 0:
            output = false
            loadsNext = true
        case 4: loadsNext = true
        case 2, 3:
            // While counting, a new count waits for the end of the (half) period.
            if isFirst, gate { loadsNext = true }
        default: break  // Modes 1 and 5 wait for their trigger.
        }
    }

    /// Drives the GATE input.
    package mutating func setGate(_ level: Bool) {
        guard level != gate else { return }
        gate = level
        switch mode {
        case 2, 3:
            if !level {
                output = true
                loadsNext = false
            } else if hasCount {
                loadsNext = true
            }
        case 1, 5:
            if level, hasCount { loadsNext = true }
        default: break  // Modes 0 and 4 only stop and go on.
        }
    }

    // MARK: Reading

    /// The count that a read shows.
    package var visibleCount: UInt16 {
        var count = element
        if mode == 3, isLoaded {
            count = isOddPeriod && output ? (element &- 1) &* 2 : element &* 2
        }
        count %= modulus
        return isBCD ? Self.decimal(count) : UInt16(truncatingIfNeeded: count)
    }

    /// Keeps the count for the next reads, unless an earlier one is still kept.
    package mutating func latchCount() {
        if latchedCount == nil { latchedCount = visibleCount }
    }

    /// Keeps the status for the next read, unless an earlier one is still kept.
    package mutating func latchStatus() {
        guard latchedStatus == nil else { return }
        let mode = mode << 1 | (isBCD ? 1 : 0)
        latchedStatus = (output ? 0x80 : 0) | (isNullCount ? 0x40 : 0) | accessMode.rawValue << 4 | mode
    }

    /// Reads the latched status, else a byte of the latched or running count.
    package mutating func read() -> UInt8 {
        if let status = latchedStatus {
            latchedStatus = nil
            return status
        }
        let count = latchedCount ?? visibleCount
        switch accessMode {
        case .low:
            latchedCount = nil
            return UInt8(truncatingIfNeeded: count)
        case .high:
            latchedCount = nil
            return UInt8(truncatingIfNeeded: count >> 8)
        case .lowThenHigh:
            if readsHighNext {
                readsHighNext = false
                latchedCount = nil
                return UInt8(truncatingIfNeeded: count >> 8)
            }
            readsHighNext = true
            return UInt8(truncatingIfNeeded: count)
        }
    }

    /// The number that four decimal digits stand for; digits above 9 carry.
    private static func binary(_ digits: UInt16) -> UInt32 {
        let value = stride(from: 12, through: 0, by: -4).reduce(UInt32(0)) { sum, shift in
            sum * 10 + UInt32(digits >> UInt16(shift) & 0xF)
        }
        return value % 10_000
    }

    private static func decimal(_ value: UInt32) -> UInt16 {
        let digits = [1, 10, 100, 1_000].map { UInt16(truncatingIfNeeded: value / $0 % 10) }
        return digits[3] << 12 | digits[2] << 8 | digits[1] << 4 | digits[0]
    }
}
