/// The eight segment registers that both extensions save and load with their hidden parts.
enum GuestSegment: Int, CaseIterable {
    case es, cs, ss, ds, fs, gs, ldtr, tr
}

extension Processor {
    /// A segment register with its hidden part.
    func segment(_ register: GuestSegment) -> SegmentState {
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

    /// Replaces a segment register, hidden part and all.
    func setSegment(_ register: GuestSegment, _ value: SegmentState) {
        switch register {
        case .es: state.pointee.es = value
        case .cs: state.pointee.cs = value
        case .ss: state.pointee.ss = value
        case .ds: state.pointee.ds = value
        case .fs: state.pointee.fs = value
        case .gs: state.pointee.gs = value
        case .ldtr: state.pointee.ldtr = value
        case .tr: state.pointee.tr = value
        }
    }
}
