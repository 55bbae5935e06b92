import Foundation
import VirtualMachine

/// The kernel and initramfs that `scripts/guests` brings.
struct LinuxGuest {
    private let paths: [String: String]

    /// Asks the script for the paths; it downloads what is missing.
    init() throws {
        let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let process = Process()
        process.executableURL = repository.appendingPathComponent("scripts/guests")
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        paths = text.split(separator: "\n").reduce(into: [:]) { paths, line in
            let parts = line.split(separator: "=", maxSplits: 1).map(String.init)
            if parts.count == 2 { paths[parts[0]] = parts[1] }
        }
        guard process.terminationStatus == 0, paths["vmlinux"] != nil, paths["initrd"] != nil else {
            throw Missing(description: "scripts/guests failed with status \(process.terminationStatus): \(text)")
        }
    }

    struct Missing: Error, CustomStringConvertible {
        var description: String
    }

    /// The path of the ELF kernel, which has no symbol table.
    var vmlinux: String { paths["vmlinux"] ?? "" }

    /// The ELF kernel by PVH, the quicker way up.
    func pvh(append: String = "console=ttyS0") throws -> BootSource {
        try .pvh(paths["vmlinux"] ?? "", initrd: paths["initrd"], append: append)
    }

    /// The ELF kernel, with files beside what the initramfs holds.
    func pvh(append: String = "console=ttyS0", adding files: [String: [UInt8]]) throws -> BootSource {
        var archive = try Self.bytes(paths["initrd"] ?? "")
        for (name, data) in files.sorted(by: { $0.key < $1.key }) {
            archive += NewcArchive.entry(name, data, mode: 0o100755)
        }
        archive += NewcArchive.end
        let kernel = BootFile(name: "vmlinux", bytes: try Self.bytes(paths["vmlinux"] ?? ""))
        return BootSource(.pvh(kernel, initrd: BootFile(name: "initrd", bytes: archive), commandLine: append))
    }

    /// A module of the kernel by its path below `kernel/`; nil if the kernel came without modules.
    func module(_ path: String) throws -> [UInt8]? {
        guard let folder = paths["modules"] else { return nil }
        return try Self.bytes("\(folder)/kernel/\(path)")
    }

    private static func bytes(_ path: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    /// The kernel as Debian ships it.
    func bzImage(append: String = "console=ttyS0") throws -> BootSource {
        try .linux(paths["bzimage"] ?? "", initrd: paths["initrd"], append: append)
    }

    /// A machine of 256 MiB.
    func configuration(_ boot: BootSource) -> GuestConfiguration {
        var configuration = GuestConfiguration(name: "linux", boot: boot)
        configuration.memory = 256 << 20
        return configuration
    }
}
