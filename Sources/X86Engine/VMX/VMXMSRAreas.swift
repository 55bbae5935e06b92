// MSR areas of VM entries and exits (SDM vol. 3 sections 25.7.2, 25.8.2, 27.4 and 28.4): entries of 16 bytes, index,
// reserved, value.

extension Processor {
    /// Loads the MSRs of a list; nil, or the number (from 1) of the first entry that cannot be loaded.
    func loadMSRs(_ addressField: VMCSField, _ countField: VMCSField) -> UInt32? {
        let count = UInt32(truncatingIfNeeded: readVMCS(countField))
        guard count > 0 else { return nil }
        let start = readVMCS(addressField)
        for number in 0..<min(count, VMXCapabilities.maximumMSRCount) {
            let address = (start &+ UInt64(number) &* 16) & memory.addressLineMask
            let first = readPhysical(address, width: 8)
            let index = UInt32(truncatingIfNeeded: first)
            // FS.base and GS.base come with the segments; x2APIC registers and SMBASE are not for lists.
            let isForbidden = index == MSR.fsBase || index == MSR.gsBase || MSR.x2apic.contains(index) || index == 0x9E
            guard first >> 32 == 0, !isForbidden, canLoad(index),
                writeMSR(index, readPhysical((address &+ 8) & memory.addressLineMask, width: 8))
            else { return number + 1 }
        }
        return count > VMXCapabilities.maximumMSRCount ? VMXCapabilities.maximumMSRCount + 1 : nil
    }

    /// What only software may write: microcode updates.
    private func canLoad(_ index: UInt32) -> Bool { index != MSR.microcodeUpdate && index != MSR.microcodeRevision }

    /// Stores the MSRs of a list; false if one cannot be.
    func storeMSRs(_ addressField: VMCSField, _ countField: VMCSField) -> Bool {
        let count = UInt32(truncatingIfNeeded: readVMCS(countField))
        guard count > 0 else { return true }
        guard count <= VMXCapabilities.maximumMSRCount else { return false }
        let start = readVMCS(addressField)
        for number in 0..<count {
            let address = (start &+ UInt64(number) &* 16) & memory.addressLineMask
            let first = readPhysical(address, width: 8)
            let index = UInt32(truncatingIfNeeded: first)
            guard first >> 32 == 0, !MSR.x2apic.contains(index), index != 0x9E, let value = readMSR(index) else {
                return false
            }
            writePhysical((address &+ 8) & memory.addressLineMask, value, width: 8)
        }
        return true
    }
}
