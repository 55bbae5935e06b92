import X86Engine

/// The structure by which a processor runs a guest of a hypervisor, as it lies in memory: a VMCS or a VMCB.
///
/// SDM vol. 3 chapter 25 and appendix B; APM vol. 2 section 15.5 and appendix B.
public struct ControlStructure {
    /// Whose structure it is.
    public enum Kind: String, Sendable, CaseIterable {
        /// The virtual-machine control structure of VT-x.
        case vmcs
        /// The virtual machine control block of AMD-V.
        case vmcb

        /// The fields, in the order of their numbers.
        public var fields: [Field] {
            switch self {
            case .vmcs: Self.fieldsOfVMCS
            case .vmcb: Self.fieldsOfVMCB
            }
        }

        /// The field of a name, or of a number; nil if there is none.
        public func field(_ name: String) -> Field? { names[name].map { fields[$0] } }

        /// The field of a number; nil if there is none.
        public func field(_ number: UInt32) -> Field? { fields.first { $0.number == number } }

        private static let fieldsOfVMCS = VMCSField.allCases.sorted { $0.rawValue < $1.rawValue }
            .map { Field(name: $0.name, number: $0.rawValue, bits: $0.bits, source: .vmcs($0)) }
        private static let fieldsOfVMCB = VMCBField.allCases.sorted { $0.offset < $1.offset }
            .map { Field(name: $0.name, number: UInt32($0.offset), bits: $0.width * 8, source: .vmcb($0)) }
        private static let namesOfVMCS = names(fieldsOfVMCS)
        private static let namesOfVMCB = names(fieldsOfVMCB)

        private var names: [String: Int] {
            switch self {
            case .vmcs: Self.namesOfVMCS
            case .vmcb: Self.namesOfVMCB
            }
        }

        private static func names(_ fields: [Field]) -> [String: Int] {
            Dictionary(fields.enumerated().map { ($0.element.name, $0.offset) }) { first, _ in first }
        }
    }

    /// A field of a control structure.
    public struct Field: Sendable {
        /// The manual's name in small letters: `guest_rip`, `exitinfo1`.
        public let name: String
        /// The encoding of a VMCS's field, or the offset of a VMCB's.
        public let number: UInt32
        /// 8, 16, 32 or 64.
        public let bits: Int
        package let source: Source

        /// Whether it is the selector of a segment.
        package var isSelector: Bool { name.hasSuffix("_selector") }

        /// The engine's name of it.
        package var caseName: String {
            switch source {
            case .vmcs(let field): "\(field)"
            case .vmcb(let field): "\(field)"
            }
        }
    }

    /// The engine's field.
    package enum Source: Sendable {
        case vmcs(VMCSField)
        case vmcb(VMCBField)
    }

    /// Whose structure it is.
    public let kind: Kind
    /// Where it lies, in physical memory of the machine that runs the guest.
    public let address: UInt64
    private let processor: Processor

    fileprivate init(_ kind: Kind, at address: UInt64, of processor: Processor) {
        self.kind = kind
        self.address = address
        self.processor = processor
    }

    /// Reads a field, as it is in memory now.
    public subscript(field: Field) -> UInt64 {
        switch field.source {
        case .vmcs(let field): processor.readVMCS(field)
        case .vmcb(let field): processor.readVMCB(field)
        }
    }

    /// Reads a field by its name; nil for an unknown name.
    public subscript(name: String) -> UInt64? { kind.field(name).map { self[$0] } }
}

extension CPUView {
    /// The current VMCS or VMCB of the machine that runs the guest, or of a guest that runs guests itself; nil if there is
    /// none of the kind.
    public func controlStructure(_ kind: ControlStructure.Kind) -> ControlStructure? {
        for processor in [guest.monitor?.machine, guest.processor] {
            guard let processor else { continue }
            let address =
                switch kind {
                case .vmcs: processor.state.pointee.virtualization.vmx.currentVMCS
                case .vmcb: processor.currentVMCB
                }
            if address != .max { return ControlStructure(kind, at: address, of: processor) }
        }
        return nil
    }

    /// The current VMCS: of guests under `.vmx`, and of guests that have executed VMPTRLD.
    public var vmcs: ControlStructure? { controlStructure(.vmcs) }

    /// The current VMCB: of guests under `.svm` that have run, and of guests that have executed VMRUN.
    public var vmcb: ControlStructure? { controlStructure(.vmcb) }
}

extension VMCSField {
    /// `guest_rip` for `guestRIP`; selectors are called so.
    package var name: String {
        var text = ""
        let letters = Array("\(self)".replacing("SYSENTER", with: "Sysenter").replacing("PDPTE", with: "Pdpte"))
        for (index, letter) in letters.enumerated() {
            let isStart =
                letter.isUppercase && index > 0
                && (letters[index - 1].isLowercase || letters[index - 1].isNumber
                    || (index + 1 < letters.count && letters[index + 1].isLowercase))
            text += (isStart ? "_" : "") + letter.lowercased()
        }
        return isSelector ? text + "_selector" : text
    }

    package var isSelector: Bool { width == .bits16 && self != .virtualProcessorIdentifier }

    fileprivate var bits: Int {
        switch width {
        case .bits16: 16
        case .bits32: 32
        case .bits64, .natural: 64
        }
    }
}

extension VMCBField {
    /// The manual's names where they are not those of registers.
    private static let names: [VMCBField: String] = [
        .controlRegisterIntercepts: "intercept_cr", .debugRegisterIntercepts: "intercept_dr",
        .exceptionIntercepts: "intercept_exceptions", .firstInstructionIntercepts: "intercept_vector3",
        .secondInstructionIntercepts: "intercept_vector4", .thirdInstructionIntercepts: "intercept_vector5",
        .ioPermissionsMap: "iopm_base_pa", .msrPermissionsMap: "msrpm_base_pa", .guestASID: "guest_asid",
        .virtualInterrupt: "v_intr", .exitCode: "exitcode", .exitInformation1: "exitinfo1",
        .exitInformation2: "exitinfo2", .exitInterruptInformation: "exitintinfo", .nestedPaging: "np_enable",
        .eventInjection: "eventinj", .nestedCR3: "n_cr3", .cleanBits: "clean_bits", .nextRIP: "nrip",
        .instructionByteCount: "number_of_bytes_fetched", .guestPAT: "g_pat", .kernelGSBase: "kernel_gs_base",
        .sysenterCS: "sysenter_cs", .sysenterESP: "sysenter_esp", .sysenterEIP: "sysenter_eip",
    ]

    /// The manual's name in small letters: `exitcode`, `cs_selector`.
    package var name: String {
        if let name = Self.names[self] { return name }
        var text = ""
        for letter in "\(self)" { text += (letter.isUppercase ? "_" : "") + letter.lowercased() }
        return text
    }
}
