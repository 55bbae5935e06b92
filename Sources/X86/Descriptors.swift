/// The types of system descriptors and gates (SDM volume 3 table 3-2), the four type bits with S = 0.
package enum SystemDescriptorType {
    package static let availableTSS16: UInt8 = 1
    package static let ldt: UInt8 = 2
    package static let busyTSS16: UInt8 = 3
    package static let callGate16: UInt8 = 4
    package static let taskGate: UInt8 = 5
    package static let interruptGate16: UInt8 = 6
    package static let trapGate16: UInt8 = 7
    /// The 64-bit TSS in IA-32e mode.
    package static let availableTSS32: UInt8 = 9
    package static let busyTSS32: UInt8 = 11
    /// The 64-bit call gate in IA-32e mode.
    package static let callGate32: UInt8 = 12
    package static let interruptGate32: UInt8 = 14
    package static let trapGate32: UInt8 = 15
}

/// A segment selector (SDM volume 3 section 3.4.2).
package struct Selector: Equatable, Sendable {
    package var rawValue: UInt16
    package init(_ rawValue: UInt16) { self.rawValue = rawValue }

    /// Null: index and table indicator are zero, whatever the RPL.
    package var isNull: Bool { rawValue & ~3 == 0 }
    package var requestedPrivilegeLevel: UInt8 { UInt8(truncatingIfNeeded: rawValue & 3) }
    package var isLocal: Bool { rawValue & 4 != 0 }
    /// The byte offset of the descriptor in its table.
    package var offset: UInt64 { UInt64(rawValue & ~7) }
    /// The form in which error codes name the selector (SDM volume 3 section 6.13).
    package var errorCode: UInt32 { UInt32(rawValue & ~3) }

    /// The same selector with another RPL.
    package func with(requestedPrivilegeLevel level: UInt8) -> Selector { Selector(rawValue & ~3 | UInt16(level & 3)) }
}

