import Hypervisors
import X86Engine

extension Guest {
    /// Stops the guest under its hypervisor and lets it go on under another, or on the bare machine.
    ///
    /// What the guest can see does not change, its processor's identification included; so it does the same from here on
    /// as it would have done. Throws, with nothing changed, while the guest runs, if a machine with the guest's processor
    /// cannot carry the technique, and if one of the two is paravirtual.
    public func move(to hypervisor: HypervisorConfiguration) throws(GuestError) {
        guard !isRunning else {
            throw .configuration("the guest is running: it moves between two runs")
        }
        do throws(HypervisorConfiguration.Objection) {
            try hypervisor.check()
            try hypervisor.check(configuration.model)
        } catch {
            throw .configuration(error.text)
        }
        guard
            hypervisor == configuration.hypervisor
                || hypervisor.technique != .paravirtual && configuration.technique != .paravirtual
        else {
            throw .configuration("a paravirtual kernel speaks to its hypervisor, and runs under no other technique")
        }
        guard configuration.technique != .paravirtual else { return }
        let (former, priced) = (configuration.hypervisor, pricedCounts)
        leaveMonitor()
        do throws(GuestError) {
            try enterMonitor(hypervisor)
        } catch {
            // What could be made once can be made again.
            try enterMonitor(former)
            throw error
        }
        transitions.former = priced
        transitions.goOn(under: hypervisor)
    }

    /// Gives the machine back as it was before there was a monitor.
    private func leaveMonitor() {
        guard let former = monitor else { return }
        former.leave()
        transitions.keepCrossings()
        monitor = nil
        for page in Int(memory.size >> 12)..<Int(machineMemory.size >> 12) { machineMemory.clear(page: page) }
        processor.updateMode()
        processor.flushTLB()
    }

    private func enterMonitor(_ hypervisor: HypervisorConfiguration) throws(GuestError) {
        var next = configuration
        next.hypervisor = hypervisor
        monitor = try next.makeMonitor(processor, machineMemory)
        configuration = next
        processor.updateMode()
        processor.flushTLB()
        connectHost()
        handlersChanged()
    }
}
