import Hypervisors
import X86Engine

extension GuestConfiguration {
    /// The bytes of the machine's memory that the technique's monitor takes; 0 without a monitor.
    var monitorSize: UInt64 {
        switch technique {
        case .bare: 0
        case .trapAndEmulate, .translate, .paravirtual: SoftwareMonitor.memorySize
        case .vmx, .svm: HardwareMonitor.memorySize(hypervisor.effectivePaging ?? .shadow, guestMemory: memory)
        }
    }

    /// Makes the technique's monitor, nil for the bare machine.
    func makeMonitor(
        _ guest: Processor, _ machineMemory: PhysicalMemory
    ) throws(GuestError) -> (any GuestMonitor)? {
        switch technique {
        case .bare: return nil
        case .trapAndEmulate, .translate, .paravirtual:
            return SoftwareMonitor(
                technique: technique, guest: guest, machineMemory: machineMemory, tlbEntries: tlbEntries,
                usesBlocks: usesBlockCache)
        case .vmx, .svm:
            let monitor = HardwareMonitor(
                technique: technique, paging: hypervisor.effectivePaging ?? .shadow, guest: guest,
                machineMemory: machineMemory, tlbEntries: tlbEntries, usesBlocks: usesBlockCache)
            guard let monitor else {
                throw .configuration("a machine with the guest's processor cannot carry .\(technique.rawValue)")
            }
            return monitor
        }
    }
}
