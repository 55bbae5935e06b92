import X86
import X86Engine

extension Guest {
    /// What symbols that were found in the guest's memory are called as a source.
    public static let kernelSymbolSource = "kallsyms"

    /// Adds the symbols of a file to `symbolTable`: ELF with its line table, or text as of `nm` and System.map.
    ///
    /// Without a slide given, that of a Linux kernel is found from the entry points that the processor knows, 0 before the
    /// kernel has set them. Returns the slide. Throws `SymbolError.file`.
    @discardableResult
    public func addSymbols(contentsOf path: String, slide: UInt64? = nil) throws(SymbolError) -> UInt64 {
        let file = try SymbolFile(path: path)
        let slide = slide ?? KernelSlide(of: file, kernelEvidence)?.slide ?? 0
        symbolTable.add(file, slide: slide)
        return slide
    }

    /// Finds the symbols that a running Linux kernel carries and adds them to `symbolTable`.
    ///
    /// Returns how many there are and by how much the kernel was moved from its usual place. Throws
    /// `SymbolError.memory` if no such kernel runs yet or if it has none (CONFIG_KALLSYMS).
    @discardableResult
    public func findKernelSymbols() throws(SymbolError) -> (count: Int, slide: UInt64) {
        let finder = KernelSymbolFinder(memoryReader, wordSize: processor.state.pointee.efer & EFER.LMA != 0 ? 8 : 4)
        let file = try finder.find(anchors: kernelEvidence.addresses, named: Self.kernelSymbolSource)
        symbolTable.add(file, space: .kernel)
        return (file.count, KernelSlide(ofRunning: file)?.slide ?? 0)
    }

    /// Reads linear memory as the kernel sees it, also while the guest runs a program.
    public var memoryReader: GuestMemoryReader {
        GuestMemoryReader { [unowned self] address, count in
            cpu.read(address, count: count) ?? readKernel(address, count: count)
        }
    }

    /// The entry points of the kernel.
    package var kernelEvidence: KernelSlide.Evidence {
        let state = processor.state
        let isLong = state.pointee.efer & EFER.LMA != 0
        var handlers: [UInt8: UInt64] = [:]
        let (base, limit) = (state.pointee.idtr.base, UInt64(state.pointee.idtr.limit))
        let size: UInt64 = isLong ? 16 : 8
        if state.pointee.cr0 & CR0.PE != 0 {
            for vector: UInt8 in 0..<32 where UInt64(vector) * size + size - 1 <= limit {
                let place = base &+ UInt64(vector) * size
                guard let gate = memoryReader.bytes(at: place, count: Int(size)), gate[5] & 0x80 != 0 else { continue }
                // Offsets of interrupt gates (SDM vol. 3 figures 6-2 and 6-8).
                let low =
                    UInt64(gate[0...].littleEndian(UInt16.self)) | UInt64(gate[6...].littleEndian(UInt16.self)) << 16
                handlers[vector] = isLong ? low | UInt64(gate[8...].littleEndian(UInt32.self)) << 32 : low
            }
        }
        return KernelSlide.Evidence(systemCallEntry: isLong ? state.pointee.lstar : 0, handlers: handlers)
    }

    // MARK: Page-table isolation

    /// Reads through the kernel's page tables while a program runs on others that hide the kernel.
    ///
    /// With page-table isolation Linux keeps the two top-level tables of a process in one aligned pair of pages
    /// (Linux: Documentation/arch/x86/pti.rst); the program's is the upper one.
    private func readKernel(_ linear: UInt64, count: Int) -> [UInt8]? {
        let state = processor.state
        guard state.pointee.efer & EFER.LMA != 0, linear >> 63 == 1, state.pointee.cr3 & 0x1000 != 0 else { return nil }
        let top = state.pointee.cr3 & 0x000F_FFFF_FFFF_E000
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            let address = linear &+ UInt64(bytes.count)
            guard let physical = walk(address, top, levels: 4) else {
                return nil
            }
            let part = min(count - bytes.count, Int(0x1000 - address & 0xFFF))
            var buffer = [UInt8](repeating: 0, count: part)
            guard buffer.withUnsafeMutableBytes({ memory.read(physical, into: $0) }) else { return nil }
            bytes += buffer
        }
        return bytes
    }

    /// Where an address lies according to other page tables than the current ones.
    ///
    /// SDM vol. 3 section 4.5.
    private func walk(_ linear: UInt64, _ top: UInt64, levels: Int) -> UInt64? {
        var table = top
        for level in stride(from: levels - 1, through: 0, by: -1) {
            let shift = 12 + UInt64(level) * 9
            var entryBytes = [UInt8](repeating: 0, count: 8)
            let place = table + (linear >> shift & 0x1FF) * 8
            guard entryBytes.withUnsafeMutableBytes({ memory.read(place, into: $0) }) else { return nil }
            let entry = entryBytes[...].littleEndian(UInt64.self)
            guard entry & 1 != 0 else { return nil }
            let frame = entry & 0x000F_FFFF_FFFF_F000
            if level == 0 || (level <= 2 && entry & 0x80 != 0) {
                let mask = UInt64(1) << shift - 1
                return frame & ~mask | linear & mask
            }
            table = frame
        }
        return nil
    }
}

extension CPUView {
    /// The instruction pointer as `name+0x12`; nil if no symbol is near.
    public var position: SymbolPosition? {
        let state = guest.processor.state
        return guest.symbolTable.position(
            of: state.pointee.cs.base &+ state.pointee.rip, in: state.pointee.cpl == 3 ? .user : .kernel)
    }

    /// The functions that have not returned yet, from the current one outwards, at most `limit`.
    public func backtrace(limit: Int = 64) -> [BacktraceFrame] {
        let state = guest.processor.state
        let wordSize =
            state.pointee.cs.isLong && state.pointee.efer & EFER.LMA != 0
            ? 8 : state.pointee.cs.isDefault32 ? 4 : 2
        return VirtualMachine.backtrace(
            BacktraceRegisters(
                general: [
                    state.pointee.rax, state.pointee.rcx, state.pointee.rdx, state.pointee.rbx, state.pointee.rsp,
                    state.pointee.rbp, state.pointee.rsi, state.pointee.rdi, state.pointee.r8, state.pointee.r9,
                    state.pointee.r10, state.pointee.r11, state.pointee.r12, state.pointee.r13, state.pointee.r14,
                    state.pointee.r15,
                ],
                instructionPointer: state.pointee.rip, ring: Int(state.pointee.cpl), wordSize: wordSize,
                codeBase: state.pointee.cs.base, stackBase: state.pointee.ss.base),
            memory: guest.memoryReader, symbols: guest.symbolTable, limit: limit)
    }
}
