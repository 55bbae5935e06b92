import Hypervisors
import X86Engine

extension Guest {
    /// The way of an address through the tables of the monitor: of the guest-physical one with second-level tables, of
    /// the linear one with shadow page tables.
    func monitorWalk(_ linear: UInt64, _ physical: UInt64?) -> PageWalk.MonitorWalk? {
        guard let machine = monitor?.machine else { return nil }
        switch (configuration.technique, configuration.hypervisor.effectivePaging) {
        case (.vmx, .nested):
            guard let physical, machine.state.pointee.virtualization.vmx.currentVMCS != .max else { return nil }
            return tableWalk("EPT", physical, root: machine.readVMCS(.eptPointer), isExtended: true)
        case (.svm, .nested):
            guard let physical, machine.currentVMCB != .max else { return nil }
            return tableWalk("NPT", physical, root: machine.readVMCB(.nestedCR3), isExtended: false)
        case (.vmx, .shadow), (.svm, .shadow):
            // Three levels below a guest that is not in long mode start from pointers elsewhere.
            guard machine.state.pointee.efer & EFER.LMA != 0 else { return nil }
            return tableWalk("shadow", linear, root: machine.state.pointee.cr3, isExtended: false)
        case (.trapAndEmulate, _), (.translate, _):
            guard machine.state.pointee.cr3 != 0 else { return nil }
            return tableWalk("shadow", linear, root: machine.state.pointee.cr3, isExtended: false)
        case (.bare, _), (.paravirtual, _), (.vmx, _), (.svm, _): return nil
        }
    }

    /// Four levels from a root in the machine's memory (SDM volume 3 sections 4.5 and 29.3.2, APM volume 2 section 15.25).
    private func tableWalk(
        _ name: String, _ address: UInt64, root: UInt64, isExtended: Bool
    ) -> PageWalk.MonitorWalk {
        var walk = PageWalk.MonitorWalk(name: name, steps: [], physical: nil)
        var table = root & 0x000F_FFFF_FFFF_F000
        for level in (1...4).reversed() {
            let shift = UInt64(12 + 9 * (level - 1))
            let place = table + (address >> shift & 0x1FF) * 8
            let entry = machineMemory.quadword(at: place)
            let flags = isExtended ? Self.extendedFlags(of: entry, level) : CPUView.flags(of: entry, level: level)
            walk.steps.append(
                PageWalk.Step(
                    name: CPUView.entryName(level), level: level, address: place, entry: entry, flags: flags))
            guard entry & (isExtended ? 7 : PageEntry.P) != 0 else { return walk }
            table = entry & 0x000F_FFFF_FFFF_F000
            guard level == 1 || (level < 4 && entry & PageEntry.PS != 0) else { continue }
            let mask = UInt64(1) << shift - 1
            walk.physical = table & ~mask | address & mask
            return walk
        }
        return walk
    }

    /// What an EPT entry allows, and its memory type.
    ///
    /// SDM volume 3 tables 29-1 to 29-7.
    private static func extendedFlags(of entry: UInt64, _ level: Int) -> [String] {
        var names = zip(["R", "W", "X"], 0...2).filter { entry >> UInt64($1) & 1 != 0 }.map(\.0)
        let isLeaf = level == 1 || entry & PageEntry.PS != 0
        if level > 1 && level < 4 && entry & PageEntry.PS != 0 { names.append("PS") }
        if isLeaf && entry & 7 != 0 {
            let types = ["UC", "WC", "type 2", "type 3", "WT", "WP", "WB", "type 7"]
            names.append(types[Int(entry >> 3 & 7)])
        }
        return names
    }
}
