import Testing
import X86
import X86Engine

/// A machine without devices.
final class QuietEnvironment: ProcessorEnvironment {
    var taskPriority: UInt8 = 0
    /// How often FERR# was asserted.
    var floatingPointErrors = 0
    func readPort(_ port: UInt16, width: Int) -> UInt32 { .max }
    func writePort(_ port: UInt16, _ value: UInt32, width: Int) {}
    func readDevice(_ physical: UInt64, width: Int) -> UInt64 { .max }
    func writeDevice(_ physical: UInt64, _ value: UInt64, width: Int) {}
    func readModelSpecificRegister(_ index: UInt32) -> UInt64? { nil }
    func writeModelSpecificRegister(_ index: UInt32, _ value: UInt64) -> Bool { false }
    func acknowledgeInterrupt() -> UInt8? { nil }
    func intercept(_ event: ProcessorEvent) -> EventVerdict { .proceed }
    func signalFloatingPointError() { floatingPointErrors += 1 }
}

/// A processor for single instructions: flat, without paging, code at 1000H and data at 2000H of 64 KiB of RAM.
struct ProcessorBench {
    static let code: UInt64 = 0x1000
    static let data: UInt64 = 0x2000

    let environment = QuietEnvironment()
    let memory: PhysicalMemory
    let processor: Processor
    let mode: CodeMode

    var state: UnsafeMutablePointer<ProcessorState> { processor.state }

    init(mode: CodeMode = .bits64) throws {
        self.mode = mode
        memory = try #require(PhysicalMemory(size: 0x1_0000))
        processor = Processor(model: ProcessorModel(), memory: memory, environment: environment)
        // Type, S, P; L for 64-bit code, D for 32-bit segments.
        let wide: UInt32 = mode == .bits64 ? 0x2000 : mode == .bits32 ? 0x4000 : 0
        let code = SegmentState(selector: 0x08, base: 0, limit: 0xFFFF_FFFF, attributes: 0x809B | wide)
        let data = SegmentState(
            selector: 0x10, base: 0, limit: 0xFFFF_FFFF, attributes: 0x8093 | (mode == .bits16 ? 0 : 0x4000))
        state.pointee.cs = code
        state.pointee.ds = data
        state.pointee.es = data
        state.pointee.ss = data
        state.pointee.fs = data
        state.pointee.gs = data
        state.pointee.cpl = 0
        state.pointee.cr0 = CR0.PE | CR0.ET | CR0.NE | CR0.MP
        state.pointee.cr4 = CR4.OSFXSR | CR4.OSXMMEXCPT | CR4.OSXSAVE
        state.pointee.xcr0 = 3
        state.pointee.efer = mode == .bits64 ? EFER.LME | EFER.LMA : 0
        state.pointee.x87.controlWord = 0x37F
        state.pointee.x87.statusWord = 0
        state.pointee.x87.tagWord = 0xFFFF
        state.pointee.rsi = Self.data
        processor.updateMode()
    }

    /// Executes one instruction; nil or the fault that it raised.
    @discardableResult
    func execute(_ bytes: [UInt8]) -> Fault? {
        write(bytes, at: Self.code)
        let decoded = bytes.withUnsafeBytes { Decoder.decode($0, mode: mode) }
        guard case .instruction(let instruction) = decoded else { return .invalidOpcode }
        state.pointee.rip = Self.code
        state.pointee.nextRIP = Self.code + UInt64(instruction.length)
        do throws(Fault) {
            try processor.execute(instruction)
            return nil
        } catch {
            return error
        }
    }

    /// Puts bytes into memory, at the data if nothing else is said.
    func write(_ bytes: [UInt8], at address: UInt64 = data) {
        let isWritten = bytes.withUnsafeBytes { memory.write(address, $0) }
        #expect(isWritten)
    }

    func bytes(at address: UInt64 = data, count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: processor.readPhysical(address + UInt64($0), width: 1)) }
    }

    func number(at address: UInt64 = data, width: Int) -> UInt64 { processor.readPhysical(address, width: width) }

    /// XMMn as quadwords, low first.
    func xmm(_ index: Int) -> SIMD2<UInt64> {
        let part = [
            state.pointee.sse.xmm.0, state.pointee.sse.xmm.1, state.pointee.sse.xmm.2, state.pointee.sse.xmm.3,
        ][index / 4]
        return SIMD2(part[index % 4 * 2], part[index % 4 * 2 + 1])
    }

    func setXMM(_ index: Int, _ value: SIMD2<UInt64>) {
        func set(_ part: inout SIMD8<UInt64>) {
            part[index % 4 * 2] = value[0]
            part[index % 4 * 2 + 1] = value[1]
        }
        switch index / 4 {
        case 0: set(&state.pointee.sse.xmm.0)
        case 1: set(&state.pointee.sse.xmm.1)
        case 2: set(&state.pointee.sse.xmm.2)
        default: set(&state.pointee.sse.xmm.3)
        }
    }

    /// The physical number of ST(`index`).
    private func place(_ index: Int) -> Int { (Int(state.pointee.x87.statusWord >> 11 & 7) + index) & 7 }

    func st(_ index: Int) -> Extended {
        let place = place(index)
        return Extended(
            significand: state.pointee.x87.significands[place],
            signAndExponent: state.pointee.x87.signsAndExponents[place])
    }

    /// Fills ST(`index`) and marks it in use.
    func setST(_ index: Int, _ value: Extended) {
        let place = place(index)
        state.pointee.x87.significands[place] = value.significand
        state.pointee.x87.signsAndExponents[place] = value.signAndExponent
        state.pointee.x87.tagWord &= ~(3 << UInt16(place * 2))
    }
}
