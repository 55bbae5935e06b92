/// The MSRs without a place of their own in `ProcessorState` (SDM volume 4; APM volume 2 appendix A).
package struct ModelSpecificRegisters: Equatable, Sendable {
    /// IA32_MISC_ENABLE.
    package var miscEnable: UInt64 = 0
    /// MSR_MISC_FEATURES_ENABLES: bit 0 makes CPUID fault outside ring 0.
    package var miscFeatures: UInt64 = 0
    /// IA32_SPEC_CTRL.
    package var speculationControl: UInt64 = 0
    /// IA32_MTRR_DEF_TYPE.
    package var mtrrDefaultType: UInt64 = 0
    /// IA32_MTRR_PHYSBASE0, IA32_MTRR_PHYSMASK0, IA32_MTRR_PHYSBASE1 and so on.
    package var mtrrVariable = SIMD16<UInt64>(repeating: 0)
    /// The eleven fixed-range MTRRs in the order of their addresses.
    package var mtrrFixed = SIMD16<UInt64>(repeating: 0)
    /// AMD: SYSCFG.
    package var systemConfiguration: UInt64 = 0
    /// AMD: HWCR.
    package var hardwareConfiguration: UInt64 = 0
    /// The APIC identifier that CPUID shows.
    package var apicIdentifier: UInt32 = 0

    package init() {}
}
