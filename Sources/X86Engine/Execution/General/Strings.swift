import X86

// SDM vol. 1 section 5.1.8 and vol. 2, REP. An iteration of a REP counts as an instruction: whoever runs the
// instruction counts one, so what is added to `state.time` here is one less than the iterations completed.

extension Processor {
    /// MOVS.
    func moveString(_ instruction: borrowing Instruction) throws(Fault) {
        try runString(instruction, bulk: .move) { (string) throws(Fault) in
            let value = try readMemory(string.segment, string.source, width: string.bytes)
            try writeMemory(.es, string.destination, value, width: string.bytes)
            advance(string, source: true, destination: true)
        }
    }

    /// STOS.
    func storeString(_ instruction: borrowing Instruction) throws(Fault) {
        try runString(instruction, bulk: .fill) { (string) throws(Fault) in
            try writeMemory(.es, string.destination, state.pointee.rax, width: string.bytes)
            advance(string, source: false, destination: true)
        }
    }

    /// LODS.
    func loadString(_ instruction: borrowing Instruction) throws(Fault) {
        let accumulator = instruction.operands.0.register
        try runString(instruction) { (string) throws(Fault) in
            setGeneral(accumulator, try readMemory(string.segment, string.source, width: string.bytes))
            advance(string, source: true, destination: false)
        }
    }

    /// CMPS.
    func compareStrings(_ instruction: borrowing Instruction) throws(Fault) {
        try runComparison(instruction) { (string) throws(Fault) in
            let a = try readMemory(string.segment, string.source, width: string.bytes)
            let b = try readMemory(.es, string.destination, width: string.bytes)
            compareElements(a, b, bytes: string.bytes)
            advance(string, source: true, destination: true)
        }
    }

    /// SCAS.
    func scanString(_ instruction: borrowing Instruction) throws(Fault) {
        try runComparison(instruction) { (string) throws(Fault) in
            let a = truncate(state.pointee.rax, width: string.bytes * 8)
            let b = try readMemory(.es, string.destination, width: string.bytes)
            compareElements(a, b, bytes: string.bytes)
            advance(string, source: false, destination: true)
        }
    }

    /// INS: the port's permission is checked even if a REP has nothing to do, and the memory before the port is read.
    func inputString(_ instruction: borrowing Instruction) throws(Fault) {
        let port = UInt16(truncatingIfNeeded: state.pointee.rdx)
        try checkPortAccess(port: port, width: Int(instruction.operands.0.width) / 8)
        try runString(instruction) { (string) throws(Fault) in
            let linear = try linearAddress(.es, string.destination, width: string.bytes, .write)
            try probeWrite(linear, width: string.bytes)
            let value = try portRead(port, width: string.bytes)
            try writeLinear(linear, value, width: string.bytes)
            advance(string, source: false, destination: true)
        }
    }

    /// OUTS: the port's permission is checked before memory is read, and even if a REP has nothing to do.
    func outputString(_ instruction: borrowing Instruction) throws(Fault) {
        let port = UInt16(truncatingIfNeeded: state.pointee.rdx)
        try checkPortAccess(port: port, width: Int(instruction.operands.1.width) / 8)
        try runString(instruction) { (string) throws(Fault) in
            let value = try readMemory(string.segment, string.source, width: string.bytes)
            try portWrite(port, value, width: string.bytes)
            advance(string, source: true, destination: false)
        }
    }

    private func compareElements(_ a: UInt64, _ b: UInt64, bytes: Int) {
        let width = bytes * 8
        state.setFlagsOfSubtraction(a, b, result: truncate(a &- b, width: width), width: width)
    }

    /// CMPS and SCAS: REPE goes on while ZF is set, REPNE while it is clear.
    ///
    /// A fault leaves the flags of the last iteration, as AMD's processors do; the SDM has those from before the
    /// instruction, which would depend on where it was last interrupted.
    @inline(__always)
    private func runComparison(
        _ instruction: borrowing Instruction, _ body: (StringAccess) throws(Fault) -> Void
    ) throws(Fault) {
        try runString(instruction, whileZF: !instruction.prefixes.contains(.repeatNotEqual), body)
    }

