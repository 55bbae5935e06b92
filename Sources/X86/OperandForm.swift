/// An operand as the manuals' opcode maps write it (SDM volume 2 appendix A.2).
///
/// First letter: E general register or memory by ModRM, G general register by ModRM.reg, M memory only, R register
/// by ModRM.rm only, Z register in the opcode's low bits, I immediate, J relative, O moffs, S segment, C control, D debug,
/// P MMX by reg, Q MMX or memory, N MMX by rm, V XMM by reg, W XMM or memory, U XMM by rm, B general register by
/// VEX.vvvv, X DS:rSI, Y ES:rDI. Second: b 8, w 16, d 32, q 64, dq 128, v 16/32/64, y 32/64, z 16/32, p far,
/// n the native width: 64 in 64-bit mode, else 32.
package enum OperandForm: UInt8, CaseIterable, Sendable {
    case Eb, Ew, Ed, Eq, Ev, Ey, Ez, En
    case Gb, Gw, Gd, Gv, Gy, Gn
    case Zb, Zv
    case Ib, Iw
    /// 16 or 32 bits, sign-extended to the operand size.
    case Iz
    /// As wide as the operand size, 64 bits included (MOV only).
    case Iv
    /// An 8-bit immediate sign-extended to the operand size.
    case sIb
    /// The second immediate of ENTER: the nesting level.
    case Ib2
    /// The constant 1 of the short shift forms.
    case one
    case Jb, Jz
    /// Direct far pointer ptr16:16 or ptr16:32.
    case Ap
    /// Memory far pointer m16:16, m16:32, m16:64.
    case Mp
    case Ob, Ov
    case Sw
    case Cd, Dd
    /// General register by rm of the native width, whatever mod says (MOV to and from CR and DR).
    case Rn
    case Rv, Ry
    /// Register of the operand size or 16-bit memory (MOV Ev, Sw; SLDT, STR, SMSW).
    case RvMw
    /// The same with at most 32 bits of the register (LAR and LSL).
    case RzMw
    /// Double-word register or byte / word memory (PINSRB, PEXTRB, PINSRW, PEXTRW).
    case RdMb, RdMw
    case By
    /// Memory of the given width; `M` has none (LEA, CLFLUSH, INVLPG …).
    case M, Mb, Mw, Md, Mq, Mv, My
    /// 128 bits of memory that must be aligned (CMPXCHG16B, MOVNTPS …).
    case Mdq
    /// 128 bits of memory without alignment (LDDQU, INVPCID).
    case Mu
    /// m16&32 or m16&64 pseudo-descriptor (LGDT …).
    case Ms
    /// m16&16 / m32&32 of BOUND.
    case Ma
    /// x87 memory operands.
    case Mf32, Mf64, Mf80, Mi16, Mi32, Mi64, Mbcd80, Menv, Mstate
    /// State areas: 512 bytes of FXSAVE, and the XSAVE area by its smallest size of 576 bytes.
    case M512, Mxsave
    case Pq, Qd, Qq, Nq
    case Vdq, Vq, Vd
    /// XMM register or 128 bits of memory that must be aligned.
    case Wdq
    /// XMM register or 128 bits of memory without alignment.
    case Wu
    case Wq, Wd, Ww
    case Udq, Uq
    /// XMM0 as implicit operand (BLENDVPS and the like).
    case XMM0
    case AL, CL, AX, DX, EAX, ECX, EDX
    /// rAX by operand size; eAX: AX or EAX (IN and OUT, where REX.W does nothing).
    case rAX, eAX
    case ES, CS, SS, DS, FS, GS
    /// String operands.
    case Xb, Xv, Xz, Yb, Yv, Yz
    /// DS:rBX + AL, the implicit operand of XLAT.
    case BXAL
    /// DS:rDI, the implicit destination of MASKMOVQ and MASKMOVDQU.
    case DIq, DIdq
    /// DS:rAX, the implicit address of MONITOR.
    case memoryRAX
    /// rAX of the address size as a register (VMRUN, VMLOAD, VMSAVE, INVLPGA).
    case addressRAX
    /// ST(0) and ST(i).
    case ST0, STi
}

/// Where an operand is encoded.
package enum OperandPlace: UInt8, Sendable {
    /// ModRM.rm: register if mod is 3, else memory.
    case rm
    /// ModRM.reg.
    case reg
    /// The low three bits of the opcode.
    case opcode
    case vvvv
    case immediate
    case immediate2
    case relative
    case farPointer
    /// A full address after the opcode.
    case moffs
    /// Nowhere: `OperandShape.fixed` names the register.
    case fixed
    /// The constant 1.
    case constantOne
    /// Memory at rSI, rDI with ES, rDI, rBX + AL, rAX: `sourceIndex` and those after it.
    case sourceIndex, destinationIndex, maskDestination, tableLookup, accumulatorAddress
}

