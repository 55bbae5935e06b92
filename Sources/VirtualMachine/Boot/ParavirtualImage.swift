import Hypervisors

extension BootSource {
    /// Loads a kernel that speaks an interface of a hypervisor's, into the empty memory of a paravirtual guest.
    ///
    /// Throws for everything else: such a kernel would end at its first privileged instruction.
    func image(memory: PhysicalMemoryMap, speaking interface: HypercallInterface) throws(BootError) -> BootImage {
        switch kind {
        case .flat(let image): return try image.load(memory: memory, speaking: interface)
        case .linux(let file, _, _), .pvh(let file, _, _), .multiboot(let file, _, _):
            throw .notParavirtual(what: file.name, interface: interface.name)
        case .prepared(let guest):
            throw .notParavirtual(
                what: "the environment .\(guest.environment.rawValue), which has tables and a ring 0 of its own,",
                interface: interface.name)
        }
    }
}

extension FlatImage {
    /// Puts the image into memory; the monitor makes page tables and registers.
    fileprivate func load(
        memory: PhysicalMemoryMap, speaking interface: HypercallInterface
    ) throws(BootError) -> BootImage {
        guard file.size > 0 else { throw .empty(file: file.name) }
        guard interface.isSpoken(by: file.bytes) else {
            throw .notParavirtual(what: file.name, interface: interface.name)
        }
        let codeBits: Int
        switch mode {
        case .real: throw .environment("\(file.name): .real", why: "paravirtual kernels are 32-bit or 64-bit code")
        case .protected: codeBits = 32
        case .long: codeBits = 64
        }
        let tables = BootTables(lowMemory: memory.low.upperBound)
        guard memory.size >= BootTables.minimumMemory else {
            throw .memoryTooSmall(
                what: "a paravirtual guest", needed: BootTables.minimumMemory, available: memory.size)
        }
        let block = MemoryContents(address: address, bytes: file.bytes[...])
        guard memory.isUsable(block.range) else {
            throw .notInMemory(
                file: file.name, what: "the image", address: address, size: file.size, memory: memory.size)
        }
        guard block.range.upperBound <= tables.start else {
            throw .overlap(
                what: "\(file.name): the image", address: address, other: "the first page tables",
                otherAddress: tables.start)
        }
        guard block.range.contains(entry) else {
            throw .outOfRange(
                what: "\(file.name): the entry point", value: entry,
                allowed: "the image's \(hexText(address))..<\(hexText(block.range.upperBound))")
        }
        var state = InitialState()
        state.rip = entry
        state.cs = SegmentDescriptor.code(bits: codeBits, privilege: 0).loaded(FlatProcessor.codeSelector)
        return BootImage(contents: [block], state: state)
    }
}
