/// Why a kernel's tasks cannot be told.
public struct KernelTaskError: Error, Equatable, CustomStringConvertible {
    /// One line, without a period at its end.
    public var description: String
}

/// A process of a Linux kernel in the guest.
public struct KernelTask: Equatable, Sendable {
    /// The address of its `task_struct`.
    public var address: UInt64
    /// The process identifier; 0 is the idle task.
    public var identifier: Int
    /// The identifier of its parent.
    public var parent: Int
    /// The name of its program.
    public var name: String
    /// The kernel's `__state`, with `exit_state` in it.
    public var state: UInt32
    /// The physical address of its page tables; nil for a thread of the kernel, which borrows those of others.
    public var addressSpace: UInt64?
    /// Whether the processor runs it.
    public var isCurrent: Bool
    /// The function of the kernel in which it waits.
    public var waitsIn: String?

    /// What the task does.
    ///
    /// Linux, include/linux/sched.h, `TASK_RUNNING` and following.
    public var stateText: String {
        if isCurrent { return "running" }
        if state & 0x20 != 0 { return "zombie" }
        if state & 0x10 != 0 { return "dead" }
        if state & 0x402 == 0x402 { return "idle" }
        if state & 0x1 != 0 { return "sleeping" }
        if state & 0x2 != 0 { return "waiting" }
        if state & 0xC != 0 { return "stopped" }
        return state & 0xFF == 0 ? "ready" : "state \(hexadecimal(state))"
    }
}

/// Reads the tasks of a Linux kernel by its own names and types.
public struct KernelTasks {
    private let guest: Guest
    private let types: KernelTypes

    /// At most so many tasks are listed: a damaged list may have no end.
    private static let limit = 32_768

    /// Reads the type information that the kernel carries.
    public init(_ guest: Guest) throws(KernelTaskError) {
        self.guest = guest
        guard let start = guest.symbolTable["__start_BTF"], let end = guest.symbolTable["__stop_BTF"], end > start,
            end - start < 64 << 20
        else {
            throw KernelTaskError(
                description: "the guest's kernel has no type information, or its names are not known")
        }
        let types = guest.memoryReader.bytes(at: start, count: Int(end - start)).flatMap(KernelTypes.init)
        try Self.pass()
        guard let types else {
            throw KernelTaskError(description: "the kernel's type information cannot be read")
        }
        self.types = types
    }

    /// Where members lie.
    private struct Layout {
        var tasks, identifier, parent, name, state, exitState, memory, thread, stackPointer, table: UInt64
    }

    private func layout() throws(KernelTaskError) -> Layout {
        func offset(_ member: String, _ structure: String = "task_struct") throws(KernelTaskError) -> UInt64 {
            guard let offset = types.offset(of: member, in: structure) else {
                throw KernelTaskError(description: "the kernel's `struct \(structure)` has no `\(member)`")
            }
            return offset
        }
        // It was `state` before Linux 5.14.
        let state = types.offset(of: "__state", in: "task_struct") ?? types.offset(of: "state", in: "task_struct")
        guard let state else {
            throw KernelTaskError(description: "the kernel's `struct task_struct` has no `__state`")
        }
        return Layout(
            tasks: try offset("tasks"), identifier: try offset("pid"), parent: try offset("real_parent"),
            name: try offset("comm"), state: state, exitState: try offset("exit_state"), memory: try offset("mm"),
            thread: try offset("thread"), stackPointer: try offset("sp", "thread_struct"),
            table: try offset("pgd", "mm_struct"))
    }

    /// All processes, in the order of the kernel's list.
    public func all() throws(KernelTaskError) -> [KernelTask] {
        let layout = try layout()
        guard let first = guest.symbolTable["init_task"] else {
            throw KernelTaskError(description: "the kernel's `init_task` is not known")
        }
        let current = current
        var tasks: [KernelTask] = []
        var address = first
        repeat {
            try Self.pass()
            guard let task = task(at: address, layout, current) else { break }
            tasks.append(task)
            guard let next = word(address &+ layout.tasks) else { break }
            address = next &- layout.tasks
        } while address != first && tasks.count < Self.limit
        guard !tasks.isEmpty else { throw KernelTaskError(description: "the kernel's list of tasks cannot be read") }
        return tasks
    }

    private static func pass() throws(KernelTaskError) {
        guard Checkpoint.isPassed else { throw KernelTaskError(description: Interrupted.text) }
    }

    /// One task by the address of its `task_struct`.
    public func task(at address: UInt64) throws(KernelTaskError) -> KernelTask? {
        task(at: address, try layout(), current)
    }