/// How wide an operand is, in bits.
package enum OperandWidth: UInt8, Sendable {
    case none, bits8, bits16, bits32, bits64, bits80, bits128
    /// v: the operand size.
    case operandSize
    /// z: 16 if the operand size is 16, else 32.
    case atMost32
    /// y: 64 with REX.W or VEX.W in 64-bit mode, else 32.
    case atLeast32
    /// n: 64 in 64-bit mode, else 32.
    case native
    /// The address size.
    case addressSize
    /// 16 more than the operand size: far pointers.
    case far
    /// 80 in 64-bit mode, else 48: pseudo-descriptors.
    case pseudoDescriptor
    /// Twice the operand size (BOUND).
    case bounds
    /// 14 or 28 bytes, and 94 or 108 bytes, by the operand size (SDM volume 1 section 8.1.10).
    case environment, x87State
    case bytes512, xsaveArea
}

/// What an `OperandForm` means: the one description that decoder, assembler and formatter read.
package struct OperandShape: Sendable {
    package var place: OperandPlace
    /// The register class, where the operand can be a register; `general64` stands for all general widths.
    package var registers: Register.Class
    /// The width as a register or immediate value.
    package var width: OperandWidth
    /// The width as memory.
    package var memoryWidth: OperandWidth
    /// The encoded width of an immediate, displacement or moffs.
    package var encodedWidth: OperandWidth
    package var fixed: Register = .none
    package var allowsRegister = true
    package var allowsMemory = true
    /// True if assembly text does not write the operand.
    package var isImplicit = false
    /// True if memory must be aligned to the operand's width (#GP(0) otherwise).
    package var isAligned = false

    private init(
        _ place: OperandPlace, _ registers: Register.Class, _ width: OperandWidth, memory: OperandWidth? = nil,
        encoded: OperandWidth? = nil
    ) {
        self.place = place
        self.registers = registers
        self.width = width
        memoryWidth = memory ?? width
        encodedWidth = encoded ?? width
    }

    fileprivate static func general(_ width: OperandWidth, memory: OperandWidth? = nil) -> OperandShape {
        OperandShape(.rm, .general64, width, memory: memory)
    }

    fileprivate static func memory(_ width: OperandWidth, aligned: Bool = false) -> OperandShape {
        var shape = OperandShape(.rm, .none, width)
        shape.allowsRegister = false
        shape.isAligned = aligned
        return shape
    }

    fileprivate static func registerOnly(_ registers: Register.Class, _ width: OperandWidth) -> OperandShape {
        var shape = OperandShape(.rm, registers, width)
        shape.allowsMemory = false
        return shape
    }

    fileprivate static func vector(
        _ registers: Register.Class, _ width: OperandWidth, aligned: Bool = false
    ) -> OperandShape {
        var shape = OperandShape(.rm, registers, width)
        shape.isAligned = aligned
        return shape
    }

    fileprivate static func at(
        _ place: OperandPlace, _ registers: Register.Class, _ width: OperandWidth
    ) -> OperandShape {
        OperandShape(place, registers, width)
    }

    fileprivate static func immediate(_ width: OperandWidth, encoded: OperandWidth? = nil) -> OperandShape {
        OperandShape(.immediate, .none, width, encoded: encoded)
    }

    fileprivate static func fixed(_ register: Register, _ width: OperandWidth) -> OperandShape {
        var shape = OperandShape(.fixed, register.class, width)
        shape.fixed = register
        return shape
    }

    fileprivate static func implicitMemory(_ place: OperandPlace, _ width: OperandWidth) -> OperandShape {
        var shape = OperandShape(place, .none, width)
        shape.allowsRegister = false
        shape.isImplicit = true
        return shape
    }
}

