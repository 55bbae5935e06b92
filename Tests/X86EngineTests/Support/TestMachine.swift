import X86
import X86Engine

/// A processor with RAM, ports that remember what was written, and prepared descriptor tables.
///
/// Every vector's handler is a HLT of its own, so a test sees which one was entered by where the processor stopped.
final class TestMachine: ProcessorEnvironment {
    /// How the processor is set up.
    enum Preparation { case real, protected, long }

    /// Selectors of the prepared GDT; those for ring 3 include their RPL.
    enum Selectors {
        static let code32: UInt16 = 0x08
        static let data: UInt16 = 0x10
        static let code64: UInt16 = 0x18
        static let userData: UInt16 = 0x23
        static let userCode64: UInt16 = 0x2B
        static let userCode32: UInt16 = 0x33
        /// Two entries in long mode.
        static let task: UInt16 = 0x38
        static let data1: UInt16 = 0x49
        static let code32Ring1: UInt16 = 0x51
        static let code16: UInt16 = 0x58
        static let data16: UInt16 = 0x60
        static let conforming: UInt16 = 0x68
        /// From here on tests place their own.
        static let free: UInt16 = 0x80
    }

    /// Where things lie.
    enum Layout {
        static let gdt: UInt64 = 0x1000
        static let idt: UInt64 = 0x2000
        static let tss: UInt64 = 0x3000
        static let interruptStack1: UInt64 = 0x5000
        static let stack2: UInt64 = 0x5400
        static let stack1: UInt64 = 0x5800
        static let stack0: UInt64 = 0x6000
        /// The stack of code that starts in ring 0.
        static let kernelStack: UInt64 = 0x7000
        static let handlers: UInt64 = 0x8000
        static let pageTables: UInt64 = 0x1_0000
        static let code: UInt64 = 0x2_0000
        static let userStack: UInt64 = 0x3_0000
    }

    let memory: PhysicalMemory
    private var made: Processor?
    /// The values that ports read as; all ones where nothing is set.
    var portValues: [UInt16: UInt32] = [:]
    var portWrites: [(port: UInt16, value: UInt32, width: Int)] = []
    var events: [ProcessorEvent] = []
    var verdict: (ProcessorEvent) -> EventVerdict = { _ in .proceed }
    var pendingVectors: [UInt8] = []
    var taskPriority: UInt8 = 0
    var apicBase: UInt64 = 0xFEE0_0900
    /// The vector of a SIPI that a guest of VMX waits for.
    var startUpVector: UInt8?

    init(model: ProcessorModel = ProcessorModel(), tlbEntries: Int = 64, blockCacheEnabled: Bool = true) throws {
        struct OutOfMemory: Error {}
        guard let memory = PhysicalMemory(size: 4 << 20) else { throw OutOfMemory() }
        self.memory = memory
        made = Processor(
            model: model, memory: memory, environment: self, tlbEntries: tlbEntries,
            blockCacheEnabled: blockCacheEnabled)
    }

    var processor: Processor {
        guard let made else { fatalError("used before it is made") }
        return made
    }

    var state: ProcessorState {
        get { processor.state.pointee }
        set { processor.state.pointee = newValue }
    }

    private var isLong: Bool { state.efer & EFER.LMA != 0 }

    /// The width of the current code segment in bits.
    var codeWidth: Int {
        if isLong && state.cs.isLong { return 64 }
        return state.cs.isDefault32 && !state.VM ? 32 : 16
    }

    // MARK: The environment

    func readPort(_ port: UInt16, width: Int) -> UInt32 { portValues[port] ?? .max }
    func writePort(_ port: UInt16, _ value: UInt32, width: Int) { portWrites.append((port, value, width)) }
    func readDevice(_ physical: UInt64, width: Int) -> UInt64 { .max }
    func writeDevice(_ physical: UInt64, _ value: UInt64, width: Int) {}

    func readModelSpecificRegister(_ index: UInt32) -> UInt64? { index == 0x1B ? apicBase : nil }

    func writeModelSpecificRegister(_ index: UInt32, _ value: UInt64) -> Bool {
        guard index == 0x1B else { return false }
        apicBase = value
        return true
    }

    func acknowledgeInterrupt() -> UInt8? {
        guard !pendingVectors.isEmpty else { return nil }
        let vector = pendingVectors.removeFirst()
        if pendingVectors.isEmpty { made?.withdraw(Signal.interrupt) }
        return vector
    }

    func acknowledgeStartUp() -> UInt8? { startUpVector }

    func intercept(_ event: ProcessorEvent) -> EventVerdict {
        events.append(event)
        return verdict(event)
    }

    /// Asks for a maskable interrupt.
    func interrupt(_ vector: UInt8) {
        pendingVectors.append(vector)
        processor.raise(Signal.interrupt)
    }

    // MARK: Memory

    func write(_ bytes: [UInt8], at address: UInt64) {
        precondition(bytes.withUnsafeBytes { memory.write(address, $0) })
    }

