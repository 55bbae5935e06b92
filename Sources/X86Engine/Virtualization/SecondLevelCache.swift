/// Recent second-level translations, so that the page walk of a guest costs little more than that of a host.
///
/// Kept coherent with the tables like the soft TLB, so its size cannot be observed.
final class SecondLevelCache {
    /// The translation that the entries belong to.
    var current: SecondLevel?
    private let lines: UnsafeMutablePointer<Line>
    /// In every tag; a flush takes the next one.
    private var generation: UInt64 = 1

    private struct Line {
        /// The guest's page number below, the generation from bit 40 on.
        var tag: UInt64 = 0
        /// The host-physical page address, with permissions in bits 0...2 and `dirty`.
        var frame: UInt64 = 0
    }

    private static let dirty: UInt64 = 8
    private static let count = 2048

    init() {
        lines = .allocate(capacity: Self.count)
        lines.initialize(repeating: Line(), count: Self.count)
    }

    deinit { lines.deallocate() }

    @inline(__always)
    func find(_ guest: UInt64, wanted: UInt8) -> SecondLevelTranslation? {
        let page = guest >> 12
        let line = lines[Int(truncatingIfNeeded: page) & (Self.count - 1)]
        let permissions = UInt8(truncatingIfNeeded: line.frame & 7)
        guard line.tag == page | generation << 40, permissions & wanted == wanted,
            wanted & 2 == 0 || line.frame & Self.dirty != 0
        else { return nil }
        return SecondLevelTranslation(physical: line.frame & ~0xFFF | guest & 0xFFF, permissions: permissions)
    }

    func fill(_ guest: UInt64, _ translation: SecondLevelTranslation, isDirty: Bool) {
        let page = guest >> 12
        lines[Int(truncatingIfNeeded: page) & (Self.count - 1)] = Line(
            tag: page | generation << 40,
            frame: translation.physical & ~0xFFF | UInt64(translation.permissions) | (isDirty ? Self.dirty : 0))
    }

    /// Forgets everything.
    func flush() {
        generation &+= 1
        guard generation >> 24 != 0 else { return }
        generation = 1
        lines.update(repeating: Line(), count: Self.count)
    }
}
