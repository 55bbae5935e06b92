import VirtualMachine

/// Shows memory as `x` does.
package struct MemoryView {
    let guest: DebuggedGuest
    let isPhysical: Bool

    /// The form of an `x/NFU`: how many, in which format, of how many bytes.
    struct Form: Equatable {
        var count = 1
        var format: Character = "x"
        var size = 8

        /// Reads `8gx`, `s`, `4i`; what is missing keeps the values of `self`.
        mutating func apply(_ modifier: String) throws(CommandFailure) {
            let digits = modifier.prefix { $0.isNumber }
            if !digits.isEmpty {
                guard let number = Int(digits), (1...4_096).contains(number) else {
                    throw CommandFailure("`\(digits)` is not a count from 1 to 4096")
                }
                count = number
            }
            for letter in modifier.dropFirst(digits.count) {
                switch letter {
                case "b": size = 1
                case "h": size = 2
                case "w": size = 4
                case "g": size = 8
                case "x", "d", "u", "o", "t", "c", "a", "s", "i": format = letter
                case _:
                    throw CommandFailure(
                        "`\(letter)` is no format or size",
                        notes: ["formats are x d u o t c a s i, sizes b h w g, as in `x/8gx $rsp`"])
                }
            }
            if format == "a" { size = 8 }
            if format == "c" { size = 1 }
        }
    }

    private var place: PlaceView { PlaceView(guest: guest) }

    func read(_ address: UInt64, _ count: Int) -> [UInt8]? {
        guard isPhysical else { return guest.guest.cpu.read(address, count: count) }
        var bytes = [UInt8](repeating: 0, count: count)
        return bytes.withUnsafeMutableBytes { guest.guest.memory.read(address, into: $0) } ? bytes : nil
    }

    /// The lines and where the next stretch begins.
    func lines(_ address: UInt64, _ form: Form) throws(CommandFailure) -> (lines: [StyledText], next: UInt64) {
        switch form.format {
        case "i": return try instructions(address, form.count)
        case "s": return try strings(address, form.count)
        case _: return try numbers(address, form)
        }
    }

    private func unreadable(_ address: UInt64) -> CommandFailure {
        CommandFailure(
            isPhysical
                ? "there is no memory at physical \(Numbers.hex(address))"
                : "\(Numbers.hex(address)) is not mapped",
            notes: isPhysical ? [] : ["`walk \(Numbers.hex(address))` shows where its translation ends"])
    }

    private func label(_ address: UInt64) -> StyledText {
        StyledText(Numbers.hex(address), .address)
            + StyledText(isPhysical ? "" : place.name(address).map { " <\($0)>" } ?? "", .symbol) + ":"
    }

    private func instructions(
        _ address: UInt64, _ count: Int
    ) throws(CommandFailure) -> (lines: [StyledText], next: UInt64) {
        guard !isPhysical else { throw CommandFailure("instructions are shown by linear address: `x/i`") }
        var lines: [StyledText] = []
        var position = address
        for _ in 0..<count where Checkpoint.isPassed {
            guard let instruction = guest.decode(at: position) else {
                if lines.isEmpty { throw unreadable(position) }
                break
            }
            lines.append(place.line(instruction, isCurrent: position == guest.guest.cpu.rip))
            position = instruction.next
        }
        return (lines, position)
    }

    private func strings(_ address: UInt64, _ count: Int) throws(CommandFailure) -> (lines: [StyledText], next: UInt64)
    {
        var lines: [StyledText] = []
        var position = address
        for _ in 0..<count where Checkpoint.isPassed {
            var bytes: [UInt8] = []
            var isEnded = false
            while bytes.count < 4_096 {
                guard let byte = read(position &+ UInt64(bytes.count), 1)?.first else { break }
                if byte == 0 {
                    isEnded = true
                    break
                }
                bytes.append(byte)
            }
            if bytes.isEmpty && !isEnded {
                if lines.isEmpty { throw unreadable(position) }
                break
            }
            lines.append(
                label(position) + " "
                    + StyledText(
                        JSONText.string(String(decoding: bytes, as: UTF8.self)) + (isEnded ? "" : "…"), .string))
            position = position &+ UInt64(bytes.count) &+ (isEnded ? 1 : 0)
        }
        return (lines, position)
    }

    private func numbers(_ address: UInt64, _ form: Form) throws(CommandFailure) -> (lines: [StyledText], next: UInt64)
    {
        let perLine = form.format == "a" ? 1 : form.format == "t" ? max(1, 4 / form.size) : max(1, 16 / form.size)
        var lines: [StyledText] = []
        var position = address
        var left = form.count
        while left > 0, Checkpoint.isPassed {
            let wanted = min(perLine, left)
            var row = label(position)
            var shown = 0
            while shown < wanted, let bytes = read(position, form.size) {
                let number = bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
                row += StyledText("  " + text(number, form))
                position = position &+ UInt64(form.size)
                shown += 1
            }
            if shown > 0 { lines.append(row) }
            guard shown == wanted else {
                if lines.isEmpty { throw unreadable(position) }
                lines.append(StyledText("\(Numbers.hex(position)) is not mapped", .faint))
                break
            }
            left -= wanted
        }
        return (lines, position)
    }

    private func text(_ number: UInt64, _ form: Form) -> String {
        let bits = UInt64(form.size * 8)
        let signed =
            bits == 64 ? Int64(bitPattern: number) : Int64(bitPattern: number << (64 - bits)) >> Int64(64 - bits)
        switch form.format {
        case "d": return String(signed).padded(toRight: form.size * 2 + form.size / 2)
        case "u": return String(number).padded(toRight: form.size * 2 + form.size / 2)
        case "o": return "0o" + String(number, radix: 8)
        case "t":
            let digits = String(number, radix: 2)
            return String(repeating: "0", count: max(0, Int(bits) - digits.count)) + digits
        case "c":
            let isPrintable = (0x20..<0x7F).contains(number)
            return String(number).padded(toRight: 3) + " '" + (isPrintable ? String(UnicodeScalar(UInt8(number))) : ".")
                + "'"
        case "a": return place.text(number)
        case _:
            let digits = String(number, radix: 16)
            return "0x" + String(repeating: "0", count: max(0, form.size * 2 - digits.count)) + digits
        }
    }
}
