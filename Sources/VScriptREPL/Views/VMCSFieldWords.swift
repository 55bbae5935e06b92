import VirtualMachine
import X86Engine

/// What values of the fields of a virtual-machine control structure mean.
///
/// SDM vol. 3 appendix B and chapter 25.
enum VMCSFieldWords {
    static let words: [VMCSField: FieldContext.Words] = {
        var words: [VMCSField: FieldContext.Words] = [
            .exitReason: { value, _ in
                VMXWords.reason(UInt32(truncatingIfNeeded: value)) + (value >> 31 & 1 != 0 ? ", VM entry failed" : "")
            },
            .exitQualification: { value, context in
                VMXWords.qualification(
                    value, reason: UInt32(truncatingIfNeeded: (context.structure["exit_reason"] ?? 0) & 0xFFFF))
            },
            .guestRFLAGS: FieldContext.bits("rflags"),
            .exceptionBitmap: FieldContext.exceptions,
            .guestActivity: { value, _ in ["active", "HLT", "shutdown", "wait-for-SIPI"][Int(min(value, 3))] },
            .guestInterruptibility: { value, _ in
                ["STI", "MOV SS", "SMI", "NMI"].enumerated().filter { value >> UInt64($0.offset) & 1 != 0 }
                    .map { "blocking by \($0.element)" }.joined(separator: ", ")
            },
            .eptPointer: { value, _ in
                "root \(Numbers.hex(value & 0x000F_FFFF_FFFF_F000)), \((value >> 3 & 7) + 1) levels"
                    + (value >> 6 & 1 != 0 ? ", accessed and dirty flags" : "")
            },
            .guestRIP: FieldContext.place,
        ]
        for field in [VMCSField.guestCR0, .hostCR0, .cr0Mask, .cr0Shadow] { words[field] = FieldContext.bits("cr0") }
        for field in [VMCSField.guestCR4, .hostCR4, .cr4Mask, .cr4Shadow] { words[field] = FieldContext.bits("cr4") }
        for field in [VMCSField.guestEFER, .hostEFER] { words[field] = FieldContext.bits("efer") }
        for field in [
            VMCSField.pinBasedControls, .primaryControls, .secondaryControls, .exitControls, .entryControls,
        ] {
            words[field] = { value, _ in VMXWords.controls(field, value) }
        }
        for field in [
            VMCSField.entryInterruptionInformation, .exitInterruptionInformation, .idtVectoringInformation,
        ] {
            words[field] = { value, _ in VMXWords.interruption(value) }
        }
        for field in VMCSField.allCases where field.name.hasSuffix("_access_rights") {
            words[field] = { value, _ in FieldContext.segment(UInt32(truncatingIfNeeded: value)) }
        }
        return words
    }()
}
