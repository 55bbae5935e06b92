/// What the hot loop keeps in registers, with the fast paths of memory, stack and control flow.
///
/// Fast paths are inlined into every case; slow paths are methods of `Processor` that are never inlined.
struct HotContext {
    let state: UnsafeMutablePointer<ProcessorState>
    let base: UnsafeMutableRawPointer
    let tlb: UnsafeMutablePointer<TLBEntry>
    let tlbMask: UInt64
    /// All ones in 64-bit mode, else 32 bits.
    let addressMask: UInt64
    let mode: ExecutionMode
    /// CS.base, 0 in 64-bit mode.
    let codeBase: UInt64
    let jumpCache: UnsafeMutablePointer<UnsafeMutablePointer<Block>>
    let control: UnsafeMutablePointer<ControlState>
    /// Returned in place of an operation when the dispatcher must go on.
    let exit: UnsafeMutablePointer<MicroOperation>
    private let reference: Unmanaged<Processor>

    @inline(__always)
    init(_ processor: Processor) {
        reference = .passUnretained(processor)
        state = processor.state
        base = UnsafeMutableRawPointer(processor.state)
        tlb = processor.state.pointee.tlb
        tlbMask = processor.state.pointee.tlbMask
        mode = processor.state.pointee.mode
        addressMask = mode.code == 64 ? .max : 0xFFFF_FFFF
        codeBase = mode.code == 64 ? 0 : processor.state.pointee.cs.base
        jumpCache = processor.blocks.jumpCache
        control = processor.control
        exit = processor.blocks.exit
    }
}

// MARK: - Slow paths

// SAFETY: the processor runs the loop, so it outlives every call; without the guarantee each would retain and release.
extension HotContext {
    @inline(__always)
    func loadSlow(
        _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64, _ linear: UInt64, _ width: Int
    ) -> UInt64 {
        reference._withUnsafeGuaranteedRef { $0.loadSlow(op, time, linear, width) }
    }

    @inline(__always)
    func loadForUpdateSlow(
        _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64, _ linear: UInt64, _ width: Int
    ) -> UInt64 {
        reference._withUnsafeGuaranteedRef { $0.loadForUpdateSlow(op, time, linear, width) }
    }

    @inline(__always)
    func storeSlow(
        _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64, _ linear: UInt64, _ value: UInt64, _ width: Int
    ) {
        reference._withUnsafeGuaranteedRef { $0.storeSlow(op, time, linear, value, width) }
    }

    @inline(__always)
    func executeSlow(_ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64) -> Bool {
        reference._withUnsafeGuaranteedRef { $0.executeSlow(op, time) }
    }

    @inline(__always)
    func executeLast(
        _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64
    ) -> UnsafeMutablePointer<MicroOperation> {
        reference._withUnsafeGuaranteedRef { $0.executeLast(op, time, mode) }
    }

    @inline(__always)
    func leave(_ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64) {
        reference._withUnsafeGuaranteedRef { $0.leave(op, time) }
    }

    @inline(__always)
    func failBranch(_ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64) {
        reference._withUnsafeGuaranteedRef { $0.failBranch(op, time) }
    }

    @inline(__always)
    func failDivision(_ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64) {
        reference._withUnsafeGuaranteedRef { $0.failDivision(op, time) }
    }

    @inline(__always)
    func followSlow(
        _ links: UnsafeMutablePointer<BlockLinks>, taken: Bool, _ target: UInt64, _ time: UInt64
    ) -> UnsafeMutablePointer<MicroOperation> {
        reference._withUnsafeGuaranteedRef { $0.followSlow(links, taken: taken, target, time) }
    }

    @inline(__always)
    func enterSlow(_ target: UInt64, _ time: UInt64) -> UnsafeMutablePointer<MicroOperation> {
        reference._withUnsafeGuaranteedRef { $0.enterSlow(target, time) }
    }
}

// MARK: - Registers

extension HotContext {
    /// Reads a register by byte offset.
    @inline(__always)
    func get<T: FixedWidthInteger>(_: T.Type, _ offset: UInt8) -> T {
        // SAFETY: offsets come from the lowering and name general registers (0..<128) or `zero`.
        base.load(fromByteOffset: Int(offset), as: T.self)
    }

