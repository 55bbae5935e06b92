import VirtualMachine

/// Shows what a catchpoint or watchpoint saw.
package struct EventView {
    let guest: DebuggedGuest

    /// What the event adds to the place; nothing for those that the place or the transition tells.
    package func lines(_ event: GuestEvent) -> [StyledText] {
        switch event.kind {
        case .exec, .transition, .console, .reset, .vmentry: return []
        case .vmexit: return [StyledText("   VM exit: \(event.cause)  at \(place.text(event.rip))")]
        case .instruction: return [StyledText("   \(event.cause)  at \(place.text(event.rip))")]
        case .read, .write:
            let direction = event.isRead ? "read" : "write"
            let value = event.value.map { "  value \(Numbers.hex($0))" } ?? ""
            return [
                StyledText(
                    "   \(direction)  \(Numbers.hex(event.address ?? 0)), \(bytes(event.size))\(value)"
                        + "  at \(place.text(event.rip))")
            ]
        case .exception:
            var text = "   \(event.cause)"
            if event.vector == 14, let code = event.errorCode {
                text += "  address \(Numbers.hex(event.address ?? 0)): \(guest.words(ofPageFault: code))"
            } else if let code = event.errorCode {
                let words = ErrorCodeWords.text(code, vector: event.vector ?? -1)
                text += "(\(Numbers.hex(code)))" + (words.isEmpty ? "" : "  \(words)")
            }
            return [StyledText("\(text)  at \(place.text(event.rip))")]
        case .interrupt: return [StyledText("   \(event.cause)  at \(place.text(event.rip))")]
        case .io:
            let direction = event.isRead ? "in" : "out"
            let value = event.value.map { "  value \(Numbers.hex($0))" } ?? ""
            return [
                StyledText("   \(direction)  port \(Numbers.hex(event.address ?? 0)), \(bytes(event.size))\(value)")
            ]
        case .msr:
            let index = UInt32(truncatingIfNeeded: event.address ?? 0)
            let name = ModelSpecificRegisterNames.name(index).map { " \($0)" } ?? ""
            return [
                StyledText(
                    event.isRead
                        ? "   rdmsr  \(Numbers.hex(index))\(name)"
                        : "   wrmsr  \(Numbers.hex(index))\(name) ← \(Numbers.hex(event.value ?? 0))")
            ]
        case .cr: return [StyledText("   cr\(event.address ?? 0) ← \(Numbers.hex(event.value ?? 0))")]
        case .syscall: return [StyledText("   system call \(event.value ?? 0)  from \(place.text(event.rip))")]
        case .hypercall: return [StyledText("   hypercall \(event.value ?? 0)  from \(place.text(event.rip))")]
        case .halt: return [StyledText("   hlt  at \(place.text(event.rip))")]
        case .cpuid: return [StyledText("   cpuid  leaf \(Numbers.hex(event.value ?? 0))")]
        }
    }

    private var place: PlaceView { PlaceView(guest: guest) }

    private func bytes(_ count: Int?) -> String { count == 1 ? "1 byte" : "\(count ?? 0) bytes" }
}

/// The manuals' names of model-specific registers.
///
/// SDM vol. 4 table 2-2; APM vol. 2 appendix A.
package enum ModelSpecificRegisterNames {
    // swift-format-ignore
    private static let names: [UInt32: String] = [
        0x10: "IA32_TIME_STAMP_COUNTER", 0x1B: "IA32_APIC_BASE", 0x3A: "IA32_FEATURE_CONTROL", 0x48: "IA32_SPEC_CTRL",
        0x49: "IA32_PRED_CMD", 0x8B: "IA32_BIOS_SIGN_ID", 0xFE: "IA32_MTRRCAP", 0x10A: "IA32_ARCH_CAPABILITIES",
        0x174: "IA32_SYSENTER_CS", 0x175: "IA32_SYSENTER_ESP", 0x176: "IA32_SYSENTER_EIP", 0x1A0: "IA32_MISC_ENABLE",
        0x1D9: "IA32_DEBUGCTL", 0x277: "IA32_PAT", 0x2FF: "IA32_MTRR_DEF_TYPE", 0x480: "IA32_VMX_BASIC",
        0x6E0: "IA32_TSC_DEADLINE", 0xC000_0080: "IA32_EFER", 0xC000_0081: "IA32_STAR", 0xC000_0082: "IA32_LSTAR",
        0xC000_0083: "IA32_CSTAR", 0xC000_0084: "IA32_FMASK", 0xC000_0100: "IA32_FS_BASE",
        0xC000_0101: "IA32_GS_BASE", 0xC000_0102: "IA32_KERNEL_GS_BASE", 0xC000_0103: "IA32_TSC_AUX",
        0xC001_0114: "VM_CR", 0xC001_0117: "VM_HSAVE_PA",
    ]

    /// The indices that have names, in order.
    static let known: [UInt32] = names.keys.sorted()

    /// The name of an index, and of x2APIC registers by their number.
    package static func name(_ index: UInt32) -> String? {
        if let name = names[index] { return name }
        return (0x800...0x8FF).contains(index) ? "x2APIC register \(Numbers.hex(index - 0x800))" : nil
    }

    /// The index of a name, with or without `IA32_`, in any case.
    package static func index(_ name: String) -> UInt32? {
        let wanted = name.uppercased()
        return names.first { $0.value == wanted || $0.value == "IA32_" + wanted }?.key
    }
}
