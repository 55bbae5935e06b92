/// Reads a section of a file front to back; an end that comes too early is an error with its place.
package struct ByteReader {
    package let file: String
    package let section: String
    private let bytes: ArraySlice<UInt8>
    private(set) var position: Int
    private(set) var end: Int

    package init(_ bytes: ArraySlice<UInt8>, section: String, file: String) {
        self.bytes = bytes
        self.section = section
        self.file = file
        position = bytes.startIndex
        end = bytes.endIndex
    }

    package var isAtEnd: Bool { position >= end }
    package var remaining: Int { end - position }
    /// The offset in the section.
    package var offset: Int { position - bytes.startIndex }

    package func malformed(_ why: String) -> SymbolError {
        .file("\(file): \(section)+\(hexText(offset)): \(why)")
    }

    package mutating func take(_ count: UInt64, _ what: String) throws(SymbolError) -> ArraySlice<UInt8> {
        guard count <= UInt64(remaining) else {
            throw malformed("\(what) of \(count) bytes ends behind the \(remaining) bytes that are left")
        }
        defer { position += Int(count) }
        return bytes[position..<position + Int(count)]
    }

    package mutating func integer<Value: FixedWidthInteger & UnsignedInteger>(
        _ type: Value.Type, _ what: String
    ) throws(SymbolError) -> Value {
        try take(UInt64(Value.bitWidth / 8), what).littleEndian(type)
    }

    /// An unsigned LEB128 number (DWARF 5 section 7.6); bits above 64 are dropped.
    package mutating func unsignedLEB(_ what: String) throws(SymbolError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = try integer(UInt8.self, what)
            if shift < 64 { value |= UInt64(byte & 0x7F) << shift }
            shift = min(shift + 7, 64)
            if byte & 0x80 == 0 { return value }
        }
    }

    /// A signed LEB128 number.
    package mutating func signedLEB(_ what: String) throws(SymbolError) -> Int64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = try integer(UInt8.self, what)
            if shift < 64 { value |= UInt64(byte & 0x7F) << shift }
            shift = min(shift + 7, 64)
            guard byte & 0x80 == 0 else { continue }
            if shift < 64 && byte & 0x40 != 0 { value |= .max << shift }
            return Int64(bitPattern: value)
        }
    }

    /// The bytes up to a zero.
    package mutating func text(_ what: String) throws(SymbolError) -> ArraySlice<UInt8> {
        guard let zero = bytes[position..<end].firstIndex(of: 0) else { throw malformed("\(what) has no end") }
        defer { position = zero + 1 }
        return bytes[position..<zero]
    }

    /// A reader of the next bytes, which this one steps over.
    package mutating func part(_ count: UInt64, _ what: String) throws(SymbolError) -> ByteReader {
        var part = self
        _ = try take(count, what)
        part.end = position
        return part
    }
}
