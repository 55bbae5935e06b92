import Testing
import VirtualMachine

@Suite struct BootInitialRAMDiskTests {
    private var archive: [UInt8] {
        NewcArchive.entry("init", Array("#!/bin/sh\n".utf8)) + NewcArchive.entry("etc/motd", [1]) + NewcArchive.end
    }

    private func check(_ bytes: [UInt8]) throws { try InitialRAMDisk(BootFile(name: "initrd", bytes: bytes)).check() }

    @Test func completeArchivesAndWhatIsNoneAreTaken() throws {
        try check(archive)
        try check(archive + [UInt8](repeating: 0, count: 512))
        try check([UInt8](repeating: 0, count: 4) + archive + [UInt8](repeating: 0, count: 96) + archive)
        // An archive for early use in front of a compressed one.
        try check(archive + [0x1F, 0x8B, 8, 0])
        try check([0x28, 0xB5, 0x2F, 0xFD])
        try check([0])
    }

    @Test func everyTruncationIsFound() throws {
        // What follows the trailer's name is padding.
        for size in 6..<archive.count - 4 {
            #expect(throws: BootError.self, "\(size)") { try check(Array(archive.prefix(size))) }
        }
        let error = #expect(throws: BootError.self) { try check(Array(archive.prefix(120))) }
        #expect("\(try #require(error))".contains("initrd: truncated: \"init\" of the cpio archive of 10 bytes"))
        #expect(throws: BootError.self) { try check([]) }
        #expect(throws: BootError.self) { try check(archive + [0, 0, 0, 0] + archive.prefix(200)) }
    }

    @Test func damagedHeadersAreFound() throws {
        var damaged = archive
        damaged[6 + 6 * 8] = UInt8(ascii: "x")
        #expect(throws: BootError.self) { try check(damaged) }
        damaged = archive
        damaged[NewcArchive.entry("init", Array("#!/bin/sh\n".utf8)).count] = UInt8(ascii: "1")
        #expect(throws: BootError.self) { try check(damaged) }
        // The largest sizes that fit the fields.
        damaged = archive
        for digit in 0..<8 { damaged[6 + 6 * 8 + digit] = UInt8(ascii: "F") }
        #expect(throws: BootError.self) { try check(damaged) }
        for digit in 0..<8 { damaged[6 + 11 * 8 + digit] = UInt8(ascii: "F") }
        #expect(throws: BootError.self) { try check(damaged) }
    }
}
