import X86

/// What a case starts from and ends with: the registers of user code.
package struct MachineState: Equatable {
    /// By number: rAX, rCX, rDX, rBX, rSP, rBP, rSI, rDI, R8 to R15.
    package var registers = [UInt64](repeating: 0, count: 16)
    package var rip: UInt64 = 0
    package var flags: UInt64 = 2
    /// The 512 bytes that FXSAVE64 writes.
    ///
    /// Their layout is that of SDM vol. 1 table 10-2.
    package var fx = [UInt8](repeating: 0, count: 512)

    /// A little-endian field of `fx`.
    package func field(_ offset: Int, bytes: Int) -> UInt64 {
        (0..<bytes).reduce(0) { $0 | UInt64(fx[offset + $1]) << UInt64($1 * 8) }
    }

    /// Sets a little-endian field of `fx`.
    package mutating func setField(_ offset: Int, bytes: Int, _ value: UInt64) {
        for byte in 0..<bytes { fx[offset + byte] = UInt8(truncatingIfNeeded: value >> UInt64(byte * 8)) }
    }

    // Offsets in `fx`.
    package static let controlWord = 0
    package static let statusWord = 2
    /// One bit a physical register: 1 if it is not empty.
    package static let tags = 4
    package static let mxcsr = 24
    /// ST(0) … ST(7), 16 bytes each.
    package static let stack = 32
    /// XMM0 … XMM15.
    package static let xmm = 160
}

/// Eight bytes of memory at an address that is a multiple of 8.
package struct MemoryWord: Equatable, Hashable {
    package var address: UInt64
    package var value: UInt64

    package init(address: UInt64, value: UInt64) {
        self.address = address
        self.value = value
    }
}

/// One experiment: code and everything it can see.
package struct Case {
    package var state = MachineState()
    /// 64-bit code, or 32-bit code in compatibility mode.
    package var mode = CodeMode.bits64
    /// Up to 64 bytes; HLT follows.
    package var code: [UInt8] = []
    /// What memory holds other than `TestMemory.image`; at most 16 words.
    package var patches: [MemoryWord] = []
    /// What the manuals leave open of the outcome.
    package var latitude = Latitude()

    package init() {}
}

/// What came of a case.
package struct Outcome {
    package var state = MachineState()
    /// The exception that ended it: #GP at the HLT if nothing else.
    package var vector: UInt64 = 0
    package var errorCode: UInt64 = 0
    /// The address of a page fault.
    package var address: UInt64 = 0
    /// The words of memory that differ from `TestMemory.image`.
    package var changes: [MemoryWord] = []
    /// The counts of guest time it took; nil where nobody counts.
    package var time: UInt64?

    package init() {}
}

/// What the manuals leave undefined, or to the processor, about an outcome.
package struct Latitude {
    /// Status flags.
    package var flags: UInt64 = 0
    /// Bits of the x87 status word.
    package var x87Status: UInt64 = 0
    /// How many units in the last place x87 results may be away from the host's.
    package var ulps: UInt64 = 0
    /// Which of the bytes of a large operand CR2 names.
    package var addressInPage = false
    /// Which of the pages of a very large operand faults, or which of two operands.
    package var anyPageFault = false
    /// Whether a faulting instruction may have written some of its results to memory.
    package var writesBeforeFault = false
    /// Whether a faulting instruction has become an MMX instruction already, with TOP 0 and all registers in use.
    package var entersMMX = false
    /// Bytes that state areas keep for the processor's own use, by offset from the word `address`.
    package var ignoredWords: Set<UInt64> = []
}
