import Hypervisors
import PCDevices
import X86Engine

/// What a snapshot's file holds besides pages of memory.
struct SnapshotContent: Codable {
    var machine: MachineIdentity
    var time: UInt64
    var processor: [UInt64]
    var isAddressLine20Open: Bool
    var chips: PersonalComputer.State
    var devices: [DeviceState]
    var output: [UInt8]
    var debugOutput: [UInt8]
    var searched: Int
    var inputs: [ExternalInput]
    var replaying: [ExternalInput]
    var typed: Echo
    var transitions: UInt64
    var crossings: [UInt64]
    var hostCrossings: UInt64
    /// What the monitor knew of the guest; absent where that is nothing.
    var knowledge: [UInt64]?
    var resets: Int
    var end: End?

    /// How the guest ended, if it has.
    struct End: Codable {
        var reason: String
        var detail: String
        var time: UInt64
        var instructions: UInt64
        var exitStatus: UInt32?
        var faults: [String]
    }

    init(_ snapshot: GuestSnapshot, of guest: Guest) {
        machine = MachineIdentity(guest)
        time = snapshot.time
        processor = snapshot.processor.words
        isAddressLine20Open = snapshot.memory.isAddressLine20Open
        chips = snapshot.machine
        devices = snapshot.devices
        output = snapshot.console.output
        debugOutput = snapshot.console.debugOutput
        searched = snapshot.console.searched
        inputs = snapshot.console.inputs
        replaying = Array(snapshot.console.replaying)
        typed = snapshot.console.typed
        transitions = snapshot.transitions.sequence
        crossings = snapshot.transitions.crossings.words
        hostCrossings = snapshot.transitions.hostCrossings
        knowledge = snapshot.knowledge.isEmpty ? nil : snapshot.knowledge
        resets = snapshot.resets
        end = snapshot.finalStop.map {
            End(
                reason: $0.reason.rawValue, detail: $0.detail, time: $0.time, instructions: $0.instructions,
                exitStatus: $0.exitStatus, faults: $0.faults)
        }
    }

    /// The snapshot with some memory; nil if the parts do not fit each other.
    func snapshot(_ memory: MemorySnapshot, for guest: Guest) -> GuestSnapshot? {
        guard let processor = guest.processor.snapshot(words: processor), (0...output.count).contains(searched),
            resets >= 0, typed.isPossible, let crossings = CrossingCounters(words: crossings)
        else { return nil }
        var finalStop: Stop?
        if let end {
            guard let reason = Stop.Reason(rawValue: end.reason) else { return nil }
            finalStop = Stop(
                reason: reason, detail: end.detail, event: nil, time: end.time, instructions: end.instructions,
                exitStatus: end.exitStatus, faults: end.faults)
        }
        guard time == processor.time else { return nil }
        return GuestSnapshot(
            time: time, instructions: processor.instructions, processor: processor, memory: memory, machine: chips,
            devices: devices, timers: [],
            console: GuestConsole.Progress(
                output: output, debugOutput: debugOutput, searched: searched, inputs: inputs,
                replaying: replaying[...], typed: typed),
            transitions: TransitionLog.Progress(
                sequence: transitions, crossings: crossings, hostCrossings: hostCrossings),
            knowledge: knowledge ?? [], resets: resets,
            finalStop: finalStop)
    }
}

/// What two machines have in common when a snapshot of one can go on in the other.
struct MachineIdentity: Codable, Equatable {
    var memory: UInt64
    var technique: String
    /// A hash of the processor's model.
    var model: UInt64
    var devices: [String]

    init(_ guest: Guest) {
        memory = guest.memory.size
        technique = guest.configuration.technique.rawValue
        model = guest.configuration.model.fingerprint
        devices = guest.devices.map(\.name)
    }

    /// Why a snapshot of another machine cannot be loaded into this one; nil if it can.
    func objection(to saved: MachineIdentity) -> String? {
        if saved.memory != memory { return "it has \(saved.memory) bytes of memory, the guest \(memory)" }
        if saved.technique != technique { return "its technique is .\(saved.technique), the guest's .\(technique)" }
        if saved.devices != devices { return "it has the devices \(saved.devices), the guest \(devices)" }
        return saved.model == model ? nil : "its processor is another model"
    }
}

extension ProcessorModel {
    /// The same for equal models, in every run of every program.
    fileprivate var fingerprint: UInt64 {
        var hasher = StateHasher()
        hasher.combine(vendor == .intel ? 0 : 1)
        for word in [family, model, stepping, microcodeRevision] { hasher.combine(word) }
        for byte in brand.utf8 { hasher.combine(byte) }
        for feature in features.members { hasher.combine(feature.rawValue) }
        for number in [physicalAddressWidth, processorCount] { hasher.combine(number) }
        for frequency in [timeStampFrequency, crystalFrequency] { hasher.combine(frequency) }
        for (leaf, answer) in leafOverrides.sorted(by: { ($0.key.leaf, $0.key.subleaf) < ($1.key.leaf, $1.key.subleaf) }
        ) {
            let words = [leaf.leaf, leaf.subleaf, answer.eax, answer.ebx, answer.ecx, answer.edx]
            for word in words { hasher.combine(word) }
        }
        return hasher.value
    }
}
