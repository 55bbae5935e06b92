import Foundation
import X86

/// Debian's NASM as a child process: what it makes of a line is what the assembler must make of it.
struct NASM {
    /// What became of a line: its bytes and offset in the output, or nil if NASM refused it.
    struct Line: Equatable {
        var bytes: [UInt8]
        var offset: Int
    }

    struct Missing: Error, CustomStringConvertible {
        var description: String { "nasm is not installed: `apt-get install nasm`, or run scripts/test" }
    }

    private let executable: String

    init() throws {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin"
        let found = path.split(separator: ":").map { "\($0)/nasm" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
        guard let found else { throw Missing() }
        executable = found
    }

    /// Assembles lines that do not depend on each other; refused lines do not hinder the others.
    func assemble(_ lines: [String], bits: Int) throws -> [Line?] {
        var accepted = Array(lines.indices)
        while true {
            // Line n of the list is line 2n + 3 of the file; the table of lengths follows the code
            var source = "bits \(bits)\n"
            for index in accepted { source += "L\(index):\n\(lines[index])\n" }
            source += "Lend:\n"
            for (index, next) in zip(accepted, accepted.dropFirst().map(String.init) + ["end"]) {
                source += "dw L\(next)-L\(index)\n"
            }
            let (output, messages) = try run(source)
            guard let output else {
                let refused = Set(Self.lineNumbers(in: messages).map { accepted[($0 - 3) / 2] })
                guard !refused.isEmpty else { throw Failure(messages: messages) }
                accepted.removeAll { refused.contains($0) }
                continue
            }
            var result = [Line?](repeating: nil, count: lines.count)
            let table = output.count - accepted.count * 2
            var offset = 0
            for (position, index) in accepted.enumerated() {
                let length = Int(output[table + position * 2]) | Int(output[table + position * 2 + 1]) << 8
                result[index] = Line(bytes: Array(output[offset..<offset + length]), offset: offset)
                offset += length
            }
            return result
        }
    }

    /// Assembles a whole source; nil if it is refused.
    func assemble(source: String) throws -> [UInt8]? { try run(source).output }

    struct Failure: Error { var messages: String }

    private static func lineNumbers(in messages: String) -> [Int] {
        messages.split(separator: "\n").compactMap { message in
            let parts = message.split(separator: ":", maxSplits: 3)
            guard parts.count > 2, parts[2].hasPrefix(" error") else { return nil }
            return Int(parts[1])
        }
    }

    private func run(_ source: String) throws -> (output: [UInt8]?, messages: String) {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("nasm-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let input = folder.appendingPathComponent("source.asm")
        let output = folder.appendingPathComponent("output.bin")
        let messages = folder.appendingPathComponent("messages.txt")
        try source.write(to: input, atomically: false, encoding: .utf8)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: executable)
        // A value that does not fit is an error for us, so it is one here
        process.arguments = [
            "-f", "bin", "-w-all", "-w+number-overflow", "-w+error=number-overflow", "-w+prefix-lock",
            "-w+error=prefix-lock", "-w+prefix-opsize", "-w+error=prefix-opsize", "-w+label-orphan",
            "-w+error=label-orphan", "-Z", messages.path, "-o", output.path, input.path,
        ]
        try process.run()
        process.waitUntilExit()
        let text = (try? String(contentsOf: messages, encoding: .utf8)) ?? ""
        guard process.terminationStatus == 0 else { return (nil, text) }
        return ([UInt8](try Data(contentsOf: output)), text)
    }
}
