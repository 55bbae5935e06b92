/// Takes packets apart as they come over the wire.
///
/// gdb manual, appendix E.1 "Overview".
package struct GDBPacketReader {
    package enum Item: Equatable {
        case packet([UInt8])
        /// The check sum was wrong.
        case damaged
        /// Ctrl-C.
        case interrupt
        case acknowledged, refused
    }

    private var pending: [UInt8] = []
    /// The largest packet; gdb is told less.
    private static let limit = 1 << 17

    /// What items begin with.
    private static let beginnings: [UInt8] = [0x03, UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "$")]

    package init() {}

    package mutating func append(_ bytes: some Sequence<UInt8>) {
        pending += bytes
        if pending.count > Self.limit { pending.removeFirst(pending.count - Self.limit) }
    }

    /// The next item that is complete.
    package mutating func next() -> Item? {
        while let first = pending.first {
            switch first {
            case 0x03:
                pending.removeFirst()
                return .interrupt
            case UInt8(ascii: "+"):
                pending.removeFirst()
                return .acknowledged
            case UInt8(ascii: "-"):
                pending.removeFirst()
                return .refused
            case UInt8(ascii: "$"):
                guard let end = pending.firstIndex(of: UInt8(ascii: "#")), end + 2 < pending.count else { return nil }
                // A packet that was cut off is given up with the next one's beginning, which stands in none.
                let start = (pending[..<end].lastIndex(of: first) ?? 0) + 1
                let body = Array(pending[start..<end])
                let sum = Hexadecimal.bytes(pending[(end + 1)...(end + 2)])
                pending.removeFirst(end + 3)
                return sum == [body.reduce(0, &+)] ? .packet(body) : .damaged
            case _:
                // What begins nothing goes all at once: there may be much of it.
                pending.removeFirst(pending.firstIndex(where: Self.beginnings.contains) ?? pending.count)
            }
        }
        return nil
    }

    /// Whether Ctrl-C is among what has come and was not taken, or among more bytes after that.
    package func holdsInterrupt(and more: some Sequence<UInt8> = EmptyCollection<UInt8>()) -> Bool {
        var reader = self
        reader.append(more)
        while let item = reader.next() {
            if item == .interrupt { return true }
        }
        return false
    }

    /// A packet with its frame.
    package static func framed(_ body: [UInt8]) -> [UInt8] {
        [UInt8(ascii: "$")] + body + [UInt8(ascii: "#")] + Hexadecimal.text([body.reduce(0, &+)])
    }

    /// Bytes with those escaped that have a meaning in a packet.
    package static func escaped(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        bytes.flatMap { [0x23, 0x24, 0x2A, 0x7D].contains($0) ? [0x7D, $0 ^ 0x20] : [$0] }
    }

    /// The reverse of `escaped`.
    package static func unescaped(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var isEscaped = false
        for byte in bytes {
            if isEscaped {
                result.append(byte ^ 0x20)
                isEscaped = false
            } else if byte == 0x7D {
                isEscaped = true
            } else {
                result.append(byte)
            }
        }
        return result
    }
}

/// Pairs of hexadecimal digits.
enum Hexadecimal {
    private static let digits = Array("0123456789abcdef".utf8)

    static func text(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    }

    /// The bytes that pairs of digits stand for; nil for anything else.
    static func bytes(_ text: some Sequence<UInt8>) -> [UInt8]? {
        var result: [UInt8] = []
        var high: UInt8?
        for character in text {
            guard let value = digit(character) else { return nil }
            if let first = high {
                result.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        return high == nil ? result : nil
    }

    static func digit(_ character: UInt8) -> UInt8? {
        switch character {
        case 0x30...0x39: character - 0x30
        case 0x41...0x46: character - 0x41 + 10
        case 0x61...0x66: character - 0x61 + 10
        case _: nil
        }
    }

    /// A number in big-endian digits; nil for anything else, or more than 64 bits.
    static func number(_ text: Substring) -> UInt64? {
        // The library takes signs too.
        text.utf8.allSatisfy { digit($0) != nil } ? UInt64(text, radix: 16) : nil
    }
}
