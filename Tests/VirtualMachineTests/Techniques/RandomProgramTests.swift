import Foundation
import Testing
import VirtualMachine

/// Random programs for ring 0 do the same under every technique as on the bare machine.
///
/// `VSCRIPT_LONG_TESTS=1` runs 10,000 of them.
@Suite struct RandomProgramTests {
    private static let count: UInt64 =
        ProcessInfo.processInfo.environment["VSCRIPT_LONG_TESTS"] == nil ? 60 : 10_000
    private static let first = UInt64(ProcessInfo.processInfo.environment["VSCRIPT_FIRST_SEED"] ?? "1") ?? 1

    @Test(arguments: [PreparedLayout.Environment.long, .protected], Way.faithful)
    func randomProgramsDoTheSame(environment: PreparedLayout.Environment, way: Way) throws {
        var faults: UInt64 = 0
        for seed in Self.first..<Self.first + Self.count {
            var program = RandomProgram(environment, seed: seed)
            let boot = try program.bootSource()
            let (bare, other) = (try Way.bare(boot, memory: 4 << 20), try way.guest(boot, memory: 4 << 20))
            let slices: [UInt64] = [1, 40, 100 + seed % 50, 2000, 3000 + seed % 77]
            try expectSame(bare, other, slices: slices, "seed \(seed)")
            faults += bare.transitions.count(cause: "exception")
        }
        // They are worth something only if they go through all levels.
        #expect(faults > 0)
    }
}
