/// The calendar of the clock: ten bytes and the century, in decimal digits or binary, 12 or 24 hours.
extension MC146818 {
    private enum Field {
        static let second = 0x00
        static let minute = 0x02
        static let hour = 0x04
        static let weekday = 0x06
        static let day = 0x07
        static let month = 0x08
        static let year = 0x09
        /// Each alarm byte follows the byte it is compared with.
        static let alarm = 1
    }

    private var isBinary: Bool { chip.memory[Register.b] & ControlB.binary != 0 }
    private var is24Hours: Bool { chip.memory[Register.b] & ControlB.hours24 != 0 }

    private func decode(_ byte: UInt8) -> Int { isBinary ? Int(byte) : Int(byte >> 4) * 10 + Int(byte & 0xF) }

    private func encode(_ value: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: isBinary ? value : (value / 10 % 10) << 4 | value % 10)
    }

    private func get(_ field: Int) -> Int { decode(chip.memory[field]) }

    private func set(_ field: Int, _ value: Int) { chip.memory[field] = encode(value) }

    /// The hour from 0 to 23; with 12 hours, bit 7 is PM and 12 is the first hour.
    private var hour: Int {
        get {
            let byte = chip.memory[Field.hour]
            guard !is24Hours else { return decode(byte) }
            return decode(byte & 0x7F) % 12 + (byte & 0x80 != 0 ? 12 : 0)
        }
        set {
            guard !is24Hours else { return set(Field.hour, newValue) }
            let hour = newValue % 12 == 0 ? 12 : newValue % 12
            chip.memory[Field.hour] = encode(hour) | (newValue >= 12 ? 0x80 : 0)
        }
    }

    /// Sets all fields to a date.
    func store(_ date: CalendarDate) {
        set(Field.second, date.second)
        set(Field.minute, date.minute)
        hour = date.hour
        set(Field.weekday, date.weekday)
        set(Field.day, date.day)
        set(Field.month, date.month)
        set(Field.year, date.year % 100)
        set(Register.century, date.year / 100)
    }

    /// Counts one second on, field by field, with the century byte as the firmware keeps it.
    func advanceSecond() {
        guard carry(Field.second, after: 59, to: 0), carry(Field.minute, after: 59, to: 0) else { return }
        guard hour >= 23 else {
            hour += 1
            return
        }
        hour = 0
        _ = carry(Field.weekday, after: 7, to: 1)
        let year = get(Register.century) * 100 + get(Field.year)
        let last = CalendarDate.days(inMonth: get(Field.month), year: year)
        guard carry(Field.day, after: last, to: 1), carry(Field.month, after: 12, to: 1) else { return }
        guard carry(Field.year, after: 99, to: 0) else { return }
        _ = carry(Register.century, after: 99, to: 0)
    }

    /// Counts a field on; true if it began again.
    private func carry(_ field: Int, after last: Int, to first: Int) -> Bool {
        let value = get(field)
        set(field, value >= last ? first : value + 1)
        return value >= last
    }

    /// Whether the alarm bytes match; those with both high bits set match everything.
    var isAlarm: Bool {
        [Field.second, Field.minute, Field.hour].allSatisfy { field in
            let alarm = chip.memory[field + Field.alarm]
            return alarm & 0xC0 == 0xC0 || alarm == chip.memory[field]
        }
    }
}
