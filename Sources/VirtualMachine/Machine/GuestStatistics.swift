import Hypervisors
import X86Engine

/// What a guest and the engine under it have done so far.
public struct GuestStatistics: Equatable, Sendable {
    /// Instructions, REP iterations and deliveries.
    public var instructions: UInt64
    /// Guest time in nanoseconds.
    public var time: UInt64
    /// The part of the guest time in which the processor was halted.
    public var idleTime: UInt64
    /// Deliveries, retries and exits: the engine's own work.
    public var work: UInt64
    /// Changes of privilege level.
    public var transitions: UInt64
    /// Exits to the monitor.
    public var exits: UInt64
    /// Page faults at the monitor that the guest has not seen.
    public var hiddenPageFaults: UInt64
    /// Page faults at the monitor that went on to the guest.
    public var truePageFaults: UInt64
    /// Instructions that the monitor has interpreted because they came to it.
    public var emulatedInstructions: UInt64
    /// Blocks of guest code that the translator has translated, with how many instructions.
    public var translatedBlocks: UInt64
    /// Instructions of the guest's in those blocks.
    public var translatedInstructions: UInt64
    /// Direct branches that lead from translation to translation.
    public var linkedBranches: UInt64
    /// Indirect branches whose target the monitor has looked up.
    public var branchLookUps: UInt64
    /// Writes to code that made translations invalid.
    public var invalidations: UInt64
    /// How often the translation cache was emptied.
    public var cacheFlushes: UInt64
    /// Bytes of the translation cache that are in use.
    public var cacheBytes: UInt64
    /// Accesses to devices, the local APIC apart.
    public var deviceAccesses: UInt64
    /// What all transitions have cost by the cost model, in cycles.
    public var modelledCycles: UInt64
    /// Blocks of code that were decoded.
    public var decodedBlocks: UInt64
    /// How often the machine was reset.
    public var resets: UInt64

    /// The values with their names.
    public var members: [(name: String, value: UInt64)] {
        [
            ("instructions", instructions), ("time", time), ("idleTime", idleTime), ("work", work),
            ("transitions", transitions), ("exits", exits), ("hiddenPageFaults", hiddenPageFaults),
            ("truePageFaults", truePageFaults), ("emulatedInstructions", emulatedInstructions),
            ("translatedBlocks", translatedBlocks), ("translatedInstructions", translatedInstructions),
            ("linkedBranches", linkedBranches), ("branchLookUps", branchLookUps), ("invalidations", invalidations),
            ("cacheFlushes", cacheFlushes), ("cacheBytes", cacheBytes), ("deviceAccesses", deviceAccesses),
            ("modelledCycles", modelledCycles), ("decodedBlocks", decodedBlocks), ("resets", resets),
        ]
    }
}

extension Guest {
    /// What has been done so far.
    public var stats: GuestStatistics {
        let state = processor.state
        let monitored = monitor?.statistics ?? MonitorStatistics()
        let translator = monitor?.translatorStatistics ?? TranslatorStatistics()
        return GuestStatistics(
            instructions: instructions, time: time, idleTime: state.pointee.idleTime, work: state.pointee.work,
            transitions: transitions.count(), exits: transitions.count(cause: "exit"),
            hiddenPageFaults: monitored.hiddenPageFaults, truePageFaults: monitored.truePageFaults,
            emulatedInstructions: monitored.emulated, translatedBlocks: translator.blocks,
            translatedInstructions: translator.instructions, linkedBranches: translator.links,
            branchLookUps: translator.lookUps, invalidations: translator.invalidations,
            cacheFlushes: translator.flushes, cacheBytes: translator.cacheBytes,
            deviceAccesses: platform.deviceAccesses, modelledCycles: modelledCycles,
            decodedBlocks: UInt64(processor.decodedBlocks), resets: UInt64(resets))
    }
}