    /// Writes a register by byte offset; 32-bit writes clear the upper half.
    @inline(__always)
    func put<T: FixedWidthInteger>(_: T.Type, _ offset: UInt8, _ value: T) {
        // SAFETY: offsets come from the lowering and name general registers (0..<128).
        if T.bitWidth == 32 {
            base.storeBytes(
                of: UInt64(UInt32(truncatingIfNeeded: value)), toByteOffset: Int(offset), as: UInt64.self)
        } else {
            base.storeBytes(of: value, toByteOffset: Int(offset), as: T.self)
        }
    }
}

// MARK: - Memory

extension HotContext {
    /// Base, index and displacement, truncated to the address size.
    @inline(__always)
    func effectiveAddress(_ op: UnsafeMutablePointer<MicroOperation>) -> UInt64 {
        let offset =
            get(UInt64.self, op.pointee.base) &+ get(UInt64.self, op.pointee.index) &<< UInt64(op.pointee.shift)
            &+ UInt64(bitPattern: op.pointee.displacement)
        return offset & addressMask
    }

    /// The linear address of the memory operand.
    @inline(__always)
    func address(_ op: UnsafeMutablePointer<MicroOperation>) -> UInt64 {
        // SAFETY: the lowering only stores offsets of FS.base, GS.base and `zero`.
        effectiveAddress(op) &+ base.load(fromByteOffset: Int(op.pointee.segmentBase), as: UInt64.self)
    }

    /// The host address of a readable operand, or nil for the slow path.
    @inline(__always)
    func readable(_ linear: UInt64, _ width: Int) -> UnsafeMutableRawPointer? {
        let line = tlb + Int(truncatingIfNeeded: linear >> 12 & tlbMask)
        guard line.pointee.readTag == (linear &+ UInt64(width - 1)) & ~0xFFF else { return nil }
        return UnsafeMutableRawPointer(bitPattern: UInt(linear &+ line.pointee.addend))
    }

    /// The host address of a writable operand, or nil for the slow path.
    @inline(__always)
    func writable(_ linear: UInt64, _ width: Int) -> UnsafeMutableRawPointer? {
        let line = tlb + Int(truncatingIfNeeded: linear >> 12 & tlbMask)
        guard line.pointee.writeTag == (linear &+ UInt64(width - 1)) & ~0xFFF else { return nil }
        return UnsafeMutableRawPointer(bitPattern: UInt(linear &+ line.pointee.addend))
    }

    /// Reads the memory operand; nil when a fault is pending.
    @inline(__always)
    func read<T: FixedWidthInteger>(
        _: T.Type, _ linear: UInt64, _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64
    ) -> T? {
        if let host = readable(linear, T.bitWidth / 8) {
            // SAFETY: the tag matched, so the bytes lie inside one page of guest RAM.
            return host.loadUnaligned(as: T.self)
        }
        let value = loadSlow(op, time, linear, T.bitWidth / 8)
        return control.pointee.hasFault ? nil : T(truncatingIfNeeded: value)
    }

    /// Writes the memory operand; false when a fault is pending.
    @inline(__always)
    func write<T: FixedWidthInteger>(
        _ value: T, _ linear: UInt64, _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64
    ) -> Bool {
        if let host = writable(linear, T.bitWidth / 8) {
            // SAFETY: the tag matched, so the bytes lie inside one page of guest RAM.
            host.storeBytes(of: value, as: T.self)
            return true
        }
        storeSlow(op, time, linear, UInt64(truncatingIfNeeded: value), T.bitWidth / 8)
        return !control.pointee.hasFault
    }

    @inline(__always)
    func load<T: FixedWidthInteger, U: FixedWidthInteger>(
        _: T.Type, as _: U.Type, _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64
    ) -> Bool {
        guard let value = read(T.self, address(op), op, time) else { return false }
        put(U.self, op.pointee.destination, U(truncatingIfNeeded: value))
        return true
    }

    @inline(__always)
    func loadSigned<T: FixedWidthInteger & SignedInteger, U: FixedWidthInteger>(
        _: T.Type, as _: U.Type, _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64
    ) -> Bool {
        guard let value = read(T.self, address(op), op, time) else { return false }
        put(U.self, op.pointee.destination, U(truncatingIfNeeded: value))
        return true
    }

    @inline(__always)
    func store<T: FixedWidthInteger>(
        _ value: T, _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64
    ) -> Bool {
        write(value, address(op), op, time)
    }
}

// MARK: - Stack

extension HotContext {
    private static var rsp: UInt8 { 32 }
    private static var rbp: UInt8 { 40 }

