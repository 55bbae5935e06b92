import X86

/// The eight segment registers of the guest-state area, in the order of their fields.
enum VMXSegment: Int, CaseIterable {
    case es, cs, ss, ds, fs, gs, ldtr, tr

    static let all = allCases

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
    /// A segment register by its place in the guest-state area.
    func segment(_ register: VMXSegment) -> SegmentState {
        switch register {
        case .es: state.pointee.es
        case .cs: state.pointee.cs
        case .ss: state.pointee.ss
        case .ds: state.pointee.ds
        case .fs: state.pointee.fs
        case .gs: state.pointee.gs
        case .ldtr: state.pointee.ldtr
        case .tr: state.pointee.tr
        }
    }

    /// A segment register as the guest-state area holds it.
    func segmentInVMCS(_ register: VMXSegment) -> SegmentState {
        let fields = VMXSegment.fields[register.rawValue]
        return SegmentState(
            selector: UInt16(truncatingIfNeeded: readVMCS(fields.selector)), base: readVMCS(fields.base),
            limit: UInt32(truncatingIfNeeded: readVMCS(fields.limit)),
            attributes: UInt32(truncatingIfNeeded: readVMCS(fields.accessRights)))
    }
}
