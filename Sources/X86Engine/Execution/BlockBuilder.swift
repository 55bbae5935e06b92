import X86

extension Processor {
    /// Builds the block that begins at `state.rip`, at most `maximum` instructions long.
    ///
    /// Blocks that are not to be kept (`keep` false) run once: they end before a deadline. Faults of the first
    /// instruction are thrown; those of later ones end the block before it.
    func buildBlock(_ position: CodePosition, maximum: Int, keep: Bool) throws(Fault) -> UnsafeMutablePointer<Block> {
        let page = UnsafeRawPointer(memory.pointer(toPage: position.page))
        let start = Int(position.linear & 0xFFF)
        let header = MemoryLayout<Block>.stride
        let limit = min(maximum, Self.longestBlock)
        let capacity = memory.hiddenInstructions == nil ? limit : Self.longestBlock
        let size = (header + 31) & ~31
        var memoryBlock = blocks.allocate(size + (capacity + 2) * MemoryLayout<MicroOperation>.stride)
        if memoryBlock == nil {
            blocks.removeAll()
            memoryBlock = blocks.allocate(size + (capacity + 2) * MemoryLayout<MicroOperation>.stride)
        }
        // The arena always holds one block once it is empty.
        guard let raw = memoryBlock else { throw .invalidOpcode }
        let block = raw.bindMemory(to: Block.self, capacity: 1)
        let operations = (raw + size).bindMemory(to: MicroOperation.self, capacity: capacity + 2)

        var offset = start
        var rip = state.pointee.rip
        // `count` operations, which retire `retired` instructions of the guest.
        var count = 0
        var retired = 0
        var ended = false
        var secondHost: UInt64 = 0
        var second = -1
        let watched = control.pointee.watchedInstructions
        let watchesAddresses = watched.watchesAddresses
        let watchesPatterns = !watched.patterns.isEmpty
        var isWatched = watchesAddresses && watched.contains(rip)
        var watchedOperation: InstructionPattern?
        while count < Self.longestBlock && retired < limit && !ended {
            if count > 0 && watchesAddresses && watched.contains(rip) {
                ended = true
                operations[count] = .fallThrough(to: rip, position: retired)
                continue
            }
            let bytes = UnsafeRawBufferPointer(start: page + offset, count: min(15, 4096 - offset))
            var instruction: Instruction
            switch Decoder.decode(bytes, mode: state.pointee.mode.codeMode) {
            case .instruction(let decoded):
                instruction = decoded
            case .failure:
                if count > 0 {
                    // The next block begins here and raises what is to be raised.
                    ended = true
                    operations[count] = .fallThrough(to: rip, position: retired)
                    continue
                }
                instruction = try fetchInstruction()
                let crossing = position.linear & ~0xFFF &+ 0x1000
                let physical = try translateForFetch(wrapLinear(crossing))
                if let next = ramPage(physical), offset + Int(instruction.length) > 4096 {
                    second = next
                    secondHost = UInt64(UInt(bitPattern: memory.pointer(toPage: next)))
                }
            }
            if watchesPatterns && watched.contains(instruction) {
                if count > 0 {
                    ended = true
                    operations[count] = .fallThrough(to: rip, position: retired)
                    continue
                }
                isWatched = true
                watchedOperation = InstructionPattern(instruction)
            }
            if let failure = unavailable(&instruction) {
                if count == 0 { throw failure }
                ended = true
                operations[count] = .fallThrough(to: rip, position: retired)
                continue
            }
            let next =
                state.pointee.mode.code == 64
                ? rip &+ UInt64(instruction.length) : (rip &+ UInt64(instruction.length)) & 0xFFFF_FFFF
            let isHidden = memory.isHidden(page: position.page, offset: offset)
            let context = LoweringContext(
                mode: state.pointee.mode, position: UInt8(retired), nextRIP: next, isHidden: isHidden)
            // What can leave a guest must be looked at when it executes.
            let isIntercepted = isGuest && instruction.exitRule != .never
            if !isIntercepted, let operation = instruction.lowered(context) {
                operations[count] = operation
                ended = operation.code.endsBlock
            } else {
                guard let stored = blocks.allocate(MemoryLayout<Instruction>.stride) else {
                    // No room for the instruction's record: start over with an empty arena.
                    blocks.removeAll()
                    return try buildBlock(position, maximum: maximum, keep: keep)
                }
                stored.bindMemory(to: Instruction.self, capacity: 1).initialize(to: instruction)
                ended = instruction.endsBlock
                operations[count] = MicroOperation(
                    ended ? .slowEnd : .slow, length: instruction.length, position: UInt8(retired), nextRIP: next)
                operations[count].immediate = UInt64(UInt(bitPattern: stored))
                operations[count].destination = isHidden ? 1 : 0
            }
            count += 1
            if !isHidden { retired += 1 }
            offset += Int(instruction.length)
            rip = next
            if !ended && (offset >= 4096 || count == Self.longestBlock || retired == limit) {
                ended = true
                // A block cut short for a deadline leaves to the dispatcher, others go on by link.
                operations[count] = MicroOperation(
                    keep ? .fallThrough : .leave, length: 0, position: UInt8(retired), nextRIP: rip)
                operations[count].immediate = rip
            }
        }
        // What follows a hidden branch finishes an instruction, which must still be in time.
        let pending = operations[count - 1].code.isHiddenBranch || operations[count - 1].isHiddenSlowEnd ? 1 : 0
        // Links lie behind the last operation, which is at most `operations[count]`.
        let last = operations[count - 1].code.endsBlock ? count - 1 : count
        Block.links(after: operations + last).initialize(
            to: BlockLinks(taken: nil, next: nil, page: position.linear & ~0xFFF))
        let byteCount = min(offset, 4096) - start
        block.initialize(
            to: Block(
                rip: state.pointee.rip, linear: position.linear, host: position.host, secondHost: secondHost,
                operations: operations, nextOnPage: nil, mode: state.pointee.mode, primary: nil,
                isWatched: isWatched, watchedOperation: watchedOperation, count: UInt32(max(retired + pending, 1)),
                page: Int32(truncatingIfNeeded: position.page), byteCount: UInt32(byteCount)))
        if !keep {
            // Listed, so that writes to its own code end it, but never to be found again.
            block.pointee.rip = .max
            block.pointee.linear = .max
        }
        memory.markCode(page: position.page, offset: start, count: byteCount)
        blocks.insert(block)
        if second >= 0 && keep { try listUnderSecondPage(block, page: second, byteCount: offset - 4096) }
        return block
    }

