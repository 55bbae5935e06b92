/// A code or data segment, LDT or TSS as its descriptor describes it (SDM volume 3, section 3.4.5).
package struct SegmentDescriptor: Equatable, Sendable {
    package var base: UInt64
    /// In bytes; more than 1 MiB must end with twelve one bits.
    package var limit: UInt32
    /// The access rights byte: type, S, DPL, P.
    package var access: UInt8
    /// 64-bit code.
    package var isLong = false
    /// 32-bit code, stack pointer or upper bound.
    package var isDefault32 = false

    package init(base: UInt64, limit: UInt32, access: UInt8, isLong: Bool = false, isDefault32: Bool = false) {
        self.base = base
        self.limit = limit
        self.access = access
        self.isLong = isLong
        self.isDefault32 = isDefault32
    }

    /// Readable code from 0 to 4 GiB, marked as accessed; `bits` is 16, 32 or 64.
    package static func code(bits: Int, privilege: UInt8) -> SegmentDescriptor {
        SegmentDescriptor(
            base: 0, limit: .max, access: 0x9B | privilege << 5, isLong: bits == 64, isDefault32: bits == 32)
    }

    /// Writable data from 0 to 4 GiB, marked as accessed.
    package static func data(privilege: UInt8) -> SegmentDescriptor {
        SegmentDescriptor(base: 0, limit: .max, access: 0x93 | privilege << 5, isDefault32: true)
    }

    /// A 32-bit or 64-bit TSS; a busy one is the current task's.
    package static func taskState(base: UInt64, limit: UInt32, isBusy: Bool) -> SegmentDescriptor {
        SegmentDescriptor(base: base, limit: limit, access: isBusy ? 0x8B : 0x89)
    }

    /// Limits that do not fit into 20 bits are stored in pages.
    private var isGranular: Bool { limit > 0xF_FFFF }

    /// The descriptor's eight bytes as an integer.
    package var encoded: UInt64 {
        let limit = UInt64(isGranular ? self.limit >> 12 : self.limit)
        let flags: UInt64 = (isGranular ? 8 : 0) | (isDefault32 ? 4 : 0) | (isLong ? 2 : 0)
        let low = limit & 0xFFFF | (base & 0xFF_FFFF) << 16
        return low | UInt64(access) << 40 | (limit >> 16) << 48 | flags << 52 | (base >> 24 & 0xFF) << 56
    }

    /// The second eight bytes of a TSS or LDT descriptor in long mode: the upper half of the base.
    package var encodedUpper: UInt64 { base >> 32 }

    /// The segment register after the descriptor was loaded through a selector.
    package func loaded(_ selector: UInt16) -> InitialState.Segment {
        let flags: UInt32 = (isLong ? 0x2000 : 0) | (isDefault32 ? 0x4000 : 0) | (isGranular ? 0x8000 : 0)
        return InitialState.Segment(selector: selector, base: base, limit: limit, attributes: UInt32(access) | flags)
    }
}

/// A call, interrupt, trap or task gate (SDM volume 3, sections 5.8.3, 6.11 and 6.14.1).
package struct GateDescriptor: Equatable, Sendable {
    /// The four type bits of 32-bit gates, which 64-bit mode uses for its 64-bit gates.
    package enum Kind: UInt8, Sendable {
        case task = 0x5
        case call = 0xC
        case interrupt = 0xE
        case trap = 0xF
    }

    package var kind: Kind
    package var selector: UInt16
    package var offset: UInt64
    package var privilege: UInt8
    package var isPresent = true
    /// Call gates of protected mode: doublewords to copy, 0...31; 64-bit interrupt and trap gates: IST, 0...7.
    package var count: UInt8 = 0

    package init(
        _ kind: Kind, selector: UInt16, offset: UInt64, privilege: UInt8, isPresent: Bool = true, count: UInt8 = 0
    ) {
        self.kind = kind
        self.selector = selector
        self.offset = offset
        self.privilege = privilege
        self.isPresent = isPresent
        self.count = count
    }

    /// The gate's first eight bytes as an integer; all of it outside long mode.
    package var encoded: UInt64 {
        let access = UInt64(kind.rawValue | privilege << 5 | (isPresent ? 0x80 : 0))
        let low = offset & 0xFFFF | UInt64(selector) << 16 | UInt64(count) << 32
        return low | access << 40 | (offset >> 16 & 0xFFFF) << 48
    }

    /// The second eight bytes of a gate in long mode: the upper half of the offset.
    package var encodedUpper: UInt64 { offset >> 32 }
}
