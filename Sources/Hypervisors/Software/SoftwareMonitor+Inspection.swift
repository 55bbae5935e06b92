extension SoftwareMonitor {
    /// The translation of one of the guest's instructions.
    package struct TranslatedInstruction: Equatable, Sendable {
        /// Where the guest has the instruction.
        package var rip: UInt64
        /// Where the machine has its translation, and the bytes of it.
        package var machine: UInt64
        package var code: [UInt8]
    }

    /// The translated block that an instruction of the guest belongs to; nil if it is not translated.
    package func translatedBlock(at rip: UInt64) -> [TranslatedInstruction]? {
        guard let cache = translator?.cache, let number = cache.number(ofBlockWith: rip) else { return nil }
        let entries = cache.blocks[number].entries.sorted { $0.offset < $1.offset }
        let next = cache.blocks.dropFirst(number + 1).lazy.compactMap { $0.entries.map(\.offset).min() }.first
        let end = next ?? cache.used
        return entries.enumerated().map { index, entry in
            let last = index + 1 < entries.count ? entries[index + 1].offset : max(end, entry.offset)
            return TranslatedInstruction(
                rip: entry.rip, machine: cache.base &+ UInt64(entry.offset), code: cache.read(entry.offset..<last))
        }
    }
}
