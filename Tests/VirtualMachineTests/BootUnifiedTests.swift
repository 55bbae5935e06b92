import Foundation
import Testing
import VirtualMachine
import _SeededNumbers

/// Unified kernel images laid out by the offsets of Microsoft's PE Format, with the sections of UAPI.5.
@Suite struct BootUnifiedTests {
    private struct Section {
        var name: String
        var content: [UInt8]
        /// Instead of the content's size.
        var virtualSize: UInt32?
        var rawSize: UInt32?
        var offset: UInt32?

        init(
            _ name: String, _ content: [UInt8], virtualSize: UInt32? = nil, rawSize: UInt32? = nil,
            offset: UInt32? = nil
        ) {
            self.name = name
            self.content = content
            self.virtualSize = virtualSize
            self.rawSize = rawSize
            self.offset = offset
        }

        init(_ name: String, _ text: String) { self.init(name, Array(text.utf8)) }
    }

    private static let header = 0x80

    /// A PE file whose sections are padded to 512 bytes.
    private func image(_ sections: [Section], _ change: (inout FileBuilder) -> Void = { _ in }) -> BootFile {
        let optionalSize = 0xF0
        let table = Self.header + 24 + optionalSize
        var place = (table + sections.count * 40 + 511) / 512 * 512
        var file = FileBuilder(size: max(place, 0x400))
        place = file.bytes.count
        file.set(0, text: "MZ")
        file.set(0x3C, UInt32(Self.header))
        file.set(Self.header, text: "PE\0\0")
        file.set(Self.header + 4, UInt16(0x8664))
        file.set(Self.header + 6, UInt16(sections.count))
        file.set(Self.header + 20, UInt16(optionalSize))
        for (index, section) in sections.enumerated() {
            let entry = table + index * 40
            let size = (section.content.count + 511) / 512 * 512
            file.set(entry, text: section.name)
            file.set(entry + 8, section.virtualSize ?? UInt32(section.content.count))
            file.set(entry + 16, section.rawSize ?? UInt32(size))
            file.set(entry + 20, section.offset ?? UInt32(place))
            file.bytes += section.content + [UInt8](repeating: 0xEE, count: size - section.content.count)
            place += size
        }
        change(&file)
        return BootFile(name: "image.efi", bytes: file.bytes)
    }

    private func error(_ file: BootFile) -> String {
        do {
            _ = try UnifiedKernelImage(file)
            return "none"
        } catch { return error.description }
    }

    @Test func kernelInitrdAndCommandLineAreTakenFromTheirSections() throws {
        let file = image([
            Section(".text", [0x90]), Section(".osrel", "ID=x"), Section(".cmdline", " console=ttyS0\tquiet \n\0tail"),
            Section(".initrd", "INITRD"), Section(".linux", [UInt8](repeating: 0x4C, count: 700)),
        ])
        #expect(UnifiedKernelImage.isImage(file))
        let unified = try UnifiedKernelImage(file)
        #expect(unified.kernel.bytes == [UInt8](repeating: 0x4C, count: 700))
        #expect(unified.initrd?.bytes == Array("INITRD".utf8))
        #expect(unified.commandLine == "console=ttyS0 quiet")
        #expect(unified.kernel.name == "image.efi, section .linux")
    }

