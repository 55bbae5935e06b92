/// What VMX adds to a logical processor's state; the rest of it is the VMCS in memory.
package struct VMXState: Sendable {
    /// VMXON has been executed and VMXOFF has not.
    package var isOperating = false
    /// The physical address of the VMXON region.
    package var region: UInt64 = 0
    /// The physical address of the current VMCS; all ones if there is none.
    package var currentVMCS = UInt64.max
    /// IA32_FEATURE_CONTROL.
    package var featureControl: UInt64 = 0
    /// What the VMCS says, while its guest runs.
    var controls = VMXControls()
    /// The guest cannot take (virtual) NMIs; `ProcessorState.nmiBlocked` is about those of the machine.
    var virtualNMIBlocked = false
    /// Time-stamp counter at the first and at the last execution of PAUSE of the loop being watched.
    var pauseLoopStart: UInt64 = 0
    var pauseLoopLast: UInt64 = 0
    /// An event that VM entry found due before the guest's first instruction (TPR below threshold, MTF injected).
    var isTaskPriorityDue = false
    var isMonitorTrapDue = false

    func combine(into hasher: inout StateHasher) {
        hasher.combine(isOperating ? 1 : 0)
        hasher.combine(region)
        hasher.combine(currentVMCS)
        hasher.combine(featureControl)
        hasher.combine(virtualNMIBlocked ? 1 : 0)
    }
}
