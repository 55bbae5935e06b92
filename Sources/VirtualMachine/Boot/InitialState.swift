/// What a logical processor holds when a loader hands the machine to the guest.
///
/// Plain data with the names of the Intel SDM (vol. 3 chapters 2 and 3); whatever is not named here keeps its value
/// after RESET (SDM volume 3, table 9-1). The defaults are those of an idle processor in real-address mode.
package struct InitialState: Equatable, Sendable {
    package var rax: UInt64 = 0
    package var rcx: UInt64 = 0
    package var rdx: UInt64 = 0
    package var rbx: UInt64 = 0
    package var rsp: UInt64 = 0
    package var rbp: UInt64 = 0
    package var rsi: UInt64 = 0
    package var rdi: UInt64 = 0
    package var r8: UInt64 = 0
    package var r9: UInt64 = 0
    package var r10: UInt64 = 0
    package var r11: UInt64 = 0
    package var r12: UInt64 = 0
    package var r13: UInt64 = 0
    package var r14: UInt64 = 0
    package var r15: UInt64 = 0
    package var rip: UInt64 = 0
    /// Bit 1 is always set.
    package var rflags: UInt64 = 0x2

    package var es = Segment.realModeData
    package var cs = Segment.realModeCode
    package var ss = Segment.realModeData
    package var ds = Segment.realModeData
    package var fs = Segment.realModeData
    package var gs = Segment.realModeData
    package var ldtr = Segment(selector: 0, base: 0, limit: 0xFFFF, attributes: 0x82)
    package var tr = Segment(selector: 0, base: 0, limit: 0xFFFF, attributes: 0x8B)
    package var gdtr = DescriptorTable(base: 0, limit: 0xFFFF)
    package var idtr = DescriptorTable(base: 0, limit: 0x3FF)

    /// ET alone: caches on, no paging, no protection.
    package var cr0: UInt64 = 0x10
    package var cr3: UInt64 = 0
    package var cr4: UInt64 = 0
    package var efer: UInt64 = 0
    package var star: UInt64 = 0
    package var lstar: UInt64 = 0
    package var fmask: UInt64 = 0
    package var sysenterCS: UInt64 = 0
    package var sysenterESP: UInt64 = 0
    package var sysenterEIP: UInt64 = 0

    /// Makes the state of an idle processor in real-address mode at 0000:0000.
    package init() {}

    /// The privilege level: the DPL of SS, 0 in real-address mode (SDM volume 3, section 5.5).
    package var cpl: UInt8 { cr0 & 1 == 0 ? 0 : UInt8(truncatingIfNeeded: ss.attributes >> 5 & 3) }

    /// A segment register, LDTR or TR with its hidden part.
    package struct Segment: Equatable, Sendable {
        package var selector: UInt16
        package var base: UInt64
        /// In bytes, granularity already applied.
        package var limit: UInt32
        /// Access rights as a VMCS holds them (SDM volume 3, section 25.4.1): type in bits 0...3, S 4, DPL 5...6, P 7,
        /// AVL 12, L 13, D/B 14, G 15, unusable 16.
        package var attributes: UInt32

        package init(selector: UInt16, base: UInt64, limit: UInt32, attributes: UInt32) {
            self.selector = selector
            self.base = base
            self.limit = limit
            self.attributes = attributes
        }

        /// Readable code at address 0 as RESET leaves segments, but for its base.
        package static let realModeCode = Segment(selector: 0, base: 0, limit: 0xFFFF, attributes: 0x9B)
        /// Writable data at address 0 as RESET leaves segments.
        package static let realModeData = Segment(selector: 0, base: 0, limit: 0xFFFF, attributes: 0x93)
        /// A segment register loaded with a null selector.
        package static let null = Segment(selector: 0, base: 0, limit: 0, attributes: 0x1_0000)
    }

    /// GDTR or IDTR.
    package struct DescriptorTable: Equatable, Sendable {
        package var base: UInt64
        /// The offset of the table's last byte.
        package var limit: UInt16

        package init(base: UInt64, limit: UInt16) {
            self.base = base
            self.limit = limit
        }
    }
}
