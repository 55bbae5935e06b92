import VirtualMachine
import X86Engine

/// What values of the fields of a virtual machine control block mean.
///
/// APM vol. 2 appendix B.
enum VMCBFieldWords {
    static let words: [VMCBField: FieldContext.Words] = {
        var words: [VMCBField: FieldContext.Words] = [
            .exceptionIntercepts: FieldContext.exceptions,
            .exitCode: { value, _ in SVMWords.reason(value) },
            .exitInformation1: { value, context in
                SVMWords.information1(value, code: context.exitCode, of: context.guest)
            },
            .exitInformation2: { value, context in SVMWords.information2(value, code: context.exitCode) },
            .exitInterruptInformation: { value, _ in SVMWords.event(value) },
            .eventInjection: { value, _ in SVMWords.event(value) },
            .virtualInterrupt: { value, _ in
                let interrupt = VirtualInterrupt(rawValue: value)
                return "V_TPR \(interrupt.taskPriority)" + (interrupt.isPending ? ", V_IRQ pending" : "")
            },
            .nestedPaging: { value, _ in value & 1 != 0 ? "nested paging" : "shadow or no paging" },
            .cr0: FieldContext.bits("cr0"), .cr4: FieldContext.bits("cr4"), .efer: FieldContext.bits("efer"),
            .rflags: FieldContext.bits("rflags"),
            .cpl: { value, _ in "ring \(value)" },
            .rip: FieldContext.place, .nextRIP: FieldContext.place, .lstar: FieldContext.place,
            .interruptShadow: { value, _ in value & 1 != 0 ? "interrupts are held off for one instruction" : "" },
        ]
        let intercepts: [(VMCBField, UInt64)] = [
            (.controlRegisterIntercepts, 0), (.debugRegisterIntercepts, 1), (.firstInstructionIntercepts, 3),
            (.secondInstructionIntercepts, 4), (.thirdInstructionIntercepts, 5),
        ]
        for (field, vector) in intercepts {
            words[field] = { value, _ in SVMWords.intercepts(value, vector: vector) }
        }
        for field in VMCBField.allCases where field.name.hasSuffix("_attributes") {
            // Bits 8 to 11 are bits 12 to 15 of a descriptor's (section 15.5.1).
            words[field] = { value, _ in
                let attributes = UInt32(truncatingIfNeeded: value & 0xFF | (value & 0xF00) << 4)
                return attributes & 0x80 != 0 ? FieldContext.segment(attributes) : "not present"
            }
        }
        return words
    }()
}

extension FieldContext {
    fileprivate var exitCode: UInt64 { structure["exitcode"] ?? 0 }
}
