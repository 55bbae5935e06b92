import X86

/// The machine around a processor: what it reaches by pins and buses, and who watches it.
package protocol ProcessorEnvironment: AnyObject {
    /// Reads 1, 2 or 4 bytes from an I/O port.
    func readPort(_ port: UInt16, width: Int) -> UInt32
    /// Writes 1, 2 or 4 bytes to an I/O port.
    func writePort(_ port: UInt16, _ value: UInt32, width: Int)
    /// Reads 1, 2, 4 or 8 bytes from a physical address that is not RAM.
    func readDevice(_ physical: UInt64, width: Int) -> UInt64
    /// Writes 1, 2, 4 or 8 bytes to a physical address that is not RAM.
    func writeDevice(_ physical: UInt64, _ value: UInt64, width: Int)
    /// Reads an MSR that lives outside the processor core (IA32_APIC_BASE, x2APIC, IA32_TSC_DEADLINE); nil gives #GP.
    func readModelSpecificRegister(_ index: UInt32) -> UInt64?
    /// Writes such an MSR; false gives #GP.
    func writeModelSpecificRegister(_ index: UInt32, _ value: UInt64) -> Bool
    /// The task priority that CR8 shows, 0...15.
    var taskPriority: UInt8 { get set }
    /// Takes the vector that the interrupt controllers deliver; nil if there is none after all.
    func acknowledgeInterrupt() -> UInt8?
    /// The vector that `acknowledgeInterrupt` would give; nil if that cannot be told without taking it.
    func pendingInterrupt() -> UInt8?
    /// Reports an event; called before any state changes, except for `.transition`.
    func intercept(_ event: ProcessorEvent) -> EventVerdict
    /// Asserts FERR#: an x87 exception is pending while CR0.NE is clear (SDM vol. 1 section 8.7.2).
    func signalFloatingPointError()
    /// Takes an INIT that became a VM exit.
    func acknowledgeInitialize()
    /// Takes the vector of a SIPI that becomes a VM exit or is ignored; nil if there is none after all.
    func acknowledgeStartUp() -> UInt8?
}

extension ProcessorEnvironment {
    /// FERR# is not connected unless the machine says so.
    package func signalFloatingPointError() {}
    /// Nothing sends INIT unless the machine says so.
    package func acknowledgeInitialize() {}
    /// Nothing sends SIPI unless the machine says so.
    package func acknowledgeStartUp() -> UInt8? { nil }

    package func pendingInterrupt() -> UInt8? { nil }
}

/// The kinds of event that can be asked for; nothing is built or called for one that is not in `Processor.watched`.
package struct EventKinds: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static let transition = EventKinds(rawValue: 1 << 0)
    package static let exception = EventKinds(rawValue: 1 << 1)
    package static let interrupt = EventKinds(rawValue: 1 << 2)
    package static let port = EventKinds(rawValue: 1 << 3)
    package static let modelSpecificRegister = EventKinds(rawValue: 1 << 4)
    package static let controlRegister = EventKinds(rawValue: 1 << 5)
    package static let syscall = EventKinds(rawValue: 1 << 6)
    package static let hypercall = EventKinds(rawValue: 1 << 7)
    package static let halt = EventKinds(rawValue: 1 << 8)
    package static let cpuid = EventKinds(rawValue: 1 << 9)
    package static let execute = EventKinds(rawValue: 1 << 10)
    package static let memory = EventKinds(rawValue: 1 << 11)
    package static let instruction = EventKinds(rawValue: 1 << 12)
}

/// Why the privilege level changed.
package enum TransitionCause: Equatable, Sendable {
    case exception(vector: UInt8, errorCode: UInt32?)
    case externalInterrupt(vector: UInt8)
    case nonMaskableInterrupt
    /// INT n, INT3, INTO or INT1.
    case softwareInterrupt(vector: UInt8)
    case syscall, sysret, sysenter, sysexit, iret
    case callGate(selector: UInt16), farReturn, taskSwitch(selector: UInt16)
    /// Far jump or call that changes the level by way of a task, or a mode switch that does (RSM, VM86).
    case farTransfer
}