    /// Runs `body`, which does one iteration and moves the index registers, once or as REP says.
    ///
    /// Between iterations it stops when guest time is up or something waits, with `nextRIP` at the instruction itself.
    @inline(__always)
    private func runString(
        _ instruction: borrowing Instruction, bulk: BulkOperation? = nil, whileZF required: Bool? = nil,
        _ body: (StringAccess) throws(Fault) -> Void
    ) throws(Fault) {
        let s = state
        var string = StringAccess(instruction, source: s.pointee.rsi, destination: s.pointee.rdi)
        guard instruction.prefixes.rawValue & Prefixes.anyRepeat.rawValue != 0 else { return try body(string) }
        var remaining = s.pointee.rcx & string.mask
        while remaining != 0 {
            var completed = bulk.map { runBulk($0, string, count: remaining) } ?? 0
            if completed == 0 {
                try body(string)
                completed = 1
            }
            remaining &-= completed
            setGeneral(string.counter, remaining)
            s.pointee.time &+= completed &- 1
            if remaining == 0 || (required != nil && required != s.pointee.ZF) { return }
            if s.pointee.time &+ 1 >= s.pointee.deadline || mustStopBetweenIterations {
                s.pointee.nextRIP = s.pointee.rip
                // What is delivered between iterations saves RF set (SDM vol. 3 section 18.3.1.1), and going on does not
                // meet a breakpoint on this instruction again.
                s.pointee.systemFlags |= RFLAGS.RF
                control.pointee.continuedString = InstructionReport(
                    time: s.pointee.time &+ 1, rip: s.pointee.rip)
                return
            }
            s.pointee.time &+= 1
            string.source = s.pointee.rsi & string.mask
            string.destination = s.pointee.rdi & string.mask
        }
    }

    /// Whether a signal, a trap or a watcher wants to be seen before the next iteration.
    private var mustStopBetweenIterations: Bool {
        state.pointee.limit == 0 || state.pointee.pendingDebug != 0 || state.pointee.TF
            || state.pointee.signals & Signal.virtualization != 0 && isSignalDue
    }

    /// Moves the index registers by one element, as DF says.
    @inline(__always)
    private func advance(_ string: StringAccess, source: Bool, destination: Bool) {
        let step = UInt64(bitPattern: Int64(state.pointee.DF ? -string.bytes : string.bytes))
        let width = string.addressWidth
        if source { setGeneral(.general(6, width: width), string.source &+ step) }
        if destination { setGeneral(.general(7, width: width), string.destination &+ step) }
    }

    /// Runs iterations of REP MOVS or REP STOS straight on host memory, and returns how many.
    ///
    /// As many as fit into the pages, the segments, the index registers and the time that is left, or none. RSI and RDI
    /// move, RCX does not.
    ///
    /// Nothing differs from running them one by one: pages that are watched, hold code or paging structures, or are no
    /// RAM have no tag in the soft TLB.
    private func runBulk(_ operation: BulkOperation, _ string: StringAccess, count: UInt64) -> UInt64 {
        let s = state
        guard count > 1, !s.pointee.DF, !mustStopBetweenIterations, s.pointee.deadline > s.pointee.time else {
            return 0
        }
        let bytes = UInt64(string.bytes)
        var room = min(count, s.pointee.deadline &- s.pointee.time, 4096)
        guard let destination = bulkAddress(.es, string.destination, string, &room, .write) else { return 0 }
        let line = s.pointee.tlb[Int(truncatingIfNeeded: destination >> 12 & s.pointee.tlbMask)]
        // SAFETY: the tag matches, so the host page is RAM, and `room` elements from both addresses stay in their pages.
        guard line.writeTag == destination & ~0xFFF else { return 0 }
        switch operation {
        case .move:
            guard let source = bulkAddress(string.segment, string.source, string, &room, .read) else { return 0 }
            let sourceLine = s.pointee.tlb[Int(truncatingIfNeeded: source >> 12 & s.pointee.tlbMask)]
            guard sourceLine.readTag == source & ~0xFFF,
                let from = UnsafeRawPointer(bitPattern: UInt(source &+ sourceLine.addend)),
                let to = UnsafeMutableRawPointer(bitPattern: UInt(destination &+ line.addend))
            else { return 0 }
            copyElements(from, to, count: Int(room), bytes: string.bytes)
            setGeneral(.general(6, width: string.addressWidth), string.source &+ room &* bytes)
        case .fill:
            guard let to = UnsafeMutableRawPointer(bitPattern: UInt(destination &+ line.addend)) else { return 0 }
            fillElements(to, s.pointee.rax, count: Int(room), bytes: string.bytes)
        }
        setGeneral(.general(7, width: string.addressWidth), string.destination &+ room &* bytes)
        return room
    }

