import X86

// Where the guest-state area holds the segment registers.

extension GuestSegment {
    /// The four fields of a segment register.
    struct Fields {
        var selector: VMCSField
        var base: VMCSField
        var limit: VMCSField
        var accessRights: VMCSField
    }

    static let fields: [Fields] = [
        Fields(
            selector: .guestES, base: .guestESBase, limit: .guestESLimit, accessRights: .guestESAccessRights),
        Fields(
            selector: .guestCS, base: .guestCSBase, limit: .guestCSLimit, accessRights: .guestCSAccessRights),
        Fields(
            selector: .guestSS, base: .guestSSBase, limit: .guestSSLimit, accessRights: .guestSSAccessRights),
        Fields(
            selector: .guestDS, base: .guestDSBase, limit: .guestDSLimit, accessRights: .guestDSAccessRights),
        Fields(
            selector: .guestFS, base: .guestFSBase, limit: .guestFSLimit, accessRights: .guestFSAccessRights),
        Fields(
            selector: .guestGS, base: .guestGSBase, limit: .guestGSLimit, accessRights: .guestGSAccessRights),
        Fields(
            selector: .guestLDTR, base: .guestLDTRBase, limit: .guestLDTRLimit, accessRights: .guestLDTRAccessRights),
        Fields(
            selector: .guestTR, base: .guestTRBase, limit: .guestTRLimit, accessRights: .guestTRAccessRights),
    ]
}

extension Processor {
    /// A segment register as the guest-state area holds it.
    func segmentInVMCS(_ register: GuestSegment) -> SegmentState {
        let fields = GuestSegment.fields[register.rawValue]
        return SegmentState(
            selector: UInt16(truncatingIfNeeded: readVMCS(fields.selector)), base: readVMCS(fields.base),
            limit: UInt32(truncatingIfNeeded: readVMCS(fields.limit)),
            attributes: UInt32(truncatingIfNeeded: readVMCS(fields.accessRights)))
    }
}