/// An entry of the GDT, an LDT or the IDT: 8 bytes, or 16 for system descriptors and gates in IA-32e mode.
///
/// SDM volume 3 sections 3.4.5, 3.5, 5.8.3, 6.11 and 6.14.1.
package struct Descriptor: Equatable, Sendable {
    package var low: UInt64
    /// The second half of a 16-byte descriptor, else 0.
    package var high: UInt64

    package init(low: UInt64, high: UInt64 = 0) {
        self.low = low
        self.high = high
    }

    /// A code or data segment; `attributes` has the layout of the access-rights field of the VMCS (bits 0...7, 12...15).
    package init(base: UInt32, limit: UInt32, attributes: UInt32) {
        let base = UInt64(base)
        let limit = UInt64(attributes & 0x8000 != 0 ? limit >> 12 : limit)
        low =
            limit & 0xFFFF | (base & 0xFF_FFFF) << 16 | UInt64(attributes & 0xF0FF) << 40 | (limit >> 16 & 0xF) << 48
            | (base >> 24) << 56
        high = 0
    }

    /// A call, interrupt, trap or task gate; `count` is the parameter count of a call gate or the IST index.
    package init(
        gate type: UInt8, selector: UInt16, offset: UInt64, descriptorPrivilegeLevel: UInt8, count: UInt8 = 0,
        isPresent: Bool = true
    ) {
        low =
            offset & 0xFFFF | UInt64(selector) << 16 | UInt64(count & 31) << 32 | UInt64(type & 0xF) << 40
            | UInt64(descriptorPrivilegeLevel & 3) << 45 | (isPresent ? 1 << 47 : 0) | (offset >> 16 & 0xFFFF) << 48
        high = offset >> 32
    }

    // What all descriptors have in common.

    package var type: UInt8 { UInt8(truncatingIfNeeded: low >> 40 & 0xF) }
    /// S: a code or data segment.
    package var isCodeOrData: Bool { low >> 44 & 1 != 0 }
    package var descriptorPrivilegeLevel: UInt8 { UInt8(truncatingIfNeeded: low >> 45 & 3) }
    package var isPresent: Bool { low >> 47 & 1 != 0 }

    // Segments.

    package var isCode: Bool { low >> 43 & 3 == 3 }
    package var isData: Bool { low >> 43 & 3 == 2 }
    package var isConforming: Bool { low >> 42 & 7 == 7 }
    package var isReadableCode: Bool { isCode && low >> 41 & 1 != 0 }
    package var isWritableData: Bool { isData && low >> 41 & 1 != 0 }
    package var isAccessed: Bool { low >> 40 & 1 != 0 }
    /// L: 64-bit code.
    package var isLong: Bool { low >> 53 & 1 != 0 }
    /// D/B.
    package var isDefault32: Bool { low >> 54 & 1 != 0 }
    /// The limit in bytes, granularity applied.
    package var limit: UInt32 {
        let field = UInt32(truncatingIfNeeded: low & 0xFFFF | low >> 32 & 0xF_0000)
        return low >> 55 & 1 != 0 ? field << 12 | 0xFFF : field
    }
    /// The base, 64 bits wide for 16-byte descriptors.
    package var base: UInt64 { low >> 16 & 0xFF_FFFF | low >> 32 & 0xFF00_0000 | high << 32 }
    /// Access rights as in the VMCS: type 0...3, S 4, DPL 5...6, P 7, AVL 12, L 13, D/B 14, G 15.
    package var attributes: UInt32 { UInt32(truncatingIfNeeded: low >> 40 & 0xF0FF) }
    /// The type field of the second half, which must be 0 in IA-32e mode.
    package var highType: UInt8 { UInt8(truncatingIfNeeded: high >> 40 & 0x1F) }

    // Gates.

    package var gateSelector: Selector { Selector(UInt16(truncatingIfNeeded: low >> 16)) }
    package var gateOffset16: UInt64 { low & 0xFFFF }
    package var gateOffset32: UInt64 { low & 0xFFFF | low >> 32 & 0xFFFF_0000 }
    package var gateOffset64: UInt64 { gateOffset32 | high << 32 }
    /// How many parameters a call gate copies, 0...31.
    package var parameterCount: Int { Int(truncatingIfNeeded: low >> 32 & 31) }
    /// The stack of the interrupt stack table that a 64-bit gate names, 0 for none.
    package var interruptStack: UInt64 { low >> 32 & 7 }
}

/// Byte offsets in a 32-bit task-state segment (SDM volume 3 figure 8-2).
package enum TSS32 {
    package static let link: UInt64 = 0
    /// ESP0; SS0 follows four bytes later, then ESP1 and so on.
    package static let stacks: UInt64 = 4
    package static let cr3: UInt64 = 0x1C
    package static let eip: UInt64 = 0x20
    package static let eflags: UInt64 = 0x24
    /// EAX ECX EDX EBX ESP EBP ESI EDI.
    package static let general: UInt64 = 0x28
    /// ES CS SS DS FS GS.
    package static let segments: UInt64 = 0x48
    package static let ldt: UInt64 = 0x60
    /// Bit 0 is T: a debug trap on switching here.
    package static let trap: UInt64 = 0x64
    package static let ioMap: UInt64 = 0x66
    /// The smallest limit.
    package static let minimumLimit: UInt32 = 0x67
}

/// Byte offsets in a 16-bit task-state segment (SDM volume 3 figure 8-10).
package enum TSS16 {
    package static let link: UInt64 = 0
    /// SP0; SS0 follows two bytes later, then SP1 and so on.
    package static let stacks: UInt64 = 2
    package static let ip: UInt64 = 0xE
    package static let flags: UInt64 = 0x10
    package static let general: UInt64 = 0x12
    /// ES CS SS DS.
    package static let segments: UInt64 = 0x22
    package static let ldt: UInt64 = 0x2A
    package static let minimumLimit: UInt32 = 0x2B
}

/// Byte offsets in a 64-bit task-state segment (SDM volume 3 figure 8-11).
package enum TSS64 {
    /// RSP0, RSP1, RSP2.
    package static let stacks: UInt64 = 4
    /// IST1 … IST7.
    package static let interruptStacks: UInt64 = 0x24
    package static let ioMap: UInt64 = 0x66
}