/// The gate a transition went through.
///
/// SDM vol. 3 section 6.11.
package struct GateRecord: Equatable, Sendable {
    /// The descriptor type, 4 bits.
    package var type: UInt8
    package var descriptorPrivilegeLevel: UInt8
    /// IDT vector or GDT/LDT selector.
    package var index: UInt16
    package init(type: UInt8, descriptorPrivilegeLevel: UInt8, index: UInt16) {
        self.type = type
        self.descriptorPrivilegeLevel = descriptorPrivilegeLevel
        self.index = index
    }
}

/// The part of the processor state that a transition changes.
package struct PrivilegePoint: Equatable, Sendable {
    package var cpl: UInt8
    package var cs: UInt16
    package var rip: UInt64
    package var ss: UInt16
    package var rsp: UInt64
    package var cr3: UInt64
    package var rflags: UInt64
}

/// One change of privilege level as the processor performed it.
package struct TransitionRecord: Equatable, Sendable {
    package var cause: TransitionCause
    package var gate: GateRecord?
    package var before: PrivilegePoint
    package var after: PrivilegePoint
    /// CR2 after a page fault.
    package var address: UInt64?
    /// True if the stack pointer was loaded from a TSS (or an IST entry).
    package var switchedStack: Bool
}

/// Something a monitor or script can ask to see.
package enum ProcessorEvent: Sendable {
    /// After the change.
    case transition(TransitionRecord)
    case exception(Fault)
    case interrupt(vector: UInt8)
    case portRead(port: UInt16, width: Int)
    case portWrite(port: UInt16, value: UInt32, width: Int)
    case readModelSpecificRegister(index: UInt32)
    case writeModelSpecificRegister(index: UInt32, value: UInt64)
    case writeControlRegister(number: Int, value: UInt64)
    case syscall
    /// VMCALL or VMMCALL.
    case hypercall
    case halt
    case cpuid(leaf: UInt32, subleaf: UInt32)
    /// Before the instruction at a watched address.
    case execute(address: UInt64)
    /// Before an access to watched memory.
    case memory(MemoryAccess)
    /// Before an instruction that is watched by what it is.
    case instruction(InstructionPattern)
}

extension ProcessorEvent {
    /// What of an event those look at who wait for it by a number.
    package struct Outline {
        /// One kind.
        package var kind: EventKinds
        /// Vector, port, MSR, control register, call, leaf or address; else 0.
        package var number: UInt64
        /// The privilege levels before and after a transition.
        package var levels: (from: UInt8, to: UInt8)?
    }
}

extension Processor {
    /// What an event of this processor is in outline.
    package func outline(of event: ProcessorEvent) -> ProcessorEvent.Outline {
        switch event {
        case .transition(let record):
            ProcessorEvent.Outline(
                kind: .transition, number: 0, levels: (from: record.before.cpl, to: record.after.cpl))
        case .exception(let fault): .init(.exception, UInt64(fault.vector))
        case .interrupt(let vector): .init(.interrupt, UInt64(vector))
        case .portRead(let port, _), .portWrite(let port, _, _): .init(.port, UInt64(port))
        case .readModelSpecificRegister(let index), .writeModelSpecificRegister(let index, _):
            .init(.modelSpecificRegister, UInt64(index))
        case .writeControlRegister(let number, _): .init(.controlRegister, UInt64(number))
        case .syscall: .init(.syscall, state.pointee.rax)
        case .hypercall: .init(.hypercall, state.pointee.rax)
        case .halt: .init(.halt)
        case .cpuid(let leaf, _): .init(.cpuid, UInt64(leaf))
        case .execute(let address): .init(.execute, address)
        case .memory: .init(.memory)
        case .instruction: .init(.instruction)
        }
    }
}

extension ProcessorEvent.Outline {
    fileprivate init(_ kind: EventKinds, _ number: UInt64 = 0) { self.init(kind: kind, number: number, levels: nil) }
}

/// What is to be done about an event.
package enum EventVerdict: Equatable, Sendable {
    /// As if nobody had watched.
    case proceed
    /// The instruction is done without its effect; results it would read are already set by the watcher.
    case skip
    /// The instruction's result is this value (port and MSR reads, hypercalls).
    case reply(UInt64)
    case inject(Fault)
}
