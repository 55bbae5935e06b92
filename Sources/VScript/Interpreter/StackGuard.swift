import CHostSupport

/// Knows how much of the thread's stack is left, so that deep scripts end with an error and not with the host.
struct StackGuard {
    /// What is kept free for the host's own functions and for one expression that nests as deep as it may.
    private static let reserve: UInt = 256 << 10

    private let lowest = UInt(host_stack_lowest_address())

    /// Whether there is room for another call.
    var hasRoom: Bool {
        var marker: UInt8 = 0
        // SAFETY: the address is compared, never followed.
        let here = withUnsafeMutablePointer(to: &marker) { UInt(bitPattern: $0) }
        return here > lowest &+ Self.reserve
    }
}
