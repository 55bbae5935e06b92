import Foundation
import Testing
import VirtualMachine
import _SeededNumbers

/// A guest that counts in memory, draws random numbers and prints, for ever.
private let counting = """
        mov esp, 0x300000
    again:
        rdrand rax
        mov [0x200000 + ebx * 8], rax
        inc ebx
        and ebx, 0xfff
        mov edx, 0x3f8
        out dx, al
        jmp again
    """

/// A directory that goes with the test.
private final class Folder {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("vscript-\(UUID().uuidString)")

    init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(at: url) }

    func path(_ name: String) -> String { url.appendingPathComponent(name).path }
    var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: url.path).sorted()) ?? [] }
}

@Suite struct SnapshotFileTests {
    private func bytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }

    private func write(_ bytes: some Sequence<UInt8>, _ path: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    private func failure(_ guest: Guest, _ path: String) -> SnapshotFileError? {
        do throws(SnapshotFileError) {
            try guest.load(from: path)
            return nil
        } catch {
            return error
        }
    }

    @Test func pagesThatAreThereAlreadyAreSharedWithTheHistory() throws {
        let folder = try Folder()
        let guest = try makeGuest(counting)
        guest.step(50_000)
        let history = GuestHistory(guest)
        try guest.save(to: folder.path("a"))
        let (before, saved) = (history.memoryUse, guest.digest)
        #expect(before > 10 * 4096)
        try guest.load(from: folder.path("a"))
        history.changed()
        guest.step(10_000)
        history.changed()
        #expect(guest.digest != saved)
        // Of the pages only those that the guest wrote in between are new.
        #expect(history.memoryUse < before + 10 * 4096, "\(before), \(history.memoryUse)")
        history.go(to: 50_000)
        #expect(guest.digest == saved)
    }

    @Test func anotherGuestGoesOnFromTheFile() throws {
        let folder = try Folder()
        let guest = try makeGuest(counting)
        guest.step(50_000)
        guest.console.send("typed")
        try guest.save(to: folder.path("a"))
        let saved = guest.digest
        guest.step(100_000)
        let other = try makeGuest(counting)
        try other.load(from: folder.path("a"))
        #expect(other.digest == saved && other.instructions == 50_000)
        other.step(100_000)
        #expect(other.digest == guest.digest)
        #expect(other.console.output == guest.console.output)
        #expect(other.console.inputs == guest.console.inputs)
    }

    @Test func pagesOfZerosTakeNoRoom() throws {
        let folder = try Folder()
        let guest = try makeGuest(counting)
        guest.step(20_000)
        try guest.save(to: folder.path("a"))
        let pages = try guest.snapshot().storedPages
        let size = try bytes(folder.path("a")).count
        #expect(size >= pages * 4_096 && size < pages * 4_096 + (64 << 10))
        #expect(UInt64(size) < guest.configuration.memory / 4)
    }

    @Test func everyFlippedBitIsFound() throws {
        let folder = try Folder()
        let guest = try makeGuest(counting)
        guest.step(3_000)
        try guest.save(to: folder.path("a"))
        guest.step(100)
        let before = guest.digest
        let whole = try bytes(folder.path("a"))
        var places = Array(0..<64) + Array(stride(from: 64, to: whole.count, by: 1_021))
        places.append(whole.count - 1)
        for place in places {
            var damaged = whole
            damaged[place] ^= UInt8(1) << UInt8(place & 7)
            try write(damaged, folder.path("b"))
            #expect(failure(guest, folder.path("b")) != nil, "byte \(place)")
        }
        #expect(guest.digest == before)
    }

    @Test func truncatedAndForeignFilesAreRefusedWithAReason() throws {
        let folder = try Folder()
        let guest = try makeGuest(counting)
        guest.step(3_000)
        try guest.save(to: folder.path("a"))
        let (before, whole, b) = (guest.digest, try bytes(folder.path("a")), folder.path("b"))
        for length in [1, 7, 8, 47, 48, 100, whole.count / 2, whole.count - 1] {
            try write(whole[..<length], b)
            guard case .length(_, let found, _) = failure(guest, b) else {
                Issue.record("cut to \(length): \(failure(guest, b).map { "\($0)" } ?? "loaded")")
                continue
            }
            #expect(found == UInt64(length))
        }
        try write(whole + [0], b)
        #expect(failure(guest, b) == .length(file: b, found: UInt64(whole.count + 1), expected: UInt64(whole.count)))
        for foreign in [
            [], Array("guest demo { }\n".utf8), [0x7F, 0x45, 0x4C, 0x46] + [UInt8](repeating: 0, count: 99),
        ] {
            try write(foreign, b)
            #expect(failure(guest, b) == .foreign(file: b))
        }
        var later = whole
        later[8] = 99
        try write(later, b)
        #expect(failure(guest, b) == .version(file: b, found: 99, known: SnapshotFile.format))
        #expect(failure(guest, folder.url.path) == .inaccessible(file: folder.url.path, reason: "is a directory"))
        #expect(
            failure(guest, folder.path("none"))
                == .inaccessible(file: folder.path("none"), reason: "no such file or directory"))
        #expect(guest.digest == before)
    }

    @Test func aSnapshotOfAnotherMachineIsRefused() throws {
        let folder = try Folder()
        let guest = try makeGuest(counting)
        try guest.save(to: folder.path("a"))
        let withDevice = try makeGuest(counting)
        try withDevice.attach(ScriptedDevice("lamp", ports: [0x500...0x500]))
        guard case .refused(.differentMachine(let why)) = failure(withDevice, folder.path("a")) else {
            Issue.record("it was loaded")
            return
        }
        #expect(why.contains("lamp"))
    }

    @Test func anInterruptedSaveLeavesTheOldFile() throws {
        let folder = try Folder()
        let guest = try makeGuest(counting)
        guest.step(3_000)
        try guest.save(to: folder.path("a"))
        let old = try bytes(folder.path("a"))
        guest.step(3_000)
        for wanted in [0, 1, 3, 20] {
            do throws(SnapshotFileError) {
                try guest.save(to: folder.path("a")) { body throws(FileReplacementError) in
                    var pieces: [[UInt8]] = []
                    try body { piece in pieces.append(Array(piece)) }
                    try FileReplacement.write(to: folder.path("a")) { sink throws(FileReplacementError) in
                        for piece in pieces.prefix(wanted) {
                            let result = piece.withUnsafeBytes { bytes in
                                Result { () throws(FileReplacementError) in try sink(bytes) }
                            }
                            try result.get()
                        }
                        throw FileReplacementError(reason: "no space left on device")
                    }
                }
                Issue.record("nothing stopped it")
            } catch {
                #expect(error == .inaccessible(file: folder.path("a"), reason: "no space left on device"))
            }
            #expect(try bytes(folder.path("a")) == old)
            #expect(folder.names == ["a"])
        }
    }

    @Test func whatIsToBeDoneLaterCannotBeSaved() throws {
        let folder = try Folder()
        let guest = try makeGuest(counting)
        let timer = guest.after(.seconds(1)) {}
        timer.place = "lab.vscript:7"
        do throws(SnapshotFileError) {
            try guest.save(to: folder.path("a"))
            Issue.record("it was saved")
        } catch {
            #expect(error == .pendingAction(time: 1_000_000_000, place: "lab.vscript:7"))
        }
        #expect(folder.names == [])
    }

    /// Whoever forges a file with the right check sum may break the guest, and nothing else.
    @Test func forgedStatesBreakNothing() throws {
        let folder = try Folder()
        let guest = try makeGuest(counting)
        guest.step(3_000)
        try guest.save(to: folder.path("a"))
        let whole = try bytes(folder.path("a"))
        let stateSize = Int(whole[12]) | Int(whole[13]) << 8 | Int(whole[14]) << 16
        var generator = SeededNumbers(7)
        var loaded = 0
        for _ in 0..<1_500 {
            var forged = whole
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                forged[48 + Int.random(in: 0..<stateSize, using: &generator)] = UInt8.random(
                    in: 0...255, using: &generator)
            }
            var sum = Checksum()
            forged.withUnsafeBytes { all in
                sum.add(UnsafeRawBufferPointer(rebasing: all[..<40]))
                sum.add(UnsafeRawBufferPointer(rebasing: all[48...]))
            }
            for index in 0..<8 { forged[40 + index] = UInt8(truncatingIfNeeded: sum.value >> UInt64(index * 8)) }
            try write(forged, folder.path("b"))
            guard failure(guest, folder.path("b")) == nil else { continue }
            loaded += 1
            _ = guest.run(limits: RunLimits(time: 3_000_000, instructions: 1_000))
            _ = guest.digest
        }
        #expect(loaded > 100)
    }
}
