import X86
import X86Engine

/// The registers and flags that scripts and people name, in one table.
enum RegisterNames {
    typealias State = UnsafeMutablePointer<ProcessorState>

    /// What is read by name besides the general registers.
    private static let readers: [String: @Sendable (State) -> UInt64] = [
        "rip": { $0.pointee.rip }, "eip": { $0.pointee.rip & 0xFFFF_FFFF }, "ip": { $0.pointee.rip & 0xFFFF },
        "rflags": { $0.pointee.rflags }, "eflags": { $0.pointee.rflags & 0xFFFF_FFFF },
        "flags": { $0.pointee.rflags & 0xFFFF },
        "es": { UInt64($0.pointee.es.selector) }, "cs": { UInt64($0.pointee.cs.selector) },
        "ss": { UInt64($0.pointee.ss.selector) }, "ds": { UInt64($0.pointee.ds.selector) },
        "fs": { UInt64($0.pointee.fs.selector) }, "gs": { UInt64($0.pointee.gs.selector) },
        "ldtr": { UInt64($0.pointee.ldtr.selector) }, "tr": { UInt64($0.pointee.tr.selector) },
        "fs_base": { $0.pointee.fs.base }, "gs_base": { $0.pointee.gs.base },
        "kernel_gs_base": { $0.pointee.kernelGSBase },
        "gdtr": { $0.pointee.gdtr.base }, "idtr": { $0.pointee.idtr.base },
        "cr0": { $0.pointee.cr0 }, "cr2": { $0.pointee.cr2 }, "cr3": { $0.pointee.cr3 }, "cr4": { $0.pointee.cr4 },
        "dr0": { $0.pointee.dr0 }, "dr1": { $0.pointee.dr1 }, "dr2": { $0.pointee.dr2 }, "dr3": { $0.pointee.dr3 },
        "dr6": { $0.pointee.dr6 }, "dr7": { $0.pointee.dr7 },
        "efer": { $0.pointee.efer }, "star": { $0.pointee.star }, "lstar": { $0.pointee.lstar },
        "cstar": { $0.pointee.cstar }, "fmask": { $0.pointee.fmask }, "xcr0": { $0.pointee.xcr0 },
        "pat": { $0.pointee.pat }, "tsc_aux": { $0.pointee.tscAux }, "mxcsr": { UInt64($0.pointee.sse.mxcsr) },
        "cpl": { UInt64($0.pointee.cpl) },
    ]

    /// The general registers of every width by name.
    private static let general: [String: Register] = Dictionary(
        uniqueKeysWithValues: Register.allCases.filter {
            switch $0.class {
            case .general64, .general32, .general16, .general8, .general8High: true
            case .segment, .control, .debug, .x87, .mmx, .xmm, .instructionPointer, .none: false
            }
        }.map { (String(describing: $0), $0) })

    /// RFLAGS bits by name.
    ///
    /// SDM vol. 1 section 3.4.3.
    static let flagBits: [String: UInt64] = [
        "CF": RFLAGS.CF, "PF": RFLAGS.PF, "AF": RFLAGS.AF, "ZF": RFLAGS.ZF, "SF": RFLAGS.SF, "TF": RFLAGS.TF,
        "IF": RFLAGS.IF, "DF": RFLAGS.DF, "OF": RFLAGS.OF, "NT": RFLAGS.NT, "RF": RFLAGS.RF, "VM": RFLAGS.VM,
        "AC": RFLAGS.AC, "VIF": RFLAGS.VIF, "VIP": RFLAGS.VIP, "ID": RFLAGS.ID,
    ]

    /// Mode bits by name: the register they are in and the bit.
    private static let modeBits: [String: (register: String, bit: UInt64)] = [
        "PE": ("cr0", CR0.PE), "MP": ("cr0", CR0.MP), "EM": ("cr0", CR0.EM), "TS": ("cr0", CR0.TS),
        "NE": ("cr0", CR0.NE), "WP": ("cr0", CR0.WP), "AM": ("cr0", CR0.AM), "PG": ("cr0", CR0.PG),
        "PSE": ("cr4", CR4.PSE), "PAE": ("cr4", CR4.PAE), "PGE": ("cr4", CR4.PGE), "UMIP": ("cr4", CR4.UMIP),
        "SMEP": ("cr4", CR4.SMEP), "SMAP": ("cr4", CR4.SMAP), "PCIDE": ("cr4", CR4.PCIDE),
        "SCE": ("efer", EFER.SCE), "LME": ("efer", EFER.LME), "LMA": ("efer", EFER.LMA), "NXE": ("efer", EFER.NXE),
    ]

