#if arch(x86_64)

import Testing
import X86
import X86Engine
import _HostFloatingPointOracle

/// Everything one instruction can read and write: registers, flags and a piece of memory.
struct MachineImage: Equatable {
    /// As FXSAVE64 stores it.
    var area = [UInt8](repeating: 0, count: 512)
    var general = [UInt64](repeating: 0, count: 16)
    var flags: UInt64 = 2
    var memory = [UInt8](repeating: 0, count: 256)
    /// #MF or #XM, or another fault's vector.
    var fault: UInt8?

    func number(_ offset: Int, _ width: Int) -> UInt64 {
        (0..<width).reduce(0) { $0 | UInt64(area[offset + $1]) << UInt64($1 * 8) }
    }

    mutating func set(_ offset: Int, _ width: Int, _ value: UInt64) {
        for index in 0..<width { area[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(index * 8)) }
    }

    var control: UInt16 { UInt16(number(0, 2)) }
    var status: UInt16 { UInt16(number(2, 2)) }
    var mxcsr: UInt32 { UInt32(number(24, 4)) }
    func st(_ index: Int) -> [UInt8] { Array(area[32 + index * 16..<42 + index * 16]) }
    func xmm(_ index: Int) -> [UInt8] { Array(area[160 + index * 16..<176 + index * 16]) }
}

/// An encoding with its operands chosen.
struct EncodedInstruction {
    var bytes: [UInt8]
    /// The register that holds the address of the memory operand.
    var pointer: Int?
}

extension MachineImage {
    /// The image after the host has executed the instruction.
    func executedByHost(_ instruction: EncodedInstruction) -> MachineImage {
        var result = self
        var machine = host_machine()
        host_machine_lock()
        defer { host_machine_unlock() }
        guard let memory = host_machine_memory() else { return result }
        for index in 0..<256 { memory[index] = self.memory[index] }
        withUnsafeMutableBytes(of: &machine.area) { $0.copyBytes(from: area) }
        withUnsafeMutableBytes(of: &machine.general) { target in
            general.withUnsafeBytes { target.copyMemory(from: $0) }
            if let pointer = instruction.pointer {
                target.storeBytes(of: UInt64(UInt(bitPattern: memory)), toByteOffset: pointer * 8, as: UInt64.self)
            }
        }
        machine.flags = flags
        host_machine_execute(instruction.bytes, UInt64(instruction.bytes.count), &machine)
        withUnsafeBytes(of: machine.area) { result.area = Array($0) }
        withUnsafeBytes(of: machine.general) { source in
            for index in 0..<16 { result.general[index] = source.load(fromByteOffset: index * 8, as: UInt64.self) }
        }
        if let pointer = instruction.pointer { result.general[pointer] = general[pointer] }
        result.general[4] = general[4]
        result.flags = machine.flags
        result.memory = (0..<256).map { memory[$0] }
        if machine.is_faulted != 0 { result.fault = 0 }
        return result
    }

    /// The image after the engine has executed the instruction.
    func executed(by bench: ProcessorBench, _ instruction: EncodedInstruction) -> MachineImage {
        var result = self
        let state = bench.state
        bench.write(memory)
        load(into: state, pointer: instruction.pointer)
        let fault = bench.execute(instruction.bytes)
        result.store(from: state, bench)
        if let pointer = instruction.pointer { result.general[pointer] = general[pointer] }
        result.memory = bench.bytes(count: 256)
        if let fault { result.fault = fault.vector == 16 || fault.vector == 19 ? 0 : fault.vector }
        return result
    }

    private func load(into state: UnsafeMutablePointer<ProcessorState>, pointer: Int?) {
        var general = general
        if let pointer { general[pointer] = ProcessorBench.data }
        (state.pointee.rax, state.pointee.rcx, state.pointee.rdx, state.pointee.rbx) =
            (general[0], general[1], general[2], general[3])
        (state.pointee.rsp, state.pointee.rbp, state.pointee.rsi, state.pointee.rdi) =
            (general[4], general[5], general[6], general[7])
        (state.pointee.r8, state.pointee.r9, state.pointee.r10, state.pointee.r11) =
            (general[8], general[9], general[10], general[11])
        (state.pointee.r12, state.pointee.r13, state.pointee.r14, state.pointee.r15) =
            (general[12], general[13], general[14], general[15])
        state.pointee.setStatusFlags(flags, mask: RFLAGS.status)
        let top = Int(status >> 11 & 7)
        state.pointee.x87 = X87State()
        state.pointee.x87.controlWord = control
        state.pointee.x87.statusWord = status
        state.pointee.x87.tagWord = 0
        for index in 0..<8 {
            let place = (top + index) & 7
            state.pointee.x87.significands[place] = number(32 + index * 16, 8)
            state.pointee.x87.signsAndExponents[place] = UInt16(number(40 + index * 16, 2))
            if area[4] >> UInt8(index) & 1 == 0 { state.pointee.x87.tagWord |= 3 << UInt16(index * 2) }
        }
        state.pointee.sse.mxcsr = mxcsr
        for part in 0..<4 {
            var vector = SIMD8<UInt64>()
            for lane in 0..<8 { vector[lane] = number(160 + part * 64 + lane * 8, 8) }
            switch part {
            case 0: state.pointee.sse.xmm.0 = vector
            case 1: state.pointee.sse.xmm.1 = vector
            case 2: state.pointee.sse.xmm.2 = vector
            default: state.pointee.sse.xmm.3 = vector
            }
        }
    }

