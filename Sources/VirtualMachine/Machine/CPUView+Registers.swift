import X86
import X86Engine

/// Why a register cannot be written.
public enum RegisterError: Error, Equatable, CustomStringConvertible {
    /// There is no register of the name.
    case unknown(String)
    /// The register cannot be set from outside.
    case readOnly(String, why: String)
    /// The register has fewer bits.
    case tooWide(String, bits: Int, value: UInt64)
    /// The processor refuses the value, as it would an instruction's.
    case refused(String, value: UInt64, why: String)

    /// One line, without a period at its end.
    public var description: String {
        switch self {
        case .unknown(let name): "there is no register `\(name)`"
        case .readOnly(let name, let why): "`\(name)` cannot be set: \(why)"
        case .tooWide(let name, let bits, let value):
            "\(hexadecimal(value)) does not fit `\(name)`, which has \(bits) bits"
        case .refused(let name, let value, let why): "`\(name)` cannot be \(hexadecimal(value)): \(why)"
        }
    }
}

/// A segment register with its hidden part.
///
/// SDM vol. 3 section 3.4.3.
public struct SegmentView: Equatable, Sendable {
    /// The visible part.
    public var selector: UInt16
    /// The base address.
    public var base: UInt64
    /// The limit in bytes.
    public var limit: UInt32
    /// The access rights as in the VMCS: type, S, DPL, P, AVL, L, D/B, G, and bit 16 for unusable.
    public var attributes: UInt32

    /// The four type bits.
    public var type: Int { Int(attributes & 0xF) }
    /// The descriptor's privilege level.
    public var privilegeLevel: Int { Int(attributes >> 5 & 3) }
    /// P.
    public var isPresent: Bool { attributes & 0x80 != 0 }
    /// L: 64-bit code.
    public var isLong: Bool { attributes & 0x2000 != 0 }
    /// D/B: 32-bit code or stack.
    public var isWide: Bool { attributes & 0x4000 != 0 }
    /// Loaded with a null selector.
    public var isUnusable: Bool { attributes & 0x1_0000 != 0 }
}

extension CPUView {
    private var processor: Processor { guest.processor }

    /// A segment register by name: `cs ss ds es fs gs ldtr tr`; nil for another name.
    public func segment(_ name: String) -> SegmentView? {
        let s = processor.state.pointee
        let segment: SegmentState
        switch name.lowercased() {
        case "cs": segment = s.cs
        case "ss": segment = s.ss
        case "ds": segment = s.ds
        case "es": segment = s.es
        case "fs": segment = s.fs
        case "gs": segment = s.gs
        case "ldtr": segment = s.ldtr
        case "tr": segment = s.tr
        case _: return nil
        }
        return SegmentView(
            selector: segment.selector, base: segment.base, limit: segment.limit, attributes: segment.attributes)
    }

    /// A model-specific register; nil if the model has none of the index.
    public func modelSpecificRegister(_ index: UInt32) -> UInt64? { processor.readMSR(index) }

    /// Writes a register by the manuals' name as an instruction at CPL 0 would, with its checks; narrower parts of
    /// general registers too.
    ///
    /// Throws `RegisterError` with nothing changed.
    public func write(_ name: String, _ value: UInt64) throws(RegisterError) {
        let lower = name.lowercased()
        guard self[lower] != nil else { throw .unknown(name) }
        if let register = RegisterNames.generalRegister(lower) {
            let bits = Int(register.width)
            guard bits == 64 || value >> UInt64(bits) == 0 else { throw .tooWide(name, bits: bits, value: value) }
            set(lower, value)
            return
        }
        guest.effects?.note(.register(name, value))
        switch lower {
        case "rip", "eip", "ip":
            let bits = processor.codeBits
            let isPossible =
                bits == 64 ? UInt64(bitPattern: Int64(bitPattern: value << 16) >> 16) == value : value >> 32 == 0
            guard isPossible else { throw .refused(name, value: value, why: "no code can lie there in \(mode) mode") }
            set("rip", value)
        case "rflags", "eflags", "flags":
            guard value & ~Self.writableFlags == RFLAGS.fixed else {
                throw .refused(name, value: value, why: "bit 1 is one, and reserved bits and VM stay zero")
            }
            set("rflags", value)
        case "cr0", "cr2", "cr3", "cr4":
            guard let number = Int(String(lower.dropFirst(2))) else { throw .unknown(name) }
            do throws(Fault) { try processor.assignControlRegister(number, value) } catch {
                throw .refused(
                    name, value: value, why: "MOV to CR\(number) raises \(ExceptionName.short(error.vector))")
            }
        case "dr0", "dr1", "dr2", "dr3", "dr6", "dr7":
            guard let number = Int(String(lower.dropFirst(2))) else { throw .unknown(name) }
            guard number < 4 || value >> 32 == 0 else {
                throw .refused(name, value: value, why: "its upper half is reserved")
            }
            processor.assignDebugRegister(number, value)
        case _:
            guard let index = Self.modelSpecificRegisters[lower] else {
                throw .readOnly(name, why: "only the guest's own instructions load it")
            }
            guard processor.writeMSR(index, value) else {
                throw .refused(name, value: value, why: "WRMSR raises #GP")
            }
        }
        guest.platform.publish()
    }

    private static let writableFlags: UInt64 =
        RFLAGS.status | RFLAGS.TF | RFLAGS.IF | RFLAGS.DF | RFLAGS.IOPL | RFLAGS.NT | RFLAGS.RF | RFLAGS.AC | RFLAGS.ID

    /// Registers that are MSRs.
    ///
    /// SDM vol. 4 table 2-2.
    private static let modelSpecificRegisters: [String: UInt32] = [
        "efer": 0xC000_0080, "star": 0xC000_0081, "lstar": 0xC000_0082, "cstar": 0xC000_0083, "fmask": 0xC000_0084,
        "fs_base": 0xC000_0100, "gs_base": 0xC000_0101, "kernel_gs_base": 0xC000_0102, "tsc_aux": 0xC000_0103,
        "pat": 0x277,
    ]
}