    func write<Value: FixedWidthInteger>(_ value: Value, at address: UInt64) {
        withUnsafeBytes(of: value.littleEndian) { precondition(memory.write(address, $0)) }
    }

    func read<Value: FixedWidthInteger>(_ address: UInt64, as: Value.Type = Value.self) -> Value {
        var value: Value = 0
        withUnsafeMutableBytes(of: &value) { precondition(memory.read(address, into: $0)) }
        return Value(littleEndian: value)
    }

    /// Puts a descriptor into the GDT; 16-byte ones take two entries.
    func setDescriptor(_ selector: UInt16, _ descriptor: Descriptor, isWide: Bool = false) {
        write(descriptor.low, at: Layout.gdt + UInt64(selector & ~7))
        if isWide { write(descriptor.high, at: Layout.gdt + UInt64(selector & ~7) + 8) }
    }

    func descriptor(_ selector: UInt16) -> Descriptor {
        Descriptor(low: read(Layout.gdt + UInt64(selector & ~7)), high: 0)
    }

    /// Puts a gate into the IDT.
    func setGate(_ vector: UInt8, _ gate: Descriptor) {
        if isLong {
            write(gate.low, at: Layout.idt + UInt64(vector) * 16)
            write(gate.high, at: Layout.idt + UInt64(vector) * 16 + 8)
        } else {
            write(gate.low, at: Layout.idt + UInt64(vector) * 8)
        }
    }

    static func handler(_ vector: UInt8) -> UInt64 { Layout.handlers + UInt64(vector) * 16 }

    // MARK: Preparation

    /// Sets up tables and registers; `ring` 3 runs at CPL 3 with IOPL 0.
    func prepare(_ preparation: Preparation, ring: UInt8 = 0, code bits: Int? = nil) {
        for vector in UInt8(0)...255 { write(UInt8(0xF4), at: Self.handler(vector)) }
        if preparation == .real { return prepareReal() }
        let long = preparation == .long
        writeTables(long: long)
        var s = state
        s.gdtr = DescriptorTableRegister(base: Layout.gdt, limit: 0xFFF)
        s.idtr = DescriptorTableRegister(base: Layout.idt, limit: long ? 0xFFF : 0x7FF)
        s.tr = SegmentState(
            selector: Selectors.task, base: Layout.tss, limit: 0x20FF, attributes: 0x8B)
        s.ldtr = SegmentState(selector: 0, base: 0, limit: 0, attributes: SegmentState.unusable)
        s.cr0 = 0x31
        if long {
            s.cr4 = CR4.PAE | CR4.OSFXSR | CR4.OSXMMEXCPT
            s.cr3 = Layout.pageTables
            s.efer = EFER.LME | EFER.LMA | EFER.SCE | EFER.NXE
            s.cr0 |= CR0.PG | CR0.WP
        }
        let wide = (bits ?? (long ? 64 : 32)) == 64
        let code =
            ring == 0
            ? (wide ? Selectors.code64 : Selectors.code32)
            : (wide ? Selectors.userCode64 : Selectors.userCode32)
        let data = ring == 0 ? Selectors.data : Selectors.userData
        s.cs = loaded(code)
        for register in [Register.ss, .ds, .es, .fs, .gs] { s.setSegment(register, loaded(data)) }
        s.cpl = ring
        s.rsp = ring == 0 ? Layout.kernelStack : Layout.userStack
        s.rip = Layout.code
        s.rflags = 2
        state = s
        processor.updateMode()
        processor.flushTLB()
    }

    private func loaded(_ selector: UInt16) -> SegmentState {
        let descriptor = descriptor(selector)
        return SegmentState(
            selector: selector, base: descriptor.base, limit: descriptor.limit, attributes: descriptor.attributes)
    }

    private func prepareReal() {
        for vector in UInt64(0)..<256 {
            write(UInt16(Self.handler(UInt8(vector))), at: vector * 4)
            write(UInt16(0), at: vector * 4 + 2)
        }
        var s = state
        let segment = SegmentState(selector: 0, base: 0, limit: 0xFFFF, attributes: 0x93)
        for register in [Register.cs, .ss, .ds, .es, .fs, .gs] { s.setSegment(register, segment) }
        s.cs = SegmentState(
            selector: UInt16(Layout.code >> 4), base: Layout.code, limit: 0xFFFF, attributes: 0x93)
        s.idtr = DescriptorTableRegister(base: 0, limit: 0x3FF)
        s.cr0 = 0x10
        s.rip = 0
        s.rsp = Layout.kernelStack
        s.rflags = 2
        state = s
        processor.updateMode()
    }

