import Hypervisors
import X86Engine

extension GuestConfiguration {
    /// The bytes of the machine's memory behind the guest's that a monitor of any technique can do with, so that guests
    /// can move.
    static func monitorSize(memory: UInt64) -> UInt64 {
        Paging.allCases.reduce(SoftwareMonitor.memorySize) {
            max($0, HardwareMonitor.memorySize($1, guestMemory: memory))
        }
    }

    /// Makes the technique's monitor, nil for the bare machine.
    func makeMonitor(
        _ guest: Processor, _ machineMemory: PhysicalMemory
    ) throws(GuestError) -> (any GuestMonitor)? {
        switch technique {
        case .bare: return nil
        case .paravirtual:
            return ParavirtualMonitor(
                interface: hypervisor.interface, guest: guest, machineMemory: machineMemory, tlbEntries: tlbEntries,
                usesBlocks: usesBlockCache)
        case .trapAndEmulate, .translate:
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
