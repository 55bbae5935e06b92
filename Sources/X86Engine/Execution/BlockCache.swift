/// The decoded blocks of one processor.
final class BlockCache {
    let memory: PhysicalMemory
    let enabled: Bool

    init(memory: PhysicalMemory, enabled: Bool) {
        self.memory = memory
        self.enabled = enabled
    }

    func hasBlocks(onPage page: Int) -> Bool { false }
}
