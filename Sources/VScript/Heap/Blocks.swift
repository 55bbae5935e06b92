// The layouts of heap blocks. Each begins with a `BlockHeader`; what follows a layout's fields is reached by offset.

/// What every block begins with.
struct BlockHeader {
    /// The block that was allocated before.
    var next: UnsafeMutablePointer<BlockHeader>?
    /// Bytes of a string or of bytes, variables of a closure.
    var count: UInt32
    var kind: Cell.Kind
    /// The collection that has last reached the block.
    var mark: UInt8
    /// Whether the block belongs to a module that has loaded.
    var isFrozen: Bool
    /// Whether a string stands in the table of names.
    var isInterned: Bool
}

/// UTF-8 text; the bytes follow.
struct StringBlock {
    var header: BlockHeader
    /// The hash of the bytes, never 0; 0 if it has not been asked for.
    var hash: UInt32
    /// Code points; `unknown` until they are counted.
    var scalars: UInt32

    static let unknown = UInt32.max
    static let offset = MemoryLayout<StringBlock>.size
}

/// Bytes, which follow.
struct BytesBlock {
    var header: BlockHeader

    static let offset = MemoryLayout<BytesBlock>.size
}

/// A list with its items in a buffer of its own.
struct ListBlock {
    var header: BlockHeader
    var items: UnsafeMutablePointer<Cell>?
    var count: Int
    var capacity: Int
}

/// A map: values in the order of a shape's keys, or entries found by hash.
struct MapBlock {
    var header: BlockHeader
    /// Which keys there are; nil if the entries hold their keys.
    var shape: UnsafeMutablePointer<Shape>?
    /// Values of the shape's keys, or keys and values in turn; a removed key is unset.
    var cells: UnsafeMutablePointer<Cell>?
    /// How many cells there is room for.
    var capacity: Int
    /// Entries that are there, or were.
    var used: Int
    /// Entries that are there.
    var live: Int
    /// The positions of entries, plus 1, in the bits of the mask, and above them the same bits of their keys' hashes;
    /// nil for a few entries.
    var index: UnsafeMutablePointer<UInt32>?
    /// Places of the index less 1; their number is a power of 2, and five of eight places are taken at most.
    var mask: UInt32

    /// What the index takes, in bytes.
    var indexBytes: Int { index == nil ? 0 : (Int(mask) + 1) * MemoryLayout<UInt32>.stride }
    /// How many entries the index has room for.
    var indexRoom: Int { (Int(mask) + 1) / 8 * 5 }
}

/// A half-open range.
struct RangeBlock {
    var header: BlockHeader
    var lower: Int128
    var upper: Int128
}

/// A function of a script; its variables follow.
struct ClosureBlock {
    var header: BlockHeader
    var function: UnsafeMutablePointer<FunctionRecord>

    static let offset = 32
}

/// A method without its call: `list.append`.
struct BoundMethodBlock {
    var header: BlockHeader
    var receiver: Cell
    var name: Cell
}

/// A variable that closures share.
struct BoxBlock {
    var header: BlockHeader
    var value: Cell
}

/// What a call returns to.
struct Frame {
    var pc: UnsafeMutablePointer<UInt64>?
    /// The registers; the function they belong to is in the one before.
    var base: UnsafeMutablePointer<Cell>?
}

/// What calls need of a function's code.
struct FunctionRecord {
    var code: UnsafeMutablePointer<UInt64>
    var registers: Int32
    var parameters: Int32
    /// Its index among the functions that have been loaded.
    var index: Int32
    /// Whether some parameters have defaults.
    var hasDefaults: Bool
}

