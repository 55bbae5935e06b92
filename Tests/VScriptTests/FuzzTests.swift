import Testing
import VScript
import _LanguageFuzz

/// A short form of `scripts/fuzz`.
struct FuzzTests {
    @Test("random programs end by themselves, with an error or at a limit", arguments: Attack.allCases, 0..<4)
    func short(attack: Attack, part: UInt64) {
        var limits = Limits.untrusted
        (limits.fuel, limits.guestInstructions) = (100_000, 1_000_000)
        var outcomes: Set<Outcome> = []
        // Most changed texts are refused, and cost nothing.
        for seed in part * 1_000..<part * 1_000 + (attack == .text ? 240 : 60) {
            let result = LanguageFuzz.run(attack, seed: seed, limits: limits)
            #expect(result.heap <= limits.heap)
            outcomes.insert(result.outcome)
        }
        // Programs get past the parser, and texts and bytecode are found wanting.
        #expect(outcomes.contains(.ran) || outcomes.contains(.limited))
        if attack != .builtins { #expect(outcomes.contains(.refused)) }
    }

    @Test("every type's members are reached")
    func reach() throws {
        #expect(LanguageFuzz.unreachedTypes.isEmpty)
        let session = Session(limits: .untrusted)
        let program = try Program(LanguageFuzz.preamble + "\n[type(seen), type(touched), type(label), type(image)]")
        #expect(try session.run(program) == ["event", "event", "label", "boot image"])
    }
}
