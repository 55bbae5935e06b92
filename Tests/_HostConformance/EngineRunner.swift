import X86
import X86Engine

/// Which of the engine's ways a case takes.
package enum ExecutionPath: String, CaseIterable, Sendable {
    /// `Processor.executeDirectly`: the slow path alone.
    case direct
    /// `Processor.run` without the block cache.
    case interpreter
    /// `Processor.run` with it.
    case blocks
}

/// Executes cases in the engine: long mode, ring 3, with the memory of `TestMemory` at the same addresses.
package final class EngineRunner {
    private let processor: Processor
    private let memory: PhysicalMemory
    private let path: ExecutionPath
    private let environment = NoDevices()
    private var regions: [MappedRegion] = []

    private struct MappedRegion {
        var region: TestMemory.Region
        var physical: UInt64
        var image: [UInt8]
        var now: [UInt8]
    }

    private static let tables: UInt64 = 0x1000
    private static let firstRegion: UInt64 = 0x10_0000
    /// What an instruction may count: the longest REP that stays inside memory and more.
    private static let longestRun: UInt64 = 100_000

    package init?(path: ExecutionPath) {
        guard let memory = PhysicalMemory(size: 2 << 20) else { return nil }
        self.memory = memory
        self.path = path
        var model = ProcessorModel()
        model.features = .implemented
        processor = Processor(
            model: model, memory: memory, environment: environment, tlbEntries: 64,
            blockCacheEnabled: path == .blocks)
        var physical = Self.firstRegion
        for region in TestMemory.regions {
            let image = TestMemory.image(region)
            regions.append(MappedRegion(region: region, physical: physical, image: image, now: image))
            write(physical, image)
            physical += region.size
        }
        buildPageTables()
        configure()
    }

    /// Executes one case and puts memory back.
    package func run(_ experiment: Case) -> Outcome {
        let s = processor.state
        for patch in experiment.patches { writeWord(patch) }
        if let address = physicalAddress(experiment.state.rip) { write(address, experiment.code) }
        let isWide = experiment.mode == .bits64
        s.pointee.cs = SegmentState(
            selector: isWide ? 0x33 : 0x23, base: 0, limit: 0xFFFF_FFFF, attributes: isWide ? 0xA0FB : 0xC0FB)
        install(experiment.state)
        s.pointee.time = 0
        s.pointee.activity = .active
        processor.setDeadline(Self.longestRun)
        var outcome = Outcome()
        if let fault = firstFault() {
            outcome.vector = UInt64(fault.vector)
            outcome.errorCode = UInt64(fault.errorCode ?? 0)
            outcome.address = fault.address
        } else {
            outcome.vector = .max
        }
        outcome.state = capture()
        if path != .direct { outcome.time = s.pointee.time }
        outcome.changes = takeChanges()
        if let address = physicalAddress(experiment.state.rip) {
            write(address, [UInt8](repeating: 0xF4, count: experiment.code.count))
        }
        for patch in experiment.patches { restoreWord(patch.address) }
        return outcome
    }

    /// Runs until an exception; nil if there is none in reasonable time.
    private func firstFault() -> Fault? {
        switch path {
        case .direct:
            while processor.state.pointee.time < Self.longestRun {
                do throws(Fault) {
                    try processor.executeDirectly()
                } catch {
                    return error
                }
            }
            return nil
        case .interpreter, .blocks:
            // The IDT is empty: every exception becomes a shutdown, which remembers what it began with.
            guard processor.run() == .shutdown else { return nil }
            return processor.faultChain.first?.fault
        }
    }

    private func install(_ state: MachineState) {
        let s = processor.state
        withUnsafeMutablePointer(to: &s.pointee.rax) { first in
            for number in 0..<16 { first[number] = state.registers[number] }
        }
        s.pointee.rip = state.rip
        s.pointee.rflags = state.flags | RFLAGS.fixed | RFLAGS.IF
        s.pointee.x87 = X87State(state)
        s.pointee.sse.mxcsr = UInt32(state.field(MachineState.mxcsr, bytes: 4))
        withUnsafeMutableBytes(of: &s.pointee.sse.xmm) { bytes in
            for index in 0..<256 { bytes[index] = state.fx[MachineState.xmm + index] }
        }
        processor.updateMode()
    }

    private func capture() -> MachineState {
        let s = processor.state
        var state = MachineState()
        withUnsafeMutablePointer(to: &s.pointee.rax) { first in
            for number in 0..<16 { state.registers[number] = first[number] }
        }
        state.rip = s.pointee.rip
        state.flags = s.pointee.rflags
        s.pointee.x87.store(into: &state)
        state.setField(MachineState.mxcsr, bytes: 4, UInt64(s.pointee.sse.mxcsr))
        withUnsafeBytes(of: &s.pointee.sse.xmm) { bytes in
            for index in 0..<256 { state.fx[MachineState.xmm + index] = bytes[index] }
        }
        return state
    }

    // MARK: - Memory

    private func physicalAddress(_ linear: UInt64) -> UInt64? {
        regions.first { linear &- $0.region.address < $0.region.size }
            .map { $0.physical + (linear - $0.region.address) }
    }

    private func write(_ physical: UInt64, _ bytes: [UInt8]) {
        let isWritten = bytes.withUnsafeBytes { memory.write(physical, $0) }
        precondition(isWritten, "the regions lie in RAM")
    }

    private func writeWord(_ word: MemoryWord) {
        guard let physical = physicalAddress(word.address) else { return }
        write(physical, withUnsafeBytes(of: word.value.littleEndian) { Array($0) })
    }

    /// Undoes a patch of memory that cases cannot write; the rest is undone by `takeChanges`.
    private func restoreWord(_ address: UInt64) {
        guard let region = regions.first(where: { address &- $0.region.address < $0.region.size }),
            !region.region.isWritable
        else { return }
        let offset = Int(address - region.region.address)
        write(region.physical + UInt64(offset), Array(region.image[offset..<offset + 8]))
    }

    private func takeChanges() -> [MemoryWord] {
        var changes: [MemoryWord] = []
        for index in regions.indices where regions[index].region.isWritable {
            let region = regions[index].region
            let physical = regions[index].physical
            _ = regions[index].now.withUnsafeMutableBytes { memory.read(physical, into: $0) }
            guard regions[index].now != regions[index].image else { continue }
            for offset in stride(from: 0, to: Int(region.size), by: 8) {
                let value = word(regions[index].now, offset)
                guard value != word(regions[index].image, offset) else { continue }
                changes.append(MemoryWord(address: region.address + UInt64(offset), value: value))
                write(physical + UInt64(offset), Array(regions[index].image[offset..<offset + 8]))
            }
        }
        return changes
    }

    private func word(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
        bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
    }

    // MARK: - Configuration

    /// Four levels of 4 KiB pages for the regions, from `tables` upward.
    private func buildPageTables() {
        var next = Self.tables + 0x1000
        for mapped in regions {
            for offset in stride(from: UInt64(0), to: mapped.region.size, by: 0x1000) {
                let linear = mapped.region.address + offset
                var table = Self.tables
                for shift in [UInt64(39), 30, 21] {
                    let entry = table + (linear >> shift & 0x1FF) * 8
                    var value = readWord(entry)
                    if value == 0 {
                        value = next | PageEntry.P | PageEntry.RW | PageEntry.US
                        next += 0x1000
                        write(entry, withUnsafeBytes(of: value.littleEndian) { Array($0) })
                    }
                    table = value & 0x000F_FFFF_FFFF_F000
                }
                let leaf =
                    (mapped.physical + offset) | PageEntry.P | PageEntry.US
                    | (mapped.region.isWritable ? PageEntry.RW : 0) | (mapped.region.isExecutable ? 0 : PageEntry.XD)
                write(table + (linear >> 12 & 0x1FF) * 8, withUnsafeBytes(of: leaf.littleEndian) { Array($0) })
            }
        }
    }

    private func readWord(_ physical: UInt64) -> UInt64 {
        var bytes = [UInt8](repeating: 0, count: 8)
        _ = bytes.withUnsafeMutableBytes { memory.read(physical, into: $0) }
        return word(bytes, 0)
    }

    /// Long mode and ring 3 as an operating system sets them up.
    private func configure() {
        let s = processor.state
        s.pointee.cr0 = CR0.PG | CR0.PE | CR0.WP | CR0.NE | CR0.MP | CR0.ET | CR0.AM
        s.pointee.cr3 = Self.tables
        s.pointee.cr4 = CR4.PAE | CR4.OSFXSR | CR4.OSXMMEXCPT | CR4.OSXSAVE | CR4.FSGSBASE | CR4.UMIP | CR4.DE
        s.pointee.efer = EFER.LME | EFER.LMA | EFER.NXE | EFER.SCE
        s.pointee.xcr0 = 3
        s.pointee.cpl = 3
        // No I/O permission bitmap: every port is refused.
        s.pointee.tr = SegmentState(selector: 0x40, base: 0, limit: 0, attributes: 0x8B)
        let data = SegmentState(selector: 0x2B, base: 0, limit: 0xFFFF_FFFF, attributes: 0xC0F3)
        s.pointee.ss = data
        s.pointee.ds = data
        s.pointee.es = data
        s.pointee.fs = data
        s.pointee.gs = SegmentState(
            selector: 0x2B, base: TestMemory.gsBase, limit: 0xFFFF_FFFF, attributes: 0xC0F3)
        processor.updateMode()
    }
}

