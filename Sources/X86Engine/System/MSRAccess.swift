import X86

// RDMSR and WRMSR (SDM vol. 4; APM vol. 2 appendix A). What a model does not have gives #GP(0).

/// The indices of the MSRs that the processor core has.
enum MSR {
    /// P5_MC_ADDR and P5_MC_TYPE.
    static let machineCheckPentium: ClosedRange<UInt32> = 0...1
    static let timeStampCounter: UInt32 = 0x10
    static let platformIdentifier: UInt32 = 0x17
    static let apicBase: UInt32 = 0x1B
    static let tscAdjust: UInt32 = 0x3B
    static let speculationControl: UInt32 = 0x48
    static let predictionCommand: UInt32 = 0x49
    static let microcodeUpdate: UInt32 = 0x79
    static let microcodeRevision: UInt32 = 0x8B
    static let platformInformation: UInt32 = 0xCE
    static let mtrrCapabilities: UInt32 = 0xFE
    static let archCapabilities: UInt32 = 0x10A
    static let miscFeatures: UInt32 = 0x140
    static let sysenterCS: UInt32 = 0x174
    static let sysenterESP: UInt32 = 0x175
    static let sysenterEIP: UInt32 = 0x176
    static let machineCheckCapabilities: UInt32 = 0x179
    static let machineCheckStatus: UInt32 = 0x17A
    static let miscEnable: UInt32 = 0x1A0
    static let debugControl: UInt32 = 0x1D9
    static let mtrrVariable: ClosedRange<UInt32> = 0x200...0x20F
    /// 64K_00000; 16K_80000 and 16K_A0000; 4K_C0000 to 4K_F8000.
    static let mtrrFixed: [UInt32] = [0x250, 0x258, 0x259] + Array(0x268...0x26F)
    static let pat: UInt32 = 0x277
    static let mtrrDefaultType: UInt32 = 0x2FF
    static let tscDeadline: UInt32 = 0x6E0
    static let x2apic: ClosedRange<UInt32> = 0x800...0x8FF
    static let efer: UInt32 = 0xC000_0080
    static let star: UInt32 = 0xC000_0081
    static let lstar: UInt32 = 0xC000_0082
    static let cstar: UInt32 = 0xC000_0083
    static let fmask: UInt32 = 0xC000_0084
    static let fsBase: UInt32 = 0xC000_0100
    static let gsBase: UInt32 = 0xC000_0101
    static let kernelGSBase: UInt32 = 0xC000_0102
    static let tscAux: UInt32 = 0xC000_0103
    static let systemConfiguration: UInt32 = 0xC001_0010
    static let hardwareConfiguration: UInt32 = 0xC001_0015
    static let northbridgeConfiguration: UInt32 = 0xC001_001F
    static let decodeConfiguration: UInt32 = 0xC001_1029
}

extension Processor {
    /// RDMSR.
    func readMSRInstruction() throws(Fault) {
        guard cpl == 0 else { throw .generalProtection(0) }
        let index = UInt32(truncatingIfNeeded: state.pointee.rcx)
        var replied: UInt64?
        if watched.contains(.modelSpecificRegister) {
            switch ask(.readModelSpecificRegister(index: index)) {
            case .proceed: break
            case .skip: return
            case .reply(let value): replied = value
            case .inject(let fault): throw fault
            }
        }
        guard let value = replied ?? readMSR(index) else { throw .generalProtection(0) }
        state.pointee.rax = value & 0xFFFF_FFFF
        state.pointee.rdx = value >> 32
    }

    /// WRMSR.
    func writeMSRInstruction() throws(Fault) {
        guard cpl == 0 else { throw .generalProtection(0) }
        let index = UInt32(truncatingIfNeeded: state.pointee.rcx)
        let value = state.pointee.rdx << 32 | state.pointee.rax & 0xFFFF_FFFF
        if watched.contains(.modelSpecificRegister) {
            switch ask(.writeModelSpecificRegister(index: index, value: value)) {
            case .proceed, .reply: break
            case .skip: return
            case .inject(let fault): throw fault
            }
        }
        leaveBlockAfterThisInstruction()
        guard writeMSR(index, value) else { throw .generalProtection(0) }
    }