    /// The most instructions a block holds.
    static let longestBlock = 64

    /// Enters a stand-in, so that writes to the second page of a crossing instruction find its block.
    private func listUnderSecondPage(
        _ block: UnsafeMutablePointer<Block>, page: Int, byteCount: Int
    ) throws(Fault) {
        guard let raw = blocks.allocate(MemoryLayout<Block>.stride) else {
            // Without the stand-in the block must not be kept.
            block.pointee.rip = .max
            block.pointee.linear = .max
            return
        }
        let standIn = raw.bindMemory(to: Block.self, capacity: 1)
        standIn.initialize(to: block.pointee)
        standIn.pointee.rip = .max
        standIn.pointee.linear = .max
        standIn.pointee.host = UInt64(UInt(bitPattern: memory.pointer(toPage: page)))
        standIn.pointee.page = Int32(truncatingIfNeeded: page)
        standIn.pointee.byteCount = UInt32(byteCount)
        standIn.pointee.primary = block
        memory.markCode(page: page, offset: 0, count: byteCount)
        blocks.insert(standIn)
    }
}

/// Where code is: linear, host and RAM page.
struct CodePosition {
    var linear: UInt64
    var host: UInt64
    var page: Int
}

extension MicroOperation.Code {
    /// Whether the branch is in the middle of a monitor's sequence.
    fileprivate var isHiddenBranch: Bool { self == .hiddenJmpM64 || self == .hiddenJrcxz }
}

extension MicroOperation {
    fileprivate var isHiddenSlowEnd: Bool { code == .slowEnd && destination == 1 }

    /// Ends a block before the instruction at `rip`.
    fileprivate static func fallThrough(to rip: UInt64, position: Int) -> MicroOperation {
        var operation = MicroOperation(.fallThrough, length: 0, position: UInt8(position), nextRIP: rip)
        operation.immediate = rip
        return operation
    }
}

extension Instruction {
    /// Whether a block must end with this instruction.
    var endsBlock: Bool { InstructionDefinition.blockEnds[Int(row)] }
}

extension InstructionDefinition {
    /// `endsBlock` of every row, dense for the decoder's path.
    fileprivate static let blockEnds: [Bool] = InstructionTable.definitions.map(\.endsBlock)
}
