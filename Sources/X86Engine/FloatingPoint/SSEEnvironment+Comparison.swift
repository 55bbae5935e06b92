/// The eight predicates of CMPPS and its kin; raw values are their immediates.
package enum SSEPredicate: UInt8, CaseIterable, Sendable {
    case equal = 0
    case lessThan = 1
    case lessThanOrEqual = 2
    case unordered = 3
    case notEqual = 4
    case notLessThan = 5
    case notLessThanOrEqual = 6
    case ordered = 7

    /// Decodes the low three bits of an immediate.
    @inline(__always)
    package init(immediate: UInt8) {
        switch immediate & 7 {
        case 0: self = .equal
        case 1: self = .lessThan
        case 2: self = .lessThanOrEqual
        case 3: self = .unordered
        case 4: self = .notEqual
        case 5: self = .notLessThan
        case 6: self = .notLessThanOrEqual
        default: self = .ordered
        }
    }

    /// Whether a QNaN raises the invalid-operation exception, as an SNaN always does.
    @inline(__always)
    var signalsQuietNaN: Bool {
        switch self {
        case .lessThan, .lessThanOrEqual, .notLessThan, .notLessThanOrEqual: return true
        case .equal, .unordered, .notEqual, .ordered: return false
        }
    }

    @inline(__always)
    func holds(_ ordering: FloatingPointOrdering) -> Bool {
        switch self {
        case .equal: return ordering == .equal
        case .lessThan: return ordering == .less
        case .lessThanOrEqual: return ordering == .less || ordering == .equal
        case .unordered: return ordering == .unordered
        case .notEqual: return ordering != .equal
        case .notLessThan: return ordering != .less
        case .notLessThanOrEqual: return ordering != .less && ordering != .equal
        case .ordered: return ordering != .unordered
        }
    }
}

extension SSEEnvironment {
    /// COMISD (`signalsQuietNaN`) and UCOMISD.
    @inline(__always)
    package mutating func compare64(
        _ a: UInt64, _ b: UInt64, signalsQuietNaN: Bool
    ) -> FloatingPointOrdering {
        let format = InterchangeFormat.binary64
        guard a & format.infinity != 0, b & format.infinity != 0 else {
            return compare(a, b, signalsQuietNaN: signalsQuietNaN, format)
        }
        let x = Double(bitPattern: a)
        let y = Double(bitPattern: b)
        if x < y { return .less }
        if x > y { return .greater }
        if x == y { return .equal }
        return compare(a, b, signalsQuietNaN: signalsQuietNaN, format)
    }

    /// COMISS (`signalsQuietNaN`) and UCOMISS.
    @inline(__always)
    package mutating func compare32(
        _ a: UInt32, _ b: UInt32, signalsQuietNaN: Bool
    ) -> FloatingPointOrdering {
        guard a & 0x7F80_0000 != 0, b & 0x7F80_0000 != 0 else {
            return compare(UInt64(a), UInt64(b), signalsQuietNaN: signalsQuietNaN, .binary32)
        }
        let x = Float(bitPattern: a)
        let y = Float(bitPattern: b)
        if x < y { return .less }
        if x > y { return .greater }
        if x == y { return .equal }
        return compare(UInt64(a), UInt64(b), signalsQuietNaN: signalsQuietNaN, .binary32)
    }

    @inline(never)
    mutating func compare(
        _ a: UInt64, _ b: UInt64, signalsQuietNaN: Bool, _ format: InterchangeFormat
    ) -> FloatingPointOrdering {
        if format.isNaN(a) || format.isNaN(b) {
            if signalsQuietNaN || format.isSignalingNaN(a) || format.isSignalingNaN(b) { raise(.invalidOperation) }
            return .unordered
        }
        let x = flushed(a, format)
        let y = flushed(b, format)
        if format.isDenormal(x) || format.isDenormal(y) { raise(.denormalOperand) }
        // Sign and magnitude made two's complement order like the numbers, zeros alike.
        let left = format.orderedInteger(x)
        let right = format.orderedInteger(y)
        return left < right ? .less : left == right ? .equal : .greater
    }

    /// CMPSD and one element of CMPPD: all ones where the predicate holds, else zero.
    @inline(__always)
    package mutating func compare64(_ a: UInt64, _ b: UInt64, _ predicate: SSEPredicate) -> UInt64 {
        predicate.holds(compare64(a, b, signalsQuietNaN: predicate.signalsQuietNaN)) ? .max : 0
    }

    /// CMPSS and one element of CMPPS: all ones where the predicate holds, else zero.
    @inline(__always)
    package mutating func compare32(_ a: UInt32, _ b: UInt32, _ predicate: SSEPredicate) -> UInt32 {
        predicate.holds(compare32(a, b, signalsQuietNaN: predicate.signalsQuietNaN)) ? .max : 0
    }

    /// MINSD: the second operand unless the first is less; NaNs and equal zeros give the second.
    @inline(__always)
    package mutating func minimum64(_ a: UInt64, _ b: UInt64) -> UInt64 {
        flushed(compare64(a, b, signalsQuietNaN: true) == .less ? a : b, .binary64)
    }

    /// MAXSD: the second operand unless the first is greater; NaNs and equal zeros give the second.
    @inline(__always)
    package mutating func maximum64(_ a: UInt64, _ b: UInt64) -> UInt64 {
        flushed(compare64(a, b, signalsQuietNaN: true) == .greater ? a : b, .binary64)
    }

    /// MINSS; see `minimum64`.
    @inline(__always)
    package mutating func minimum32(_ a: UInt32, _ b: UInt32) -> UInt32 {
        let result = compare32(a, b, signalsQuietNaN: true) == .less ? a : b
        return UInt32(truncatingIfNeeded: flushed(UInt64(result), .binary32))
    }

    /// MAXSS; see `maximum64`.
    @inline(__always)
    package mutating func maximum32(_ a: UInt32, _ b: UInt32) -> UInt32 {
        let result = compare32(a, b, signalsQuietNaN: true) == .greater ? a : b
        return UInt32(truncatingIfNeeded: flushed(UInt64(result), .binary32))
    }
}

extension InterchangeFormat {
    @inline(__always)
    fileprivate func orderedInteger(_ bits: UInt64) -> Int64 {
        let magnitude = Int64(truncatingIfNeeded: bits & (signBit &- 1))
        return isNegative(bits) ? 0 &- magnitude : magnitude
    }
}
