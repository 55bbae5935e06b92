import X86
import X86Engine

/// What the descriptors of a guest's own descriptor table may be.
enum GuestDescriptor {
    /// How many pages a guest's descriptor table has at most; selectors above it are the monitor's.
    static let pageLimit: UInt64 = 14
    /// The first selector of the monitor's descriptors.
    static let monitorSelector: UInt16 = 0xE000
    /// Where the table is mapped in the monitor's region.
    static let tableOffset: UInt64 = 0x1_0000

    /// Whether a guest may have a descriptor: code or data of its own levels, no system segment and no gate, nothing that
    /// leads to the monitor.
    ///
    /// Conforming code would run at levels that its DPL does not tell, 64-bit code at ring 1 could reach the monitor's
    /// region.
    static func isAcceptable(_ value: UInt64, isWide: Bool) -> Bool {
        let descriptor = Descriptor(low: value)
        guard descriptor.isPresent else { return true }
        guard descriptor.isCodeOrData, descriptor.descriptorPrivilegeLevel >= (isWide ? 3 : 1),
            !descriptor.isConforming
        else { return false }
        guard descriptor.isCode, descriptor.isLong else { return true }
        return isWide && !descriptor.isDefault32
    }

    /// The descriptor with its accessed flag set: the processor cannot write to the table.
    static func preset(_ value: UInt64) -> UInt64 {
        let descriptor = Descriptor(low: value)
        return descriptor.isPresent && descriptor.isCodeOrData ? value | 1 << 40 : value
    }
}

/// Selectors of the native interface: flat segments that every guest has.
enum FlatSelector {
    static let kernelCode: UInt16 = 0xE029
    static let kernelData: UInt16 = 0xE031
    static let userCode32: UInt16 = 0xE03B
    static let userData: UInt16 = 0xE043
    static let userCode64: UInt16 = 0xE04B

    /// The descriptors' attributes: 32-bit code and data of ring 1, and of ring 3, and 64-bit code of ring 3.
    static let attributes: [UInt16: UInt32] = [
        kernelCode: 0xC0BB, kernelData: 0xC0B3, userCode32: 0xC0FB, userData: 0xC0F3, userCode64: 0xA0FB,
    ]

    /// Whether kernels of a kind have a segment: 64-bit code and the levels of 32-bit kernels exclude each other.
    static func isThere(_ selector: UInt16, isWide: Bool) -> Bool {
        switch selector {
        case kernelCode, kernelData: !isWide
        case userCode64: isWide
        case _: true
        }
    }

    static func segment(_ selector: UInt16) -> SegmentState {
        SegmentState(selector: selector, base: 0, limit: 0xFFFF_FFFF, attributes: attributes[selector] ?? 0)
    }
}
