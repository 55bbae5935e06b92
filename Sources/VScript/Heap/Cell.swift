/// A value as registers and collections hold it: 16 bytes that are copied without counting references.
///
/// The payload of a heap block is its address, that of a host object its index in `HostTable`.
struct Cell {
    var bits: UInt64
    var tag: UInt64

    /// What a cell holds; the raw value is the tag.
    enum Kind: UInt8 {
        case `nil`, bool
        /// An int up to 2⁶³ - 1, as a signed pattern.
        case int
        /// An int from 2⁶³ on, as an unsigned pattern.
        case unsigned
        case float, duration, symbol
        /// No value: a variable before its definition, a parameter that was not passed, a removed key.
        case unset
        case string, bytes, list, map, range, closure, boundMethod
        /// A variable that closures share.
        case box
        case object, regex, hostFunction
        /// A function of the prelude, by its index.
        case builtin
    }

    /// The tag of a kind.
    @inline(__always)
    static func tag(_ kind: Kind) -> UInt64 { UInt64(kind.rawValue) }

    @inline(__always)
    init(bits: UInt64, tag: UInt64) {
        self.bits = bits
        self.tag = tag
    }

    @inline(__always)
    init(_ kind: Kind, _ bits: UInt64) {
        self.bits = bits
        tag = UInt64(kind.rawValue)
    }

    @inline(__always)
    init(_ kind: Kind, _ block: UnsafeMutableRawPointer) {
        self.init(kind, UInt64(UInt(bitPattern: block)))
    }

    @inline(__always) static var `nil`: Cell { Cell(.nil, 0) }
    @inline(__always) static var unset: Cell { Cell(.unset, 0) }
    @inline(__always) static func bool(_ value: Bool) -> Cell { Cell(.bool, value ? 1 : 0) }
    @inline(__always) static func int(_ value: Int) -> Cell { Cell(.int, UInt64(bitPattern: Int64(value))) }
    @inline(__always) static func float(_ value: Double) -> Cell { Cell(.float, value.bitPattern) }
    @inline(__always) static func duration(_ value: Int64) -> Cell { Cell(.duration, UInt64(bitPattern: value)) }

    /// An int of an unsigned pattern, in its canonical form.
    @inline(__always)
    static func unsigned(_ value: UInt64) -> Cell { Cell(value >> 63 == 0 ? .int : .unsigned, value) }

    /// An int of the language's range; the caller has checked it.
    static func int(_ value: Int128) -> Cell {
        Cell(value > Int128(Int64.max) ? .unsigned : .int, UInt64(truncatingIfNeeded: value))
    }

    @inline(__always) var kind: Kind {
        // SAFETY: tags are made of kinds only, and the cases are dense from 0.
        unsafeBitCast(UInt8(truncatingIfNeeded: tag), to: Kind.self)
    }

    @inline(__always) var isNil: Bool { tag == Cell.tag(.nil) }
    @inline(__always) var isUnset: Bool { tag == Cell.tag(.unset) }
    @inline(__always) var isInt: Bool { tag == Cell.tag(.int) }
    @inline(__always) var isAnyInt: Bool { tag == Cell.tag(.int) || tag == Cell.tag(.unsigned) }
    @inline(__always) var isString: Bool { tag == Cell.tag(.string) }
    @inline(__always) var int: Int { Int(Int64(bitPattern: bits)) }
    @inline(__always) var bool: Bool { bits != 0 }
    @inline(__always) var double: Double { Double(bitPattern: bits) }
    @inline(__always) var nanoseconds: Int64 { Int64(bitPattern: bits) }
    @inline(__always) var index: Int { Int(truncatingIfNeeded: bits) }

    /// An int of either kind.
    var wide: Int128 { tag == Cell.tag(.int) ? Int128(Int64(bitPattern: bits)) : Int128(bits) }

    /// The address of a heap block.
    @inline(__always) var block: UnsafeMutableRawPointer {
        // SAFETY: only cells of block kinds are asked, and theirs is an address of a block, never 0.
        UnsafeMutableRawPointer(bitPattern: UInt(bits)).unsafelyUnwrapped
    }

    @inline(__always)
    func block<Layout>(as _: Layout.Type) -> UnsafeMutablePointer<Layout> {
        block.assumingMemoryBound(to: Layout.self)
    }

    @inline(__always) var list: UnsafeMutablePointer<ListBlock> { block(as: ListBlock.self) }
    @inline(__always) var map: UnsafeMutablePointer<MapBlock> { block(as: MapBlock.self) }
    @inline(__always) var string: UnsafeMutablePointer<StringBlock> { block(as: StringBlock.self) }
    @inline(__always) var bytes: UnsafeMutablePointer<BytesBlock> { block(as: BytesBlock.self) }
    @inline(__always) var range: UnsafeMutablePointer<RangeBlock> { block(as: RangeBlock.self) }
    @inline(__always) var closure: UnsafeMutablePointer<ClosureBlock> { block(as: ClosureBlock.self) }
    @inline(__always) var boundMethod: UnsafeMutablePointer<BoundMethodBlock> { block(as: BoundMethodBlock.self) }
    @inline(__always) var box: UnsafeMutablePointer<BoxBlock> { block(as: BoxBlock.self) }
}

extension Cell.Kind {
    /// Whether it is a function of any sort.
    var canBeCalled: Bool {
        switch self {
        case .closure, .boundMethod, .hostFunction, .builtin: true
        case .nil, .bool, .int, .unsigned, .float, .duration, .symbol, .unset, .string, .bytes, .list, .map, .range,
            .box, .object, .regex:
            false
        }
    }

    /// Whether the payload is the address of a heap block.
    @inline(__always) var isBlock: Bool { rawValue >= Cell.Kind.string.rawValue && rawValue <= Cell.Kind.box.rawValue }
    /// Whether the payload is an index of the host table.
    @inline(__always) var isHosted: Bool {
        rawValue >= Cell.Kind.object.rawValue && rawValue <= Cell.Kind.hostFunction.rawValue
    }
}
