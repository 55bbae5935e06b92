/// A date and time of day in the Gregorian calendar, without a time zone.
package struct CalendarDate: Hashable, Codable, Sendable {
    package var year: Int
    /// 1...12.
    package var month: Int
    /// 1...31.
    package var day: Int
    package var hour: Int
    package var minute: Int
    package var second: Int

    /// Makes a date; the parts are not checked.
    package init(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
    }

    /// The days of a month; February of a leap year has 29.
    package static func days(inMonth month: Int, year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// The day of the week: 1 is Sunday, 7 is Saturday.
    package var weekday: Int {
        // Sakamoto's method: a table of the months' offsets, years that begin in March.
        let offsets = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4]
        let shifted = month < 3 ? year - 1 : year
        let offset = offsets[min(max(month, 1), 12) - 1]
        let sum = shifted + shifted / 4 - shifted / 100 + shifted / 400 + offset + day
        return (sum % 7 + 7) % 7 + 1
    }
}
