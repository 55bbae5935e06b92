/// Walks from a frame to its caller.
package struct Unwinder {
    private let memory: GuestMemoryReader
    private let symbols: SymbolTable
    private let orc: ORCTable?
    private let word: UInt64
    private let codeBase: UInt64
    private let stackBase: UInt64

    private var ip: UInt64
    private var sp: UInt64
    private var bp: UInt64
    private var ring: Int
    private var method = BacktraceFrame.Method.registers
    /// All registers of this frame, as long as they are known.
    private var general: [UInt64]?
    /// Whether `ip` is an instruction to be executed, not one behind a call.
    private var isExact = true

    /// How far up a stack is searched for a return address: a page.
    private static let scanSize = 4096
    /// Numbers of the general registers.
    ///
    /// SDM vol. 2 table 3-1.
    private enum Number { static let ax = 0, dx = 2, sp = 4, bp = 5, di = 7, r10 = 10, r13 = 13 }

    package init(_ registers: BacktraceRegisters, memory: GuestMemoryReader, symbols: SymbolTable) {
        self.memory = memory
        self.symbols = symbols
        // The format is that of 64-bit kernels.
        orc = registers.wordSize == 8 ? ORCTable(symbols: symbols, memory: memory) : nil
        word = UInt64(registers.wordSize)
        codeBase = registers.codeBase
        stackBase = registers.stackBase
        let mask: UInt64 = word == 8 ? .max : 1 << (word * 8) - 1
        ip = registers.instructionPointer & mask
        sp = registers.general[Number.sp] & mask
        bp = registers.general[Number.bp] & mask
        ring = registers.ring
        general = registers.general
    }

    private var space: SymbolTable.Space { ring == 3 ? .user : .kernel }

    /// The frame that the walk has reached.
    package var frame: BacktraceFrame {
        let address = codeBase &+ ip
        // A call can be the last instruction of its function, so its own address decides.
        let inside = isExact ? address : address &- 1
        var position = symbols.position(of: inside, in: space)
        if !isExact { position?.offset += 1 }
        return BacktraceFrame(
            address: address, stackPointer: stackBase &+ sp, ring: ring, method: method, isInterrupted: isExact,
            position: position, location: symbols.location(of: inside))
    }

    /// Goes to the caller; false at the end.
    package mutating func step() -> Bool {
        let before = (ip, sp, ring)
        guard advance() else { return false }
        return (ip, sp, ring) != before
    }

    private mutating func advance() -> Bool {
        if ring != 3, let orc, let entry = orc.entry(for: isExact ? ip : ip &- 1) {
            switch entry.kind {
            case .endOfStack: return false
            case .call, .registers, .exceptionFrame: return follow(entry)
            case .undefined: break
            }
        }
        return isAtFunctionEdge() || followFramePointer() || scan()
    }

    private func load(_ address: UInt64) -> UInt64? {
        let linear = stackBase &+ address
        return word == 2
            ? memory.integer(UInt16.self, at: linear).map { UInt64($0) } : memory.word(Int(word), at: linear)
    }

    // MARK: ORC

    private mutating func follow(_ entry: ORCTable.Entry) -> Bool {
        let offset = UInt64(bitPattern: Int64(entry.stackOffset))
        let base: UInt64?
        switch entry.stackBase {
        case .sp: base = sp &+ offset
        case .bp: base = bp &+ offset
        case .spIndirect: base = load(sp).map { $0 &+ offset }
        case .bpIndirect: base = load(bp &+ offset)
        case .ax: base = general?[Number.ax]
        case .dx: base = general?[Number.dx]
        case .di: base = general?[Number.di]
        case .r10: base = general?[Number.r10]
        case .r13: base = general?[Number.r13]
        case .undefined, .previousSP: base = nil
        }
        guard let base else { return false }
        let oldBP = bp
        switch entry.kind {
        case .call:
            guard let address = load(base &- 8), address != 0 else { return false }
            (ip, sp, isExact, general) = (address, base, false, nil)
        case .registers:
            guard let saved = SavedRegisters(at: base, load) else { return false }
            (ip, sp, isExact, general) = (saved.ip, saved.general[Number.sp], true, saved.general)
            bp = saved.general[Number.bp]
            ring = saved.ring
        case .exceptionFrame:
            guard let address = load(base), let selector = load(base &+ 8), let stack = load(base &+ 24) else {
                return false
            }
            // What the interrupted code had in its other registers is still there, if it was known before.
            (ip, sp, isExact) = (address, stack, true)
            ring = Int(selector & 3)
        case .undefined, .endOfStack: return false
        }
        let frameOffset = UInt64(bitPattern: Int64(entry.frameOffset))
        switch entry.frameBase {
        case .previousSP: bp = load(base &+ frameOffset) ?? bp
        case .bp: bp = load(oldBP &+ frameOffset) ?? bp
        case .undefined, .dx, .di, .sp, .r10, .r13, .bpIndirect, .spIndirect, .ax: break
        }
        method = .orc
        return true
    }

    /// `struct pt_regs` (Linux: arch/x86/include/asm/ptrace.h).
    private struct SavedRegisters {
        var ip: UInt64
        var ring: Int
        var general: [UInt64]

        /// Numbers of the general registers in the order in which they lie there.
        private static let order = [15, 14, 13, 12, 5, 3, 11, 10, 9, 8, 0, 1, 2, 6, 7]

        init?(at base: UInt64, _ load: (UInt64) -> UInt64?) {
            var general = [UInt64](repeating: 0, count: 16)
            for (index, number) in Self.order.enumerated() {
                guard let value = load(base &+ UInt64(index * 8)) else { return nil }
                general[number] = value
            }
            // Behind ORIG_RAX lies what the processor pushed.
            guard let ip = load(base &+ 128), let selector = load(base &+ 136), let sp = load(base &+ 152) else {
                return nil
            }
            general[4] = sp
            self.ip = ip
            ring = Int(selector & 3)
            self.general = general
        }
    }

    // MARK: Frame pointers

    /// Before a function has made its frame, and at its RET, the return address is on top of the stack.
    private mutating func isAtFunctionEdge() -> Bool {
        guard isExact, method == .registers || general != nil else { return false }
        let address = codeBase &+ ip
        var depth: UInt64?
        if let next = memory.bytes(at: address, count: 1), next[0] == 0xC3 || next[0] == 0xC2 { depth = 0 }
        if let position = symbols.position(of: address, in: space), position.symbol.kind != .data, position.offset <= 5,
            let done = memory.bytes(at: address &- position.offset, count: Int(position.offset))
        {
            // ENDBR64 or ENDBR32, then PUSH RBP.
            let isMarked = done.starts(with: [0xF3, 0x0F, 0x1E]) && done.count >= 4
            let rest = isMarked ? Array(done.dropFirst(4)) : done
            if rest.isEmpty { depth = 0 } else if rest == [0x55] { depth = 1 }
        }
        guard let depth, let value = load(sp &+ depth &* word), isReturnAddress(value) else { return false }
        (ip, sp) = (value, sp &+ (depth + 1) &* word)
        if depth == 1 { bp = load(sp &- 2 &* word) ?? bp }
        (method, isExact, general) = (.framePointer, false, nil)
        return true
    }

    private mutating func followFramePointer() -> Bool {
        guard bp >= sp, bp % word == 0, let value = load(bp &+ word), let caller = load(bp), isReturnAddress(value),
            caller == 0 || caller > bp
        else { return false }
        (ip, sp, bp) = (value, bp &+ 2 &* word, caller)
        (method, isExact, general) = (.framePointer, false, nil)
        return true
    }

    // MARK: Guessing

    private mutating func scan() -> Bool {
        // The outermost frame of a chain of frame pointers has none (System V psABI, section 3.4.1).
        if method == .framePointer && bp == 0 { return false }
        for step in 0..<UInt64(Self.scanSize) / word {
            let place = sp &+ step &* word
            guard let value = load(place) else { return false }
            guard isReturnAddress(value), symbols.position(of: codeBase &+ value &- 1, in: space) != nil else {
                continue
            }
            (ip, sp) = (value, place &+ word)
            (method, isExact, general) = (.scan, false, nil)
            return true
        }
        return false
    }

    /// Whether a CALL ends at an address, in a function if a name is known for it.
    ///
    /// SDM vol. 2, CALL.
    private func isReturnAddress(_ value: UInt64) -> Bool {
        let address = codeBase &+ value
        if let position = symbols.position(of: address &- 1, in: space), position.symbol.kind == .data { return false }
        guard value >= 2 else { return false }
        let length = Int(min(value, 7))
        guard let bytes = memory.bytes(at: address &- UInt64(length), count: length) else { return false }
        // CALL rel16 or rel32.
        let relative = word == 2 ? 3 : 5
        if length >= relative, bytes[length - relative] == 0xE8 { return true }
        // CALL r/m, with a ModR/M byte of group 5 and reg 2, and far CALL with reg 3; 2 to 7 bytes.
        return (2...length).contains { count in
            bytes[length - count] == 0xFF && [2, 3].contains(bytes[length - count + 1] >> 3 & 7)
        }
    }
}
