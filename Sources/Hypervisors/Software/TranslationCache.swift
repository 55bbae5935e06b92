import X86
import X86Engine

/// The memory of translated code, and what each of its bytes stands for.
final class TranslationCache {
    /// What to do to the guest's registers when the machine leaves translated code at a place.
    struct Mark {
        /// Offset in the cache of the first byte that the mark holds for.
        var offset: Int
        var kind: Kind
        /// The guest's instruction there.
        var rip: UInt64 = 0

        enum Kind: Equatable {
            /// At or before the guest's instruction `rip`, registers as the guest has them.
            case instruction
            /// As before, but interrupts are inhibited by the STI before.
            case afterSTI
            /// RAX of the guest is in the virtual-state page.
            case accumulatorSaved
            /// RAX and RCX of the guest are in the virtual-state page.
            case scratchSaved
            /// POPF with unusual flags: the stack pointer has moved, RAX is in the virtual-state page.
            case flagsPopped(bytes: UInt64)
            /// An exit of a block that is not linked yet; `rip` is where it leads.
            case link
            /// An indirect branch to RAX, with RAX and RCX in the virtual-state page.
            case indirect
        }
    }

    /// A branch in the cache to a guest address, and the place that asks for it to be linked.
    struct Link {
        /// The offset of its 32-bit displacement.
        var displacement: Int
        var stub: Int
        var target: UInt64
    }

    struct Block {
        var start: UInt64
        /// Bytes of the guest's code, by page: the first and, if the code crosses into it, the second.
        var page: Int
        var offset: Int
        var count: Int
        var secondPage = -1
        var secondCount = 0
        var isAlive = true
        /// The offsets of the translation in the cache.
        var code = 0..<0
        /// Guest addresses that the translator can enter here.
        var entries: [(rip: UInt64, offset: Int)] = []
    }

    private let memory: MonitorMemory
    private(set) var used = 0
    private(set) var marks: [Mark] = []
    private(set) var blocks: [Block] = []
    /// Where a guest instruction's translation begins, with its block.
    private var entries: [UInt64: (offset: Int, block: Int)] = [:]
    private var blocksOfPage: [Int: [Int]] = [:]
    private var links: [Int: Link] = [:]
    /// The links that have been made to each place.
    private var incoming: [Int: [Int]] = [:]
    /// By guest address the indirect branch's check that the branch table leads to.
    private var checks: [UInt64: Int] = [:]
    /// The linear address of the cache.
    var base: UInt64 = 0
    private(set) var flushes: UInt64 = 0

    init(memory: MonitorMemory) { self.memory = memory }

    /// Whether so many bytes still fit.
    func hasRoom(for count: Int) -> Bool { used + count <= Int(MonitorLayout.cacheSize) }

    func place(of rip: UInt64) -> Int? { entries[rip]?.offset }

    func block(of rip: UInt64) -> Block? { entries[rip].map { blocks[$0.block] } }

    /// Forgets all translations; returns the pages that they were made from.
    func flush() -> [Int] {
        let pages = Array(blocksOfPage.keys)
        used = 0
        marks.removeAll(keepingCapacity: true)
        blocks.removeAll(keepingCapacity: true)
        entries.removeAll(keepingCapacity: true)
        blocksOfPage.removeAll(keepingCapacity: true)
        links.removeAll(keepingCapacity: true)
        incoming.removeAll(keepingCapacity: true)
        checks.removeAll(keepingCapacity: true)
        flushes &+= 1
        return pages
    }

    /// Appends code; returns its offset.
    func append(_ code: Emitter, marks newMarks: [Mark]) -> Int {
        let offset = used
        write(code.bytes, at: offset)
        for instruction in code.instructions {
            memory.machine.setHidden(instruction.isHidden, offset: offset + instruction.offset)
        }
        // The monitor's own places are given from 0 on.
        marks += newMarks.map { mark in
            var mark = mark
            mark.offset = max(mark.offset, offset)
            return mark
        }
        used += code.bytes.count
        return offset
    }

    func write(_ bytes: [UInt8], at offset: Int) {
        var done = 0
        while done < bytes.count {
            let place = MonitorLayout.cache + UInt64(offset + done)
            let part = min(bytes.count - done, 4096 - Int(place & 0xFFF))
            bytes[done..<done + part].withUnsafeBytes { _ = memory.machine.write(memory.physical(place), $0) }
            done += part
        }
    }

    /// The bytes of a range.
    func read(_ range: Range<Int>) -> [UInt8] {
        range.map { offset in
            let place = MonitorLayout.cache + UInt64(offset)
            let word = memory.machine.quadword(at: memory.physical(place) & ~7)
            return UInt8(truncatingIfNeeded: word >> ((place & 7) * 8))
        }
    }

    /// Enters a block.
    func add(_ block: Block, links newLinks: [Link]) {
        let number = blocks.count
        blocks.append(block)
        for entry in block.entries where entries[entry.rip] == nil || entry.rip == block.start {
            entries[entry.rip] = (entry.offset, number)
        }
        blocksOfPage[block.page, default: []].append(number)
        if block.secondPage >= 0 { blocksOfPage[block.secondPage, default: []].append(number) }
        for link in newLinks { links[link.stub] = link }
    }

    /// The mark that holds for an offset.
    func mark(at offset: Int) -> Mark? {
        var low = 0
        var high = marks.count
        while low < high {
            let middle = (low + high) / 2
            if marks[middle].offset <= offset { low = middle + 1 } else { high = middle }
        }
        return low > 0 ? marks[low - 1] : nil
    }

    /// Whether a mark begins exactly there.
    func isMarked(_ offset: Int) -> Bool { mark(at: offset)?.offset == offset }

    func link(at stub: Int) -> Link? { links[stub] }

    /// Points a link at a place, past the monitor.
    func connect(_ link: Link, to place: Int) {
        setDisplacement(link, to: place)
        incoming[place, default: []].append(link.stub)
    }

    private func setDisplacement(_ link: Link, to place: Int) {
        let value = UInt32(bitPattern: Int32(truncatingIfNeeded: place - (link.displacement + 4)))
        write((0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32($0 * 8)) }, at: link.displacement)
    }

    /// The check for indirect branches to a guest address, if there is one.
    func check(for rip: UInt64) -> Int? { checks[rip] }

    func addLink(_ link: Link) { links[link.stub] = link }

    func setCheck(_ offset: Int?, for rip: UInt64) { checks[rip] = offset }

    /// Whether any translation was made from a page.
    func hasBlocks(onPage page: Int) -> Bool { blocksOfPage[page] != nil }

    /// Makes the translations of changed code unreachable; false if there were none.
    func invalidate(page: Int, offset: Int, count: Int) -> Bool {
        guard let numbers = blocksOfPage[page] else { return false }
        var found = false
        var left: [Int] = []
        for number in numbers {
            let block = blocks[number]
            guard block.isAlive else { continue }
            let (start, size) = block.page == page ? (block.offset, block.count) : (0, block.secondCount)
            guard offset < start + size, offset + count > start else {
                left.append(number)
                continue
            }
            blocks[number].isAlive = false
            found = true
            for entry in block.entries {
                if entries[entry.rip]?.block == number { entries[entry.rip] = nil }
                for stub in incoming.removeValue(forKey: entry.offset) ?? [] {
                    if let link = links[stub] { setDisplacement(link, to: link.stub) }
                }
            }
        }
        blocksOfPage[page] = left.isEmpty ? nil : left
        return found
    }
}
