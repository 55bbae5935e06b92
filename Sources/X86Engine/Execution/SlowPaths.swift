import X86

// What the hot loop calls when its fast paths do not match. None of this is inlined.

extension Processor {
    /// Makes RIP and time exact for the operation, and remembers that it is running.
    @inline(__always)
    private func begin(_ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64) {
        state.pointee.rip = op.pointee.rip
        state.pointee.time = time &+ UInt64(op.pointee.position)
        control.pointee.current = op
    }

    @inline(__always)
    private func fail(_ fault: Fault) {
        control.pointee.pendingFault = fault
        control.pointee.hasFault = true
    }

    /// #SS for the stack segment, else #GP, where flat segments are left: not canonical, or beyond 4 GiB.
    private func checkFlat(
        _ op: UnsafeMutablePointer<MicroOperation>, _ linear: UInt64, _ width: Int, storing: Bool
    ) throws(Fault) {
        let last = linear &+ UInt64(width - 1)
        let inside =
            state.pointee.mode.code == 64
            ? Self.isCanonical(linear) && Self.isCanonical(last) : last <= 0xFFFF_FFFF
        if inside { return }
        // The operation does not know the segment of its memory operand; the instruction does.
        let isStack =
            op.pointee.code.usesStack(storing: storing) ? true : try fetchInstruction().memory.segment == .ss
        throw isStack ? .stackFault(0) : .generalProtection(0)
    }

    @inline(never)
    func loadSlow(
        _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64, _ linear: UInt64, _ width: Int
    ) -> UInt64 {
        begin(op, time)
        do throws(Fault) {
            try checkFlat(op, linear, width, storing: false)
            return try readLinear(linear, width: width)
        } catch {
            fail(error)
            return 0
        }
    }

    @inline(never)
    func loadForUpdateSlow(
        _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64, _ linear: UInt64, _ width: Int
    ) -> UInt64 {
        begin(op, time)
        do throws(Fault) {
            try checkFlat(op, linear, width, storing: true)
            try probeWrite(linear, width: width)
            return try readLinear(linear, width: width)
        } catch {
            fail(error)
            return 0
        }
    }

    @inline(never)
    func storeSlow(
        _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64, _ linear: UInt64, _ value: UInt64, _ width: Int
    ) {
        begin(op, time)
        do throws(Fault) {
            try checkFlat(op, linear, width, storing: true)
            try writeLinear(linear, value, width: width)
        } catch {
            fail(error)
        }
    }

    /// Executes an instruction that has no case in the hot loop; false when a fault is pending.
    @inline(never)
    func executeSlow(_ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64) -> Bool {
        begin(op, time)
        state.pointee.nextRIP = op.pointee.nextRIP
        do throws(Fault) {
            // SAFETY: `slow` and `slowEnd` carry the address of an instruction in the block arena.
            guard let instruction = UnsafePointer<Instruction>(bitPattern: UInt(op.pointee.immediate)) else {
                throw .invalidOpcode
            }
            if isGuest { try interceptInstruction(instruction.pointee) }
            try execute(instruction.pointee)
            return true
        } catch {
            fail(error)
            return false
        }
    }

    /// Executes the last instruction of a block outside the hot loop, and goes on at the block it leads to; back to the
    /// dispatcher if anything but that is due or the mode has changed.
    @inline(never)
    func executeLast(
        _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64, _ mode: ExecutionMode
    ) -> UnsafeMutablePointer<MicroOperation> {
        guard executeSlow(op, time) else { return blocks.exit }
        let s = state
        s.pointee.rip = s.pointee.nextRIP
        // `destination` marks instructions of a monitor's code that are none of the guest's.
        if op.pointee.destination == 0 { s.pointee.time &+= 1 }
        guard s.pointee.mode == mode, !needsService, !mustSingleStep, !control.pointee.blocksAreStale,
            let block = knownBlock(s.pointee.rip),
            s.pointee.time &+ UInt64(block.pointee.count) <= s.pointee.limit
        else { return blocks.exit }
        return block.pointee.operations
    }

    /// Returns to the dispatcher before the operation's instruction.
    @inline(never)
    func leave(_ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64) {
        state.pointee.rip = op.pointee.rip
        state.pointee.time = time &+ UInt64(op.pointee.position)
    }

    /// A near branch to an address that is not canonical.
    @inline(never)
    func failBranch(_ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64) {
        begin(op, time)
        fail(.generalProtection(0))
    }

    @inline(never)
    func failDivision(_ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64) {
        begin(op, time)
        fail(.divideError)
    }

    /// Goes on at a target that is not linked yet, lies in another page or beyond the deadline.
    @inline(never)
    func followSlow(
        _ links: UnsafeMutablePointer<BlockLinks>, taken: Bool, _ target: UInt64, _ time: UInt64
    ) -> UnsafeMutablePointer<MicroOperation> {
        state.pointee.rip = target
        state.pointee.time = time
        guard let block = knownBlock(target), time &+ UInt64(block.pointee.count) <= state.pointee.limit else {
            control.pointee.link = links
            control.pointee.linkIsTaken = taken
            return blocks.exit
        }
        link(links, taken: taken, to: block)
        return block.pointee.operations
    }

    @inline(never)
    func enterSlow(_ target: UInt64, _ time: UInt64) -> UnsafeMutablePointer<MicroOperation> {
        state.pointee.rip = target
        state.pointee.time = time
        return blocks.exit
    }

    /// A block of the jump cache whose mapping still holds.
    @inline(__always)
    func knownBlock(_ target: UInt64) -> UnsafeMutablePointer<Block>? {
        let s = state
        let block = blocks.jumpCache[BlockCache.slot(target)]
        let linear = s.pointee.mode.code == 64 ? target : (target &+ s.pointee.cs.base) & 0xFFFF_FFFF
        let line = s.pointee.tlb + Int(truncatingIfNeeded: linear >> 12 & s.pointee.tlbMask)
        guard
            block.pointee.linear == linear, block.pointee.rip == target, block.pointee.mode == s.pointee.mode,
            line.pointee.executeTag == linear & ~0xFFF, block.pointee.host == linear &+ line.pointee.addend
        else { return nil }
        return block
    }

    /// Links a block to one of the same page.
    func link(_ links: UnsafeMutablePointer<BlockLinks>, taken: Bool, to block: UnsafeMutablePointer<Block>) {
        guard block.pointee.linear & ~0xFFF == links.pointee.page, block.pointee.secondHost == 0,
            !block.pointee.isWatched
        else { return }
        if taken { links.pointee.taken = block } else { links.pointee.next = block }
    }
}

extension MicroOperation.Code {
    /// Whether a load or store of the operation is to the stack without saying so.
    func usesStack(storing: Bool) -> Bool {
        Self.stackOperations.contains(self) || storing && (self == .pushM64 || self == .callM64)
    }

    private static let stackOperations: [MicroOperation.Code] = [
        .pushR32, .pushI32, .popR32, .pushR64, .pushI64, .popR64, .leave64, .callRel32, .ret32, .callRel64, .ret64,
        .callR64,
    ]
}
