import X86

// What a processor model without an instruction does with its encoding.

extension Processor {
    /// The fault of an instruction that this processor model does not have, or nil.
    ///
    /// An encoding that older processors take for something else is changed into that: LZCNT and TZCNT are BSR and BSF
    /// with a prefix that is ignored; hints are NOPs.
    func unavailable(_ instruction: inout Instruction) -> Fault? {
        let definition = instruction.definition
        // VMCALL and VMMCALL leave a guest whatever its mode.
        let leavesGuest =
            switch state.pointee.virtualization.mode {
            case .none: false
            case .vmx: instruction.operation == .vmcall
            case .svm: instruction.operation == .vmmcall
            }
        if definition.protectedOnly && !isProtectedMode && !leavesGuest { return .invalidOpcode }
        if definition.feature == .base || model.supports(definition.feature) { return nil }
        let operation = instruction.operation
        // These reach a watcher before they fault.
        if operation == .vmcall || operation == .vmmcall { return nil }
        guard operation == .lzcnt || operation == .tzcnt else { return .invalidOpcode }
        instruction.operation = operation == .lzcnt ? .bsr : .bsf
        return nil
    }
}