extension X87State {
    /// From an FXSAVE image.
    init(_ state: MachineState) {
        self.init()
        controlWord = UInt16(state.field(MachineState.controlWord, bytes: 2))
        statusWord = UInt16(state.field(MachineState.statusWord, bytes: 2))
        let top = Int(statusWord >> 11 & 7)
        let tags = state.field(MachineState.tags, bytes: 1)
        tagWord = 0
        for position in 0..<8 {
            let physical = (top + position) & 7
            let significand = state.field(MachineState.stack + position * 16, bytes: 8)
            let signAndExponent = UInt16(state.field(MachineState.stack + position * 16 + 8, bytes: 2))
            significands[physical] = significand
            signsAndExponents[physical] = signAndExponent
            let tag: UInt16
            if tags >> UInt64(physical) & 1 == 0 {
                tag = 3
            } else if signAndExponent & 0x7FFF == 0 && significand == 0 {
                tag = 1
            } else {
                tag =
                    signAndExponent & 0x7FFF != 0x7FFF && significand >> 63 != 0 && signAndExponent & 0x7FFF != 0
                    ? 0 : 2
            }
            tagWord |= tag << UInt16(physical * 2)
        }
    }

    /// Into an FXSAVE image, without the pointers to the last instruction.
    func store(into state: inout MachineState) {
        state.setField(MachineState.controlWord, bytes: 2, UInt64(controlWord))
        state.setField(MachineState.statusWord, bytes: 2, UInt64(statusWord))
        let top = Int(statusWord >> 11 & 7)
        var tags: UInt64 = 0
        for physical in 0..<8 where tagWord >> UInt16(physical * 2) & 3 != 3 { tags |= 1 << UInt64(physical) }
        state.setField(MachineState.tags, bytes: 1, tags)
        for position in 0..<8 {
            let physical = (top + position) & 7
            state.setField(MachineState.stack + position * 16, bytes: 8, significands[physical])
            state.setField(MachineState.stack + position * 16 + 8, bytes: 2, UInt64(signsAndExponents[physical]))
        }
    }
}

/// A machine without devices.
private final class NoDevices: ProcessorEnvironment {
    var taskPriority: UInt8 = 0
    func readPort(_ port: UInt16, width: Int) -> UInt32 { 0 }
    func writePort(_ port: UInt16, _ value: UInt32, width: Int) {}
    func readDevice(_ physical: UInt64, width: Int) -> UInt64 { 0 }
    func writeDevice(_ physical: UInt64, _ value: UInt64, width: Int) {}
    func readModelSpecificRegister(_ index: UInt32) -> UInt64? { nil }
    func writeModelSpecificRegister(_ index: UInt32, _ value: UInt64) -> Bool { false }
    func acknowledgeInterrupt() -> UInt8? { nil }
    func intercept(_ event: ProcessorEvent) -> EventVerdict { .proceed }
}