    private func writeTables(long: Bool) {
        let all: UInt32 = 0xFFFF_FFFF
        let entries: [(UInt16, Descriptor)] = [
            (Selectors.code32, Descriptor(base: 0, limit: all, attributes: 0xC09B)),
            (Selectors.data, Descriptor(base: 0, limit: all, attributes: 0xC093)),
            (Selectors.code64, Descriptor(base: 0, limit: all, attributes: 0xA09B)),
            (Selectors.userData, Descriptor(base: 0, limit: all, attributes: 0xC0F3)),
            (Selectors.userCode64, Descriptor(base: 0, limit: all, attributes: 0xA0FB)),
            (Selectors.userCode32, Descriptor(base: 0, limit: all, attributes: 0xC0FB)),
            (Selectors.data1, Descriptor(base: 0, limit: all, attributes: 0xC0B3)),
            (Selectors.code32Ring1, Descriptor(base: 0, limit: all, attributes: 0xC0BB)),
            (Selectors.code16, Descriptor(base: 0, limit: 0xFFFF, attributes: 0x009B)),
            (Selectors.data16, Descriptor(base: 0, limit: 0xFFFF, attributes: 0x0093)),
            (Selectors.conforming, Descriptor(base: 0, limit: all, attributes: 0xC09F)),
        ]
        for (selector, descriptor) in entries { setDescriptor(selector, descriptor) }
        setDescriptor(
            Selectors.task, Descriptor(base: UInt32(Layout.tss), limit: 0x20FF, attributes: 0x8B), isWide: long)
        if long {
            write(Layout.stack0, at: Layout.tss + 4)
            write(Layout.stack1, at: Layout.tss + 12)
            write(Layout.stack2, at: Layout.tss + 20)
            write(Layout.interruptStack1, at: Layout.tss + 0x24)
            // One PML4 entry, four pages of 1 GiB, for everybody.
            write(Layout.pageTables + 0x1000 | 7, at: Layout.pageTables)
            for index in UInt64(0)..<4 {
                write(index << 30 | 0x87, at: Layout.pageTables + 0x1000 + index * 8)
            }
        } else {
            write(UInt32(Layout.stack0), at: Layout.tss + 4)
            write(UInt32(Selectors.data), at: Layout.tss + 8)
            write(UInt32(Layout.stack1), at: Layout.tss + 12)
            write(UInt32(Selectors.data1), at: Layout.tss + 16)
        }
        // The I/O map: nothing is allowed, until a test clears bits.
        write(UInt16(0x68), at: Layout.tss + 0x66)
        write([UInt8](repeating: 0xFF, count: 0x2001), at: Layout.tss + 0x68)
        for vector in UInt8(0)...255 {
            let gate = Descriptor(
                gate: SystemDescriptorType.interruptGate32, selector: long ? Selectors.code64 : Selectors.code32,
                offset: Self.handler(vector), descriptorPrivilegeLevel: vector >= 0x80 || vector == 3 ? 3 : 0)
            let size: UInt64 = long ? 16 : 8
            write(gate.low, at: Layout.idt + UInt64(vector) * size)
            if long { write(gate.high, at: Layout.idt + UInt64(vector) * size + 8) }
        }
    }

    // MARK: Running

    /// Assembles code to `address`, in the width of the current code segment unless `bits` says another.
    @discardableResult
    func load(_ source: String, at address: UInt64 = Layout.code, bits: Int? = nil) throws -> [String: UInt64] {
        let width = bits ?? codeWidth
        let mode: CodeMode = width == 64 ? .bits64 : width == 32 ? .bits32 : .bits16
        let real = state.cr0 & CR0.PE == 0
        let assembled = try Assembler(mode: mode, origin: real ? address - state.cs.base : address).assemble(source)
        write(assembled.bytes, at: address)
        return assembled.labels.mapValues { $0 }
    }

    /// Runs for at most `counts` of guest time.
    @discardableResult
    func run(_ counts: UInt64 = 1000) -> RunResult {
        processor.setDeadline(state.time + counts)
        return processor.run()
    }

    /// Runs exactly one count: an instruction, or a delivery.
    func step(_ count: Int = 1) {
        for _ in 0..<count { run(1) }
    }

    /// Assembles, runs until HLT and says which handler's HLT that was, if any.
    func runToHalt(_ source: String) throws -> UInt8? {
        try load(source)
        return run() == .halted ? stoppedVector : nil
    }

    /// The vector whose handler the processor stopped in.
    var stoppedVector: UInt8? {
        let linear = codeWidth == 64 ? state.rip : state.cs.base + state.rip
        let offset = linear &- 1 &- Layout.handlers
        return offset < 0x1000 && offset & 15 == 0 ? UInt8(offset >> 4) : nil
    }

    /// Slot `index` of the frame on the current stack, counted from its top, as wide as the handler's gate.
    func stack(_ index: Int) -> UInt64 {
        let width = codeWidth / 8
        let address = state.ss.isUnusable ? state.rsp : (codeWidth == 64 ? 0 : state.ss.base) + state.rsp
        switch width {
        case 8: return read(address + UInt64(index) * 8)
        case 4: return UInt64(read(address + UInt64(index) * 4, as: UInt32.self))
        default: return UInt64(read(address + UInt64(index) * 2, as: UInt16.self))
        }
    }
}