    /// The value of an MSR, nil if the model does not have it.
    package func readMSR(_ index: UInt32) -> UInt64? {
        guard isModelSpecificRegister(index) else { return nil }
        let s = state
        switch index {
        case MSR.timeStampCounter: return visibleTimeStampCounter
        case MSR.tscAdjust: return s.pointee.tscAdjust
        case MSR.platformIdentifier: return 0
        case MSR.speculationControl: return s.pointee.msr.speculationControl
        case MSR.microcodeRevision:
            // Intel shows the revision in the upper half, AMD in the lower.
            let revision = UInt64(model.microcodeRevision)
            return model.vendor == .intel ? revision << 32 : revision
        case MSR.platformInformation:
            // The base ratio in units of 100 MHz, and CPUID faulting (bit 31).
            return (model.timeStampFrequency / 100_000_000 & 0xFF) << 8 | 1 << 31
        case MSR.mtrrCapabilities: return 0x508
        case MSR.archCapabilities: return model.archCapabilities
        case MSR.miscFeatures: return s.pointee.msr.miscFeatures
        case MSR.sysenterCS: return s.pointee.sysenterCS
        case MSR.sysenterESP: return s.pointee.sysenterESP
        case MSR.sysenterEIP: return s.pointee.sysenterEIP
        // The architecture without a bank (SDM vol. 3 section 16.3.1): nothing here can fail.
        case MSR.machineCheckCapabilities, MSR.machineCheckStatus, MSR.machineCheckPentium: return 0
        case MSR.miscEnable: return s.pointee.msr.miscEnable
        case MSR.debugControl: return 0
        case MSR.mtrrVariable: return s.pointee.msr.mtrrVariable[Int(index - MSR.mtrrVariable.lowerBound)]
        case MSR.pat: return s.pointee.pat
        case MSR.mtrrDefaultType: return s.pointee.msr.mtrrDefaultType
        case MSR.efer: return s.pointee.efer
        case MSR.star: return s.pointee.star
        case MSR.lstar: return s.pointee.lstar
        case MSR.cstar: return s.pointee.cstar
        case MSR.fmask: return s.pointee.fmask
        case MSR.fsBase: return s.pointee.fs.base
        case MSR.gsBase: return s.pointee.gs.base
        case MSR.kernelGSBase: return s.pointee.kernelGSBase
        case MSR.tscAux: return s.pointee.tscAux
        case MSR.systemConfiguration: return s.pointee.msr.systemConfiguration
        case MSR.hardwareConfiguration: return s.pointee.msr.hardwareConfiguration
        // No extended configuration space behind port 0xCF8 is there to be enabled.
        case MSR.northbridgeConfiguration: return 0
        // LFENCE is serializing, and stays so.
        case MSR.decodeConfiguration: return 2
        case MSR.apicBase, MSR.tscDeadline, MSR.x2apic: return environment.readModelSpecificRegister(index)
        case MSR.featureControl: return s.pointee.virtualization.vmx.featureControl
        case MSR.vmxCapabilities: return vmxCapabilities.value(of: index)
        case MSR.vmCR, MSR.hostSaveArea, MSR.svmKey, MSR.timeStampRatio: return readSVMRegister(index)
        default:
            guard let position = MSR.mtrrFixed.firstIndex(of: index) else { return nil }
            return s.pointee.msr.mtrrFixed[position]
        }
    }

