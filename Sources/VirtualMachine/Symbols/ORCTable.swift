/// The unwind table that a Linux kernel carries with CONFIG_UNWINDER_ORC, read from its memory when it is asked for.
///
/// Linux: Documentation/arch/x86/orc-unwinder.rst, arch/x86/include/asm/orc_types.h.
package struct ORCTable {
    /// How the frame around some instructions looks.
    package struct Entry: Equatable {
        package enum Kind: Equatable {
            /// Nothing is known about these instructions.
            case undefined
            /// Nothing called this code.
            case endOfStack
            /// A return address lies below the caller's stack pointer.
            case call
            /// The base is that of a whole `pt_regs`.
            case registers
            /// The base is that of what the processor pushes for an exception in 64-bit mode.
            case exceptionFrame
        }

        /// What an offset counts from (`ORC_REG_*`).
        package enum Base: UInt8 {
            case undefined, previousSP, dx, di, bp, sp, r10, r13, bpIndirect, spIndirect, ax
        }

        package var kind: Kind
        package var stackBase: Base
        package var stackOffset: Int16
        package var frameBase: Base
        package var frameOffset: Int16
    }

    /// How the 16 bits behind the two offsets are divided; the kernel's version decides.
    private enum Format {
        /// 4.14 to 6.2: type in bits 8 and 9, end in bit 10.
        case endInBit10
        /// 6.3: a signal bit came before the end.
        case endInBit11
        /// From 6.4 on the type has three bits, with 0 and 1 for undefined and end.
        case wideType
    }

    private static let entrySize = 6
    private let memory: GuestMemoryReader
    private let addresses: UInt64
    private let entries: UInt64
    private let count: Int
    private let format: Format

    /// Finds the table by the names that bound it; nil if the kernel has none or its bounds make no sense.
    package init?(symbols: SymbolTable, memory: GuestMemoryReader) {
        guard let addresses = symbols["__start_orc_unwind_ip"],
            let addressesEnd = symbols["__stop_orc_unwind_ip"],
            let entries = symbols["__start_orc_unwind"],
            let entriesEnd = symbols["__stop_orc_unwind"]
        else { return nil }
        // A kernel has less than a million entries.
        let (size, count) = (addressesEnd &- addresses, (addressesEnd &- addresses) / 4)
        guard size % 4 == 0, (1...1 << 24).contains(count), entriesEnd &- entries == count * UInt64(Self.entrySize)
        else { return nil }
        self.memory = memory
        self.addresses = addresses
        self.entries = entries
        self.count = Int(count)
        guard let format = Self.format(memory, entries, Int(count)) else { return nil }
        self.format = format
    }

    /// Nearly all code is in ordinary functions, so the most frequent type tells how types are numbered.
    private static func format(_ memory: GuestMemoryReader, _ entries: UInt64, _ count: Int) -> Format? {
        var types = [Int](repeating: 0, count: 8)
        var hasBit11 = false
        let blocks = 16
        let length = min(count, 512)
        for block in 0..<blocks {
            let first = (count - length) / blocks * block
            guard let bytes = memory.bytes(at: entries &+ UInt64(first * entrySize), count: length * entrySize) else {
                continue
            }
            for index in 0..<length {
                let flags = bytes[(index * entrySize + 4)...].littleEndian(UInt16.self)
                hasBit11 = hasBit11 || flags >> 11 & 1 == 1
                // Entries without a base say little: they fill the gaps.
                if flags & 0xF != 0 { types[Int(flags >> 8 & 7)] += 1 }
            }
        }
        guard let most = types.max(), most > 0 else { return nil }
        switch types.firstIndex(of: most) {
        case 0: return hasBit11 ? .endInBit11 : .endInBit10
        case 2: return .wideType
        default: return nil
        }
    }

    /// The entry for an instruction; nil if the table does not reach so far or cannot be read.
    package func entry(for address: UInt64) -> Entry? {
        var unreadable = false
        let next = partitionPoint(0, count) { index in
            let place = addresses &+ UInt64(index * 4)
            guard let distance = memory.integer(UInt32.self, at: place) else {
                unreadable = true
                return false
            }
            return place &+ UInt64(bitPattern: Int64(Int32(bitPattern: distance))) <= address
        }
        guard !unreadable, next > 0,
            let bytes = memory.bytes(
                at: entries &+ UInt64((next - 1) * Self.entrySize), count: Self.entrySize)
        else { return nil }
        return decode(bytes)
    }

    private func decode(_ bytes: [UInt8]) -> Entry? {
        let flags = bytes[4...].littleEndian(UInt16.self)
        guard let stackBase = Entry.Base(rawValue: UInt8(flags & 0xF)),
            let frameBase = Entry.Base(rawValue: UInt8(flags >> 4 & 0xF))
        else { return nil }
        let kind: Entry.Kind
        switch format {
        case .endInBit10, .endInBit11:
            let end = format == .endInBit10 ? 10 : 11
            if flags >> end & 1 == 1 {
                kind = .endOfStack
            } else if stackBase == .undefined {
                kind = .undefined
            } else {
                kind = [.call, .registers, .exceptionFrame, .undefined][Int(flags >> 8 & 3)]
            }
        case .wideType:
            let kinds: [Entry.Kind] = [.undefined, .endOfStack, .call, .registers, .exceptionFrame]
            let type = Int(flags >> 8 & 7)
            kind = kinds.indices.contains(type) ? kinds[type] : .undefined
        }
        return Entry(
            kind: kind, stackBase: stackBase,
            stackOffset: Int16(bitPattern: bytes[0...].littleEndian(UInt16.self)), frameBase: frameBase,
            frameOffset: Int16(bitPattern: bytes[2...].littleEndian(UInt16.self)))
    }
}
