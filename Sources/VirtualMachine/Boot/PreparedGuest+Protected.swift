import X86Engine

extension PreparedGuest {
    /// Builds `.protected` or `.long`: descriptor tables, TSS, page tables, code and the first ring's registers.
    func loadProtectedMode(ring first: UInt8, start: UInt64, memory: PhysicalMemoryMap) throws(BootError) -> BootImage {
        guard syscallEntry == nil || environment == .long else { throw refusal("SYSCALL needs .long") }
        try checkDistinct(slotSize: environment == .long ? 16 : 8)
        let layout = environment.layout
        var space = PreparedAddressSpace(environment, memory: memory)
        try mapLayout(into: &space)
        var contents: [MemoryContents] = []
        for block in code { contents += try space.place(block) }
        for (ring, top) in stackTops.sorted(by: { $0.key < $1.key }) {
            guard layout.codeOrigin(ring: ring) != nil else { throw refusal("there is no ring \(ring)") }
            try space.mapStack(top: top, ring: ring)
        }
        let (root, tables) = try space.tables()
        contents += tables
        let tasks = gates.filter { $0.kind == .task }
        guard tasks.count <= PreparedLayout.gateTaskCount else {
            throw refusal("\(tasks.count) task gates; there is room for \(PreparedLayout.gateTaskCount)")
        }
        contents += [
            MemoryContents(address: PreparedLayout.gdt, bytes: globalDescriptorTable()),
            MemoryContents(address: PreparedLayout.idt, bytes: interruptDescriptorTable()),
            MemoryContents(address: PreparedLayout.taskState, bytes: taskState(root: root)),
        ]
        for (index, gate) in tasks.enumerated() {
            contents.append(
                MemoryContents(
                    address: PreparedLayout.gateTasks + gateTaskOffset(index),
                    bytes: gateTaskState(gate, number: index + 1, root: root)))
        }
        return BootImage(
            contents: contents, state: initialState(ring: first, start: start, root: root),
            symbols: code.flatMap(\.labels), lines: code.flatMap(\.boundedLines))
    }

    private func mapLayout(into space: inout PreparedAddressSpace) throws(BootError) {
        let layout = environment.layout
        func kernel(_ offset: UInt64, _ size: UInt64) -> Range<UInt64> {
            layout.kernelBase + offset..<layout.kernelBase + offset + size
        }
        let page = PhysicalMemoryMap.pageSize
        let system: [(String, UInt64, UInt64)] = [
            ("the GDT", PreparedLayout.gdt, page),
            ("the TSS", PreparedLayout.taskState, 3 * page),
            ("the IDT", PreparedLayout.idt, page),
            ("the TSSs of task gates", PreparedLayout.gateTasks, page),
            ("the alternate stacks", PreparedLayout.alternateStacks, 15 * PreparedLayout.alternateStackSize),
        ]
        for (name, offset, size) in system {
            try space.map(kernel(offset, size), to: offset, ring: 0, isCode: false, owner: name)
        }
        for (index, ring) in layout.rings.enumerated() {
            let number = UInt8(index)
            // The kernel window is mapped to the same offsets; ring 3 gets pages wherever there are some.
            func physical(_ range: Range<UInt64>) -> UInt64? {
                number == 3 ? nil : range.lowerBound - layout.kernelBase
            }
            try space.map(
                ring.code, to: physical(ring.code), ring: number, isCode: true, owner: "code of ring \(number)")
            try space.map(
                ring.stack, to: physical(ring.stack), ring: number, isCode: false, owner: "the stack of ring \(number)")
        }
    }

    // MARK: Descriptor tables

