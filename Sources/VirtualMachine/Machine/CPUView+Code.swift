import X86
import X86Engine

/// One instruction in memory.
public struct DisassembledInstruction: Equatable, Sendable {
    /// Its address (RIP).
    public var address: UInt64
    /// Its bytes.
    public var bytes: [UInt8]
    /// Its text in the assembler's syntax.
    public var text: String
}

extension DisassembledInstruction {
    /// The first instruction in bytes that lie at an address; nil if they are none.
    fileprivate init?(_ bytes: [UInt8], at address: UInt64, _ mode: CodeMode) {
        guard case .instruction(let instruction) = bytes.withUnsafeBytes({ Decoder.decode($0, mode: mode) }) else {
            return nil
        }
        self.init(
            address: address, bytes: Array(bytes.prefix(Int(instruction.length))),
            text: InstructionFormatter(mode: mode).text(of: instruction, at: address))
    }

    /// The instructions in code that lies at an address; a byte that begins none is shown as data.
    package static func all(in code: [UInt8], at address: UInt64, mode: CodeMode) -> [DisassembledInstruction] {
        var all: [DisassembledInstruction] = []
        var position = 0
        while position < code.count {
            let place = address &+ UInt64(position)
            let bytes = Array(code[position..<min(position + 15, code.count)])
            let next =
                DisassembledInstruction(bytes, at: place, mode)
                ?? DisassembledInstruction(
                    address: place, bytes: [bytes[0]], text: "db 0x" + String(bytes[0], radix: 16))
            all.append(next)
            position += next.bytes.count
        }
        return all
    }
}

extension CPUView {
    /// The linear address of an offset in the code segment.
    private func codeAddress(_ offset: UInt64) -> UInt64 {
        let bits = guest.processor.codeBits
        return bits == 64 ? offset : (guest.processor.state.pointee.cs.base &+ offset) & 0xFFFF_FFFF
    }

    /// Decodes instructions from RIP or another address of the code segment on; ends early at bytes that are none or
    /// cannot be read.
    public func disassemble(_ count: Int, from start: UInt64? = nil) -> [DisassembledInstruction] {
        let bits = guest.processor.codeBits
        let mode: CodeMode = bits == 64 ? .bits64 : bits == 32 ? .bits32 : .bits16
        var address = start ?? rip
        var result: [DisassembledInstruction] = []
        for _ in 0..<max(count, 0) {
            let bytes = codeBytes(at: codeAddress(address))
            guard let next = DisassembledInstruction(bytes, at: address, mode) else { break }
            result.append(next)
            address = address &+ UInt64(next.bytes.count)
        }
        return result
    }

    /// What can be read of an instruction, which may end at an unmapped page.
    private func codeBytes(at address: UInt64) -> [UInt8] {
        if let bytes = read(address, count: 15) { return bytes }
        let rest = Int(0x1000 - (address & 0xFFF))
        return rest < 15 ? read(address, count: rest) ?? [] : []
    }
}
