/// The processor that a machine shows: identification, widths and features.
package struct ProcessorModel: Sendable {
    /// MAXPHYADDR, 36...52.
    package var physicalAddressWidth = 40
    /// 1 GiB pages (CPUID.80000001H:EDX.Page1GB).
    package var hasGigabytePages = true
    /// The frequency of the time-stamp counter in Hz; one count of guest time is a nanosecond.
    package var timeStampFrequency: UInt64 = 1_000_000_000

    package init() {}
}
