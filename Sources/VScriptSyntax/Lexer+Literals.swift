// Numbers, strings and the raw text of `asm` (README 2.1, 2.6).

extension Lexer {
    // MARK: - Numbers

    /// Reads a number and, with or without one space, the unit that belongs to it.
    mutating func number(flags: Token.Flags) {
        let start = position
        let isPrefixed: Bool
        switch byte(start + 1) | 0x20 {
        case UInt8(ascii: "x") where bytes[start] == UInt8(ascii: "0"):
            isPrefixed = prefixedDigits { $0.isHexDigit }
        case UInt8(ascii: "b") where bytes[start] == UInt8(ascii: "0") && byte(start + 2).isDigit:
            isPrefixed = prefixedDigits { $0 == UInt8(ascii: "0") || $0 == UInt8(ascii: "1") }
        case UInt8(ascii: "o") where bytes[start] == UInt8(ascii: "0"):
            isPrefixed = prefixedDigits { $0 &- UInt8(ascii: "0") < 8 }
        case _:
            isPrefixed = false
            decimalDigits()
        }
        emit(.number, from: start, flags: flags)
        let unit = unit(after: start)
        if unit == nil, byte(position).isIdentifierPart {
            return malformedNumber(from: start)
        }
        let text = file.text(start..<tokens[tokens.count - (unit == nil ? 1 : 2)].end)
        check(text, unit: unit, range: start..<position)
        if !isPrefixed, text.count > 1, text.first == "0", text.allSatisfy({ $0.isNumber || $0 == "_" }) {
            let digits = text.drop { $0 == "0" || $0 == "_" }
            diagnostics.append(
                Diagnostic(
                    SyntaxCode.leadingZero, "`\(text)` is decimal: a leading zero does not mean octal",
                    at: span(start..<start + text.utf8.count), label: "octal is written `0o\(digits)`",
                    fixes: [
                        .replace(span(start..<start + text.utf8.count), with: digits.isEmpty ? "0" : String(digits))
                    ],
                    severity: .warning))
        }
    }

    /// Reports a well-formed number without a value.
    private mutating func check(_ text: String, unit: Unit?, range: Range<Int>) {
        do throws(NumberValue.Failure) {
            _ = try NumberValue(text, unit: unit)
        } catch {
            switch error {
            case .outOfRange:
                let isTime = unit?.quantity == .time
                let isFloat = unit == nil && !text.hasPrefix("0x") && text.contains { ".eE".contains($0) }
                report(
                    .numberOutOfRange, "`\(file.text(range))` does not fit 64 bits", range,
                    notes: [
                        isTime
                            ? "a duration holds at most 2⁶³ - 1 ns, about 292 years"
                            : isFloat ? "a float holds at most about 1.8e308" : "an int holds -2⁶³ to 2⁶⁴ - 1"
                    ])
            case .notWhole:
                report(
                    .numberOutOfRange,
                    "`\(file.text(range))` is not a whole number of \(unit?.base ?? "units")", range)
            }
            markReported()
        }
    }

    /// Reads `0x`, `0b` or `0o` and its digits; the first must not be `_`.
    private mutating func prefixedDigits(_ isDigit: (UInt8) -> Bool) -> Bool {
        guard isDigit(byte(position + 2)), bytes[position + 1] & 0x20 != 0 else {
            position += 1
            return true
        }
        position += 2
        while isDigit(byte(position)) || byte(position) == UInt8(ascii: "_") { position += 1 }
        return true
    }

    private mutating func decimalDigits() {
        skipDigits()
        if byte(position) == UInt8(ascii: "."), byte(position + 1).isDigit {
            position += 1
            skipDigits()
        }
        if byte(position) | 0x20 == UInt8(ascii: "e") {
            let isSigned = byte(position + 1) == UInt8(ascii: "+") || byte(position + 1) == UInt8(ascii: "-")
            let digits = position + (isSigned ? 2 : 1)
            if byte(digits).isDigit {
                position = digits
                while byte(position).isDigit { position += 1 }
            }
        }
    }