    /// The task that the processor runs.
    private var current: UInt64? {
        // `pcpu_hot` begins with it since Linux 6.2.
        guard let variable = guest.symbolTable["current_task"] ?? guest.symbolTable["pcpu_hot"] else { return nil }
        let offsets = guest.symbolTable["__per_cpu_offset"]
        return word(variable &+ (offsets.flatMap(word) ?? 0))
    }

    private func task(at address: UInt64, _ layout: Layout, _ current: UInt64?) -> KernelTask? {
        guard let identifier = half(address &+ layout.identifier), let state = half(address &+ layout.state),
            let exitState = half(address &+ layout.exitState),
            let name = guest.cpu.read(address &+ layout.name, count: 16)
        else { return nil }
        let parent = word(address &+ layout.parent).flatMap { half($0 &+ layout.identifier) } ?? 0
        var space: UInt64?
        if let memory = word(address &+ layout.memory), memory != 0, let table = word(memory &+ layout.table) {
            let base = guest.symbolTable["page_offset_base"].flatMap(word) ?? 0xFFFF_8880_0000_0000
            space = table &- base
        }
        let isCurrent = address == current
        return KernelTask(
            address: address, identifier: Int(Int32(bitPattern: identifier)),
            parent: Int(Int32(bitPattern: parent)),
            name: String(decoding: name.prefix { $0 != 0 }, as: UTF8.self), state: state | exitState,
            addressSpace: space, isCurrent: isCurrent,
            waitsIn: isCurrent || state & 0xF == 0
                ? nil : word(address &+ layout.thread &+ layout.stackPointer).flatMap(waitingFunction))
    }

    /// The first function on a sleeping task's stack that is not the scheduler's.
    private func waitingFunction(_ stack: UInt64) -> String? {
        // Words that are no return addresses lie there too: what is not the kernel's code is passed over.
        guard let start = guest.symbolTable["_text"], let end = guest.symbolTable["_etext"] else { return nil }
        for index in 0..<96 {
            guard let value = word(stack &+ UInt64(index * 8)) else { return nil }
            guard value >= start, value < end, let name = guest.symbolTable.text(of: value) else { continue }
            let bare = String(name.prefix { $0 != "+" })
            if !Self.isScheduler(bare) { return bare }
        }
        return nil
    }

    /// Whether a function belongs to the scheduler, and so says nothing of why a task waits.
    static func isScheduler(_ name: String) -> Bool {
        name.contains("schedule") || name.hasPrefix("__switch_to") || name.hasPrefix("preempt_")
            || name.hasPrefix("finish_task_switch") || name.hasPrefix("context_switch") || name.hasPrefix("__down")
    }

    private func word(_ address: UInt64) -> UInt64? {
        guest.cpu.read(address, count: 8).map { $0[...].littleEndian(UInt64.self) }
    }

    private func half(_ address: UInt64) -> UInt32? {
        guest.cpu.read(address, count: 4).map { $0[...].littleEndian(UInt32.self) }
    }
}

/// One change of the running task.
public struct KernelSwitch: Equatable, Sendable {
    /// Guest time in nanoseconds.
    public var time: UInt64
    /// Who ran.
    public var from: KernelTask
    /// Who runs then.
    public var to: KernelTask
    /// Why the first one does not go on.
    public var reason: String
}

extension KernelTasks {
    /// The switch that begins where the guest stands, at the kernel's `__switch_to_asm` or `__switch_to`.
    public func presentSwitch() throws(KernelTaskError) -> KernelSwitch? {
        guard let from = guest.cpu["rdi"], let to = guest.cpu["rsi"], var before = try task(at: from),
            let after = try task(at: to)
        else { return nil }
        before.isCurrent = false
        return KernelSwitch(time: guest.time, from: before, to: after, reason: reason(before))
    }

    private func reason(_ task: KernelTask) -> String {
        let names = guest.cpu.backtrace(limit: 24).filter { $0.ring == 0 }.compactMap { $0.position?.symbol.name }
        let outside = names.first { !Self.isScheduler($0) }
        if task.state & 0xFF == 0x80 || names.contains("do_task_dead") { return "ends" }
        if task.state & 0xFF == 0 {
            if names.contains(where: { $0.hasPrefix("asm_sysvec_") || $0.hasPrefix("asm_common_interrupt") }) {
                let interrupt = names.first { $0.hasPrefix("asm_") } ?? ""
                return "preempted by \(interrupt.dropFirst(4))"
            }
            if task.identifier == 0 { return "something else is ready" }
            return outside.map { "gives way in \($0)" } ?? "gives way"
        }
        return outside.map { "waits in \($0)" } ?? "waits"
    }
}
