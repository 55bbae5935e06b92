import X86

/// Whether cases of a row may run on the host at all: nothing that enters the kernel on purpose, depends on the host's
/// identity or on its kernel's configuration.
func isTestable(_ definition: InstructionDefinition) -> Bool {
    switch definition.feature {
    case .vmx, .svm, .monitor, .cet: return false
    default: break
    }
    switch definition.operation {
    case .int, .int3, .int1, .into, .iret, .syscall, .sysenter, .sysexit, .sysret, .callFar, .jmpFar, .retFar:
        return false
    // Time, identity and random numbers; the host's XCR0 and FS base.
    case .rdtsc, .rdtscp, .rdpmc, .rdpid, .cpuid, .rdrand, .rdseed, .xgetbv, .rdfsbase, .wrfsbase, .rdgsbase, .wrgsbase:
        return false
    // Segments of the host's kernel; UMIP emulation.
    case .lds, .les, .lfs, .lgs, .lss, .lar, .lsl, .verr, .verw, .sgdt, .sidt, .sldt, .str, .smsw, .arpl: return false
    // TF, IOPL and the like.
    case .popf, .pushf: return false
    case .mov where definition.sensitivity == .sensitiveUnprivileged: return false
    case .push, .pop: return definition.sensitivity == .innocuous
    // Components that the host has beyond x87 and SSE, and what it tracks of them.
    case .xsavec, .xsaveopt, .xsaves, .xrstors: return false
    // Approximations are each vendor's own.
    case .rcpps, .rcpss, .rsqrtps, .rsqrtss: return false
    default: return true
    }
}

/// Whether Intel's and AMD's processors differ in an encoding, or its cases cannot be had; the engine follows Intel's.
func dependsOnVendor(_ instruction: Instruction, _ mode: CodeMode) -> Bool {
    switch instruction.operation {
    // AMD truncates RIP to 16 bits after 66 (APM volume 3 section 1.2.4).
    case .jcc, .jcxz, .loop, .jmp, .call, .ret: mode == .bits64 && instruction.prefixes.contains(.operandSize)
    // F2 and F3 also change AMD's condition.
    case .loope, .loopne: !instruction.prefixes.isDisjoint(with: [.operandSize, .repeatEqual, .repeatNotEqual])
    // AMD reads 32 bits whatever the operand size (APM volume 3, MOVSXD).
    case .movsxd: instruction.operandSize == 16
    // 0F 0D with a register is a NOP for Intel only (APM volume 3, PREFETCH).
    case .nop: InstructionTable.definitions[Int(instruction.row)].opcode == 0x0D
    // AMD checks the privilege before CR4.DE (APM volume 3, MOV DRn).
    case .mov:
        [.dr4, .dr5].contains(instruction.operands.0.register)
            || [.dr4, .dr5].contains(instruction.operands.1.register)
    // With an empty mask AMD's still find the fault that a store would give.
    case .maskmovq, .maskmovdqu: instruction.addressSize == 16 || instruction.memory.segment == .cs
    // EDX:EAX must name components that both have, so it cannot be an address.
    case .xsave, .xrstor: uses(instruction.memory, [0, 2])
    // F3 with REX.B is XCHG for AMD.
    case .pause: instruction.prefixes.contains(.rex)
    default: false
    }
}

/// Whether a memory operand is addressed with one of the general registers.
func uses(_ memory: MemoryOperand, _ numbers: [Int]) -> Bool {
    memory.base != .none && numbers.contains(memory.base.number)
        || memory.index != .none && numbers.contains(memory.index.number)
}
