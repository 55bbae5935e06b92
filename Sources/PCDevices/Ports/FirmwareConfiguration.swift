/// The firmware configuration device, `fw_cfg`: numbered items and named files that the machine gives to the guest.
///
/// QEMU's specification "QEMU Firmware Configuration (fw_cfg) Device": selector at 0x510, data at 0x511, DMA address at
/// 0x514. Items can only be read.
package final class FirmwareConfiguration: BusDevice {
    /// Everything the chip remembers; the items are the machine's configuration.
    package struct State: Codable, Equatable, Sendable {
        package var selector: UInt16 = 0
        package var offset: UInt32 = 0
        package var dmaAddress: UInt64 = 0
    }

    /// The keys of the items that every machine has.
    package enum Key {
        package static let signature: UInt16 = 0x00
        package static let interfaceVersion: UInt16 = 0x01
        package static let memorySize: UInt16 = 0x03
        package static let processorCount: UInt16 = 0x05
        package static let maximumProcessorCount: UInt16 = 0x0F
        package static let fileDirectory: UInt16 = 0x19
        /// The first key of the named files.
        package static let firstFile: UInt16 = 0x20
    }

    private enum Control {
        static let error: UInt32 = 1 << 0
        static let read: UInt32 = 1 << 1
        static let skip: UInt32 = 1 << 2
        static let select: UInt32 = 1 << 3
        static let write: UInt32 = 1 << 4
    }

    /// The ranges to attach the chip at: selector and data, and the DMA address with doubleword accesses.
    package static let ports: [(range: ClosedRange<PortAddress>, widest: AccessWidth)] = [
        (0x510...0x511, .word), (0x514...0x51B, .dword),
    ]

    private static let dmaBase: UInt16 = 0x514
    private static let longestFileName = 55
    private static let chunk = 0x1_0000

    package var state = State()
    /// Guest memory, for the DMA interface; without it every transfer fails.
    package var guestMemory: () -> (any GuestMemory)? = { nil }

    private var items: [UInt16: [UInt8]] = [:]
    /// The named files in the order of their names.
    private var files: [(name: String, contents: [UInt8])] = []

    /// Makes a device with the standard items.
    package init(memorySize: UInt64, processorCount: Int) {
        let processors = UInt16(clamping: processorCount).littleEndianBytes
        items[Key.signature] = Array("QEMU".utf8)
        // Bit 0: the traditional interface; bit 1: DMA.
        items[Key.interfaceVersion] = UInt32(0b11).littleEndianBytes
        items[Key.memorySize] = memorySize.littleEndianBytes
        items[Key.processorCount] = processors
        items[Key.maximumProcessorCount] = processors
        listFiles()
    }

    /// Returns to the state after RESET; the items stay.
    package func reset() { state = State() }

    /// Sets a numbered item.
    package func setItem(_ key: UInt16, _ contents: [UInt8]) { items[key] = contents }

    /// Adds or replaces a named file.
    ///
    /// Names are cut to 55 bytes; keys follow the order of the names.
    package func setFile(_ name: String, _ contents: [UInt8]) {
        let name = String(decoding: name.utf8.prefix(Self.longestFileName), as: UTF8.self)
        files.removeAll { $0.name == name }
        files.append((name, contents))
        files.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        listFiles()
    }

    private func listFiles() {
        var directory = UInt32(files.count).bigEndianBytes
        for (index, file) in files.enumerated() {
            let key = Key.firstFile &+ UInt16(truncatingIfNeeded: index)
            items[key] = file.contents
            directory += UInt32(truncatingIfNeeded: file.contents.count).bigEndianBytes
            directory += key.bigEndianBytes + [0, 0]
            directory += Array(file.name.utf8) + Array(repeating: 0, count: 56 - file.name.utf8.count)
        }
        items[Key.fileDirectory] = directory
    }

    // MARK: Traditional interface

    private func select(_ key: UInt16) {
        state.selector = key
        state.offset = 0
    }

    /// Takes bytes from the selected item; behind its end, and in items that do not exist, there are zeros.
    private func take(_ count: Int) -> [UInt8] {
        let item = items[state.selector] ?? []
        let start = min(Int(state.offset), item.count)
        let available = Array(item[start..<min(start + count, item.count)])
        state.offset &+= UInt32(truncatingIfNeeded: count)
        return available + Array(repeating: 0, count: count - available.count)
    }

    package func read(_ port: PortAddress, width: AccessWidth) -> UInt32 {
        if port.rawValue >= Self.dmaBase {
            // The DMA address register reads as a signature, most significant byte first.
            let signature = Array("QEMU CFG".utf8)
            let offset = Int(port.rawValue &- Self.dmaBase)
            return signature[min(offset, 8)..<min(offset + Int(width.rawValue), 8)].reversed().reduce(0) {
                $0 << 8 | UInt32($1)
            }
        }
        // Only single bytes can be read, from the data port.
        guard port == 0x511, width == .byte else { return UInt32(truncatingIfNeeded: width.allOnes) }
        return UInt32(take(1)[0])
    }

    package func write(_ value: UInt32, to port: PortAddress, width: AccessWidth) {
        switch port {
        case 0x510: if width == .word { select(UInt16(truncatingIfNeeded: value)) }
        case 0x514:
            guard width == .dword else { return }
            state.dmaAddress = state.dmaAddress & 0xFFFF_FFFF | UInt64(value.byteSwapped) << 32
        case 0x518:
            guard width == .dword else { return }
            let address = state.dmaAddress & ~0xFFFF_FFFF | UInt64(value.byteSwapped)
            state.dmaAddress = 0
            transfer(MemoryAddress(address))
        default: break
        }
    }

    // MARK: DMA interface

    /// Carries out the command at an address: control, length and target address, all most significant byte first.
    private func transfer(_ command: MemoryAddress) {
        guard let memory = guestMemory(), let bytes = memory.readBytes(at: command, count: 16) else { return }
        let control = UInt32(bigEndian: bytes[0..<4])
        if control & Control.select != 0 { select(UInt16(truncatingIfNeeded: control >> 16)) }
        let length = UInt32(bigEndian: bytes[4..<8])
        let target = UInt64(bigEndian: bytes[8..<16])
        var succeeds = true
        if control & Control.read != 0 {
            succeeds = copy(length, to: target, memory)
        } else if control & Control.write != 0 {
            succeeds = false
        } else if control & Control.skip != 0 {
            state.offset &+= length
        }
        _ = memory.writeBytes((succeeds ? 0 : Control.error).bigEndianBytes, at: command)
    }

    private func copy(_ length: UInt32, to target: UInt64, _ memory: any GuestMemory) -> Bool {
        var copied = 0
        while copied < Int(length) {
            let count = min(Int(length) - copied, Self.chunk)
            let (address, overflow) = target.addingReportingOverflow(UInt64(copied))
            guard !overflow, memory.writeBytes(take(count), at: MemoryAddress(address)) else { return false }
            copied += count
        }
        return true
    }
}

extension FixedWidthInteger {
    fileprivate var bigEndianBytes: [UInt8] {
        stride(from: Self.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: self >> $0) }
    }

    fileprivate var littleEndianBytes: [UInt8] { bigEndianBytes.reversed() }

    fileprivate init(bigEndian bytes: ArraySlice<UInt8>) {
        self = bytes.reduce(0) { $0 << 8 | Self(truncatingIfNeeded: $1) }
    }
}
