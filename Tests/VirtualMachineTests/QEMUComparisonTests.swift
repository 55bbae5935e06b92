import Foundation
import Testing
import VirtualMachine

/// QEMU's TCG as a second opinion on what a program does.
private struct QEMU {
    static let url = URL(fileURLWithPath: "/usr/bin/qemu-system-x86_64")
    static var isThere: Bool { FileManager.default.isExecutableFile(atPath: url.path) }

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// Runs a Multiboot image until it writes to port F4h, and gives what it wrote to port E9h.
    static func run(_ image: URL, in folder: URL) throws -> String {
        let output = folder.appendingPathComponent("output")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
        process.arguments = [
            "300", url.path, "-accel", "tcg", "-cpu", "max", "-m", "16", "-display", "none", "-nodefaults",
            "-no-reboot", "-kernel", image.path, "-debugcon", "file:\(output.path)", "-device",
            "isa-debug-exit,iobase=0xf4,iosize=4",
        ]
        process.standardInput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        // The device ends it with twice the value written plus one.
        guard process.terminationStatus == 1 else {
            throw Failure(description: "QEMU ended with status \(process.terminationStatus)")
        }
        return String(decoding: try Data(contentsOf: output), as: UTF8.self)
    }
}

@Suite struct QEMUComparisonTests {
    /// Segments, gates, tasks, flags, ports, debug registers and virtual-8086 mode, some 550 probes.
    @Test(.enabled(if: QEMU.isThere))
    func privilegedCodeEndsAsUnderQEMU() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("vscript-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let program = ProbeProgram(probes: ProbeProgram.probes)
        let image = folder.appendingPathComponent("probes")
        try Data(try program.image()).write(to: image)
        let expected = try QEMU.run(image, in: folder).split(separator: "\n")
        #expect(expected.count == program.probes.count)

        for (entries, usesBlockCache) in [(1024, true), (16, false)] {
            var configuration = GuestConfiguration(boot: try .multiboot(image.path))
            configuration.memory = 16 << 20
            configuration.tlbEntries = entries
            configuration.usesBlockCache = usesBlockCache
            let guest = try Guest(configuration)
            #expect(guest.run(limits: RunLimits(instructions: 10_000_000)).reason == .shutdown)
            let output = String(decoding: guest.console.debugOutput, as: UTF8.self).split(separator: "\n")
            #expect(output.count == program.probes.count)
            for (index, (ours, theirs)) in zip(output, expected).enumerated() where ours != theirs {
                Issue.record("\(program.probes[index])\nQEMU: \(theirs)\nours: \(ours)")
            }
        }
    }
}