    /// The linear address of a run of elements; lowers `room` to what lies in the page before the offset wraps.
    ///
    /// Nil if the run would leave the segment or the first element the page: one element at a time finds the fault.
    @inline(__always)
    private func bulkAddress(
        _ segment: Register, _ offset: UInt64, _ string: StringAccess, _ room: inout UInt64, _ kind: AccessKind
    ) -> UInt64? {
        let bytes = UInt64(string.bytes)
        // Offsets up to the mask; in 64-bit mode the distance to the end of the space is not representable, nor needed.
        let toWrap = string.mask &- offset
        if toWrap < 4096 { room = min(room, (toWrap &+ 1) / bytes) }
        guard room > 0, let first = linearAddressOrNil(segment, offset, width: string.bytes, kind) else { return nil }
        room = min(room, (4096 - (first & 0xFFF)) / bytes)
        guard room > 0 else { return nil }
        return linearAddressOrNil(segment, offset, width: Int(room &* bytes), kind)
    }

    private func linearAddressOrNil(
        _ segment: Register, _ offset: UInt64, width: Int, _ kind: AccessKind
    ) -> UInt64? {
        do throws(Fault) {
            return try linearAddress(segment, offset, width: width, kind)
        } catch {
            return nil
        }
    }

    /// Copies elements upward in order: a destination that lies in the source after its start repeats what was copied.
    private func copyElements(_ from: UnsafeRawPointer, _ to: UnsafeMutableRawPointer, count: Int, bytes: Int) {
        let distance = UnsafeRawPointer(to) - from
        guard distance > 0 && distance < count * bytes else {
            return to.copyMemory(from: from, byteCount: count * bytes)
        }
        for position in 0..<count {
            let offset = position * bytes
            switch bytes {
            case 1: copyElement(UInt8.self, from, to, offset)
            case 2: copyElement(UInt16.self, from, to, offset)
            case 4: copyElement(UInt32.self, from, to, offset)
            default: copyElement(UInt64.self, from, to, offset)
            }
        }
    }

    @inline(__always)
    private func copyElement<T: FixedWidthInteger>(
        _ type: T.Type, _ from: UnsafeRawPointer, _ to: UnsafeMutableRawPointer, _ offset: Int
    ) {
        to.storeBytes(of: from.loadUnaligned(fromByteOffset: offset, as: T.self), toByteOffset: offset, as: T.self)
    }

    private func fillElements(_ to: UnsafeMutableRawPointer, _ value: UInt64, count: Int, bytes: Int) {
        // A pattern of 8 bytes whatever the element; runs of elements are whole multiples of their size.
        let pattern: UInt64 =
            switch bytes {
            case 1: (value & 0xFF) &* 0x0101_0101_0101_0101
            case 2: (value & 0xFFFF) &* 0x0001_0001_0001_0001
            case 4: (value & 0xFFFF_FFFF) &* 0x0000_0001_0000_0001
            default: value
            }
        let total = count * bytes
        var offset = 0
        while offset + 8 <= total {
            to.storeBytes(of: pattern, toByteOffset: offset, as: UInt64.self)
            offset += 8
        }
        while offset < total {
            to.storeBytes(
                of: UInt8(truncatingIfNeeded: pattern >> UInt64((offset & 7) * 8)), toByteOffset: offset, as: UInt8.self
            )
            offset += 1
        }
    }
}

/// What can be done for many elements at a time.
private enum BulkOperation {
    case move, fill
}

/// One iteration of a string instruction.
private struct StringAccess {
    /// The segment of the source; the destination's is ES.
    let segment: Register
    let bytes: Int
    let addressWidth: Int
    let mask: UInt64
    /// CX, ECX or RCX.
    let counter: Register
    /// Offsets, truncated to the address size.
    var source: UInt64
    var destination: UInt64

    init(_ instruction: borrowing Instruction, source: UInt64, destination: UInt64) {
        // INS, OUTS and the like have a port or accumulator as the other operand.
        let first = instruction.operands.0
        let isFirstMemory = first.kind == .memory || first.kind == .memoryDestination
        segment = instruction.memory.segment
        bytes = Int((isFirstMemory ? first : instruction.operands.1).width) / 8
        addressWidth = Int(instruction.addressSize)
        mask = UInt64.max >> UInt64(64 - addressWidth)
        counter = .general(1, width: addressWidth)
        self.source = source & mask
        self.destination = destination & mask
    }
}
