import Foundation
import X86

/// Zydis as a child process: `Tests/Oracles/zydis-oracle.c`, compiled when the tests run.
final class ZydisOracle {
    struct Failure: Error, CustomStringConvertible { var description: String }

    /// A byte string in a code mode.
    struct Request {
        var mode: CodeMode
        /// Always 15.
        var bytes: [UInt8]
    }

    struct Operand {
        enum Kind: UInt16 { case unused, register, memory, pointer, immediate }
        var kind: Kind
        var isHidden: Bool
        var width: UInt16
        var register: Register
        var memory: MemoryOperand
        var immediate: UInt64
        /// The selector of a far pointer.
        var selector: UInt16
    }

    /// `enum trait` of the oracle.
    struct Traits: OptionSet {
        let rawValue: UInt8
        static let isPrivileged = Traits(rawValue: 1)
        static let acceptsRepetition = Traits(rawValue: 2)
        static let writesInstructionPointer = Traits(rawValue: 4)
        static let writesSegmentOrControl = Traits(rawValue: 8)
    }

    struct Reply {
        var length: Int
        var mnemonic: String
        var isaSet: String
        var isLegacyOrVEX: Bool
        var visibleOperandCount: Int
        var operandWidth: UInt8
        var addressWidth: UInt8
        var traits: Traits
        var reads: UInt32
        var writes: UInt32
        var undefined: UInt32
        var operands: [Operand]
    }

    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var mnemonics: [String] = []
    private var registers: [Register] = []
    private var isaSets: [String] = []
    private static let replySize = 152

    init() throws {
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Oracles/zydis-oracle.c")
        let program = FileManager.default.temporaryDirectory
            .appendingPathComponent(
                "zydis-oracle-\(ProcessInfo.processInfo.processIdentifier)-\(UInt32.random(in: 0 ... .max))")
        let compiler = Process()
        compiler.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        compiler.arguments = ["cc", "-O2", "-o", program.path, source.path, "-lZydis", "-lZycore"]
        try compiler.run()
        compiler.waitUntilExit()
        guard compiler.terminationStatus == 0 else {
            throw Failure(description: "the Zydis oracle does not compile: apt-get install gcc libzydis-dev")
        }
        defer { try? FileManager.default.removeItem(at: program) }
        process.executableURL = program
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        mnemonics = try readNames()
        let byName = Dictionary(Register.allCases.map { ("\($0)", $0) }, uniquingKeysWith: { first, _ in first })
        registers = try readNames().map { byName[$0] ?? .none }
        isaSets = try readNames()
    }

    deinit { try? input.fileHandleForWriting.close() }

    private func read(_ count: Int) throws -> Data {
        var data = Data()
        while data.count < count {
            guard let part = try output.fileHandleForReading.read(upToCount: count - data.count), !part.isEmpty
            else { throw Failure(description: "the Zydis oracle ended early") }
            data.append(part)
        }
        return data
    }

    private func readNames() throws -> [String] {
        var names: [String] = []
        while true {
            var name: [UInt8] = []
            while let byte = try read(1).first, byte != 0 { name.append(byte) }
            if name.isEmpty { return names }
            names.append(String(decoding: name, as: UTF8.self))
        }
    }

    /// Decodes all requests; nil stands for what Zydis takes for no instruction.
    func decode(_ requests: [Request]) throws -> [Reply?] {
        var data = Data(capacity: 4 + requests.count * 16)
        withUnsafeBytes(of: UInt32(requests.count).littleEndian) { data.append(contentsOf: $0) }
        for request in requests {
            data.append(request.mode.rawValue)
            data.append(contentsOf: request.bytes)
        }
        try input.fileHandleForWriting.write(contentsOf: data)
        let replies = try read(requests.count * Self.replySize)
        return replies.withUnsafeBytes { bytes in
            (0..<requests.count).map { reply(UnsafeRawBufferPointer(rebasing: bytes[($0 * Self.replySize)...])) }
        }
    }

    private func reply(_ bytes: UnsafeRawBufferPointer) -> Reply? {
        func number<T: FixedWidthInteger>(_ type: T.Type, _ offset: Int) -> T {
            T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
        }
        guard bytes[0] != 0 else { return nil }
        let operands = (0..<Int(bytes[8])).map { index in
            let start = 24 + index * 32
            func register(_ offset: Int) -> Register { registers[Int(number(UInt16.self, start + offset))] }
            var memory = MemoryOperand()
            memory.displacement = number(Int64.self, start)
            memory.segment = register(24)
            memory.base = register(26)
            memory.index = register(28)
            memory.scale = max(1, UInt8(number(UInt16.self, start + 30)))
            return Operand(
                kind: Operand.Kind(rawValue: number(UInt16.self, start + 16)) ?? .unused,
                isHidden: number(UInt16.self, start + 18) != 0, width: number(UInt16.self, start + 20),
                register: register(22), memory: memory, immediate: number(UInt64.self, start + 8),
                selector: UInt16(truncatingIfNeeded: memory.displacement))
        }
        return Reply(
            length: Int(bytes[1]), mnemonic: mnemonics[Int(number(UInt16.self, 2))],
            isaSet: isaSets[Int(number(UInt16.self, 4))], isLegacyOrVEX: bytes[6] == 0 || bytes[6] == 3,
            visibleOperandCount: Int(bytes[7]), operandWidth: bytes[9], addressWidth: bytes[10],
            traits: Traits(rawValue: bytes[11]), reads: number(UInt32.self, 12), writes: number(UInt32.self, 16),
            undefined: number(UInt32.self, 20), operands: operands)
    }
}
