import PCDevices
import X86Engine

extension Guest {
    /// A 64-bit fingerprint of all that the guest can see or will see: registers with hidden parts, MSRs, x87 and SSE
    /// state, memory, devices and their pending timers, guest time.
    ///
    /// It does not depend on how the guest is executed: TLB size, block cache, handlers.
    public var digest: UInt64 {
        memory.dropFastWrites()
        var hash = processor.stateHash()
        hash = mix(hash ^ memory.contentHash())
        hash = mix(hash ^ platform.stateHash())
        for word in monitor?.knowledge ?? [] { hash = mix(hash ^ word) &+ 0x9E37_79B9_7F4A_7C15 }
        let devices = attached.states
        guard !devices.isEmpty || !timers.pending.isEmpty else { return hash }
        var hasher = StateHasher()
        for device in devices {
            hasher.combine(device.name)
            hasher.combine(device.isRaised ? 1 : 0)
            DeviceValue.map(device.values).combine(into: &hasher)
        }
        for timer in timers.pending { hasher.combine(timer.deadline) }
        return mix(hash ^ hasher.value)
    }
}

extension StateHasher {
    fileprivate mutating func combine(_ text: String) { combine(Array(text.utf8)) }

    fileprivate mutating func combine(_ bytes: [UInt8]) {
        combine(bytes.count)
        for byte in bytes { combine(byte) }
    }
}

extension DeviceValue {
    /// Mixes the value in; equal values give the same, whatever the order of a map.
    fileprivate func combine(into hasher: inout StateHasher) {
        switch self {
        case .null: hasher.combine(0)
        case .boolean(let value): hasher.combine(value ? 2 : 1)
        case .integer(let value):
            hasher.combine(3)
            hasher.combine(UInt64(truncatingIfNeeded: value))
            hasher.combine(UInt64(truncatingIfNeeded: value >> 64))
        case .number(let value):
            hasher.combine(4)
            hasher.combine(value.bitPattern)
        case .text(let value):
            hasher.combine(5)
            hasher.combine(value)
        case .bytes(let value):
            hasher.combine(6)
            hasher.combine(value)
        case .list(let values):
            hasher.combine(7)
            hasher.combine(values.count)
            for value in values { value.combine(into: &hasher) }
        case .map(let values):
            hasher.combine(8)
            hasher.combine(values.count)
            for (key, value) in values.sorted(by: { $0.key < $1.key }) {
                hasher.combine(key)
                value.combine(into: &hasher)
            }
        }
    }
}
