/// What was typed last, so that a wait does not take its echo for the guest's answer.
package struct Echo: Codable {
    /// How far the output has repeated what was typed.
    package enum Progress: Equatable {
        /// All that has come so far is echo.
        case going
        /// The echo ended at an offset.
        case passed(Int)
        /// Something else came.
        case absent
    }

    private var bytes: [UInt8] = []
    private var start = 0

    package init() {}

    /// Whether it can have been made so, when it comes from a file.
    var isPossible: Bool { start >= 0 }

    /// The echo of a text that begins where the output ends now.
    package init(_ text: String, from start: Int) {
        bytes = Array(text.replacing("\n", with: "\r\n").utf8)
        self.start = start
    }

    /// Compares the output with what was typed.
    ///
    /// Between the characters a terminal may break a long line, and a shell may ask the terminal where its cursor is
    /// (control sequences, ECMA-48 section 5.4).
    package func progress(in output: [UInt8]) -> Progress {
        var position = start
        for byte in bytes {
            while position < output.count, output[position] != byte {
                let next = output[position]
                if next == UInt8(ascii: "\r") || next == UInt8(ascii: "\n") {
                    position += 1
                } else if next == 0x1B {
                    guard let end = Self.endOfControlSequence(output, at: position) else { return .absent }
                    position = end
                } else {
                    return .absent
                }
            }
            guard position < output.count else { return .going }
            position += 1
        }
        return .passed(position)
    }

    /// Where a control sequence, ESC [ … letter, ends; the end of the output if it is not all there, nil if it is none.
    private static func endOfControlSequence(_ output: [UInt8], at start: Int) -> Int? {
        guard start + 1 < output.count else { return output.count }
        guard output[start + 1] == UInt8(ascii: "[") else { return nil }
        let parameters = output[(start + 2)...].prefix { 0x20...0x3F ~= $0 }
        return min(parameters.endIndex + 1, output.count)
    }

    /// Where a search that begins at an offset begins once the echo is passed over.
    package func skip(_ output: [UInt8], from searched: Int) -> Int {
        guard !bytes.isEmpty else { return searched }
        switch progress(in: output) {
        case .going: return max(searched, output.count)
        case .passed(let end): return max(searched, end)
        case .absent: return searched
        }
    }
}

/// Looks for a text in output that grows byte by byte.
package final class TextScanner {
    private let wanted: [UInt8]
    private var position: Int?

    package init(_ wanted: [UInt8]) { self.wanted = wanted }

    /// The first occurrence at or after an offset; what was looked at before is not looked at again.
    package func match(_ bytes: [UInt8], from start: Int) -> Range<Int>? {
        var next = max(position ?? start, start)
        while next + wanted.count <= bytes.count {
            if bytes[next..<next + wanted.count].elementsEqual(wanted) { return next..<next + wanted.count }
            next += 1
        }
        position = next
        return nil
    }
}
