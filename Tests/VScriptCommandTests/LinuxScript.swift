import Foundation

/// The folder of the repository.
let repositoryURL = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

/// What `scripts/guests` brings, and links into `images/`, by name; it downloads what is missing.
func linuxGuests() throws -> [String: String] {
    let process = Process()
    process.executableURL = repositoryURL.appendingPathComponent("scripts/guests")
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return text.split(separator: "\n").reduce(into: [:]) { paths, line in
        let parts = line.split(separator: "=", maxSplits: 1).map(String.init)
        if parts.count == 2 { paths[parts[0]] = parts[1] }
    }
}

/// A script that declares a Linux guest of what `scripts/guests` brings.
func linuxScript(append: String = "console=ttyS0") throws -> String {
    let paths = try linuxGuests()
    return """
        import linux
        guest vm {
          memory: 256 MiB
          boot: linux.bzImage("\(paths["bzimage"] ?? "")", initrd: "\(paths["initrd"] ?? "")", append: "\(append)")
        }

        """
}