    /// Whether the model has an MSR that RDMSR or WRMSR can name.
    private func isModelSpecificRegister(_ index: UInt32) -> Bool {
        let features = model.features
        let intel = model.vendor == .intel
        let amd = model.vendor == .amd
        return switch index {
        case MSR.timeStampCounter: features.contains(.tsc)
        case MSR.tscAdjust: features.contains(.tscAdjust)
        case MSR.platformIdentifier, MSR.microcodeUpdate, MSR.miscEnable: intel
        case MSR.microcodeRevision, MSR.debugControl: true
        case MSR.platformInformation, MSR.miscFeatures: intel && features.contains(.longMode)
        case MSR.speculationControl, MSR.predictionCommand: features.contains(.speculationControl)
        case MSR.mtrrCapabilities, MSR.mtrrDefaultType, MSR.mtrrVariable: features.contains(.mtrr)
        case MSR.archCapabilities: features.contains(.archCapabilities)
        case MSR.sysenterCS, MSR.sysenterESP, MSR.sysenterEIP: features.contains(.sep)
        case MSR.machineCheckPentium: features.contains(.mce)
        case MSR.machineCheckCapabilities, MSR.machineCheckStatus: features.contains(.mca)
        case MSR.pat: features.contains(.pat)
        case MSR.apicBase: features.contains(.apic)
        case MSR.featureControl, MSR.vmxCapabilities: features.contains(.vmx)
        case MSR.vmCR, MSR.hostSaveArea, MSR.svmKey, MSR.timeStampRatio: features.contains(.svm)
        case MSR.tscDeadline: features.contains(.tscDeadline)
        case MSR.x2apic: features.contains(.x2apic)
        case MSR.efer: features.contains(.longMode) || features.contains(.nx) || features.contains(.syscall)
        case MSR.star, MSR.lstar, MSR.cstar, MSR.fmask: features.contains(.syscall)
        case MSR.fsBase, MSR.gsBase, MSR.kernelGSBase: features.contains(.longMode)
        case MSR.tscAux: features.contains(.rdtscp) || features.contains(.rdpid)
        case MSR.systemConfiguration, MSR.hardwareConfiguration, MSR.northbridgeConfiguration,
            MSR.decodeConfiguration:
            amd
        default: features.contains(.mtrr) && MSR.mtrrFixed.contains(index)
        }
    }

    /// Writes an MSR; false, with nothing changed, if the value or the MSR is not allowed.
    package func writeMSR(_ index: UInt32, _ value: UInt64) -> Bool {
        guard isModelSpecificRegister(index) else { return false }
        let s = state
        switch index {
        case MSR.timeStampCounter:
            let delta = value &- timeStampCounter
            s.pointee.tscOffset &+= delta
            s.pointee.tscAdjust &+= delta
        case MSR.tscAdjust:
            s.pointee.tscOffset &+= value &- s.pointee.tscAdjust
            s.pointee.tscAdjust = value
        case MSR.speculationControl:
            // IBRS, STIBP, SSBD and BHI_DIS_S; without speculation they have nothing to do.
            let known: UInt64 = model.features.contains(.branchHistoryControl) ? 0x407 : 7
            guard value & ~known == 0 else { return false }
            s.pointee.msr.speculationControl = value
        case MSR.predictionCommand: return value & ~1 == 0
        case MSR.microcodeUpdate, MSR.microcodeRevision: return true
        case MSR.platformIdentifier, MSR.platformInformation, MSR.mtrrCapabilities, MSR.archCapabilities,
            MSR.machineCheckCapabilities:
            return false
        // Software clears them.
        case MSR.machineCheckStatus, MSR.machineCheckPentium: return value == 0
        case MSR.miscFeatures:
            guard value & ~1 == 0 else { return false }
            s.pointee.msr.miscFeatures = value
        case MSR.sysenterCS: s.pointee.sysenterCS = value & 0xFFFF_FFFF
        case MSR.sysenterESP: return setCanonical(&s.pointee.sysenterESP, value)
        case MSR.sysenterEIP: return setCanonical(&s.pointee.sysenterEIP, value)
        case MSR.miscEnable:
            // Fast strings and the CPUID limit can be changed, nothing else.
            guard (value ^ s.pointee.msr.miscEnable) & ~(1 | 1 << 22) == 0 else { return false }
            s.pointee.msr.miscEnable = value
        // No branch records and no branch traps are there to be enabled.
        case MSR.debugControl: return value == 0
        case MSR.mtrrVariable, MSR.mtrrDefaultType: return writeMTRR(index, value)
        case MSR.pat:
            guard Self.areMemoryTypes(value, [0, 1, 4, 5, 6, 7]) else { return false }
            s.pointee.pat = value
        case MSR.efer: return writeEFER(value)
        case MSR.star: s.pointee.star = value
        case MSR.lstar: return setCanonical(&s.pointee.lstar, value)
        case MSR.cstar: return setCanonical(&s.pointee.cstar, value)
        case MSR.fmask:
            guard value >> 32 == 0 else { return false }
            s.pointee.fmask = value
        case MSR.fsBase: return setCanonical(&s.pointee.fs.base, value)
        case MSR.gsBase: return setCanonical(&s.pointee.gs.base, value)
        case MSR.kernelGSBase: return setCanonical(&s.pointee.kernelGSBase, value)
        case MSR.tscAux:
            guard value >> 32 == 0 else { return false }
            s.pointee.tscAux = value
        case MSR.systemConfiguration: s.pointee.msr.systemConfiguration = value & 0x007C_0000
        case MSR.hardwareConfiguration:
            // TscFreqSel (bit 24) reads as one: the TSC counts at the rate of P0.
            s.pointee.msr.hardwareConfiguration = value & 0x01FF_FFFF | 1 << 24
        case MSR.northbridgeConfiguration, MSR.decodeConfiguration: break
        case MSR.featureControl:
            // Lock, and VMX outside SMX; locked it stays as it is until RESET.
            guard s.pointee.virtualization.vmx.featureControl & 1 == 0, value & ~5 == 0 else { return false }
            s.pointee.virtualization.vmx.featureControl = value
        case MSR.vmxCapabilities: return false
        case MSR.vmCR, MSR.hostSaveArea, MSR.svmKey, MSR.timeStampRatio: return writeSVMRegister(index, value)
        case MSR.apicBase, MSR.tscDeadline, MSR.x2apic:
            return environment.writeModelSpecificRegister(index, value)
        default: return writeMTRR(index, value)
        }
        return true
    }

