/// A segment register with its hidden part, or LDTR or TR.
///
/// SDM vol. 3 section 3.4.3.
package struct SegmentState: Equatable, Sendable {
    package var base: UInt64 = 0
    /// In bytes, granularity already applied.
    package var limit: UInt32 = 0
    /// Access rights as in the VMCS: type 0...3, S 4, DPL 5...6, P 7, AVL 12, L 13, D/B 14, G 15, unusable 16.
    package var attributes: UInt32 = 0
    package var selector: UInt16 = 0
    private var padding: (UInt16, UInt32) = (0, 0)

    package init() {}

    package init(selector: UInt16, base: UInt64, limit: UInt32, attributes: UInt32) {
        self.selector = selector
        self.base = base
        self.limit = limit
        self.attributes = attributes
    }

    package static func == (lhs: SegmentState, rhs: SegmentState) -> Bool {
        lhs.base == rhs.base && lhs.limit == rhs.limit && lhs.attributes == rhs.attributes
            && lhs.selector == rhs.selector
    }

    /// The four type bits.
    ///
    /// SDM vol. 3 section 3.4.5.1 and 3.5.
    package var type: UInt32 { attributes & 0xF }
    /// S: code or data rather than a system descriptor.
    package var isCodeOrData: Bool { attributes & 0x10 != 0 }
    package var isCode: Bool { attributes & 0x18 == 0x18 }
    package var isConforming: Bool { attributes & 0x1C == 0x1C }
    /// Data segments: writable.
    ///
    /// Code segments: readable.
    package var isWritableOrReadable: Bool { attributes & 0x2 != 0 }
    package var isExpandDown: Bool { attributes & 0x1C == 0x14 }
    package var descriptorPrivilegeLevel: UInt8 { UInt8(truncatingIfNeeded: attributes >> 5 & 3) }
    package var isPresent: Bool { attributes & 0x80 != 0 }
    /// L: 64-bit code.
    package var isLong: Bool { attributes & 0x2000 != 0 }
    /// D/B: 32-bit code, stack pointer or upper bound.
    package var isDefault32: Bool { attributes & 0x4000 != 0 }
    /// Loaded with a null selector, or by VM entry as unusable.
    package var isUnusable: Bool { attributes & 0x1_0000 != 0 }

    /// The marker in `attributes` of a segment that must not be used.
    package static let unusable: UInt32 = 0x1_0000
}

/// GDTR or IDTR.
package struct DescriptorTableRegister: Equatable, Sendable {
    package var base: UInt64 = 0
    package var limit: UInt16 = 0
    package init() {}
    package init(base: UInt64, limit: UInt16) {
        self.base = base
        self.limit = limit
    }
}