extension UnsafeMutablePointer<StringBlock> {
    @inline(__always) var bytes: UnsafeMutablePointer<UInt8> {
        (UnsafeMutableRawPointer(self) + StringBlock.offset).assumingMemoryBound(to: UInt8.self)
    }
    @inline(__always) var count: Int { Int(pointee.header.count) }
    /// The text's UTF-8 code.
    @inline(__always) var buffer: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: bytes, count: count) }

    /// The hash of the bytes, kept once it has been asked for.
    @inline(__always) var hash: UInt32 {
        if pointee.hash != 0 { return pointee.hash }
        let value = Hash.bytes(bytes, count)
        pointee.hash = value
        return value
    }

    /// How many code points the text has.
    var scalarCount: Int {
        if pointee.scalars != StringBlock.unknown { return Int(pointee.scalars) }
        var total = 0
        for byte in buffer where byte & 0xC0 != 0x80 { total += 1 }
        pointee.scalars = UInt32(truncatingIfNeeded: total)
        return total
    }

    /// Where so many code points from an offset on end, in bytes; where the text ends if it has fewer.
    func offset(after scalars: Int, from start: Int) -> Int {
        var (offset, left) = (start, scalars)
        // Eight bytes at a time: those that go on with a code point have the upper bits 10.
        while left >= 8, offset &+ 8 <= count {
            let word = UnsafeRawPointer(bytes).loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            left &-= 8 &- (word & ~(word << 1) & 0x8080_8080_8080_8080).nonzeroBitCount
            offset &+= 8
        }
        while offset < count {
            if bytes[offset] & 0xC0 != 0x80 {
                if left == 0 { return offset }
                left &-= 1
            }
            offset &+= 1
        }
        return count
    }

    /// Whether positions of code points are those of bytes.
    var isASCII: Bool { scalarCount == count }

    /// Whether two texts have the same bytes.
    @inline(__always)
    func isEqual(to other: UnsafeMutablePointer<StringBlock>) -> Bool {
        if self == other { return true }
        return count == other.count && equalBytes(bytes, other.bytes, count)
    }

    /// The text as the host's.
    var text: String { String(decoding: buffer, as: UTF8.self) }
}

extension UnsafeMutablePointer<BytesBlock> {
    @inline(__always) var bytes: UnsafeMutablePointer<UInt8> {
        (UnsafeMutableRawPointer(self) + BytesBlock.offset).assumingMemoryBound(to: UInt8.self)
    }
    @inline(__always) var count: Int { Int(pointee.header.count) }
    @inline(__always) var buffer: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: bytes, count: count) }
}

extension UnsafeMutablePointer<ListBlock> {
    @inline(__always) var buffer: UnsafeBufferPointer<Cell> {
        UnsafeBufferPointer(start: pointee.items, count: pointee.count)
    }
}

extension UnsafeMutablePointer<ClosureBlock> {
    @inline(__always) var variables: UnsafeMutablePointer<Cell> {
        (UnsafeMutableRawPointer(self) + ClosureBlock.offset).assumingMemoryBound(to: Cell.self)
    }
}

/// Compares bytes, eight at a time.
@inline(__always)
func equalBytes(_ left: UnsafePointer<UInt8>, _ right: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    var offset = 0
    let (left, right) = (UnsafeRawPointer(left), UnsafeRawPointer(right))
    while offset &+ 8 <= count {
        if left.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            != right.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        {
            return false
        }
        offset &+= 8
    }
    while offset < count {
        if left.load(fromByteOffset: offset, as: UInt8.self) != right.load(fromByteOffset: offset, as: UInt8.self) {
            return false
        }
        offset &+= 1
    }
    return true
}

/// Hashes that are the same in every process.
enum Hash {
    /// Spreads a word over 32 bits.
    @inline(__always)
    static func word(_ value: UInt64) -> UInt32 {
        var hash = value &* 0x9E37_79B9_7F4A_7C15
        hash ^= hash >> 32
        hash = hash &* 0xD6E8_FEB8_6659_FD93
        return UInt32(truncatingIfNeeded: hash ^ hash >> 32)
    }

    /// The hash of a number: sixteen ints that follow each other stay together, as sequences of keys are common.
    @inline(__always)
    static func number(_ bits: UInt64, _ tag: UInt64) -> UInt32 {
        let hash = word(bits >> 4 &+ tag << 59)
        return hash ^ UInt32(truncatingIfNeeded: bits & 15)
    }

    /// How far apart places are tried: odd, so that all are, and groups that collide move as they are.
    static let step: UInt32 = 17

    /// The hash of bytes, never 0.
    static func bytes(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> UInt32 {
        let raw = UnsafeRawPointer(bytes)
        var hash = UInt64(truncatingIfNeeded: count) &* 0x9E37_79B9_7F4A_7C15
        var offset = 0
        while offset &+ 8 <= count {
            hash = mix(hash, raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset &+= 8
        }
        var rest: UInt64 = 0
        while offset < count {
            rest = rest << 8 | UInt64(raw.load(fromByteOffset: offset, as: UInt8.self))
            offset &+= 1
        }
        return max(word(mix(hash, rest)), 1)
    }

    @inline(__always)
    private static func mix(_ hash: UInt64, _ word: UInt64) -> UInt64 {
        let value = (hash ^ word) &* 0xD6E8_FEB8_6659_FD93
        return value ^ value >> 29
    }
}
