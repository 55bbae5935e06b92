import Foundation
import Testing
import VirtualMachine

@Suite struct BootFileTests {
    private let folder = FileManager.default.temporaryDirectory.appending(
        path: "boot-\(UUID())", directoryHint: .isDirectory)

    @Test func missingFileGivesTheSystemsReason() {
        let path = folder.appending(path: "none").path
        #expect(
            catchBootError { _ = try BootFile(path: path) }
                == .unreadable(file: path, reason: "No such file or directory"))
    }

    @Test func directoryAndEmptyFileAndDeviceAreNamed() throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        #expect(catchBootError { _ = try BootFile(path: folder.path) } == .isDirectory(file: folder.path))
        let empty = folder.appending(path: "empty")
        try Data().write(to: empty)
        #expect(catchBootError { _ = try BootFile(path: empty.path) } == .empty(file: empty.path))
        #expect(
            catchBootError { _ = try BootFile(path: "/dev/null") }
                == .unreadable(file: "/dev/null", reason: "not a regular file"))
    }

    @Test func wholeFileIsRead() throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let path = folder.appending(path: "data")
        try Data(bytes).write(to: path)
        #expect(try BootFile(path: path.path).bytes == bytes)
    }

    @Test func readingBehindTheEndIsTruncation() {
        let file = BootFile(name: "f", bytes: [1, 2, 3])
        #expect(
            catchBootError { _ = try file.integer(UInt32.self, at: 1, "field") }
                == .truncated(file: "f", what: "field", offset: 1, size: 4, fileSize: 3))
        #expect(catchBootError { _ = try file.slice(at: .max, size: .max, "x") } != nil)
    }

    @Test func memoryMapHasTheHoleBelow4GiB() throws {
        let map = try PhysicalMemoryMap(size: 6 << 30)
        #expect(map.low == 0..<0xC000_0000)
        #expect(map.high == 0x1_0000_0000..<0x1_C000_0000)
        let usable = map.entries.filter { $0.kind == .usable }.map(\.range)
        #expect(usable == [0..<0x9_FC00, 0x10_0000..<0xC000_0000, 0x1_0000_0000..<0x1_C000_0000])
        #expect(try PhysicalMemoryMap(size: 1 << 20).usable == [0..<0x9_FC00])
    }

    @Test(arguments: [0, 4096, 0xF_F000, 0x10_0001, 0x100_0000_1000, .max] as [UInt64])
    func impossibleMemorySizeIsRefused(size: UInt64) {
        #expect(catchBootError { _ = try PhysicalMemoryMap(size: size) } != nil)
    }

    @Test func freePlacesAvoidWhatIsTaken() throws {
        let map = try PhysicalMemoryMap(size: 4 << 20)
        let all: Range<UInt64> = 0..<0x40_0000
        #expect(map.lowestFree(size: 0x1000, alignment: 0x1000, within: all, avoiding: [0..<0x5001]) == 0x6000)
        #expect(map.highestFree(size: 0x1001, alignment: 0x1000, within: all) == 0x3F_E000)
        #expect(map.lowestFree(size: 0xA_0000, alignment: 0x1000, within: all) == 0x10_0000)
        #expect(map.lowestFree(size: 0x30_0001, alignment: 1, within: all) == nil)
        #expect(map.largestFree(within: all, avoiding: [0x20_0000..<0x20_0001]) == 0x1F_FFFF)
    }
}
