/// A virtual-machine control structure in guest memory (SDM volume 3 chapter 25).
///
/// Bytes 0...3 revision identifier, 4...7 VMX-abort indicator, 8 launch state; then the fields, eight bytes each, at
/// `VMCSField.offset`.
package enum VMCS {
    /// This engine's layout.
    package static let revisionIdentifier: UInt32 = 0x0056_5301
    package static let size: UInt64 = 4096
    static let headerSize = 128
    static let fieldsInGroup = 31
    static let abortIndicator: UInt64 = 4
    static let launchState: UInt64 = 8
    /// Says in `launchState` that the VMCS has been launched.
    static let launched: UInt64 = 1
}

extension Processor {
    /// Reads a field of the current VMCS; 0 if there is none.
    package func readVMCS(_ field: VMCSField) -> UInt64 {
        let vmcs = state.pointee.virtualization.vmx.currentVMCS
        guard let page = memory.pageIndex(vmcs) else { return 0 }
        // SAFETY: every field lies inside the page.
        return (memory.pointer(toPage: page) + field.offset).load(as: UInt64.self) & field.mask
    }

    /// Writes a field of the current VMCS, read-only ones too.
    package func writeVMCS(_ field: VMCSField, _ value: UInt64) {
        let vmcs = state.pointee.virtualization.vmx.currentVMCS
        guard let page = memory.pageIndex(vmcs) else { return }
        guard memory.pageFlags[page].isDisjoint(with: .slowWrite) else {
            return writePhysical(vmcs &+ UInt64(field.offset), value & field.mask, width: 8)
        }
        // SAFETY: every field lies inside the page.
        (memory.pointer(toPage: page) + field.offset).storeBytes(of: value & field.mask, as: UInt64.self)
        memory.pageFlags[page].insert(.dirty)
    }
}
