import Foundation
import Testing

/// Sets whose members are numbered by hand: two members with one number would be one.
@Suite("option sets")
struct OptionSetTests {
    private static let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Sources")

    /// A member's bits, as a number or `1 << n`.
    private static func bits(_ text: Substring) -> UInt64? {
        let parts = text.split(separator: " << ").map { part in
            part.hasPrefix("0x") ? UInt64(part.dropFirst(2), radix: 16) : UInt64(part)
        }
        guard let first = parts.first, let value = first else { return nil }
        guard parts.count > 1 else { return value }
        return parts[1].map { value << $0 }
    }

    /// The members of each set that a source file declares.
    private static func sets(in text: String) -> [(name: String, members: [(name: String, bits: UInt64)])] {
        text.matches(of: /struct (\w+): (?:[\w, ]*\b)?OptionSet\b/).map { match in
            var depth = 0
            let body = text[match.range.upperBound...].prefix { character in
                if character == "{" { depth += 1 }
                if character == "}" { depth -= 1 }
                return !(character == "}" && depth == 0)
            }
            let members = body.matches(of: /static let (\w+) = (?:Self|\w+)\(rawValue: ([^)]+)\)/)
            return (
                String(match.output.1),
                members.compactMap { member in
                    bits(member.output.2).map { (String(member.output.1), $0) }
                }
            )
        }
    }

    @Test("no two members of a set share a bit")
    func membersAreDisjoint() throws {
        let names = try #require(FileManager.default.enumerator(atPath: Self.sources.path)).compactMap { $0 as? String }
        var found: Set<String> = []
        for name in names where name.hasSuffix(".swift") {
            let text = try String(contentsOf: Self.sources.appendingPathComponent(name), encoding: .utf8)
            for set in Self.sets(in: text) where !set.members.isEmpty {
                found.insert(set.name)
                var taken: UInt64 = 0
                for member in set.members {
                    #expect(member.bits & taken == 0, "\(set.name).\(member.name)")
                    taken |= member.bits
                }
            }
        }
        #expect(found.isSuperset(of: ["PageFlags", "EventKinds", "PrimaryControls", "ProcessorSignals", "FlagSet"]))
    }
}
