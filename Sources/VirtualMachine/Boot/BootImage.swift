/// What a loader makes of its files: contents of memory, the processor's state, and names for addresses.
package struct BootImage: Equatable, Sendable {
    /// What to write before the guest starts, in this order; memory that is not named is zero.
    package var contents: [MemoryContents]
    /// The state of the first processor.
    package var state: InitialState
    /// Names of linear addresses that the loader knows.
    package var symbols: [BootSymbol] = []
    /// Where source lines begin that the loader knows.
    package var lines: [SourceLine] = []

    package init(
        contents: [MemoryContents], state: InitialState, symbols: [BootSymbol] = [], lines: [SourceLine] = []
    ) {
        self.contents = contents
        self.state = state
        self.symbols = symbols
        self.lines = lines
    }
}

/// Bytes at a guest-physical address; the rest of the range, if `bytes` is shorter than it, is zero.
package struct MemoryContents: Equatable, Sendable {
    package var address: UInt64
    /// A slice, so that a kernel's segments are not copied before they are written to the guest.
    package var bytes: ArraySlice<UInt8>
    /// The size of the range, at least `bytes.count`.
    package var size: UInt64

    package init(address: UInt64, bytes: ArraySlice<UInt8>, size: UInt64? = nil) {
        self.address = address
        self.bytes = bytes
        self.size = max(size ?? 0, UInt64(bytes.count))
    }

    package init(address: UInt64, bytes: [UInt8], size: UInt64? = nil) {
        self.init(address: address, bytes: bytes[...], size: size)
    }

    /// The addresses that are written.
    package var range: Range<UInt64> {
        let (end, overflow) = address.addingReportingOverflow(size)
        return address..<(overflow ? .max : end)
    }
}

/// A name for a linear address in the guest.
package struct BootSymbol: Equatable, Sendable {
    package var name: String
    package var address: UInt64

    package init(name: String, address: UInt64) {
        self.name = name
        self.address = address
    }
}
