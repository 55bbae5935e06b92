/// Reads a guest's memory by linear address, without changing anything.
public struct GuestMemoryReader {
    private let body: (_ address: UInt64, _ count: Int) -> [UInt8]?

    /// Makes a reader of a function that gives exactly `count` bytes, or nil where not all of them are mapped.
    public init(_ body: @escaping (_ address: UInt64, _ count: Int) -> [UInt8]?) { self.body = body }

    /// Exactly `count` bytes, or nil.
    package func bytes(at address: UInt64, count: Int) -> [UInt8]? {
        guard count > 0 else { return count == 0 ? [] : nil }
        guard !address.addingReportingOverflow(UInt64(count) - 1).overflow, let bytes = body(address, count),
            bytes.count == count
        else { return nil }
        return bytes
    }

    package func integer<Value: FixedWidthInteger & UnsignedInteger>(_ type: Value.Type, at address: UInt64) -> Value? {
        bytes(at: address, count: Value.bitWidth / 8)?[...].littleEndian(type)
    }

    /// A number of 4 or 8 bytes.
    package func word(_ size: Int, at address: UInt64) -> UInt64? {
        size == 4 ? integer(UInt32.self, at: address).map { UInt64($0) } : integer(UInt64.self, at: address)
    }

    /// As many bytes before an address as are mapped, at most `limit`, in steps of pages.
    package func bytes(before end: UInt64, limit: Int) -> [UInt8] {
        var parts: [[UInt8]] = []
        var start = end
        var left = limit
        while left > 0, start > 0 {
            let step = Int(min(UInt64(left), (start - 1) & 0xFFF + 1))
            guard let part = bytes(at: start - UInt64(step), count: step) else { break }
            parts.append(part)
            start -= UInt64(step)
            left -= step
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(limit - left)
        for part in parts.reversed() { bytes += part }
        return bytes
    }
}