    private mutating func store(from state: UnsafeMutablePointer<ProcessorState>, _ bench: ProcessorBench) {
        let s = state.pointee
        general = [
            s.rax, s.rcx, s.rdx, s.rbx, s.rsp, s.rbp, s.rsi, s.rdi, s.r8, s.r9, s.r10, s.r11, s.r12, s.r13, s.r14,
            s.r15,
        ]
        flags = s.rflags
        set(0, 2, UInt64(s.x87.controlWord))
        set(2, 2, UInt64(s.x87.statusWord))
        area[4] = 0
        for index in 0..<8 {
            let value = bench.st(index)
            set(32 + index * 16, 8, value.significand)
            set(40 + index * 16, 2, UInt64(value.signAndExponent))
            if s.x87.tagWord >> UInt16(index * 2) & 3 != 3 { area[4] |= 1 << UInt8(index) }
        }
        set(24, 4, UInt64(s.sse.mxcsr))
        for index in 0..<16 {
            set(160 + index * 16, 8, bench.xmm(index)[0])
            set(168 + index * 16, 8, bench.xmm(index)[1])
        }
    }

    /// Whether `differences` would find none; the same without any text.
    private func agrees(with other: MachineImage, flags: UInt64, status: UInt16, comparesStack: Bool) -> Bool {
        guard
            fault == other.fault, general == other.general, self.flags & flags == other.flags & flags,
            control == other.control, self.status & status == other.status & status, area[4] == other.area[4],
            mxcsr == other.mxcsr, area[160..<416] == other.area[160..<416], memory == other.memory
        else { return false }
        return !comparesStack
            || (0..<8).allSatisfy { area[32 + $0 * 16..<42 + $0 * 16] == other.area[32 + $0 * 16..<42 + $0 * 16] }
    }

    /// What differs between two results, in words; `flags` and `status` are the bits that count.
    func differences(from other: MachineImage, flags: UInt64, status: UInt16, comparesStack: Bool = true) -> [String] {
        var differences: [String] = []
        func compare<Value: Equatable>(_ name: String, _ a: Value, _ b: Value) {
            if a != b { differences.append("\(name): \(a), not \(b)") }
        }
        func hexadecimal(_ bytes: [UInt8]) -> String {
            bytes.reversed().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
        if agrees(with: other, flags: flags, status: status, comparesStack: comparesStack) { return [] }
        compare("fault", fault, other.fault)
        for index in 0..<16 {
            compare("r\(index)", String(general[index], radix: 16), String(other.general[index], radix: 16))
        }
        compare("flags", String(self.flags & flags, radix: 16), String(other.flags & flags, radix: 16))
        compare("control", String(control, radix: 16), String(other.control, radix: 16))
        compare("status", String(self.status & status, radix: 16), String(other.status & status, radix: 16))
        compare("tags", String(area[4], radix: 2), String(other.area[4], radix: 2))
        compare("mxcsr", String(mxcsr, radix: 16), String(other.mxcsr, radix: 16))
        for index in 0..<8 where comparesStack {
            compare("st\(index)", hexadecimal(st(index)), hexadecimal(other.st(index)))
        }
        for index in 0..<16 { compare("xmm\(index)", hexadecimal(xmm(index)), hexadecimal(other.xmm(index))) }
        compare("memory", hexadecimal(Array(memory[..<32])), hexadecimal(Array(other.memory[..<32])))
        compare("memory beyond", Array(memory[32...]), Array(other.memory[32...]))
        return differences
    }
}

// MARK: - Random cases

extension OperandGenerator {
    /// Eight bytes of some kind: a double, two singles, integers, or random bits.
    mutating func quadword() -> UInt64 {
        switch below(5) {
        case 0: return binary64()
        case 1, 2: return UInt64(binary32()) | UInt64(binary32()) << 32
        case 3: return pattern(bits: 64)
        default: return next()
        }
    }

