import X86

// HLT, caches and translations, and calls of a monitor that nobody virtualizes for (SDM vol. 2).

extension Processor {
    /// HLT.
    func halt() throws(Fault) {
        guard cpl == 0 else { throw .generalProtection(0) }
        if watched.contains(.halt) {
            switch ask(.halt) {
            case .proceed, .reply: break
            case .skip: return
            case .inject(let fault): throw fault
            }
        }
        state.pointee.activity = .halted
        leaveBlockAfterThisInstruction()
    }

    /// INVD, WBINVD and WBNOINVD: memory is always coherent, so there is nothing to write back or to lose.
    func controlCaches() throws(Fault) {
        guard cpl == 0 else { throw .generalProtection(0) }
    }

    /// INVLPG; addresses beyond the segment limit or not canonical are no fault (SDM volume 2).
    func invalidatePage(_ instruction: borrowing Instruction) throws(Fault) {
        guard cpl == 0 else { throw .generalProtection(0) }
        flushTLB(linear: memoryOperandLinear(instruction))
        leaveBlockAfterThisInstruction()
    }

    /// INVPCID: every type drops more than it must, which is always allowed (SDM volume 3 section 4.10.4.1).
    func invalidateProcessContext(_ instruction: borrowing Instruction) throws(Fault) {
        guard !isRealMode else { return try invalidateProcessContextUnchecked(instruction) }
        guard cpl == 0, !isVirtual8086 else { throw .generalProtection(0) }
        try invalidateProcessContextUnchecked(instruction)
    }

    private func invalidateProcessContextUnchecked(_ instruction: borrowing Instruction) throws(Fault) {
        let type = general(instruction.operands.0.register)
        let segment = instruction.memory.segment
        let offset = effectiveAddress(instruction)
        let addressSize = Int(instruction.addressSize)
        let context = try readMemory(segment, offset, width: 8)
        let address = try readMemory(segment, truncate(offset &+ 8, width: addressSize), width: 8)
        guard type <= 3, context & ~0xFFF == 0 else { throw .generalProtection(0) }
        let usesContext = type <= 1
        guard !usesContext || state.pointee.cr4 & CR4.PCIDE != 0 || context == 0 else { throw .generalProtection(0) }
        if type == 0 {
            guard Self.isCanonical(address) else { throw .generalProtection(0) }
            flushTLB(linear: address)
        } else {
            flushTLB()
        }
        leaveBlockAfterThisInstruction()
    }

    /// VMCALL and VMMCALL: a call to whoever watches, else #UD as on a processor without a hypervisor.
    func hypercall() throws(Fault) {
        guard watched.contains(.hypercall) else { throw .invalidOpcode }
        switch ask(.hypercall) {
        case .proceed: throw .invalidOpcode
        case .skip: break
        case .reply(let value): state.pointee.rax = value
        case .inject(let fault): throw fault
        }
        leaveBlockAfterThisInstruction()
    }
}
