import Foundation
import Testing
import VirtualMachine
import X86
import X86Engine
import _SeededNumbers

/// Pieces of privileged code, and bytes of no meaning, end under every technique as on the bare machine.
@Suite struct TechniqueProbeTests {
    /// Runs a guest on the bare machine and under a technique to its end, and compares them every now and then.
    private func expectSame(
        _ boot: BootSource, _ place: Way.Placed, slices: [UInt64], memory: UInt64 = 16 << 20
    ) throws -> Guest {
        let bare = try Way.bare(boot, place.model, memory: memory)
        let other = try place.way.guest(boot, place.model, memory: memory)
        for slice in slices {
            let (expected, found) = (bare.advance(slice), other.advance(slice))
            guard
                expected.reason != found.reason || expected.faults != found.faults || bare.digest != other.digest
                    || bare.instructions != other.instructions
            else {
                if expected.reason != .instructions { break }
                continue
            }
            let difference = try firstDifference(within: bare.instructions) { count in
                let (bare, other) = (
                    try Way.bare(boot, place.model, memory: memory),
                    try place.way.guest(boot, place.model, memory: memory)
                )
                for guest in [bare, other] { guest.advance(count) }
                return (bare, other)
            }
            Issue.record("\(found.reason) for \(expected.reason): \(difference)")
            break
        }
        return bare
    }

    private func multiboot(_ program: ProbeProgram) throws -> BootSource {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("vscript-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let image = folder.appendingPathComponent("probes")
        try Data(try program.image()).write(to: image)
        return try .multiboot(image.path)
    }

    /// Those that are compared with QEMU too: 32-bit code and virtual-8086 mode without paging.
    @Test(arguments: Way.placed) func segmentsGatesAndTasks(place: Way.Placed) throws {
        // LAR and its like in ring 3 find the monitor's table, which is a documented difference.
        let program = ProbeProgram(
            probes: ProbeProgram.probes.filter { probe in
                probe.level != .ring3 || !["lar ", "lsl ", "verr ", "verw "].contains { probe.code.contains($0) }
            })
        let bare = try expectSame(try multiboot(program), place, slices: [UInt64](repeating: 100_000, count: 80))
        #expect(bare.console.debugOutput.count { $0 == 10 } == program.probes.count)
    }

    @Test(arguments: Way.placed) func pagingOfTwoAndThreeLevels(place: Way.Placed) throws {
        let walksPointers = place.way.technique == .svm && place.way.paging == .nested
        let program = ProbeProgram(
            probes: PagedProbes.all + (walksPointers ? [] : PagedProbes.pointerRegisters), equates: PagedProbes.equates)
        let bare = try expectSame(try multiboot(program), place, slices: [UInt64](repeating: 100_000, count: 200))
        #expect(bare.console.debugOutput.count { $0 == 10 } == program.probes.count)
    }

    @Test(arguments: Way.placed) func longMode(place: Way.Placed) throws {
        let program = LongProbeProgram(probes: LongProbes.all)
        let bare = try expectSame(try program.bootSource(), place, slices: [UInt64](repeating: 100_000, count: 200))
        // All of them have ended by themselves, and many by a fault.
        func word(_ number: Int, _ offset: UInt64) -> UInt64 {
            bare.memory.quadword(at: LongProbeProgram.log + UInt64(number) * LongProbeProgram.recordSize + offset)
        }
        let vectors = program.probes.indices.map { word($0, 0) }
        #expect(vectors.count { $0 == 0xFF } > vectors.count / 5 && vectors.count { $0 < 32 } > vectors.count / 4)
        #expect(word(vectors.count - 1, 16) != 0)
    }

    /// 10,000 with `VSCRIPT_LONG_TESTS=1`.
    @Test(arguments: Way.placed) func bytesOfNoMeaning(place: Way.Placed) throws {
        let count: UInt64 = ProcessInfo.processInfo.environment["VSCRIPT_LONG_TESTS"] == nil ? 12 : 10_000
        for number in 0..<count {
            var random = SeededNumbers(number)
            let bytes = (0..<4096).map { _ in UInt8(truncatingIfNeeded: random.next() >> 32) }
            let mode: BootSource.FlatMode = [.real, .protected, .long][Int(number % 3)]
            _ = try expectSame(
                .flat(bytes, at: mode == .real ? 0x7C00 : 0x10_0000, mode: mode), place,
                slices: [1, 30, 3_000, 10_000],
                memory: 4 << 20)
        }
    }
}
