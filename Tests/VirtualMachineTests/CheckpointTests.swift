import Foundation
import Testing
import VirtualMachine

/// Work that nobody waits for any more leaves everything as it was.
@Suite struct CheckpointTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("vscript-\(UUID().uuidString)")

    private func guest() throws -> Guest {
        try makeGuest("mov esp, 0x300000\nagain: mov [0x200000 + ebx * 8], rax\ninc ebx\nand ebx, 0xfff\njmp again")
    }

    /// Does work that is given up when it asks for the `last`-th time.
    private func given<Result>(_ last: Int, _ work: () throws -> Result) rethrows -> Result {
        let count = Counter()
        return try Checkpoint.whileTrue({ count.next() < last }, work)
    }

    private final class Counter: @unchecked Sendable {
        private var value = 0
        func next() -> Int {
            defer { value += 1 }
            return value
        }
    }

    @Test(arguments: 0..<6) func anInterruptedSaveLeavesTheOldFile(last: Int) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (guest, path) = (try guest(), folder.appendingPathComponent("a").path)
        guest.step(10_000)
        try guest.save(to: path)
        let old = try Data(contentsOf: URL(fileURLWithPath: path))
        guest.step(10_000)
        #expect(throws: SnapshotFileError.inaccessible(file: path, reason: "interrupted")) {
            try given(last) { try guest.save(to: path) }
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == old)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["a"])
    }

    @Test(arguments: 0..<5) func anInterruptedLoadLeavesTheGuest(last: Int) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (guest, path) = (try guest(), folder.appendingPathComponent("a").path)
        guest.step(10_000)
        try guest.save(to: path)
        guest.step(777)
        let before = guest.digest
        #expect(throws: SnapshotFileError.inaccessible(file: path, reason: "interrupted")) {
            try given(last) { try guest.load(from: path) }
        }
        #expect(guest.digest == before && guest.instructions == 10_777)
        try guest.load(from: path)
        #expect(guest.instructions == 10_000)
    }

    @Test func interruptedSymbolsAddNone() throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (guest, path) = (try guest(), folder.appendingPathComponent("map").path)
        let lines = (0..<20_000).map { "ffffffff81\(String($0 + 0x100000, radix: 16)) T f\($0)\n" }.joined()
        try Data(lines.utf8).write(to: URL(fileURLWithPath: path))
        for last in [1, 5, 20] {
            #expect(throws: SymbolError.interrupted) { try given(last) { try guest.addSymbols(contentsOf: path) } }
            #expect(guest.symbolTable["f7"] == nil)
        }
        try guest.addSymbols(contentsOf: path)
        #expect(guest.symbolTable["f7"] == 0xFFFF_FFFF_8110_0007)
    }

    @Test func aCancelledTaskGivesItsWorkUp() async throws {
        let isPassed = await Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return (Checkpoint.isPassed, Checkpoint.unconditionally { Checkpoint.isPassed })
        }.value
        #expect(isPassed == (false, true))
    }
}
