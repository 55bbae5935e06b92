import Foundation
import Hypervisors
import Testing
import VirtualMachine
import X86Engine

/// Random programs for ring 0 do the same under every technique as on the bare machine.
///
/// `VSCRIPT_LONG_TESTS=1` runs 10,000 of them, `VSCRIPT_FIRST_SEED` begins with another one.
@Suite struct RandomProgramTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let count: UInt64 = environment["VSCRIPT_LONG_TESTS"] == nil ? 48 : 10_000
    private static let first = UInt64(environment["VSCRIPT_FIRST_SEED"] ?? "1") ?? 1
    /// Parts of the seeds, which can run side by side.
    private static let parts = 4

    /// What a guest shows after each slice.
    private struct Step: Equatable {
        var reason: Stop.Reason
        var faults: [String]
        var instructions: UInt64
        var digest: UInt64
    }

    private func steps(_ guest: Guest, seed: UInt64) -> [Step] {
        var steps: [Step] = []
        // Three-level tables take a while to make.
        for slice: UInt64 in [1, 40, 600 + seed % 50, 25_000, 3000 + seed % 77] {
            let stop = guest.advance(slice)
            steps.append(
                Step(
                    reason: stop.reason, faults: stop.faults, instructions: guest.instructions, digest: guest.digest))
            if stop.reason != .instructions { break }
        }
        return steps
    }

    /// Whether a program that was to avoid sensitive instructions executes one in what it has written over its code.
    private func strays(_ boot: BootSource, _ vendor: Way.Vendor, seed: UInt64) throws -> Bool {
        let guest = try Way.bare(boot, vendor.model, memory: 4 << 20)
        var isMet = false
        for name in RandomProgram.sensitiveMnemonics {
            _ = guest.on(try #require(EventFilter.instruction(name))) { _ in
                isMet = true
                return .proceed
            }
        }
        _ = steps(guest, seed: seed)
        return isMet
    }

    /// Whether a program meets a page fault where the software monitors' region can be, which a kernel in ring 1 can read.
    private func readsRegion(_ boot: BootSource, _ vendor: Way.Vendor, seed: UInt64) throws -> Bool {
        let guest = try Way.bare(boot, vendor.model, memory: 4 << 20)
        var isMet = false
        _ = guest.on(.exception(14)) { event in
            if let address = event.address, SoftwareMonitor.canHoldRegion(address) { isMet = true }
            return .proceed
        }
        _ = steps(guest, seed: seed)
        return isMet
    }

    @Test(arguments: 0..<parts, Way.vendors)
    func randomProgramsDoTheSame(part: Int, vendor: Way.Vendor) throws {
        var (faults, whole, programs, strayed): (UInt64, Int, Int, Int) = (0, 0, 0, 0)
        for seed in Self.first..<Self.first + Self.count where Int(seed) % Self.parts == part {
            let mode = RandomProgram.Mode.allCases[Int(seed) / Self.parts % 3]
            // Of four programs one is for a monitor that sees what faults and nothing else.
            let avoidsSensitive = seed / 16 % 4 == 0
            var program = RandomProgram(mode, seed: seed, avoidsSensitive: avoidsSensitive)
            let boot = try program.bootSource()
            let bare = try Way.bare(boot, vendor.model, memory: 4 << 20)
            let expected = steps(bare, seed: seed)
            faults += bare.transitions.count(cause: "exception")
            programs += 1
            if expected.last?.reason == .instructions { whole += 1 }
            for way in vendor.ways + (avoidsSensitive ? [Way.trapAndEmulate] : []) {
                let found = steps(try way.guest(boot, vendor.model, memory: 4 << 20), seed: seed)
                guard found != expected else { continue }
                if way.testDescription == Way.trapAndEmulate.testDescription, try strays(boot, vendor, seed: seed) {
                    strayed += 1
                    continue
                }
                if [.translate, .trapAndEmulate].contains(way.technique), try readsRegion(boot, vendor, seed: seed) {
                    strayed += 1
                    continue
                }
                let difference = try firstDifference(within: bare.instructions) { count in
                    let (bare, other) = (
                        try Way.bare(boot, vendor.model, memory: 4 << 20),
                        try way.guest(boot, vendor.model, memory: 4 << 20)
                    )
                    for guest in [bare, other] { guest.advance(count) }
                    return (bare, other)
                }
                Issue.record("seed \(seed), \(mode), \(vendor.model.vendor), \(way.testDescription): \(difference)")
            }
        }
        // They are worth something only if they run to their length and go through all levels.
        #expect(faults > UInt64(programs) * 10)
        #expect(whole * 100 >= programs * 90, "\(whole) of \(programs) run to their length")
        #expect(strayed <= 1 + programs / 200, "\(strayed) of \(programs) execute or read what they were to avoid")
    }
}
