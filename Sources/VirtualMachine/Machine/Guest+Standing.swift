extension Guest {
    /// Where the guest stands, as if a run of no instructions had just ended.
    package var standing: Stop {
        Stop(
            reason: .instructions, detail: "", event: nil, time: time, instructions: instructions, exitStatus: nil,
            faults: [])
    }
}

extension Guest {
    /// Where the guest stands, as an event: before the instruction that comes next.
    package var presentEvent: GuestEvent { makeEvent(.exec) }
}