    /// A machine before an instruction; exceptions are masked three times out of four.
    mutating func image() -> MachineImage {
        var image = MachineImage()
        let masks: UInt64 = below(4) == 0 ? below(64) : 63
        image.set(0, 2, masks | 0x40 | [0, 2, 3][Int(below(3))] << 8 | below(4) << 10)
        var status = below(8) << 11 | next() & 0x4700
        if below(8) == 0 { status |= below(64) }
        // ES and B follow from flags and masks.
        if status & ~masks & 63 != 0 { status |= 0x8080 }
        image.set(2, 2, status)
        image.area[4] = below(4) == 0 ? UInt8(below(256)) : UInt8(0xFF & ~(1 << below(12)))
        for index in 0..<8 {
            let value = below(2) == 0 ? extended() : extendedNearNarrowRange()
            image.set(32 + index * 16, 8, value.significand)
            image.set(40 + index * 16, 2, UInt64(value.signAndExponent))
        }
        let sseMasks: UInt64 = below(4) == 0 ? below(64) : 63
        image.set(24, 4, below(64) | below(2) << 6 | sseMasks << 7 | below(4) << 13 | below(2) << 15)
        for index in 0..<32 { image.set(160 + index * 8, 8, quadword()) }
        // Equal and nearly equal operands are worth more than their chance.
        if below(2) == 0 {
            let (a, b) = binary64Pair()
            for index in 0..<32 where below(2) == 0 { image.set(160 + index * 8, 8, index & 2 == 0 ? a : b) }
        }
        for index in 0..<16 { image.general[index] = below(3) == 0 ? below(20) : pattern(bits: 64) }
        image.flags = 2 | next() & RFLAGS.status
        for index in 0..<32 {
            let value = quadword()
            for byte in 0..<8 { image.memory[index * 8 + byte] = UInt8(truncatingIfNeeded: value >> UInt64(byte * 8)) }
        }
        if below(4) == 0 {
            let value = extended()
            for byte in 0..<8 { image.memory[byte] = UInt8(truncatingIfNeeded: value.significand >> UInt64(byte * 8)) }
            image.memory[8] = UInt8(truncatingIfNeeded: value.signAndExponent)
            image.memory[9] = UInt8(truncatingIfNeeded: value.signAndExponent >> 8)
        }
        return image
    }

    /// The row's encoding with random registers, or its memory form at [RSI].
    mutating func encode(_ row: InstructionDefinition) -> EncodedInstruction {
        var bytes: [UInt8] = []
        switch row.prefix {
        case .x66: bytes.append(0x66)
        case .xF3: bytes.append(0xF3)
        case .xF2: bytes.append(0xF2)
        case .any, .none, .noRepeat: break
        }
        var rex = UInt8(below(8)) & 5
        if row.w ?? (below(2) == 0) { rex |= 8 }
        let isMemory = row.modRM == .memory || row.modRM == .any && below(2) == 0
        if isMemory { rex &= ~1 }
        var modRM: UInt8 = 0
        if row.modRM != .absent {
            let isGeneral = row.operands.map { $0.shape.registers == .general64 && $0.shape.place == .reg }
            repeat {
                modRM = (row.digit ?? UInt8(below(8))) << 3 | (isMemory ? 6 : 0xC0 | (row.rm ?? UInt8(below(8))))
                // Neither RSP nor the pointer may be written.
            } while isGeneral.contains(true) && (modRM >> 3 & 7 == 4 || modRM >> 3 & 7 == 6)
                || !isMemory && modRM & 7 == 4 && rex & 1 == 0
                    && row.operands.contains { $0.shape.place == .rm && $0.shape.registers == .general64 }
        }
        if rex != 0 || below(2) == 0 { bytes.append(0x40 | rex) }
        switch row.map {
        case .primary: break
        case .secondary: bytes += [0x0F]
        case .escape38: bytes += [0x0F, 0x38]
        case .escape3A: bytes += [0x0F, 0x3A]
        }
        bytes.append(row.opcode)
        if row.modRM != .absent { bytes.append(modRM) }
        if row.operands.contains(.Ib) { bytes.append(below(2) == 0 ? UInt8(below(256)) : UInt8(below(20))) }
        let usesDI = row.operands.contains(.DIq) || row.operands.contains(.DIdq)
        return EncodedInstruction(bytes: bytes, pointer: usesDI ? 7 : isMemory ? 6 : nil)
    }
}

/// Executes a row's encodings by host and engine and expects the same of both.
func compareWithHost(
    _ rows: [InstructionDefinition], seed: UInt64 = 1, status: (InstructionDefinition) -> UInt16 = { _ in .max },
    comparesStack: Bool = true
) throws {
    let bench = try ProcessorBench()
    for row in rows {
        var generator = OperandGenerator(seed: seed &* 1000 &+ UInt64(row.operation.rawValue))
        var failures = 0
        for _ in 0..<floatingPointCases / 100 where failures < 2 {
            let instruction = generator.encode(row)
            let image = generator.image()
            let expected = image.executedByHost(instruction)
            let found = image.executed(by: bench, instruction)
            let differences = found.differences(
                from: expected, flags: RFLAGS.status & ~UInt64(row.flags.undefined.rawValue), status: status(row),
                comparesStack: comparesStack)
            if differences.isEmpty { continue }
            failures += 1
            let bytes = instruction.bytes.map { String($0, radix: 16) }.joined(separator: " ")
            Issue.record(
                """
                \(row.operation) [\(bytes)] \(differences.joined(separator: "; ")) \
                from control \(String(image.control, radix: 16)) status \(String(image.status, radix: 16)) \
                tags \(String(image.area[4], radix: 2)) mxcsr \(String(image.mxcsr, radix: 16)) \
                st0 \(image.st(0)) st1 \(image.st(1))
                """)
        }
    }
}

#endif