    private func globalDescriptorTable() -> [UInt8] {
        var table = [UInt8](repeating: 0, count: PreparedLayout.gdtSize)
        for (index, descriptor) in PreparedLayout.descriptors(bits: environment.bits).enumerated() {
            table.put(descriptor?.encoded ?? 0, at: index * 8)
        }
        let task = taskStateDescriptor
        table.put(task.encoded, at: Int(PreparedLayout.taskStateSelector))
        if environment == .long { table.put(task.encodedUpper, at: Int(PreparedLayout.taskStateSelector) + 8) }
        for (index, _) in gates.filter({ $0.kind == .task }).enumerated() {
            let descriptor = SegmentDescriptor.taskState(
                base: environment.layout.kernelBase + PreparedLayout.gateTasks + gateTaskOffset(index),
                limit: 0x67, isBusy: false)
            table.put(descriptor.encoded, at: Int(gateTaskSelector(index)))
        }
        for gate in gates {
            guard case .call(let parameters) = gate.kind else { continue }
            let descriptor = GateDescriptor(
                .call, selector: codeSelector(gate.ring), offset: gate.handler, privilege: gate.privilege,
                count: parameters)
            table.put(descriptor.encoded, at: Int(gate.number & ~7))
            if environment == .long { table.put(descriptor.encodedUpper, at: Int(gate.number & ~7) + 8) }
        }
        return table
    }

    private func interruptDescriptorTable() -> [UInt8] {
        // DPL 3, so that INT n says "not present" too instead of a #GP that also means a lack of privilege.
        let absent = GateDescriptor(.interrupt, selector: 0, offset: 0, privilege: 3, isPresent: false)
        let size = environment == .long ? 16 : 8
        var table = [UInt8](repeating: 0, count: 256 * size)
        for vector in 0..<256 { table.put(absent.encoded, at: vector * size) }
        var taskNumber = 0
        for gate in gates {
            let kind: GateDescriptor.Kind
            var selector = codeSelector(gate.ring)
            var offset = gate.handler
            switch gate.kind {
            case .call: continue
            case .interrupt: kind = .interrupt
            case .trap: kind = .trap
            case .task:
                kind = .task
                selector = gateTaskSelector(taskNumber)
                offset = 0
                taskNumber += 1
            }
            let descriptor = GateDescriptor(
                kind, selector: selector, offset: offset, privilege: gate.privilege, count: gate.interruptStack)
            table.put(descriptor.encoded, at: Int(gate.number) * size)
            if environment == .long { table.put(descriptor.encodedUpper, at: Int(gate.number) * size + 8) }
        }
        return table
    }

    /// A gate's selector has RPL 0; the descriptor's DPL decides (SDM volume 3, section 5.8.3).
    private func codeSelector(_ ring: UInt8) -> UInt16 { environment.layout.rings[Int(ring)].codeSelector & ~3 }

    private func gateTaskSelector(_ index: Int) -> UInt16 {
        PreparedLayout.firstGateTaskSelector + UInt16(truncatingIfNeeded: index) * 8
    }

    private func gateTaskOffset(_ index: Int) -> UInt64 { UInt64(index) * 0x80 }

    // MARK: Task-state segments

    private static let ioBitmapOffset = 0x68
    /// The bitmap of all 65,536 ports and the byte of ones that must follow (SDM volume 1, section 18.5.2).
    private static let taskStateSize = ioBitmapOffset + 0x2001

    private var taskStateDescriptor: SegmentDescriptor {
        .taskState(
            base: environment.layout.kernelBase + PreparedLayout.taskState, limit: UInt32(Self.taskStateSize - 1),
            isBusy: true)
    }