    @Test func onlyTheKernelMustBeThere() throws {
        let unified = try UnifiedKernelImage(image([Section(".linux", "L"), Section(".initrd", [])]))
        #expect(unified.initrd == nil && unified.commandLine == nil)
        #expect(
            error(image([Section(".text", "x"), Section(".initrd", "i")]))
                == "image.efi: not a unified kernel image: the list of its sections is .text .initrd, not one with .linux"
        )
    }

    @Test func microcodeStandsBeforeTheInitrdAtAMultipleOfFour() throws {
        let unified = try UnifiedKernelImage(
            image([Section(".initrd", "INITRD"), Section(".ucode", "UCODE"), Section(".linux", "L")]))
        #expect(unified.initrd?.bytes == Array("UCODE\0\0\0INITRD".utf8))
    }

    /// UAPI.5, "Multi-Profile UKIs".
    @Test func theFirstProfileStandsInForSectionsBeforeIt() throws {
        let unified = try UnifiedKernelImage(
            image([
                Section(".linux", "L"), Section(".cmdline", "base"), Section(".initrd", "I"),
                Section(".profile", "ID=a"),
                Section(".cmdline", "first"), Section(".profile", "ID=b"), Section(".cmdline", "second"),
                Section(".initrd", "J"),
            ]))
        #expect(unified.commandLine == "first" && unified.initrd?.bytes == [0x49])
    }

    /// PE Format, "Section Table": the loader fills up with zeros, or leaves out what pads the file.
    @Test func theSmallerOfBothSizesCounts() throws {
        let unified = try UnifiedKernelImage(
            image([
                Section(".linux", [0x4C, 0x4C], virtualSize: 0x4000_0000),
                Section(".cmdline", Array("abc".utf8), virtualSize: 2),
                Section(".initrd", [0x49], virtualSize: 0, rawSize: 1),
            ]))
        #expect(unified.kernel.bytes.count == 512 && unified.commandLine == "ab" && unified.initrd?.bytes == [0x49])
    }

    @Test func eachDefectIsNamed() {
        let linux = Section(".linux", "L")
        #expect(
            error(image([linux]) { $0.set(0x3C, UInt32(0xFFFF_FFFF)) })
                == "image.efi: truncated: the PE signature of 4 bytes at offset 0xffffffff ends behind the file's 1536 bytes"
        )
        #expect(
            error(image([linux]) { $0.set(Self.header, text: "NE") })
                == "image.efi: not a bzImage or a unified kernel image: the PE signature at 0x80 is 4e 45 00 00, "
                + "not 50 45 00 00")
        #expect(
            error(image([linux]) { $0.set(Self.header + 4, UInt16(0xAA64)) })
                == "image.efi: Machine is 0xaa64: neither 0x8664 (x86-64) nor 0x14c (80386)")
        #expect(
            error(image([linux]) { $0.set(Self.header + 6, UInt16.max) })
                == "image.efi: truncated: the table of 65535 sections of 2621400 bytes at offset 0x188 ends behind the "
                + "file's 1536 bytes")
        #expect(
            error(image([Section(".linux", [0x4C], virtualSize: .max, rawSize: .max)]))
                == "image.efi: truncated: section .linux of 4294967295 bytes at offset 0x400 ends behind the file's "
                + "1536 bytes")
        #expect(
            error(image([linux, linux]))
                == "image.efi: the number of sections .linux is 0x2: UAPI.5 allows one in each profile")
        #expect(
            error(image([linux, Section(".initrd", [0x49], offset: 0x400)])).contains(
                "overlaps section"))
        #expect(
            error(image([Section(".linux", [0x4C], offset: 0x40)])) == "image.efi: section .linux at 0x40 overlaps "
                + "the section table at 0x0")
    }

    @Test func whatIsGivenWinsOverTheSections() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("vscript-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("image.efi").path
        let other = folder.appendingPathComponent("initrd").path
        let file = image([Section(".linux", "L"), Section(".cmdline", "own"), Section(".initrd", "OWN")])
        try Data(file.bytes).write(to: URL(fileURLWithPath: path))
        try Data("OTHER".utf8).write(to: URL(fileURLWithPath: other))
        let cases: [(initrd: String?, append: String?, content: String, line: String)] = [
            (nil, nil, "OWN", "own"), (other, nil, "OTHER", "own"), (nil, "given", "OWN", "given"),
            (other, "", "OTHER", ""),
        ]
        for (initrd, append, content, line) in cases {
            guard
                case .linux(let kernel, let disk, let commandLine) = try BootSource.linux(
                    path, initrd: initrd, append: append
                ).kind
            else {
                Issue.record("not Linux")
                continue
            }
            #expect(kernel.bytes == [0x4C] && disk?.bytes == Array(content.utf8) && commandLine == line)
        }
    }

    /// Kernels with a UEFI stub of their own are PE files too.
    @Test func aBzImageThatIsAPEFileIsABzImage() {
        let file = image([Section(".setup", "x")]) { $0.set(0x202, text: "HdrS") }
        #expect(!UnifiedKernelImage.isImage(file))
        #expect(!UnifiedKernelImage.isImage(BootFile(name: "short", bytes: [0x4D])))
        #expect(UnifiedKernelImage.isImage(BootFile(name: "short", bytes: Array("MZ".utf8))))
    }

    @Test func noDamageIsATrapOrGivesMoreThanTheFileHolds() {
        let whole = image([
            Section(".cmdline", "line"), Section(".ucode", "micro"), Section(".initrd", "disk"),
            Section(".profile", "p"), Section(".cmdline", "other"), Section(".linux", "kernel"),
        ])
        var random = SeededNumbers(5)
        var read = 0
        for _ in 0..<5000 {
            var bytes = whole.bytes
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                bytes[Int.random(in: 0..<0x400, using: &random)] = random.interestingByte()
            }
            if Bool.random(using: &random) { bytes.removeLast(Int.random(in: 0...bytes.count, using: &random)) }
            guard let unified = try? UnifiedKernelImage(BootFile(name: "image", bytes: bytes)) else { continue }
            read += 1
            let size = unified.kernel.bytes.count + (unified.initrd?.bytes.count ?? 0)
            #expect(size <= bytes.count)
        }
        #expect(read > 0)
    }
}