    private mutating func skipDigits() {
        while byte(position).isDigit || byte(position) == UInt8(ascii: "_") { position += 1 }
    }

    /// Reads a unit, unless the word is part of a longer one or is called like a function.
    private mutating func unit(after start: Int) -> Unit? {
        let hasSpace = byte(position) == UInt8(ascii: " ")
        let nameStart = position + (hasSpace ? 1 : 0)
        var end = nameStart
        while byte(end).isIdentifierPart { end += 1 }
        guard end > nameStart, end - nameStart <= 3, byte(end) != UInt8(ascii: "("),
            let unit = Unit.named(file.text(nameStart..<end))
        else { return nil }
        position = end
        tokens.append(Token(.unit, nameStart..<end, flags: hasSpace ? .spaceBefore : []))
        return unit
    }

    /// Reports the letters that touch a number but are no unit, and makes them part of it.
    private mutating func malformedNumber(from start: Int) {
        let wordStart = position
        while byte(position).isIdentifierPart { position += 1 }
        let word = file.text(wordStart..<position)
        let flags = tokens.removeLast().flags
        emit(.number, from: start, flags: flags.union(.reported))
        let isPrefix = bytes[start] == UInt8(ascii: "0") && wordStart == start + 1
        if Habit.integerSuffixes.contains(word.lowercased()) {
            report(
                .malformedNumber, "a number has no suffix `\(word)`", wordStart..<position,
                label: "every int holds -2⁶³ to 2⁶⁴ - 1", fix: .replace(span(wordStart..<position), with: ""))
        } else if let prefix = word.first, isPrefix, "xXbBoO".contains(prefix) {
            let radix = prefix.lowercased() == "x" ? "hexadecimal" : prefix.lowercased() == "b" ? "binary" : "octal"
            report(
                .malformedNumber, "`\(file.text(start..<position))` is not a \(radix) number", start..<position,
                label: prefix.isUppercase ? "the prefix is written in lower case" : "",
                fix: prefix.isUppercase
                    ? .replace(span(wordStart..<wordStart + 1), with: prefix.lowercased()) : nil)
        } else if bytes[wordStart].isDigit, bytes[start] == UInt8(ascii: "0"),
            let radix = Self.radixes[bytes[start + 1]]
        {
            report(
                .malformedNumber, "`\(file.text(start..<position))` is not \(radix)", wordStart..<position,
                label: "a digit of another base")
        } else {
            reportUnknownUnit(wordStart..<position)
        }
    }

    /// What numbers are by the second letter of their prefix.
    private static let radixes: [UInt8: String] = [
        UInt8(ascii: "b"): "a binary number", UInt8(ascii: "o"): "an octal number",
    ]

    private mutating func reportUnknownUnit(_ range: Range<Int>) {
        let name = file.text(range)
        let guess = Habit.likelyUnit(name)
        report(
            .unknownUnit, "unknown unit `\(name)`", range, label: guess.map { "did you mean `\($0)`?" } ?? "",
            notes: guess == nil ? ["units are " + Unit.all.map(\.name).joined(separator: " ")] : [],
            fix: guess.map { .replace(span(range), with: $0) })
    }

    // MARK: - Characters