    /// The first task's TSS (SDM volume 3, figures 8-2 and 8-11).
    private func taskState(root: UInt64) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.taskStateSize)
        let layout = environment.layout
        for ring in UInt8(0)...2 {
            if environment == .long {
                bytes.put(stackTop(ring: ring), at: 4 + Int(ring) * 8)
            } else {
                bytes.put(UInt32(truncatingIfNeeded: stackTop(ring: ring)), at: 4 + Int(ring) * 8)
                bytes.put(layout.rings[Int(ring)].dataSelector, at: 8 + Int(ring) * 8)
            }
        }
        if environment == .long {
            for number in 1...7 { bytes.put(alternateStackTop(number), at: 0x24 + (number - 1) * 8) }
        } else {
            bytes.put(UInt32(truncatingIfNeeded: root), at: 0x1C)
        }
        bytes.put(UInt16(Self.ioBitmapOffset), at: 0x66)
        for index in Self.ioBitmapOffset..<bytes.count { bytes[index] = 0xFF }
        return bytes
    }

    private func alternateStackTop(_ number: Int) -> UInt64 {
        environment.layout.kernelBase + PreparedLayout.alternateStacks
            + UInt64(number) * PreparedLayout.alternateStackSize
    }

    /// The TSS of a task that a task gate starts: the handler in its ring, on a stack of its own.
    private func gateTaskState(_ gate: Gate, number: Int, root: UInt64) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 0x68)
        let ring = environment.layout.rings[Int(gate.ring)]
        for index in UInt8(0)...2 {
            bytes.put(UInt32(truncatingIfNeeded: stackTop(ring: index)), at: 4 + Int(index) * 8)
            bytes.put(environment.layout.rings[Int(index)].dataSelector, at: 8 + Int(index) * 8)
        }
        bytes.put(UInt32(truncatingIfNeeded: root), at: 0x1C)
        bytes.put(UInt32(truncatingIfNeeded: gate.handler), at: 0x20)
        bytes.put(UInt32(0x2), at: 0x24)
        // A task of ring 3 cannot use the supervisor's pages; it gets the ring's own stack.
        let stack = gate.ring == 3 ? stackTop(ring: 3) : alternateStackTop(number)
        bytes.put(UInt32(truncatingIfNeeded: stack), at: 0x38)
        for offset in [0x48, 0x50, 0x54, 0x58, 0x5C] { bytes.put(ring.dataSelector, at: offset) }
        bytes.put(ring.codeSelector, at: 0x4C)
        // Without an I/O bitmap: its offset is behind the limit.
        bytes.put(UInt16(0x68), at: 0x66)
        return bytes
    }

    // MARK: Registers

    private func initialState(ring: UInt8, start: UInt64, root: UInt64) -> InitialState {
        let layout = environment.layout
        let descriptors = PreparedLayout.descriptors(bits: environment.bits)
        func loaded(_ selector: UInt16) -> InitialState.Segment {
            descriptors[Int(selector >> 3)]?.loaded(selector) ?? .null
        }
        var state = InitialState()
        let data = loaded(layout.rings[Int(ring)].dataSelector)
        (state.ds, state.es, state.fs, state.gs, state.ss) = (data, data, data, data, data)
        state.cs = loaded(layout.rings[Int(ring)].codeSelector)
        state.ldtr = .null
        state.tr = taskStateDescriptor.loaded(PreparedLayout.taskStateSelector)
        state.gdtr = InitialState.DescriptorTable(
            base: layout.kernelBase + PreparedLayout.gdt, limit: UInt16(PreparedLayout.gdtSize - 1))
        state.idtr = InitialState.DescriptorTable(
            base: layout.kernelBase + PreparedLayout.idt, limit: environment == .long ? 0xFFF : 0x7FF)
        state.rip = start
        state.rsp = stackTop(ring: ring) - PreparedLayout.initialStackGap
        state.rflags = ring == 3 ? 0x202 : 0x2
        state.cr0 = CR0.PE | CR0.MP | CR0.ET | CR0.NE | CR0.WP | CR0.PG
        state.cr3 = root
        state.cr4 = CR4.OSFXSR | CR4.OSXMMEXCPT | (environment == .long ? CR4.PAE : CR4.PSE)
        if environment == .long {
            state.efer = EFER.LME | EFER.LMA | EFER.NXE
            if let syscallEntry {
                state.efer |= EFER.SCE
                state.star = PreparedLayout.star
                state.lstar = syscallEntry
                state.fmask = PreparedLayout.fmask
            }
        }
        return state
    }
}
