import Foundation
import Testing
import VirtualMachine
import _SeededNumbers

/// Symbols and lines of programs that the host's compiler makes, compared with nm and addr2line.
@Suite struct SymbolToolchainTests {
    private struct Tool {
        /// The output of a program, nil if it is not there or fails.
        static func run(_ arguments: [String], input: String = "") -> String? {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = arguments
            let (output, inputPipe) = (Pipe(), Pipe())
            process.standardOutput = output
            process.standardError = FileHandle.nullDevice
            process.standardInput = inputPipe
            guard (try? process.run()) != nil else { return nil }
            try? inputPipe.fileHandleForWriting.write(contentsOf: Data(input.utf8))
            try? inputPipe.fileHandleForWriting.close()
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            return process.terminationStatus == 0 ? text : nil
        }

        static let isThere = run(["gcc", "--version"]) != nil && run(["nm", "--version"]) != nil
    }

    private static let source = """
        int value = 3;
        static int twice(int number) {
            int result = number * 2;
            return result;
        }
        int sum(int first, int second) {
            int total = 0;
            for (int i = 0; i < first; i++) {
                total += twice(second);
            }
            return total;
        }
        void _start(void) {
            value = sum(value, 4);
            for (;;)
                ;
        }

        """

    /// Compiles the source and gives the program's path; the folder goes when `body` returns.
    private func withProgram(_ options: [String], _ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("symbols-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (program, source) = (folder.appendingPathComponent("program"), folder.appendingPathComponent("source.c"))
        try Data(Self.source.utf8).write(to: source)
        let made = Tool.run(
            ["gcc", "-nostdlib", "-static", "-O0", "-o", program.path] + options + [source.path])
        try #require(made != nil)
        try body(program.path)
    }

    @Test(.enabled(if: Tool.isThere), arguments: ["-gdwarf-4", "-gdwarf-5", "-gdwarf-2", "-gdwarf-5 -gdwarf64"])
    func linesAgreeWithAddr2line(options: String) throws {
        try withProgram(options.split(separator: " ").map(String.init)) { program in
            var table = SymbolTable()
            table.add(try SymbolFile(path: program))
            let start = try #require(table.address(of: "twice"))
            let end = try #require(table.address(of: "_start")) + 8
            let addresses = (start..<end).map { "0x" + String($0, radix: 16) }
            let output = try #require(Tool.run(["addr2line", "-e", program] + addresses))
            let wanted = output.split(separator: "\n").map { line in
                // addr2line adds a discriminator behind the line.
                line.split(separator: " ").first.map(String.init) ?? ""
            }
            #expect(wanted.count == addresses.count)
            for (address, line) in zip(start..<end, wanted) where !line.hasSuffix("?") {
                #expect(table.location(of: address)?.description == line)
            }
            let loop = table.addresses(file: "source.c", line: 9)
            #expect(!loop.isEmpty)
            for address in loop {
                #expect(table.location(of: address)?.line == 9)
                #expect(table.location(of: address - 1)?.line != 9)
            }
            #expect(table.addresses(file: "ource.c", line: 9).isEmpty)
            #expect(table.addresses(file: "source.c", line: 999).isEmpty)
        }
    }

    @Test(.enabled(if: Tool.isThere), arguments: [["-no-pie"], ["-static-pie", "-fPIE"], ["-m32", "-no-pie"]])
    func symbolsAgreeWithNm(options: [String]) throws {
        try withProgram(options) { program in
            let text = try #require(Tool.run(["nm", program]))
            let reference = try SymbolFile(map: Array(text.utf8), named: "nm")
            let file = try SymbolFile(path: program)
            #expect(reference.count > 5)
            for name in reference.names(withPrefix: "", limit: 1000) {
                #expect(file.address(of: name) == reference.address(of: name), "\(name)")
            }
        }
    }

    @Test(.enabled(if: Tool.isThere)) func aStrippedProgramIsSaidToBe() throws {
        try withProgram(["-s"]) { program in
            #expect(throws: SymbolError.self) { try SymbolFile(path: program) }
        }
    }

    @Test(.enabled(if: Tool.isThere)) func noMutationOfALineTableIsATrap() throws {
        for options in [["-gdwarf-4"], ["-gdwarf-5"]] {
            try withProgram(options) { program in
                let file = try BootFile(path: program)
                let section = try #require(try ELFFile(file).sections().first { $0.name == ".debug_line" })
                var random = SeededNumbers(7)
                for _ in 0..<2000 {
                    var bytes = file.bytes
                    for _ in 0..<Int.random(in: 1...4, using: &random) {
                        let offset = UInt64.random(in: 0..<section.size, using: &random)
                        bytes[Int(section.fileOffset + offset)] = random.interestingByte()
                    }
                    guard let damaged = try? SymbolFile(BootFile(name: "damaged", bytes: bytes)) else { continue }
                    var table = SymbolTable()
                    table.add(damaged)
                    for address in damaged.lines?.rows.prefix(20).map(\.address) ?? [] {
                        _ = table.location(of: address)
                    }
                    _ = table.addresses(file: "source.c", line: 9)
                }
            }
        }
    }
}
