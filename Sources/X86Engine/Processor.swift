import X86

/// One logical processor: its state, its soft TLB, and by extensions everything it does.
///
/// All mutable state sits behind pointers that never change, so no access costs an exclusivity check.
package final class Processor {
    /// The architectural and derived state.
    package let state: UnsafeMutablePointer<ProcessorState>
    package let memory: PhysicalMemory
    let tlb: SoftTLB
    let secondLevelCache = SecondLevelCache()
    let blocks: BlockCache
    let control: UnsafeMutablePointer<ControlState>
    /// The processor model: CPUID, MSRs, widths.
    package let model: ProcessorModel
    /// The machine around it; must outlive the processor's use.
    // SAFETY: whoever makes a processor keeps its environment as long as it runs; counted references would slow every
    // access to a device.
    package unowned(unsafe) let environment: any ProcessorEnvironment

    /// Makes a processor in its power-on state.
    ///
    /// SDM vol. 3 section 9.1.
    ///
    /// `tlbEntries` is a power of two from 16 to 65536.
    package init(
        model: ProcessorModel, memory: PhysicalMemory, environment: any ProcessorEnvironment, tlbEntries: Int = 1024,
        blockCacheEnabled: Bool = true
    ) {
        self.model = model
        self.memory = memory
        self.environment = environment
        tlb = SoftTLB(entries: tlbEntries)
        blocks = BlockCache(memory: memory, enabled: blockCacheEnabled)
        state = .allocate(capacity: 1)
        state.initialize(to: ProcessorState(tlb: tlb.table(.supervisor), tlbMask: tlb.mask))
        control = .allocate(capacity: 1)
        control.initialize(to: ControlState())
        memory.attach(self)
        reset()
    }

    deinit {
        memory.detach(self)
        state.deallocate()
        control.deinitialize(count: 1)
        control.deallocate()
    }

    /// The kinds of event that `environment.intercept` is called for.
    package var watched: EventKinds {
        get { control.pointee.watched }
        set { control.pointee.watched = newValue }
    }
}

/// What steers the run but is not the guest's state.
struct ControlState {
    var watched: EventKinds = []
    /// The fault that a fast path met; taken by the dispatcher.
    var pendingFault = Fault(vector: 0)
    var hasFault = false
    /// The operation whose slow path is running.
    var current: UnsafeMutablePointer<MicroOperation>?
    /// The operation whose code was replaced to leave its block early, and what it was.
    var patched: UnsafeMutablePointer<MicroOperation>?
    var patchedCode = MicroOperation.Code.leave
    /// The link through which the last block was left, to be set once its target is known.
    var link: UnsafeMutablePointer<BlockLinks>?
    var linkIsTaken = false
    /// The faults of the last delivery that failed.
    var faultChain: [FaultRecord] = []
    var transitions = TransitionCounters()
    /// The physical page at which a device answers this processor in front of RAM; `UInt64.max` if there is none.
    var devicePage = UInt64.max
    /// An instruction loaded RF, which then lasts for the next one.
    var loadedResumeFlag = false
    var watchedInstructions = InstructionWatch()
    /// Where `.execute` and `.instruction` were last reported.
    var reportedAddress = InstructionReport()
    var reportedOperation = InstructionReport()
    /// Where a REP goes on that was left between two iterations.
    var continuedString = InstructionReport()
    var watchedMemory: [MemoryWatch] = []
    var watchesLinearMemory = false
    var decisions = Decisions()
    /// The guest time of the last access to a device's memory.
    var deviceAccessTime = UInt64.max
    /// Cached blocks no longer fit what is watched.
    var blocksAreStale = false
    /// The count of guest time at which the machine wants to be asked; `ProcessorState.deadline` may come earlier.
    var machineDeadline = UInt64.max
    /// The exit from a guest that is on its way to the dispatcher.
    var exit: VMExit?
    /// The event that is being delivered to a guest.
    var vectoring: VectoringEvent?
    /// The contexts in which the two sides' translations were made, as they were last left.
    var hostTranslations: TranslationContext?
    var guestTranslations: TranslationContext?
    /// The instruction being executed is in the shadow of a MOV SS.
    var isInMOVSSShadow = false
    /// The guest time of the last IRET of a guest that unblocked NMIs.
    var unblockedNMIsAt = UInt64.max
    /// Receives exits in place of guest software.
    var monitor: (any VirtualMachineMonitor)?
    /// See `Processor.ringZeroIsMonitors`.
    var ringZeroIsMonitors = false
    /// See `Processor.interpretedInstruction`.
    var interpretedInstruction: Instruction?
}
