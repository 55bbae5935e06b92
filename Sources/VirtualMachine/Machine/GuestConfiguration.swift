import X86Engine

/// What is chosen when a guest is declared.
public struct GuestConfiguration: Sendable {
    /// What messages call the guest.
    public var name: String
    /// RAM in bytes, a multiple of 4 KiB, at least 1 MiB.
    public var memory: UInt64 = 128 << 20
    /// What the guest starts from.
    public var boot: BootSource
    /// What RDRAND and RDSEED count from.
    public var seed: UInt64 = 0
    /// Lines of the soft TLB, a power of two from 16 to 65536; never visible to the guest.
    public var tlbEntries = 1024
    /// Whether decoded code is kept; never visible to the guest.
    public var usesBlockCache = true
    /// What the guest runs on; `.bare` if not given.
    public var hypervisor = HypervisorConfiguration()
    private var chosenModel: ProcessorModel?

    /// Makes a configuration with one CPU and 128 MiB.
    public init(name: String = "guest", boot: BootSource) {
        self.name = name
        self.boot = boot
    }
}

extension GuestConfiguration {
    /// How the guest's privileged side is virtualized.
    public var technique: Technique {
        get { hypervisor.technique }
        set { hypervisor.technique = newValue }
    }

    /// The guest's processor: one of the vendor whose extension the technique needs, if not given.
    package var model: ProcessorModel {
        get { chosenModel ?? (technique == .svm ? .amd64 : .intel64) }
        set { chosenModel = newValue }
    }

    /// How a monitor keeps control of the guest's memory; nil for the usual way of the technique.
    public var paging: Paging? {
        get { hypervisor.paging }
        set { hypervisor.paging = newValue }
    }

    /// Throws what does not go together.
    public func check() throws(HypervisorConfiguration.Objection) {
        try hypervisor.check()
        try hypervisor.check(model)
    }
}