    /// Pushes; RSP changes only if the write succeeds.
    @inline(__always)
    func push<T: FixedWidthInteger>(
        _ value: T, _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64
    ) -> Bool {
        let top = (get(UInt64.self, Self.rsp) &- UInt64(T.bitWidth / 8)) & addressMask
        guard write(value, top, op, time) else { return false }
        put(UInt64.self, Self.rsp, top)
        return true
    }

    @inline(__always)
    func pop<T: FixedWidthInteger>(
        _: T.Type, _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64
    ) -> Bool {
        let top = get(UInt64.self, Self.rsp) & addressMask
        guard let value = read(T.self, top, op, time) else { return false }
        put(UInt64.self, Self.rsp, (top &+ UInt64(T.bitWidth / 8)) & addressMask)
        put(T.self, op.pointee.destination, value)
        return true
    }

    @inline(__always)
    func pushMemory(_ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64) -> Bool {
        guard let value = read(UInt64.self, address(op), op, time) else { return false }
        return push(value, op, time)
    }

    @inline(__always)
    func leaveFrame(_ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64) -> Bool {
        let frame = get(UInt64.self, Self.rbp)
        guard let value = read(UInt64.self, frame, op, time) else { return false }
        put(UInt64.self, Self.rsp, frame &+ 8)
        put(UInt64.self, Self.rbp, value)
        return true
    }
}

// MARK: - Control flow

extension HotContext {
    /// Goes to a block by a link of the current one; the target lies in the same page.
    @inline(__always)
    func follow(
        _ op: UnsafeMutablePointer<MicroOperation>, _ target: UInt64, _ time: UInt64
    ) -> UnsafeMutablePointer<MicroOperation> {
        let links = Block.links(after: op)
        if let next = links.pointee.taken, time &+ UInt64(next.pointee.count) <= state.pointee.limit {
            return next.pointee.operations
        }
        return followSlow(links, taken: true, target, time)
    }

    /// Jcc: goes to the target or to the next instruction.
    @inline(__always)
    func branch(
        _ op: UnsafeMutablePointer<MicroOperation>, _ condition: Bool, _ time: UInt64
    ) -> UnsafeMutablePointer<MicroOperation> {
        let links = Block.links(after: op)
        let next = condition ? links.pointee.taken : links.pointee.next
        if let next, time &+ UInt64(next.pointee.count) <= state.pointee.limit { return next.pointee.operations }
        return followSlow(
            links, taken: condition, condition ? op.pointee.immediate : op.pointee.nextRIP, time)
    }

    /// Goes to any address: by the jump cache if the mapping still holds.
    @inline(__always)
    func enter(_ target: UInt64, _ time: UInt64) -> UnsafeMutablePointer<MicroOperation> {
        let block = jumpCache[BlockCache.slot(target)]
        let linear = (target &+ codeBase) & addressMask
        let line = tlb + Int(truncatingIfNeeded: linear >> 12 & tlbMask)
        if block.pointee.linear == linear && block.pointee.rip == target && block.pointee.mode == mode
            && line.pointee.executeTag == linear & ~0xFFF
            && block.pointee.host == linear &+ line.pointee.addend
            && time &+ UInt64(block.pointee.count) <= state.pointee.limit
        {
            return block.pointee.operations
        }
        return enterSlow(target, time)
    }

    /// A near-branch target in 64-bit mode: canonical, or #GP(0) is pending.
    @inline(__always)
    func checkedTarget(
        _ target: UInt64, _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64
    ) -> UInt64? {
        if Processor.isCanonical(target) { return target }
        failBranch(op, time)
        return nil
    }

    @inline(__always)
    func targetInMemory(_ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64) -> UInt64? {
        guard let target = read(UInt64.self, address(op), op, time) else { return nil }
        return checkedTarget(target, op, time)
    }

    /// RET: the target, with the stack pointer already moved.
    @inline(__always)
    func popTarget<T: FixedWidthInteger>(
        _: T.Type, _ op: UnsafeMutablePointer<MicroOperation>, _ time: UInt64
    ) -> UInt64? {
        let top = get(UInt64.self, Self.rsp) & addressMask
        guard let value = read(T.self, top, op, time) else { return nil }
        let target = UInt64(truncatingIfNeeded: value)
        if T.bitWidth == 64 { guard checkedTarget(target, op, time) != nil else { return nil } }
        // `immediate` holds how many bytes of parameters RET n releases.
        put(UInt64.self, Self.rsp, (top &+ UInt64(T.bitWidth / 8) &+ op.pointee.immediate) & addressMask)
        return target
    }
}
