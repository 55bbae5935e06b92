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
        let formatter = InstructionFormatter(mode: mode)
        var address = start ?? rip
        var result: [DisassembledInstruction] = []
        for _ in 0..<max(count, 0) {
            let bytes = codeBytes(at: codeAddress(address))
            guard case .instruction(let instruction) = bytes.withUnsafeBytes({ Decoder.decode($0, mode: mode) }) else {
                break
            }
            let length = Int(instruction.length)
            result.append(
                DisassembledInstruction(
                    address: address, bytes: Array(bytes.prefix(length)),
                    text: formatter.text(of: instruction, at: address)))
            address = address &+ UInt64(length)
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
