/// The chips of a PC, wired together, without processors and memory.
///
/// Everything runs on one thread and in guest time: the machine sets `clock.now` before it calls anything here, calls
/// `clock.fireDue()` at the instruction boundary where `clock.now` has reached `clock.nextDeadline`, and reads
/// `signals(to:)` after either. Equal calls at equal guest times give equal results.
package final class PersonalComputer {
    /// What is chosen when a machine is built.
    package struct Configuration: Hashable, Sendable {
        /// The number of processors, each with a local APIC; at least 1.
        package var processorCount = 1
        /// The size of RAM in bytes, for the chips that report it.
        package var memorySize: UInt64 = 128 << 20
        /// The rate at which each local APIC's timer counts before its divider.
        package var localAPICTimerFrequency = Frequency(hertz: 1_000_000_000)
        /// The rate of the time-stamp counters.
        package var timestampFrequency = Frequency(hertz: 1_000_000_000)

        /// Makes the configuration of a PC with one processor.
        package init() {}
    }

    /// What was chosen when the machine was built.
    package let configuration: Configuration
    /// Guest time.
    package let clock = VirtualClock()
    /// The I/O space; scripted devices may attach and detach at run time.
    package let ports = PortBus()
    /// Memory-mapped I/O, except the local APICs' pages, which each processor sees at its own address.
    package let memory = MemoryBus()
    /// Guest memory, for devices that transfer data by themselves; without it their transfers fail.
    package weak var guestMemory: (any GuestMemory)?
    /// Takes each byte that the serial port transmits.
    package var serialOutput: (UInt8) -> Void = { _ in }
    /// Takes each byte written to the debug console, port 0xE9.
    package var debugOutput: (UInt8) -> Void = { _ in }
    /// Hears that physical addresses changed their owner: a local APIC moved, a PCI region was mapped, A20 switched.
    package var memoryMapChanged: () -> Void = {}
    /// The requests of the guest that the machine has not taken yet, the oldest first.
    package private(set) var requests: [GuestRequest] = []

    /// Assembles the chips and attaches them to the buses.
    package init(_ configuration: Configuration = Configuration()) throws {
        self.configuration = configuration
    }

    // MARK: Accesses by a processor

    /// Executes the bus side of IN; `width` is at most a dword.
    package func readPort(_ port: PortAddress, width: AccessWidth) -> UInt32 { ports.read(port, width: width) }

    /// Executes the bus side of OUT; `width` is at most a dword.
    package func writePort(_ value: UInt32, to port: PortAddress, width: AccessWidth) {
        ports.write(value, to: port, width: width)
    }

    /// Reads a physical address that is not RAM, or that lies in the processor's local APIC page.
    package func readMemory(_ address: MemoryAddress, width: AccessWidth, processor: Int) -> UInt64 {
        memory.read(address, width: width)
    }

    /// Writes a physical address that is not RAM, or that lies in the processor's local APIC page.
    package func writeMemory(_ value: UInt64, to address: MemoryAddress, width: AccessWidth, processor: Int) {
        memory.write(value, to: address, width: width)
    }

    /// The page at which a processor sees its local APIC, in front of RAM; nil when disabled or in x2APIC mode.
    package func localAPICPage(of processor: Int) -> MemoryAddress? { nil }

    /// Whether address line 20 passes; when not, bit 20 of every physical address reads as zero.
    package var isA20Enabled: Bool { true }

    /// Reads an MSR of a processor's local APIC: IA32_APIC_BASE, IA32_TSC_DEADLINE, the x2APIC range.
    ///
    /// - Returns: nil when the MSR is not there in the present mode, which is a #GP.
    package func readMSR(_ index: UInt32, processor: Int) -> UInt64? { nil }

    /// Writes an MSR of a processor's local APIC.
    ///
    /// - Returns: false when the write is a #GP, with nothing changed.
    package func writeMSR(_ value: UInt64, to index: UInt32, processor: Int) -> Bool { false }

    /// Reads CR8: the task-priority class of a processor's local APIC, 0...15.
    package func taskPriority(of processor: Int) -> UInt8 { 0 }

    /// Writes CR8; only the low four bits count.
    package func setTaskPriority(_ priority: UInt8, of processor: Int) {}

    /// The time-stamp counter that IA32_TSC_DEADLINE is compared with; set it when the guest writes IA32_TSC.
    package func setTimestampCounter(_ counter: TimestampCounter, of processor: Int) {}

    // MARK: Signals to a processor

    /// What is signalled to a processor; it changes only by calls of this class and of `clock.fireDue()`.
    package func signals(to processor: Int) -> ProcessorSignals { [] }

    /// Whether a maskable interrupt waits that the task priority lets through.
    package func interruptPending(_ processor: Int) -> Bool { signals(to: processor).contains(.interrupt) }

    /// Takes the interrupt of the highest priority: the INTA cycle.
    ///
    /// - Returns: its vector; nil when none waits any more.
    package func acknowledgeInterrupt(_ processor: Int) -> UInt8? { nil }

    /// Takes the pending NMI.
    package func acknowledgeNonMaskableInterrupt(_ processor: Int) {}

    /// Takes the pending SMI.
    package func acknowledgeSystemManagementInterrupt(_ processor: Int) {}

    /// Takes the pending INIT and initializes the processor's local APIC.
    package func acknowledgeInitialize(_ processor: Int) {}

    /// Takes the pending start-up interrupt.
    ///
    /// - Returns: its vector, the start address divided by 4,096; nil when none waits.
    package func acknowledgeStartUp(_ processor: Int) -> UInt8? { nil }

    // MARK: Requests and input

    /// Takes the oldest request of the guest.
    package func takeRequest() -> GuestRequest? { requests.isEmpty ? nil : requests.removeFirst() }

    /// Sends bytes to the serial port; they begin to arrive at `time`, or at once if that has passed.
    package func sendSerialInput(_ bytes: [UInt8], at time: UInt64) {}

    /// Presses the power button: sets PWRBTN_STS, which is an SCI when the guest enabled it.
    package func pressPowerButton() {}

    /// Resets every chip as the RESET# line does; guest time, NVRAM and the calendar go on.
    package func reset() { requests = [] }
}
