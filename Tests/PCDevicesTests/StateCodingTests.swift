import PCDevices
import Testing
import _SeededNumbers

private enum Choice: Codable, Equatable, Sendable {
    case plain
    case number(Int)
    case pair(first: UInt8, second: String)
}

private struct Sample: Codable, Equatable, Sendable {
    var flag = true
    var byte: UInt8 = 0xFF
    var large = UInt64.max
    var small = Int64.min
    var negative: Int8 = -1
    var fraction = -0.5
    var text = "Größe"
    var none: UInt32?
    var some: UInt32? = 7
    var bytes: [UInt8] = [1, 2, 255]
    var numbers = [300, -4]
    var empty: [UInt16] = []
    var nested: [Choice] = [.plain, .number(-9), .pair(first: 1, second: "x")]
    var dictionary = ["b": 2, "a": 1]
    var byNumber = [10: true, 9: false]
    var optionals: [Int?] = [1, nil, 3]
}

@Suite struct StateCodingTests {
    @Test func everyKindOfValueComesBack() throws {
        let sample = Sample()
        let bytes = try StateEncoder.encode(sample)
        #expect(try StateDecoder.decode(Sample.self, from: bytes) == sample)
        #expect(try StateEncoder.encode(sample) == bytes)
    }

    @Test func bytesAreThoseOfTheDescribedForm() throws {
        // map of 1: "a" (length 1) = unsigned 300 as LEB128.
        #expect(try StateEncoder.encode(["a": 300]) == [8, 1, 1, 0x61, 3, 0xAC, 0x02])
        #expect(try StateEncoder.encode([UInt8(5), 6]) == [9, 2, 5, 6])
        #expect(try StateEncoder.encode([-1]) == [7, 1, 4, 0])
        #expect(try StateEncoder.encode([String]()) == [7, 0])
    }

    @Test func eachFieldChangesTheBytes() throws {
        let original = try StateEncoder.encode(Sample())
        let changes: [(inout Sample) -> Void] = [
            { $0.flag = false }, { $0.byte = 0 }, { $0.large = 0 }, { $0.small = 0 }, { $0.negative = 1 },
            { $0.fraction = 0.5 }, { $0.text = "" }, { $0.none = 0 }, { $0.some = nil }, { $0.bytes[1] = 3 },
            { $0.numbers[1] = 4 }, { $0.empty = [0] }, { $0.nested[0] = .number(0) }, { $0.dictionary["c"] = 3 },
            { $0.byNumber[9] = true }, { $0.optionals[1] = 0 },
        ]
        for (index, change) in changes.enumerated() {
            var sample = Sample()
            change(&sample)
            let bytes = try StateEncoder.encode(sample)
            #expect(bytes != original, "change \(index)")
            #expect(try StateDecoder.decode(Sample.self, from: bytes) == sample, "change \(index)")
        }
    }

    @Test func orderOfADictionaryDoesNotMatter() throws {
        var forward: [String: Int] = [:]
        var backward: [String: Int] = [:]
        for index in 0..<50 { forward["key\(index)"] = index }
        for index in (0..<50).reversed() { backward["key\(index)"] = index }
        #expect(try StateEncoder.encode(forward) == StateEncoder.encode(backward))
    }

    @Test func damagedBytesAreAnError() throws {
        let bytes = try StateEncoder.encode(Sample())
        for length in 0..<bytes.count {
            #expect(throws: DecodingError.self) {
                try StateDecoder.decode(Sample.self, from: Array(bytes[..<length]))
            }
        }
        #expect(throws: DecodingError.self) { try StateDecoder.decode(Sample.self, from: bytes + [0]) }
        #expect(throws: DecodingError.self) {
            try StateDecoder.decode([Int].self, from: Array(repeating: 7, count: 1_000))
        }
        #expect(throws: DecodingError.self) {
            try StateDecoder.decode(UInt8.self, from: StateEncoder.encode([300]))
        }
        var generator = SeededNumbers(1)
        for _ in 0..<2_000 {
            var damaged = bytes
            damaged[Int(generator.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: generator.next())
            _ = try? StateDecoder.decode(Sample.self, from: damaged)
        }
    }
}
