import Foundation
import Testing
import X86

/// The decoder against Zydis: lengths, mnemonics, operands, sizes, validity and flags of millions of byte strings.
///
/// `VSCRIPT_LONG_TESTS=1` makes the comparison complete in prefixes, opcodes and ModRM bytes (some minutes).
@Suite struct DecoderZydisTests {
    private static let isLong = ProcessInfo.processInfo.environment["VSCRIPT_LONG_TESTS"] != nil

    @Test func agreesWithZydisOnRandomStrings() throws {
        var strings = ByteStrings(seed: 1)
        var report = DifferenceReport(try ZydisOracle())
        for _ in 0..<(Self.isLong ? 1000 : 100) {
            try report.compare(
                (0..<20_000).map { index in
                    let mode = CodeMode.allCases[index % 3]
                    return .init(mode: mode, bytes: strings.next(mode: mode))
                })
        }
        #expect(report.found.isEmpty, "\(report)")
    }

    @Test(arguments: CodeMode.allCases)
    func agreesWithZydisOnEveryOpcode(mode: CodeMode) throws {
        var strings = ByteStrings(seed: 2)
        var report = DifferenceReport(try ZydisOracle())
        let all = ByteStrings.prefixCombinations(mode: mode)
        let starts =
            (Self.isLong ? all : [[]]).flatMap { prefixes in ByteStrings.legacyEscapes.map { prefixes + $0 } }
            + (Self.isLong ? ByteStrings.vexEscapes(mode: mode) : [])
        for start in starts {
            for opcodes in stride(from: 0, to: 256, by: 64) {
                try report.compare(
                    (opcodes << 8..<(opcodes + 64) << 8).map { number in
                        let tail = [UInt8(number >> 8), UInt8(number & 0xFF)]
                        return .init(mode: mode, bytes: strings.filled(start + tail))
                    })
            }
        }
        #expect(report.found.isEmpty, "\(report)")
    }
}

/// The disagreements found so far, with an example of each.
private struct DifferenceReport: CustomStringConvertible {
    private let oracle: ZydisOracle
    private(set) var found: [Difference: (count: Int, example: String)] = [:]

    init(_ oracle: ZydisOracle) { self.oracle = oracle }

    mutating func compare(_ requests: [ZydisOracle.Request]) throws {
        for (request, reply) in zip(requests, try oracle.decode(requests)) {
            let ours = request.bytes.withUnsafeBytes { Decoder.decode($0, mode: request.mode) }
            for difference in DecoderComparison(ours: ours, theirs: reply).differences {
                let bytes = request.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
                let example = "\(request.mode) " + bytes.joined(separator: " ")
                found[difference, default: (0, example)].count += 1
            }
        }
    }

    var description: String {
        let lines = found.sorted { $0.value.count > $1.value.count }.prefix(100).map { difference, occurrence in
            "\(difference.subject) \(difference.kind): \(difference.detail) "
                + "(\(occurrence.count) times, \(occurrence.example))"
        }
        return "\(found.count) differences:\n" + lines.joined(separator: "\n")
    }
}