    static func read(_ name: String, _ state: State) -> UInt64? {
        if let register = general[name] { return generalValue(register, state) }
        return readers[name]?(state)
    }

    /// How a register or flag is read, for those who read it often; nil for an unknown name.
    static func reader(_ name: String) -> RegisterReader? {
        let lower = name.lowercased()
        if let register = general[lower] {
            let isHigh = register.class == .general8High
            return RegisterReader(
                source: .general(
                    isHigh ? register.number - 4 : register.number, shift: isHigh ? 8 : 0, mask: mask(register)))
        }
        if let read = readers[lower] { return RegisterReader(source: .value(read)) }
        if let bit = flagBits[name] { return RegisterReader(source: .flag(bit)) }
        guard let mode = modeBits[name], let read = readers[mode.register] else { return nil }
        return RegisterReader(source: .mode(read, mode.bit))
    }

    /// The general register, of any width, of a name.
    static func generalRegister(_ name: String) -> Register? { general[name] }

    static func flag(_ name: String, _ state: State) -> Bool? {
        if let bit = flagBits[name] { return state.pointee.rflags & bit != 0 }
        guard let mode = modeBits[name], let value = readers[mode.register]?(state) else { return nil }
        return value & mode.bit != 0
    }

    static func write(_ name: String, _ value: UInt64, _ state: State) -> Bool {
        if let register = general[name] {
            setGeneral(register, value, state)
            return true
        }
        switch name {
        case "rip": state.pointee.rip = value
        case "eip": state.pointee.rip = value & 0xFFFF_FFFF
        case "rflags", "eflags": state.pointee.rflags = value
        default: return false
        }
        return true
    }

    fileprivate static func registers(_ state: State) -> UnsafeMutablePointer<UInt64> {
        // SAFETY: the sixteen general registers are the first fields of the state, without gaps.
        UnsafeMutableRawPointer(state).assumingMemoryBound(to: UInt64.self)
    }

    private static func generalValue(_ register: Register, _ state: State) -> UInt64 {
        let high = register.class == .general8High
        let value = registers(state)[high ? register.number - 4 : register.number]
        return (high ? value >> 8 : value) & mask(register)
    }

    private static func setGeneral(_ register: Register, _ value: UInt64, _ state: State) {
        let high = register.class == .general8High
        let number = high ? register.number - 4 : register.number
        let shift: UInt64 = high ? 8 : 0
        // 32-bit writes clear the upper half, narrower ones keep it (SDM vol. 1 section 3.4.1.1).
        let kept = register.width == 32 ? 0 : registers(state)[number] & ~(mask(register) << shift)
        registers(state)[number] = kept | (value & mask(register)) << shift
    }

    private static func mask(_ register: Register) -> UInt64 {
        register.width == 64 ? .max : (1 << UInt64(register.width)) - 1
    }
}

/// A register or flag that has been looked up by its name.
package struct RegisterReader: Sendable {
    fileprivate enum Source: Sendable {
        case general(Int, shift: UInt64, mask: UInt64)
        case value(@Sendable (RegisterNames.State) -> UInt64)
        case flag(UInt64)
        case mode(@Sendable (RegisterNames.State) -> UInt64, UInt64)
    }

    /// What a register holds.
    package enum Value: Equatable, Sendable {
        case number(UInt64)
        case flag(Bool)
    }

    fileprivate let source: Source

    /// Nil for an unknown name.
    package init?(_ name: String) {
        guard let reader = RegisterNames.reader(name) else { return nil }
        self = reader
    }

    fileprivate init(source: Source) { self.source = source }
}

extension CPUView {
    /// Reads a register that has been looked up.
    package func read(_ reader: RegisterReader) -> RegisterReader.Value {
        let state = guest.processor.state
        return switch reader.source {
        case .general(let number, let shift, let mask):
            .number(RegisterNames.registers(state)[number] >> shift & mask)
        case .value(let read): .number(read(state))
        case .flag(let bit): .flag(state.pointee.rflags & bit != 0)
        case .mode(let read, let bit): .flag(read(state) & bit != 0)
        }
    }
}

/// The registers that are read most, for `CPUView`'s subscript; others are read by a text.
public enum RegisterName: String, Sendable, CaseIterable {
    case rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15
    case rip, rflags, cs, ss, ds, es, fs, gs, cr0, cr2, cr3, cr4, efer
}

extension CPUView {
    /// Reads a register.
    public subscript(register: RegisterName) -> UInt64 { self[register.rawValue] ?? 0 }
}
