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
        return mix(hash ^ platform.stateHash())
    }
}
