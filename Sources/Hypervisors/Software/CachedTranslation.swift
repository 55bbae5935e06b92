import X86
import X86Engine

/// A block of a guest's code and what the translator has made of it.
package struct CachedTranslation: Equatable, Sendable {
    /// One instruction of either side.
    package struct Code: Equatable, Sendable {
        package var address: UInt64
        package var bytes: [UInt8]
        /// The address of the guest's instruction that it stands for; nil in the stubs behind the block.
        package var source: UInt64?
        /// It counts as none of the guest's instructions.
        package var isHidden: Bool
    }

    package var mode: CodeMode
    /// The guest's instructions.
    package var source: [Code]
    /// The translated ones, in the order of the cache.
    package var translated: [Code]
}

extension Translator {
    /// The block that the guest's instruction at an address was translated in, as it is in the cache now.
    func cachedTranslation(at rip: UInt64) -> CachedTranslation? {
        guard let block = cache.block(of: rip), block.isAlive else { return nil }
        var bytes = Array(guest.memory.bytes(page: block.page, offset: block.offset).prefix(block.count))
        if block.secondPage >= 0 {
            bytes += guest.memory.bytes(page: block.secondPage, offset: 0).prefix(block.secondCount)
        }
        let source = instructions(bytes, at: block.start).map { address, bytes in
            CachedTranslation.Code(address: address, bytes: bytes, source: address, isHidden: false)
        }
        let known = Set(source.map(\.address))
        var current: UInt64? = block.start
        var translated: [CachedTranslation.Code] = []
        let start = cache.base &+ UInt64(block.code.lowerBound)
        for (address, bytes) in instructions(cache.read(block.code), at: start) {
            let offset = Int(truncatingIfNeeded: address &- cache.base)
            if let mark = cache.mark(at: offset) {
                if mark.kind == .link { current = nil } else if known.contains(mark.rip) { current = mark.rip }
            }
            translated.append(
                CachedTranslation.Code(
                    address: address, bytes: bytes, source: current, isHidden: memory.isHidden(offset: offset)))
        }
        return CachedTranslation(mode: mode, source: source, translated: translated)
    }

    private func instructions(_ bytes: [UInt8], at start: UInt64) -> [(address: UInt64, bytes: [UInt8])] {
        var result: [(UInt64, [UInt8])] = []
        var position = 0
        while position < bytes.count {
            let rest = bytes[position...]
            guard case .instruction(let instruction) = rest.withUnsafeBytes({ Decoder.decode($0, mode: mode) }) else {
                break
            }
            let length = Int(instruction.length)
            result.append((wrap(start &+ UInt64(position)), Array(rest.prefix(length))))
            position += length
        }
        return result
    }
}

extension MonitorMemory {
    /// Whether the instruction at an offset in the cache is none of the guest's.
    fileprivate func isHidden(offset: Int) -> Bool {
        machine.isHidden(
            page: regionPages.lowerBound + Int(MonitorLayout.cache >> 12) + offset >> 12, offset: offset & 0xFFF)
    }
}
