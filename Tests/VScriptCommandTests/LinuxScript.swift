import Foundation

/// A script that declares a Linux guest of what `scripts/guests` brings; the script downloads what is missing.
func linuxScript(append: String = "console=ttyS0") throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("scripts/guests")
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    let paths = text.split(separator: "\n").reduce(into: [String: String]()) { paths, line in
        let parts = line.split(separator: "=", maxSplits: 1).map(String.init)
        if parts.count == 2 { paths[parts[0]] = parts[1] }
    }
    return """
        import linux
        guest vm {
          memory: 256 MiB
          boot: linux.bzImage("\(paths["bzimage"] ?? "")", initrd: "\(paths["initrd"] ?? "")", append: "\(append)")
        }

        """
}
