/// One line of the soft TLB: 32 bytes, so that index and offset are shifts.
///
/// A tag is the linear page address, or `invalid`. Accesses compare the page of their *last* byte with the tag of the
/// line chosen by their first, so an access that crosses a page never matches and costs nothing extra.
struct TLBEntry {
    var readTag: UInt64
    var writeTag: UInt64
    var executeTag: UInt64
    /// What to add to a linear address to get the host address.
    var addend: UInt64

    static let invalid: UInt64 = 1
    static let empty = TLBEntry(readTag: invalid, writeTag: invalid, executeTag: invalid, addend: 0)
}

/// Which soft TLB table an access uses; permissions differ between them.
enum TLBContext: Int, CaseIterable {
    /// CPL 0...2 where SMAP forbids data accesses to user pages.
    case supervisor
    /// CPL 0...2 with SMAP off or RFLAGS.AC set.
    case supervisorWithUserAccess
    case user
    /// Never filled: every access takes the slow path (alignment checks, watchpoints on registers and the like).
    case unfilled
    // The same for a guest of VMX or SVM, so that neither entry nor exit need drop anything.
    case guestSupervisor, guestSupervisorWithUserAccess, guestUser, guestUnfilled

    /// The table for the same permissions in a guest.
    @inline(__always)
    var inGuest: TLBContext {
        switch self {
        case .supervisor, .guestSupervisor: .guestSupervisor
        case .supervisorWithUserAccess, .guestSupervisorWithUserAccess: .guestSupervisorWithUserAccess
        case .user, .guestUser: .guestUser
        case .unfilled, .guestUnfilled: .guestUnfilled
        }
    }
}
