import VirtualMachine
import X86

/// Names addresses and shows instructions of a guest.
package struct PlaceView {
    let guest: DebuggedGuest

    /// `start`, `start+8`, `start+0x1c`; nil far from any symbol.
    func name(_ address: UInt64) -> String? { guest.symbols.text(of: address) }

    /// The address with its name, if there is one.
    func text(_ address: UInt64) -> String {
        name(address).map { "\(Numbers.hex(address)) \($0)" } ?? Numbers.hex(address)
    }

    /// One instruction on one line, after the mark `=> ` or spaces.
    func line(_ instruction: DecodedInstruction, isCurrent: Bool) -> StyledText {
        let address = Numbers.hex(instruction.address)
        let symbol = name(instruction.address) ?? ""
        // The columns keep their place for short addresses, and move for long ones.
        let width = max(10, 22 - address.count)
        let bytes = instruction.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
        let source = guest.guest.sourceLines[guest.codeAddress(instruction.address)]
        let text = source.map { SourceNumbers.text(instruction.text, asIn: $0.text) } ?? instruction.text
        return StyledText(isCurrent ? "=> " : "   ", .current) + StyledText(address, .address)
            + StyledText(" " + symbol.padded(to: max(width, symbol.isEmpty ? 0 : symbol.count + 1)), .symbol)
            + StyledText(bytes.padded(to: 14) + "  ", .bytes)
            + StyledText(text, isCurrent ? .current : .plain)
    }

    /// The instruction that comes next, on a line.
    func current() -> StyledText {
        let cpu = guest.guest.cpu
        guard let next = guest.decode(at: cpu.rip) else {
            return StyledText("=> ", .current) + StyledText(Numbers.hex(cpu.rip), .address)
                + StyledText(" \(name(cpu.rip) ?? "")  not mapped", .faint)
        }
        return line(next, isCurrent: true)
    }
}

/// An instruction with its text.
package struct DecodedInstruction: Equatable, Sendable {
    package var address: UInt64
    package var bytes: [UInt8]
    package var text: String
    /// Nil for bytes that are none.
    package var instruction: Instruction?

    package var operation: Operation? { instruction?.operation }
    package var next: UInt64 { address &+ UInt64(bytes.count) }
}