    /// Reads `'A'`, whose value is a code point.
    mutating func character(flags: Token.Flags) {
        let start = position
        if has("'''", at: start) { return tripleQuotes(flags: flags) }
        position += 1
        while position < bytes.count, bytes[position] != UInt8(ascii: "'"), bytes[position] != UInt8(ascii: "\n") {
            position += bytes[position] == UInt8(ascii: "\\") && byte(position + 1) != UInt8(ascii: "\n") ? 2 : 1
        }
        position = min(position, bytes.count)
        guard byte(position) == UInt8(ascii: "'") else {
            report(
                .malformedCharacter, "this character literal is never closed", start..<start + 1,
                label: "strings use double quotes")
            return emit(.character, from: start, flags: flags.union(.reported))
        }
        position += 1
        let content = start + 1..<position - 1
        let isValid = CharacterLiteral.codePoint(of: file.text(content)) != nil
        emit(.character, from: start, flags: isValid ? flags : flags.union(.reported))
        guard !isValid else { return }
        if content.isEmpty || bytes[content.lowerBound] == UInt8(ascii: "\\") && content.count <= 3 {
            report(.malformedCharacter, "`\(file.text(start..<position))` is not a character", start..<position)
        } else {
            let text = file.text(content).replacing("\"", with: "\\\"")
            report(
                .malformedCharacter, "a string uses double quotes", start..<position,
                label: "single quotes hold one character, and its value is the code point",
                fix: .replace(span(start..<position), with: "\"\(text)\""))
        }
    }

    /// Reads Python's text in three single quotes, which is a mistake; one without an end goes to its line's end.
    private mutating func tripleQuotes(flags: Token.Flags) {
        let start = position
        var end = start + 3
        while end < bytes.count, !has("'''", at: end) { end += 1 }
        if end < bytes.count {
            position = end + 3
        } else {
            while position < bytes.count, bytes[position] != UInt8(ascii: "\n") { position += 1 }
        }
        emit(.character, from: start, flags: flags.union(.reported))
        report(
            .malformedCharacter, "a text of several lines is written in `\"\"\"`", start..<start + 3,
            label: "single quotes hold one character")
    }

    // MARK: - Strings

    /// Reads `re"…"` or `hex"…"`, which have no escapes.
    mutating func prefixedLiteral(_ kind: TokenKind, prefix: Int, flags: Token.Flags) {
        let start = position
        position += prefix
        while position < bytes.count, bytes[position] != UInt8(ascii: "\""), bytes[position] != UInt8(ascii: "\n") {
            position += 1
        }
        guard byte(position) == UInt8(ascii: "\"") else {
            report(.unterminatedString, "this literal is never closed", start..<start + prefix, label: "expected `\"`")
            return emit(kind, from: start, flags: flags.union(.reported))
        }
        position += 1
        emit(kind, from: start, flags: flags)
        if kind == .bytes, BytesLiteral.bytes(of: file.text(start + prefix..<position - 1)) == nil {
            report(
                .malformedBytes, "`hex\"…\"` holds pairs of hexadecimal digits", start..<position,
                label: "as in `hex\"90 90 cc\"`")
            markReported()
        }
    }

    mutating func openString(flags: Token.Flags) {
        let start = position
        let isMultiline = has("\"\"\"", at: start)
        position += isMultiline ? 3 : 1
        emit(.stringStart, from: start, flags: flags)
        frames.append(Frame(kind: .string, token: tokens.count - 1, isMultiline: isMultiline))
    }

