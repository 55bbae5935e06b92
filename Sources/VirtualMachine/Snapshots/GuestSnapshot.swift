import PCDevices
import X86Engine

/// A guest at some moment between two instructions: processor, memory, devices, timers, console.
///
/// Memory is shared with the guest and with other snapshots page by page, so one costs what was written since the last.
/// A guest that is brought back and runs on does the same as it did the first time, to the digest. Handlers are not part
/// of it: they stay as they are.
public struct GuestSnapshot {
    /// Guest time in nanoseconds.
    public let time: UInt64
    /// Instructions, REP iterations and deliveries until then.
    public let instructions: UInt64
    let processor: ProcessorSnapshot
    let memory: MemorySnapshot
    let machine: PersonalComputer.State
    let devices: [DeviceState]
    let timers: [GuestTimer]
    let console: GuestConsole.Progress
    let transitions: TransitionLog.Progress
    /// What the monitor knew of the guest.
    let knowledge: [UInt64]
    let resets: Int
    let finalStop: Stop?
    /// The position in the log of what handlers and devices did, where one is kept.
    var effects = 0

    /// Guest times and places of what scripts and programs are to do later; a file cannot hold it.
    public var pendingActions: [(time: UInt64, place: String?)] { timers.map { ($0.deadline, $0.place) } }
    /// How many pages of 4 KiB are stored; pages of zeros are not.
    public var storedPages: Int { memory.storedPages }
}

/// Why a snapshot cannot be taken or brought back.
public enum SnapshotError: Error, Equatable, CustomStringConvertible {
    /// The guest is running: its handlers and devices are in the midst of an instruction.
    case running
    /// The snapshot is of a machine with other memory or devices.
    case differentMachine(String)

    /// One line, without a period at its end.
    public var description: String {
        switch self {
        case .running: "the guest is running: a snapshot is taken and brought back between two runs"
        case .differentMachine(let why): "the snapshot is of a different machine: \(why)"
        }
    }
}

extension Guest {
    /// Keeps everything about the guest as it is now; changes nothing that it can see.
    public func snapshot() throws(SnapshotError) -> GuestSnapshot {
        guard !isRunning else { throw .running }
        return snapshotBetweenInstructions()
    }

    /// The same, also in the midst of a run; for whoever knows that nothing of the guest is under way.
    func snapshotBetweenInstructions() -> GuestSnapshot {
        GuestSnapshot(
            time: time, instructions: instructions, processor: processor.snapshot(), memory: memory.snapshot(),
            machine: platform.pc.state, devices: attached.states, timers: timers.pending, console: console.progress,
            transitions: transitions.progress, knowledge: monitor?.knowledge ?? [], resets: resets,
            finalStop: finalStop, effects: effects?.cursor ?? 0)
    }

    /// Brings the guest back to a snapshot of it, or of one that was made and equipped in the same way.
    ///
    /// Throws with nothing changed.
    public func restore(_ snapshot: GuestSnapshot) throws(SnapshotError) {
        try bringBack(snapshot)
        // It goes its own way from here, with its handlers.
        effects?.diverge(at: instructions)
        history?.wasRestored()
    }

    /// Brings a snapshot back; what is known of the time after it stays known.
    func bringBack(_ snapshot: GuestSnapshot) throws(SnapshotError) {
        guard !isRunning else { throw .running }
        let names = attached.entries.map(\.device.name)
        guard snapshot.devices.map(\.name) == names else {
            throw .differentMachine("it has the devices \(snapshot.devices.map(\.name)), the guest \(names)")
        }
        guard snapshot.memory.size == memory.size else {
            throw .differentMachine("it has \(snapshot.memory.size) bytes of memory, the guest \(memory.size)")
        }
        let now = platform.pc.clock.now
        platform.pc.clock.now = snapshot.time
        do throws(PersonalComputer.RestoreError) {
            try platform.pc.restore(snapshot.machine)
        } catch {
            platform.pc.clock.now = now
            throw .differentMachine("its chips are others")
        }
        _ = memory.restore(snapshot.memory)
        processor.restore(snapshot.processor)
        monitor?.stateReplaced(knowledge: snapshot.knowledge)
        for (entry, saved) in zip(attached.entries, snapshot.devices) {
            // The line itself is part of the chips' state.
            entry.device.isRaised = saved.isRaised
            entry.device.state = saved.values
            entry.device.restoreState?(saved.values)
        }
        timers.restore(snapshot.timers)
        console.progress = snapshot.console
        transitions.progress = snapshot.transitions
        if let priced = snapshot.transitions.priced { platform.deviceAccesses = priced.counts.deviceAccesses }
        resets = snapshot.resets
        finalStop = snapshot.finalStop
        stopRequest = nil
        if let effects {
            effects.go(to: snapshot.effects)
            handlers.recall(effects.handlersAhead)
            handlersChanged()
        }
        platform.publish()
    }
}
