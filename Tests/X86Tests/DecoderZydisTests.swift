import Foundation
import Testing
import X86

/// The decoder against Zydis: lengths, mnemonics, operands, validity and flags of millions of byte strings.
@Suite struct DecoderZydisTests {
    /// 2,000,000, or what VSCRIPT_DECODER_STRINGS says.
    private static let count =
        ProcessInfo.processInfo.environment["VSCRIPT_DECODER_STRINGS"].flatMap(Int.init) ?? 2_000_000

    @Test func agreesWithZydis() throws {
        let oracle = try ZydisOracle()
        var strings = ByteStrings(seed: 1)
        var found: [Difference: (count: Int, example: String)] = [:]
        var remaining = Self.count
        while remaining > 0 {
            let requests = (0..<min(remaining, 20_000)).map { index in
                let mode = CodeMode.allCases[index % 3]
                return ZydisOracle.Request(mode: mode, bytes: strings.next(mode: mode))
            }
            remaining -= requests.count
            for (request, reply) in zip(requests, try oracle.decode(requests)) {
                let ours = request.bytes.withUnsafeBytes { Decoder.decode($0, mode: request.mode) }
                for difference in DecoderComparison(ours: ours, theirs: reply).differences {
                    found[difference, default: (0, request.text)].count += 1
                }
            }
        }
        let report = found.sorted { $0.value.count > $1.value.count }.prefix(100).map { difference, occurrence in
            "\(difference.subject) \(difference.kind): \(difference.detail) (\(occurrence.count) times, \(occurrence.example))"
        }
        #expect(found.isEmpty, "\(found.count) differences:\n\(report.joined(separator: "\n"))")
    }
}

extension ZydisOracle.Request {
    /// Mode and bytes for a report.
    var text: String {
        "\(mode) " + bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined(separator: " ")
    }
}