    /// Reads text up to an interpolation or the closing quote, and that.
    mutating func stringPart() {
        let frame = frames[frames.count - 1]
        let start = position
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\"") where !frame.isMultiline || has("\"\"\"", at: position):
                if position > start { emit(.stringText, from: start) }
                let quote = position
                position += frame.isMultiline ? 3 : 1
                emit(.stringEnd, from: quote)
                frames.removeLast()
                return
            case UInt8(ascii: "\\") where byte(position + 1) == UInt8(ascii: "("):
                return openInterpolation(textStart: start, isMultiline: frame.isMultiline)
            case UInt8(ascii: "\\") where frame.isMultiline || byte(position + 1) != UInt8(ascii: "\n"):
                position = min(position + 2, bytes.count)
            case UInt8(ascii: "\n") where !frame.isMultiline:
                if position > start { emit(.stringText, from: start) }
                return leaveBrokenString()
            case _: position += 1
            }
        }
        if position > start { emit(.stringText, from: start) }
        if frame.isMultiline { endsInside = true }
        leaveBrokenString()
    }

    private mutating func openInterpolation(textStart: Int, isMultiline: Bool) {
        if position > textStart { emit(frames.last?.kind == .assembly ? .assemblyText : .stringText, from: textStart) }
        let start = position
        position += 2
        emit(.interpolationStart, from: start)
        frames.append(Frame(kind: .interpolation, token: tokens.count - 1, isMultiline: isMultiline))
    }

    /// Ends a string at a line break or the end of the file, and with it what it is nested in on that line.
    private mutating func leaveBrokenString() {
        let frame = frames.removeLast()
        if frames.last?.kind == .interpolation, frames.last?.isMultiline == false { return leaveBrokenInterpolation() }
        report(
            .unterminatedString, "this string is never closed", tokens[frame.token].range,
            label: frame.isMultiline ? "expected `\"\"\"`" : "expected `\"` before the end of the line")
        markReported(frame.token)
    }

    /// Ends all strings and interpolations that cannot go past a line break.
    mutating func leaveBrokenInterpolation() {
        var opening = tokens.count - 1
        while let frame = frames.last, frame.kind == .string || frame.kind == .interpolation, !frame.isMultiline {
            if frame.kind == .interpolation { opening = frame.token }
            frames.removeLast()
        }
        report(
            .unterminatedInterpolation, "this interpolation is never closed", tokens[opening].range,
            label: "expected `)` before the end of the string")
        markReported(opening)
    }

    // MARK: - Assembly

    /// Reads raw text up to a splice or the closing brace, and that.
    mutating func assemblyPart() {
        let top = frames.count - 1
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\\"), self.byte(position + 1) == UInt8(ascii: "(") {
                return openInterpolation(textStart: start, isMultiline: !frames[top].isQuoted)
            }
            if frames[top].isQuoted {
                if byte == UInt8(ascii: "\\"), self.byte(position + 1) != UInt8(ascii: "\n") { position += 1 }
                if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\n") { frames[top].isQuoted = false }
                position += 1
                continue
            }
            switch byte {
            case UInt8(ascii: "/") where self.byte(position + 1) == UInt8(ascii: "/"):
                while position < bytes.count, bytes[position] != UInt8(ascii: "\n") { position += 1 }
            case UInt8(ascii: "\""):
                frames[top].isQuoted = true
                position += 1
            case UInt8(ascii: "'"): skipAssemblyCharacter()
            case UInt8(ascii: "{"):
                frames[top].nesting += 1
                position += 1
            case UInt8(ascii: "}") where frames[top].nesting == 0:
                if position > start { emit(.assemblyText, from: start) }
                let brace = position
                position += 1
                emit(.rightBrace, from: brace)
                frames.removeLast()
                return
            case UInt8(ascii: "}"):
                frames[top].nesting -= 1
                position += 1
            case _: position += 1
            }
        }
        position = bytes.count
        if position > start { emit(.assemblyText, from: start) }
        report(
            .unterminatedAssembly, "this `asm` block is never closed", tokens[frames[top].token].range,
            label: "expected `}`")
        markReported(frames[top].token)
        endsInside = true
        frames.removeLast()
    }

    /// Skips a character constant such as `'{'`; an apostrophe in a remark is skipped alone.
    private mutating func skipAssemblyCharacter() {
        var end = position + 1
        while end < bytes.count, end <= position + 8, bytes[end] != UInt8(ascii: "'"), bytes[end] != UInt8(ascii: "\n")
        {
            end += 1
        }
        position = byte(end) == UInt8(ascii: "'") ? end + 1 : position + 1
    }
}

extension Unit {
    /// What the unit's values are whole numbers of.
    var base: String {
        switch quantity {
        case .size: "bytes"
        case .frequency: "hertz"
        case .time: "nanoseconds"
        }
    }
}
