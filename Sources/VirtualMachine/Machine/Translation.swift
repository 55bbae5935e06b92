import Hypervisors
import X86

/// A block of a guest's kernel code beside what the binary translator has made of it.
public struct Translation: Equatable, Sendable {
    /// An instruction in the translation cache.
    public struct Instruction: Equatable, Sendable {
        /// Where and what it is, by the machine's addresses.
        public var code: DisassembledInstruction
        /// True if it counts as none of the guest's instructions: it belongs to the monitor.
        public var isHidden: Bool
    }

    /// An instruction of the guest's with its translation.
    public struct Row: Equatable, Sendable {
        /// The guest's instruction; nil for the stubs behind a block, which ask for branches to be linked.
        public var source: DisassembledInstruction?
        /// What stands for it in the cache.
        public var translated: [Instruction]
    }

    /// The guest's instructions in order, then the stubs.
    public var rows: [Row]
}

extension Guest {
    /// The translation that the kernel's instruction at an address (RIP) is in, as it is in the cache now; nil under another
    /// technique than `.translate`, and for code that has not been reached or has changed since.
    public func translation(at rip: UInt64) -> Translation? {
        guard let cached = monitor?.translation(at: rip) else { return nil }
        let formatter = InstructionFormatter(mode: cached.mode)
        func text(_ code: CachedTranslation.Code) -> DisassembledInstruction {
            var text = "?"
            let decoded = code.bytes.withUnsafeBytes { Decoder.decode($0, mode: cached.mode) }
            if case .instruction(let instruction) = decoded {
                text = formatter.text(of: instruction, at: code.address)
            }
            return DisassembledInstruction(address: code.address, bytes: code.bytes, text: text)
        }
        func translated(_ source: UInt64?) -> [Translation.Instruction] {
            cached.translated.filter { $0.source == source }
                .map { Translation.Instruction(code: text($0), isHidden: $0.isHidden) }
        }
        var rows = cached.source.map { Translation.Row(source: text($0), translated: translated($0.address)) }
        let stubs = translated(nil)
        if !stubs.isEmpty { rows.append(Translation.Row(source: nil, translated: stubs)) }
        return Translation(rows: rows)
    }
}
