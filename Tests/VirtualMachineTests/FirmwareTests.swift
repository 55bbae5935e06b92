import Foundation
import Testing
import VirtualMachine

/// The tables as a guest finds them, by ACPI 6.4 chapter 5.
@Suite struct FirmwareTests {
    private struct Memory {
        let image: BootImage
        init(processors: Int = 1) {
            image = BootImage(contents: FirmwareImage.contents(processorCount: processors), state: InitialState())
        }

        func sum(_ address: UInt64, _ count: Int) -> UInt8 { image.memory(address, count).reduce(0, &+) }

        /// What the guest finds by scanning the BIOS area (section 5.2.5.1).
        var rootPointer: UInt64? {
            stride(from: UInt64(0xE_0000), to: 0x10_0000, by: 16).first {
                image.memory($0, 8) == Array("RSD PTR ".utf8)
            }
        }

        func table(_ signature: String) throws -> UInt64 {
            let root = try #require(rootPointer)
            let xsdt = image.u64(root + 24)
            let count = (UInt64(image.u32(xsdt + 4)) - 36) / 8
            return try #require(
                (0..<count).map { image.u64(xsdt + 36 + $0 * 8) }.first { image.memory($0, 4) == Array(signature.utf8) }
            )
        }
    }

    @Test(arguments: [1, 4, 254]) func everyChecksumIsRight(processors: Int) throws {
        let memory = Memory(processors: processors)
        let root = try #require(memory.rootPointer)
        #expect(root == ACPITables.rsdp)
        #expect(memory.sum(root, 20) == 0 && memory.sum(root, 36) == 0 && memory.image.memory(root + 15, 1) == [2])
        let (rsdt, xsdt) = (UInt64(memory.image.u32(root + 16)), memory.image.u64(root + 24))
        let facp = try memory.table("FACP")
        let dsdt = memory.image.u64(facp + 140)
        for table in [rsdt, xsdt, facp, dsdt, try memory.table("APIC"), try memory.table("HPET")] {
            let length = Int(memory.image.u32(table + 4))
            #expect(length >= 36 && memory.sum(table, length) == 0, "\(table)")
            #expect(table + UInt64(length) <= 0x10_0000)
        }
        #expect(memory.image.u32(xsdt + 4) - 36 == (memory.image.u32(rsdt + 4) - 36) * 2)
    }

    @Test func fixedDescriptionNamesTheRegisters() throws {
        let memory = Memory()
        let facp = try memory.table("FACP")
        let image = memory.image
        #expect(image.u32(facp + 4) == 276 && image.memory(facp + 8, 1) == [6])
        let facs = UInt64(image.u32(facp + 36))
        #expect(facs % 64 == 0 && image.memory(facs, 4) == Array("FACS".utf8) && image.u32(facs + 4) == 64)
        #expect(UInt64(image.u32(facp + 40)) == image.u64(facp + 140))
        #expect(image.u16(facp + 46) == 9)
        #expect(image.u32(facp + 48) == 0xB2 && image.memory(facp + 52, 2) == [0xF1, 0xF0])
        #expect(image.u32(facp + 56) == 0x600 && image.u32(facp + 64) == 0x604 && image.u32(facp + 76) == 0x608)
        // The extended fields say the same (section 5.2.9).
        for (field, bits, address) in [(148, 32, 0x600), (172, 16, 0x604), (208, 32, 0x608), (116, 8, 0xCF9)]
            as [(UInt64, UInt8, UInt64)]
        {
            #expect(image.memory(facp + field, 2) == [1, bits] && image.u64(facp + field + 4) == address)
        }
        #expect(image.memory(facp + 128, 1) == [6])
        let flags = image.u32(facp + 112)
        #expect(flags & 1 << 10 != 0, "the reset register is there")
        #expect(flags & 1 << 4 == 0, "the power button is fixed hardware")
        #expect(flags & 1 << 8 == 0, "the timer has 24 bits")
        #expect(flags & 1 << 20 == 0, "not hardware-reduced")
    }

    @Test func interruptControllersAreListed() throws {
        let memory = Memory(processors: 3)
        let table = try memory.table("APIC")
        let image = memory.image
        #expect(image.u32(table + 36) == 0xFEE0_0000 && image.u32(table + 40) & 1 == 1)
        var position = table + 44
        var entries: [[UInt8]] = []
        while position < table + UInt64(image.u32(table + 4)) {
            let length = Int(image.memory(position + 1, 1)[0])
            try #require(length >= 2)
            entries.append(image.memory(position, length))
            position += UInt64(length)
        }
        #expect(position == table + UInt64(image.u32(table + 4)))
        #expect(entries.filter { $0[0] == 0 }.map { $0[3] } == [0, 1, 2])
        #expect(entries.filter { $0[0] == 0 }.allSatisfy { $0[4] == 1 })
        #expect(entries.filter { $0[0] == 1 } == [[1, 12, 0, 0, 0, 0, 0xC0, 0xFE, 0, 0, 0, 0]])
        // IRQ 0 at input 2; IRQ 9 level-triggered and active high (table 5.26).
        #expect(
            entries.filter { $0[0] == 2 } == [[2, 10, 0, 0, 2, 0, 0, 0, 0, 0], [2, 10, 0, 9, 9, 0, 0, 0, 0xD, 0]])
    }

    @Test func biosDataAreaNamesTheSerialPortAndTheMemory() {
        let image = Memory().image
        #expect(image.u16(0x400) == 0x3F8 && image.u16(0x40E) == 0x9FC0 && image.u16(0x413) == 639)
    }

    // MARK: AML (ACPI 6.4 chapter 20)

    @Test func packageLengthsCountThemselves() {
        // One byte up to 63, then two bytes up to 4,095, then three.
        #expect(AML.scope("X", []) == [0x10, 5] + Array("X___".utf8))
        #expect(AML.scope("X", [[UInt8](repeating: 0xA3, count: 58)]).prefix(2) == [0x10, 63])
        #expect(AML.scope("X", [[UInt8](repeating: 0xA3, count: 59)]).prefix(3) == [0x10, 0x41, 0x04])
        #expect(AML.scope("X", [[UInt8](repeating: 0xA3, count: 4089)]).prefix(3) == [0x10, 0x4F, 0xFF])
        #expect(AML.scope("X", [[UInt8](repeating: 0xA3, count: 4090)]).prefix(4) == [0x10, 0x81, 0x00, 0x01])
    }

    @Test func integersNamesAndIdentifiersHaveTheirShortestForm() {
        #expect(AML.integer(0) == [0] && AML.integer(1) == [1] && AML.integer(0xFF) == [0x0A, 0xFF])
        #expect(AML.integer(0x1234) == [0x0B, 0x34, 0x12] && AML.integer(0x1_0000) == [0x0C, 0, 0, 1, 0])
        #expect(AML.integer(1 << 32) == [0x0E, 0, 0, 0, 0, 1, 0, 0, 0])
        #expect(AML.nameString("\\_SB.PCI0") == [0x5C, 0x2E] + Array("_SB_PCI0".utf8))
        #expect(AML.eisaID("PNP0A03") == [0x0C, 0x41, 0xD0, 0x0A, 0x03])
    }

    /// ACPICA's disassembler and compiler read the DSDT without a complaint.
    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/iasl")), arguments: [1, 200])
    func definitionBlockSatisfiesACPICA(processors: Int) throws {
        let memory = Memory(processors: processors)
        let dsdt = memory.image.u64(try memory.table("FACP") + 140)
        let folder = FileManager.default.temporaryDirectory.appending(path: "acpi-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data(memory.image.memory(dsdt, Int(memory.image.u32(dsdt + 4)))).write(
            to: folder.appending(path: "dsdt.aml"))
        let disassembly = try run("/usr/bin/iasl", ["-d", "dsdt.aml"], in: folder)
        #expect(disassembly.status == 0 && !disassembly.output.contains("Error"), "\(disassembly.output)")
        let compilation = try run("/usr/bin/iasl", ["dsdt.dsl"], in: folder)
        #expect(compilation.status == 0, "\(compilation.output)")
        #expect(compilation.output.contains("0 Errors, 0 Warnings"), "\(compilation.output)")
        let source = try String(contentsOf: folder.appending(path: "dsdt.dsl"), encoding: .utf8)
        for text in ["Name (\\_S5", "EisaId (\"PNP0A03\")", "EisaId (\"PNP0501\")", "EisaId (\"PNP0103\")", "_PRT"] {
            #expect(source.contains(text))
        }
    }

    private func run(_ path: String, _ arguments: [String], in folder: URL) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(filePath: path)
        process.arguments = arguments
        process.currentDirectoryURL = folder
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, output)
    }
}
