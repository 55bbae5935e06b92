/// The registers that an instruction can name, by the manuals' names.
///
/// SDM volume 1 section 3.4 and 3.7.2. Cases of one class are consecutive and in encoding order, so that the class
/// and the number can be derived.
package enum Register: UInt8, CaseIterable, Sendable {
    case rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    case eax, ecx, edx, ebx, esp, ebp, esi, edi, r8d, r9d, r10d, r11d, r12d, r13d, r14d, r15d
    case ax, cx, dx, bx, sp, bp, si, di, r8w, r9w, r10w, r11w, r12w, r13w, r14w, r15w
    case al, cl, dl, bl, spl, bpl, sil, dil, r8b, r9b, r10b, r11b, r12b, r13b, r14b, r15b
    case ah, ch, dh, bh
    case es, cs, ss, ds, fs, gs
    case cr0, cr1, cr2, cr3, cr4, cr5, cr6, cr7, cr8, cr9, cr10, cr11, cr12, cr13, cr14, cr15
    case dr0, dr1, dr2, dr3, dr4, dr5, dr6, dr7
    case st0, st1, st2, st3, st4, st5, st6, st7
    case mm0, mm1, mm2, mm3, mm4, mm5, mm6, mm7
    case xmm0, xmm1, xmm2, xmm3, xmm4, xmm5, xmm6, xmm7
    case xmm8, xmm9, xmm10, xmm11, xmm12, xmm13, xmm14, xmm15
    case rip, eip
    case none

    /// What kind of register a name stands for.
    package enum Class: UInt8, Sendable {
        case general64, general32, general16, general8, general8High
        case segment, control, debug, x87, mmx, xmm, instructionPointer, none
    }

    /// The class, derived from the order of the cases.
    package var `class`: Class {
        switch self.rawValue {
        case 0..<16: .general64
        case 16..<32: .general32
        case 32..<48: .general16
        case 48..<64: .general8
        case 64..<68: .general8High
        case 68..<74: .segment
        case 74..<90: .control
        case 90..<98: .debug
        case 98..<106: .x87
        case 106..<114: .mmx
        case 114..<130: .xmm
        case 130..<132: .instructionPointer
        default: .none
        }
    }

    /// The number inside the class as instructions encode it (AH is 4, BH 7).
    package var number: Int {
        let raw = Int(self.rawValue)
        return switch self.class {
        case .general64, .general32, .general16, .general8: raw & 15
        case .general8High: raw - 64 + 4
        case .segment: raw - 68
        case .control: raw - 74
        case .debug: raw - 90
        case .x87: raw - 98
        case .mmx: raw - 106
        case .xmm: raw - 114
        case .instructionPointer, .none: 0
        }
    }

    /// The width in bits; 80 for x87, 0 for `none`.
    package var width: Int {
        switch self.class {
        case .general64: 64
        case .general32: 32
        case .general16, .segment: 16
        case .general8, .general8High: 8
        case .control, .debug: 64
        case .x87: 80
        case .mmx: 64
        case .xmm: 128
        case .instructionPointer: self == .rip ? 64 : 32
        case .none: 0
        }
    }

    /// The general register of `width` bits (16, 32 or 64) with the encoded `number` 0...15.
    package static func general(_ number: Int, width: Int) -> Register {
        let base: UInt8 = width == 64 ? 0 : width == 32 ? 16 : 32
        return at(base &+ UInt8(truncatingIfNeeded: number & 15))
    }

    /// The byte register with the encoded `number`; without a REX prefix 4...7 are AH CH DH BH (SDM volume 2 table 2-1).
    package static func byte(_ number: Int, hasREX: Bool) -> Register {
        let index = UInt8(truncatingIfNeeded: number & 15)
        return !hasREX && index >= 4 && index < 8 ? at(64 &+ index &- 4) : at(48 &+ index)
    }

    /// The segment register with the encoded `number` 0...5.
    package static func segment(_ number: Int) -> Register { at(68 &+ UInt8(truncatingIfNeeded: number % 6)) }
    /// The control register with the encoded `number` 0...15.
    package static func control(_ number: Int) -> Register { at(74 &+ UInt8(truncatingIfNeeded: number & 15)) }
    /// The debug register with the encoded `number` 0...7.
    package static func debug(_ number: Int) -> Register { at(90 &+ UInt8(truncatingIfNeeded: number & 7)) }
    /// The x87 stack register ST(`number`).
    package static func x87(_ number: Int) -> Register { at(98 &+ UInt8(truncatingIfNeeded: number & 7)) }
    /// The MMX register with the encoded `number` 0...7.
    package static func mmx(_ number: Int) -> Register { at(106 &+ UInt8(truncatingIfNeeded: number & 7)) }
    /// The XMM register with the encoded `number` 0...15.
    package static func xmm(_ number: Int) -> Register { at(114 &+ UInt8(truncatingIfNeeded: number & 15)) }

    private static func at(_ raw: UInt8) -> Register { Register(rawValue: raw) ?? .none }
}
