import X86

/// Bits of XCR0, XSTATE_BV and XCOMP_BV for the state components of this processor (SDM volume 1 section 13.1).
///
/// None of them is the supervisor's, so IA32_XSS is zero.
enum StateComponents {
    static let x87: UInt64 = 1 << 0
    static let sse: UInt64 = 1 << 1
    /// XCOMP_BV only: the area has the compacted format.
    static let compacted: UInt64 = 1 << 63
    /// The bytes of an area: legacy region and header.
    ///
    /// Both components lie in the legacy region, so the compacted format has the same size.
    static let areaSize = 576
}

// The XSAVE feature set (SDM volume 1 chapter 13). A component is in use (XINUSE) exactly if it differs from its initial
// configuration, and counts as modified (XMODIFIED) always: the manuals allow both, and no hidden state remains.
extension Processor {
    /// XSAVE and XSAVEOPT (`isOptimized`: components not in use are not written).
    func xsave(_ instruction: borrowing Instruction, isOptimized: Bool) throws(Fault) {
        try requireXSAVE()
        let area = try stateArea(instruction, alignment: 64, count: StateComponents.areaSize, .write)
        _ = try translateRange(area.linear, count: StateComponents.areaSize, .read)
        let requested = requestedComponents
        let inUse = componentsInUse
        let written = isOptimized ? requested & inUse : requested
        let header = try load(area, 512, width: 8)
        if written & StateComponents.x87 != 0 { try saveX87(area) }
        if requested & StateComponents.sse != 0 { try saveMXCSR(area) }
        if written & StateComponents.sse != 0 { try saveXMM(area) }
        try store(area, 512, header & ~requested | inUse & requested, width: 8)
    }

    /// XSAVEC and XSAVES: the compacted format.
    func xsaveCompacted(_ instruction: borrowing Instruction, isSupervisor: Bool) throws(Fault) {
        try requireXSAVE()
        if isSupervisor && state.pointee.cpl != 0 { throw .generalProtection(0) }
        let area = try stateArea(instruction, alignment: 64, count: StateComponents.areaSize, .write)
        let requested = requestedComponents
        let written = requested & componentsInUse
        if written & StateComponents.x87 != 0 { try saveX87(area) }
        if written & StateComponents.sse != 0 {
            try saveMXCSR(area)
            try saveXMM(area)
        }
        try store(area, 512, written, width: 8)
        try store(area, 520, requested | StateComponents.compacted, width: 8)
    }

    /// XRSTOR (both formats) and XRSTORS (the compacted one only).
    func xrstor(_ instruction: borrowing Instruction, isSupervisor: Bool) throws(Fault) {
        try requireXSAVE()
        if isSupervisor && state.pointee.cpl != 0 { throw .generalProtection(0) }
        let area = try stateArea(instruction, alignment: 64, count: StateComponents.areaSize, .read)
        let available = try load(area, 512, width: 8)
        let isCompacted = try checkHeader(area, available, isSupervisor: isSupervisor)
        let requested = requestedComponents
        let restored = requested & available
        if requested & StateComponents.sse != 0 {
            // The standard format gives MXCSR even if its component is to be initialized.
            let hasMXCSR = !isCompacted || restored & StateComponents.sse != 0
            state.pointee.sse.mxcsr = hasMXCSR ? try validMXCSR(area) : SSEEnvironment.initialMXCSR
            if restored & StateComponents.sse != 0 {
                try restoreXMM(area)
            } else {
                for index in 0..<xmmCount { xmm[index] = Vector() }
            }
        }
        if requested & StateComponents.x87 != 0 {
            if restored & StateComponents.x87 != 0 {
                try restoreX87(area)
            } else {
                state.pointee.x87 = .initial
            }
        }
    }

    /// #UD without CR4.OSXSAVE, #NM with CR0.TS.
    private func requireXSAVE() throws(Fault) {
        if state.pointee.cr4 & CR4.OSXSAVE == 0 { throw .invalidOpcode }
        if state.pointee.cr0 & CR0.TS != 0 { throw .deviceNotAvailable }
    }

    /// RFBM: what EDX:EAX asks for and XCR0 enables.
    private var requestedComponents: UInt64 {
        (state.pointee.rdx << 32 | state.pointee.rax & 0xFFFF_FFFF) & state.pointee.xcr0
    }

    /// XINUSE, with the bit of SSE also for an MXCSR that is not the initial one (SDM volume 1 sections 13.6 to 13.11).
    var componentsInUse: UInt64 {
        var components: UInt64 = state.pointee.x87.isInitial ? 0 : StateComponents.x87
        var registers = Vector()
        for index in 0..<xmmCount { registers |= xmm[index] }
        if registers != Vector() || state.pointee.sse.mxcsr != SSEEnvironment.initialMXCSR {
            components |= StateComponents.sse
        }
        return components
    }

    /// The checks of SDM volume 1 sections 13.8 and 13.12; true for the compacted format.
    private func checkHeader(
        _ area: StateArea, _ available: UInt64, isSupervisor: Bool
    ) throws(Fault) -> Bool {
        let compaction = try load(area, 520, width: 8)
        let enabled = state.pointee.xcr0
        let isCompacted = compaction & StateComponents.compacted != 0
        var reserved = try load(area, 528, width: 8)
        if isCompacted {
            for offset in stride(from: UInt64(536), to: 576, by: 8) { reserved |= try load(area, offset, width: 8) }
            reserved |= compaction & ~(enabled | StateComponents.compacted)
            reserved |= available & ~compaction | available & StateComponents.compacted
        } else {
            reserved |= compaction | available & ~enabled
        }
        guard reserved == 0, isCompacted || !isSupervisor else { throw .generalProtection(0) }
        return isCompacted
    }
}

extension X87State {
    /// The initial configuration of the x87 component (SDM volume 1 section 13.6): FNINIT and all registers zero.
    static var initial: X87State {
        var state = X87State()
        state.initialize()
        return state
    }

    var isInitial: Bool { self == .initial }
}
