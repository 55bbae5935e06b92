import X86

/// A run of predecoded instructions that begins at one address and is entered only there.
///
/// Its operations lie in the same arena; after the last one there is room for `BlockLinks`.
struct Block {
    /// RIP and linear address of the first byte; all ones in a block that is no longer valid.
    var rip: UInt64
    var linear: UInt64
    /// The host address of the first byte, which stands for the physical one.
    var host: UInt64
    /// The host address of the second page, if the only instruction crosses into one, else 0.
    var secondHost: UInt64 = 0
    var operations: UnsafeMutablePointer<MicroOperation>
    /// The next block that has bytes in the same page of RAM.
    var nextOnPage: UnsafeMutablePointer<Block>?
    var mode: ExecutionMode
    /// For the stand-in that lists a crossing block under its second page: the block itself.
    var primary: UnsafeMutablePointer<Block>?
    /// Begins at a watched address or with a watched instruction: entered by the dispatcher only, which reports it.
    var isWatched = false
    /// The watched instruction that it begins with.
    var watchedOperation: InstructionPattern?
    /// How many instructions it holds.
    var count: UInt32
    /// RAM page of the first byte.
    var page: Int32
    /// Bytes of code in that page.
    var byteCount: UInt32

    /// The links behind the last operation of a block.
    @inline(__always)
    static func links(after op: UnsafeMutablePointer<MicroOperation>) -> UnsafeMutablePointer<BlockLinks> {
        // SAFETY: every block ends with one slot of an operation's size for its links.
        UnsafeMutableRawPointer(op + 1).assumingMemoryBound(to: BlockLinks.self)
    }
}

/// Where a block goes on without the dispatcher; only to blocks of the same page, whose mapping is the same.
struct BlockLinks {
    var taken: UnsafeMutablePointer<Block>?
    var next: UnsafeMutablePointer<Block>?
    /// The linear page of the block.
    var page: UInt64
}
