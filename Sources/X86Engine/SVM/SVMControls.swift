/// What VMRUN reads of the control area and keeps until the next exit.
struct SVMControls: Equatable, Sendable {
    /// The six intercept vectors, two in a word: the bit of an exit code is the one with its number.
    var vectors = (UInt64(0), UInt64(0), UInt64(0))
    var ioPermissionsMap: UInt64 = 0
    var msrPermissionsMap: UInt64 = 0
    var pauseFilterCount: UInt16 = 0
    var pauseFilterThreshold: UInt16 = 0
    var guestASID: UInt32 = 0
    var usesNestedPaging = false
    var nestedCR3: UInt64 = 0

    init() {}

    /// Reads the current VMCB.
    init(_ processor: Processor) {
        func read(_ field: VMCBField) -> UInt64 { processor.readVMCB(field) }
        vectors = (
            read(.controlRegisterIntercepts) | read(.debugRegisterIntercepts) << 32,
            read(.exceptionIntercepts) | read(.firstInstructionIntercepts) << 32,
            read(.secondInstructionIntercepts) | read(.thirdInstructionIntercepts) << 32
        )
        ioPermissionsMap = read(.ioPermissionsMap) & ~0xFFF
        msrPermissionsMap = read(.msrPermissionsMap) & ~0xFFF
        pauseFilterCount = UInt16(truncatingIfNeeded: read(.pauseFilterCount))
        pauseFilterThreshold = UInt16(truncatingIfNeeded: read(.pauseFilterThreshold))
        guestASID = UInt32(truncatingIfNeeded: read(.guestASID))
        usesNestedPaging = read(.nestedPaging) & 1 != 0
        nestedCR3 = read(.nestedCR3)
    }

    /// Whether the guest is left with an exit code below 0C0H.
    func intercepts(_ code: SVMExitCode) -> Bool {
        let word =
            switch code.rawValue >> 6 {
            case 0: vectors.0
            case 1: vectors.1
            case 2: vectors.2
            default: UInt64(0)
            }
        return word >> (code.rawValue & 63) & 1 != 0
    }

    func intercepts(_ intercept: SVMIntercept) -> Bool { intercepts(.intercept(intercept)) }

    static func == (lhs: SVMControls, rhs: SVMControls) -> Bool {
        lhs.vectors == rhs.vectors && lhs.ioPermissionsMap == rhs.ioPermissionsMap
            && lhs.msrPermissionsMap == rhs.msrPermissionsMap && lhs.pauseFilterCount == rhs.pauseFilterCount
            && lhs.pauseFilterThreshold == rhs.pauseFilterThreshold && lhs.guestASID == rhs.guestASID
            && lhs.usesNestedPaging == rhs.usesNestedPaging && lhs.nestedCR3 == rhs.nestedCR3
    }
}

/// The quadword at 060H of a VMCB: the virtual task priority and the virtual interrupt.
package struct VirtualInterrupt: Equatable, Sendable {
    package var rawValue: UInt64 = 0
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// What #VMEXIT writes back: V_TPR and V_IRQ.
    static let saved: UInt64 = 0x1FF

    /// V_TPR, 0...15.
    package var taskPriority: UInt8 {
        get { UInt8(truncatingIfNeeded: rawValue & 0xF) }
        set { rawValue = rawValue & ~0xF | UInt64(newValue & 0xF) }
    }

    /// V_IRQ.
    package var isPending: Bool {
        get { rawValue & 1 << 8 != 0 }
        set { rawValue = rawValue & ~(1 << 8) | (newValue ? 1 << 8 : 0) }
    }

    /// V_INTR_PRIO, 0...15.
    package var priority: UInt8 {
        get { UInt8(truncatingIfNeeded: rawValue >> 16 & 0xF) }
        set { rawValue = rawValue & ~(0xF << 16) | UInt64(newValue & 0xF) << 16 }
    }

    /// V_IGN_TPR.
    package var ignoresTaskPriority: Bool {
        get { rawValue & 1 << 20 != 0 }
        set { rawValue = rawValue & ~(1 << 20) | (newValue ? 1 << 20 : 0) }
    }

    /// V_INTR_MASKING: the guest's RFLAGS.IF and CR8 are about virtual interrupts only.
    package var masksVirtually: Bool {
        get { rawValue & 1 << 24 != 0 }
        set { rawValue = rawValue & ~(1 << 24) | (newValue ? 1 << 24 : 0) }
    }

    /// V_INTR_VECTOR.
    package var vector: UInt8 {
        get { UInt8(truncatingIfNeeded: rawValue >> 32) }
        set { rawValue = rawValue & ~(0xFF << 32) | UInt64(newValue) << 32 }
    }

    /// Whether the task priority lets the pending interrupt through.
    var isDue: Bool { isPending && (ignoresTaskPriority || priority > taskPriority) }
}
