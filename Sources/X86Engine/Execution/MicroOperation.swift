/// One predecoded instruction: 32 bytes, addressed registers, absolute addresses.
struct MicroOperation {
    /// What the hot loop switches over.
    enum Code: UInt8 {
        /// Leaves the block before this instruction: the end of a truncated or stale block.
        case leave
        /// Executes `Block.instructions[immediate]` outside the hot loop.
        case slow
    }

    var code: Code
    /// Bytes of the instruction.
    var length: UInt8
    /// Byte offset of the destination register in `ProcessorState`.
    var destination: UInt8
    /// Byte offset of the source register.
    var source: UInt8
    var base: UInt8
    var index: UInt8
    /// Log 2 of the scale.
    var shift: UInt8
    /// Position in the block, counted in instructions.
    var position: UInt8
    var displacement: Int32
    /// Byte offset of the segment base to add, or of `zero`.
    var segmentBase: UInt16
    var spare: UInt16 = 0
    var immediate: UInt64
    /// The linear offset (RIP) of the next instruction.
    var nextRIP: UInt64
}
