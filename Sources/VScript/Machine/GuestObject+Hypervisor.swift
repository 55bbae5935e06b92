import VirtualMachine

/// What scripts do with a guest as one of several on a hypervisor.
extension GuestObject {
    static let hypervisorProperties: [Property<GuestObject>] = [
        Property("hypervisor", "What it runs on, or nil.") { guest in
            guest.hypervisor.map { .object($0) } ?? .nil
        },
        Property(
            "weight", "How much of its hypervisor's processor it gets in relation to the other guests, 1...65536.",
            set: { guest, value in
                let weights = GuestScheduler.Share.weights
                guard case .int(let number) = value, let weight = Int(exactly: number), weights.contains(weight) else {
                    throw HostFailure(.outOfRange, "`weight` is an int in 1...65536, not \(value.text)")
                }
                guest.share.weight = weight
                try guest.shareChanged()
            }
        ) { .integer($0.share.weight) },
        Property(
            "cap", "The most it gets of its hypervisor's processor in percent, 1...100, or nil.",
            set: { guest, value in
                if value.isNil {
                    guest.share.cap = nil
                } else {
                    let caps = GuestScheduler.Share.caps
                    guard case .int(let number) = value, let cap = Int(exactly: number), caps.contains(cap) else {
                        throw HostFailure(.outOfRange, "`cap` is an int in 1...100 or nil, not \(value.text)")
                    }
                    guest.share.cap = cap
                }
                try guest.shareChanged()
            }
        ) { $0.share.cap.map { .integer($0) } ?? .nil },
        Property(
            "consumed", "What it has had of its hypervisor's processor in `hypervisor.run`, in instructions, or nil."
        ) { guest in
            guest.hypervisor?.scheduler.consumed(by: guest.guest).map { .integer($0) } ?? .nil
        },
    ]

    static let hypervisorMethods: [Builtin<GuestObject>] = [
        Builtin(
            "move(to)",
            "Goes on under another hypervisor, or on the bare machine with nil, as if nothing had happened."
        ) { guest, arguments in
            try guest.checkIdle()
            switch arguments.value(0) {
            case nil: try guest.move(to: nil)
            case .object(let object):
                guard let hypervisor = object as? HypervisorObject else { fallthrough }
                try guest.move(to: hypervisor)
            case .some: throw arguments.wrongType(0, "a hypervisor or nil")
            }
            return .nil
        }
    ]

    private func shareChanged() throws(HostFailure) {
        guard let hypervisor else {
            throw HostFailure(.wrongOperand, "`\(name)` is on no hypervisor that could share its processor")
        }
        try hypervisor.setShare(of: self)
    }

    /// Lets the guest go on under another hypervisor, with nothing changed if that cannot carry it.
    private func move(to other: HypervisorObject?) throws(HostFailure) {
        guard other !== hypervisor else { return }
        let (here, there) = (hypervisor?.host, other?.host)
        let clock = guest.configuration.cpu.clock
        if let there, let rate = there.clock, rate != clock {
            throw HostFailure(
                .impossibleCombination, "the time-stamp counters of \(there.name) run at \(rate) Hz",
                notes: ["the guest keeps its processor, which counts at \(clock) Hz"], argument: 0)
        }
        if there !== here, let there, !there.take(guest.configuration.memory) {
            throw HostFailure(
                .impossibleCombination, "the guests on \(there.name) need more than its memory",
                notes: ["it has \(there.memory ?? 0) bytes, and \(there.used) of them are taken"], argument: 0)
        }
        let configuration = other?.configuration ?? HypervisorConfiguration()
        do throws(GuestError) { try guest.move(to: configuration) } catch {
            if there !== here { there?.giveBack(guest.configuration.memory) }
            throw HostFailure(.impossibleCombination, error.description, argument: 0)
        }
        if there !== here { here?.giveBack(guest.configuration.memory) }
        hypervisor?.remove(self)
        hypervisor = other
        try other?.add(self)
    }
}