extension OperandForm {
    /// Place, register class and widths of the form.
    package var shape: OperandShape {
        switch self {
        case .Eb: .general(.bits8)
        case .Ew: .general(.bits16)
        case .Ed: .general(.bits32)
        case .Eq: .general(.bits64)
        case .Ev: .general(.operandSize)
        case .Ey: .general(.atLeast32)
        case .Ez: .general(.atMost32)
        case .En: .general(.native)
        case .RvMw: .general(.operandSize, memory: .bits16)
        case .RzMw: .general(.atMost32, memory: .bits16)
        case .RdMb: .general(.bits32, memory: .bits8)
        case .RdMw: .general(.bits32, memory: .bits16)
        case .Rn: .registerOnly(.general64, .native)
        case .Rv: .registerOnly(.general64, .operandSize)
        case .Ry: .registerOnly(.general64, .atLeast32)
        case .Gb: .at(.reg, .general64, .bits8)
        case .Gw: .at(.reg, .general64, .bits16)
        case .Gd: .at(.reg, .general64, .bits32)
        case .Gv: .at(.reg, .general64, .operandSize)
        case .Gy: .at(.reg, .general64, .atLeast32)
        case .Gn: .at(.reg, .general64, .native)
        case .Zb: .at(.opcode, .general64, .bits8)
        case .Zv: .at(.opcode, .general64, .operandSize)
        case .By: .at(.vvvv, .general64, .atLeast32)
        case .Ib: .immediate(.bits8)
        case .Iw: .immediate(.bits16)
        case .Iz: .immediate(.operandSize, encoded: .atMost32)
        case .Iv: .immediate(.operandSize)
        case .sIb: .immediate(.operandSize, encoded: .bits8)
        case .Ib2: .at(.immediate2, .none, .bits8)
        case .one: .at(.constantOne, .none, .bits8)
        case .Jb: .at(.relative, .none, .bits8)
        case .Jz: .at(.relative, .none, .atMost32)
        case .Ap: .at(.farPointer, .none, .far)
        case .Ob: .at(.moffs, .none, .bits8)
        case .Ov: .at(.moffs, .none, .operandSize)
        case .Sw: .at(.reg, .segment, .bits16)
        case .Cd: .at(.reg, .control, .native)
        case .Dd: .at(.reg, .debug, .native)
        case .M: .memory(.none)
        case .Mb: .memory(.bits8)
        case .Mw, .Mi16: .memory(.bits16)
        case .Md, .Mf32, .Mi32: .memory(.bits32)
        case .Mq, .Mf64, .Mi64: .memory(.bits64)
        case .Mf80, .Mbcd80: .memory(.bits80)
        case .Mdq: .memory(.bits128, aligned: true)
        case .Mu: .memory(.bits128)
        case .Mv: .memory(.operandSize)
        case .My: .memory(.atLeast32)
        case .Mp: .memory(.far)
        case .Ms: .memory(.pseudoDescriptor)
        case .Ma: .memory(.bounds)
        case .Menv: .memory(.environment)
        case .Mstate: .memory(.x87State)
        case .M512: .memory(.bytes512)
        case .Mxsave: .memory(.xsaveArea)
        case .Pq: .at(.reg, .mmx, .bits64)
        case .Qd: .vector(.mmx, .bits32)
        case .Qq: .vector(.mmx, .bits64)
        case .Nq: .registerOnly(.mmx, .bits64)
        case .Vdq: .at(.reg, .xmm, .bits128)
        case .Vq: .at(.reg, .xmm, .bits64)
        case .Vd: .at(.reg, .xmm, .bits32)
        case .Wdq: .vector(.xmm, .bits128, aligned: true)
        case .Wu: .vector(.xmm, .bits128)
        case .Wq: .vector(.xmm, .bits64)
        case .Wd: .vector(.xmm, .bits32)
        case .Ww: .vector(.xmm, .bits16)
        case .Udq: .registerOnly(.xmm, .bits128)
        case .Uq: .registerOnly(.xmm, .bits64)
        case .XMM0: .fixed(.xmm0, .bits128)
        case .AL: .fixed(.al, .bits8)
        case .CL: .fixed(.cl, .bits8)
        case .AX: .fixed(.ax, .bits16)
        case .DX: .fixed(.dx, .bits16)
        case .EAX: .fixed(.eax, .bits32)
        case .ECX: .fixed(.ecx, .bits32)
        case .EDX: .fixed(.edx, .bits32)
        case .rAX: .fixed(.rax, .operandSize)
        case .eAX: .fixed(.rax, .atMost32)
        case .addressRAX: .fixed(.rax, .addressSize)
        case .ES: .fixed(.es, .bits16)
        case .CS: .fixed(.cs, .bits16)
        case .SS: .fixed(.ss, .bits16)
        case .DS: .fixed(.ds, .bits16)
        case .FS: .fixed(.fs, .bits16)
        case .GS: .fixed(.gs, .bits16)
        case .ST0: .fixed(.st0, .bits80)
        case .STi: .registerOnly(.x87, .bits80)
        case .Xb: .implicitMemory(.sourceIndex, .bits8)
        case .Xv: .implicitMemory(.sourceIndex, .operandSize)
        case .Xz: .implicitMemory(.sourceIndex, .atMost32)
        case .Yb: .implicitMemory(.destinationIndex, .bits8)
        case .Yv: .implicitMemory(.destinationIndex, .operandSize)
        case .Yz: .implicitMemory(.destinationIndex, .atMost32)
        case .DIq: .implicitMemory(.maskDestination, .bits64)
        case .DIdq: .implicitMemory(.maskDestination, .bits128)
        case .BXAL: .implicitMemory(.tableLookup, .bits8)
        case .memoryRAX: .implicitMemory(.accumulatorAddress, .none)
        }
    }
}