    private func setCanonical(_ register: inout UInt64, _ value: UInt64) -> Bool {
        guard Self.isCanonical(value) else { return false }
        register = value
        return true
    }

    private func writeEFER(_ value: UInt64) -> Bool {
        let old = state.pointee.efer
        // LMA is the processor's own; writing it has no effect (SDM vol. 3 section 2.2.1).
        let new = value & ~EFER.LMA | old & EFER.LMA
        guard value & ~(model.writableEFER | EFER.LMA) == 0 else { return false }
        if value & EFER.SVME != 0, state.pointee.virtualization.svm.vmCR & VMCR.svmDisable != 0 { return false }
        if (old ^ new) & EFER.LME != 0 && state.pointee.cr0 & CR0.PG != 0 { return false }
        state.pointee.efer = new
        if (old ^ new) & EFER.NXE != 0 { flushTLB() }
        return true
    }

    /// Memory types take effect in no way that software could see: all of memory is coherent.
    private func writeMTRR(_ index: UInt32, _ value: UInt64) -> Bool {
        let types: [UInt8] = [0, 1, 4, 5, 6]
        if index == MSR.mtrrDefaultType {
            guard value & ~0xCFF == 0, types.contains(UInt8(truncatingIfNeeded: value)) else { return false }
            state.pointee.msr.mtrrDefaultType = value
            return true
        }
        if let position = MSR.mtrrFixed.firstIndex(of: index) {
            guard Self.areMemoryTypes(value, types) else { return false }
            state.pointee.msr.mtrrFixed[position] = value
            return true
        }
        let position = Int(index &- MSR.mtrrVariable.lowerBound)
        guard position < 16, value & ~physicalAddressMask == 0 else { return false }
        let isMask = position & 1 != 0
        guard isMask ? value & 0x7FF == 0 : value & 0xF00 == 0 && types.contains(UInt8(truncatingIfNeeded: value))
        else { return false }
        state.pointee.msr.mtrrVariable[position] = value
        return true
    }

    /// Sets the memory type ranges as firmware leaves them: RAM write-back, the video window and the hole for devices
    /// uncacheable.
    package func programMemoryTypes() {
        guard model.features.contains(.mtrr) else { return }
        let s = state
        // Enabled, with fixed ranges; write-back by default.
        s.pointee.msr.mtrrDefaultType = 0xC06
        for position in MSR.mtrrFixed.indices {
            // 16K_A0000 is the window of 128 KiB.
            s.pointee.msr.mtrrFixed[position] = MSR.mtrrFixed[position] == 0x259 ? 0 : 0x0606_0606_0606_0606
        }
        let size = PhysicalMemory.highStart &- PhysicalMemory.holeStart
        s.pointee.msr.mtrrVariable[0] = PhysicalMemory.holeStart
        s.pointee.msr.mtrrVariable[1] = ~(size &- 1) & physicalAddressMask | 0x800
    }

    private static func areMemoryTypes(_ value: UInt64, _ types: [UInt8]) -> Bool {
        (0..<8).allSatisfy { types.contains(UInt8(truncatingIfNeeded: value >> UInt64($0 * 8))) }
    }
}
