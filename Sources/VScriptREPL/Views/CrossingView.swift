import VirtualMachine
import X86Engine

/// Shows what left a guest for its monitor, and how it goes on.
struct CrossingView {
    let guest: DebuggedGuest

    /// Where the place of what intercepts stands.
    private static let placeColumn = 46

    /// The title of an exit or entry: with the manual's name and number of the reason.
    static func title(_ t: Transition) -> String {
        guard t.kind == "exit", let exit = t.exit else { return t.cause }
        switch t.technique {
        case .vmx:
            return
                "VM exit: \(VMXWords.reason(UInt32(truncatingIfNeeded: exit.code ?? 0))) (\((exit.code ?? 0) & 0xFFFF))"
        case .svm: return "#VMEXIT: \(exit.name) (\(Numbers.hex(exit.code ?? 0)))"
        case .bare, .trapAndEmulate, .translate, .paravirtual: return t.cause
        }
    }

    /// The cause in a table: `I/O out 0xe9`, `CPUID`, `VM entry`.
    static func shortTitle(_ t: Transition) -> String {
        guard t.kind == "exit", t.technique == .vmx, let exit = t.exit else { return t.cause }
        if let access = access(exit) { return "I/O \(access.isInput ? "in" : "out") \(Numbers.hex(access.port))" }
        return VMXWords.reason(UInt32(truncatingIfNeeded: exit.code ?? 0))
    }

    /// Qualification, place and interceptor of an exit.
    func exit(_ t: Transition) -> [StyledText] {
        guard let exit = t.exit else { return [] }
        var lines: [StyledText] = []
        if t.technique == .vmx, let value = exit.qualification {
            let words = VMXWords.qualification(value, reason: UInt32(truncatingIfNeeded: exit.code ?? 0))
            if !words.isEmpty || value != 0 {
                lines.append(StyledText("   qualification \(Self.padded(value))   \(words)"))
            }
        } else if t.technique == .svm {
            lines.append(
                StyledText(
                    "   EXITINFO1 \(Numbers.hex(exit.qualification ?? 0))   EXITINFO2 \(Numbers.hex(exit.information ?? 0))"
                ))
        }
        var place = "   guest rip \(Numbers.hex(t.before.rip))"
        if let length = exit.instructionLength, length > 0 { place += ", length \(length)" }
        if t.before.physicalRing != max(t.before.level.rawValue, 0) {
            place += "   really at ring \(t.before.physicalRing)"
        }
        if let physical = t.before.physicalRIP { place += "   translated code \(Numbers.hex(physical))" }
        if exit.reason == .io, isStanding(t) { place += "     rax \(Numbers.hex(guest.guest.cpu["rax"] ?? 0))" }
        lines.append(StyledText(place))
        if let call = t.call { lines.append(StyledText("   hypercall \(Self.text(call))")) }
        if exit.reason == .pageTable, let address = exit.information, t.technique == .vmx {
            lines.append(StyledText("   guest-physical address \(Numbers.hex(address))"))
        }
        if let device = device(t) {
            let text = "   intercepted by device \(device)"
            lines.append(StyledText(scripted(device)?.place.map { text.padded(to: Self.placeColumn) + $0 } ?? text))
        }
        return lines
    }

    /// What was done about the exit, and where the guest goes on.
    func entry(_ t: Transition) -> (before: [StyledText], after: [StyledText]) {
        var rip = "   rip  "
        if let length = t.exit?.instructionLength, length > 0, t.exit?.reason.isInstruction ?? false {
            rip += "+\(length) "
        }
        rip += "→ \(Numbers.hex(t.after.rip))"
        var done: [StyledText] = []
        if let device = device(t), let exit = t.exit, let access = Self.access(exit) {
            let value = (guest.guest.cpu["rax"] ?? 0) & (access.size == 4 ? 0xFFFF_FFFF : (1 << (access.size * 8)) - 1)
            var text = "   \(device) \(access.isInput ? "read" : "write")(port: \(Numbers.hex(access.port)), value: "
            text += "\(Numbers.hex(value)))"
            if access.size == 1, value >= 0x20, value < 0x7F {
                text += "  \"\(Character(UnicodeScalar(UInt8(value))))\""
            }
            if let cost = t.cost { text = text.padded(to: 54) + "\(Numbers.grouped(cost)) cycles model cost" }
            done.append(StyledText(text))
        }
        if let call = t.call, let result = call.result {
            let failure = call.failure.map { " (\($0))" } ?? ""
            done.append(StyledText("   hypercall \(Self.text(call)) → \(Numbers.hex(result))\(failure)"))
        }
        return (done, [StyledText(rip)])
    }

    /// A call by its name with its arguments, as far as its interface is known.
    private static func text(_ call: Transition.Call) -> String {
        guard let name = call.name else { return Numbers.hex(call.number) }
        return "\(name)(\(call.arguments.map { Numbers.hex($0) }.joined(separator: ", "))), \(call.number)"
    }

    // MARK: - Devices

    private func isStanding(_ t: Transition) -> Bool { guest.guest.cpu.rip == t.before.rip }

    private static func access(_ exit: Transition.Exit) -> (port: UInt64, size: UInt64, isInput: Bool)? {
        guard exit.reason == .io, let value = exit.qualification else { return nil }
        return (value >> 16 & 0xFFFF, (value & 7) + 1, value >> 3 & 1 != 0)
    }

    /// The device that a port belongs to.
    private func device(_ t: Transition) -> String? {
        guard t.technique == .vmx, let exit = t.exit, let port = Self.access(exit)?.port else { return nil }
        return MachineTables.device(atPort: UInt16(truncatingIfNeeded: port), of: guest)
    }

    private func scripted(_ name: String) -> ScriptedDevice? { guest.guest.devices.first { $0.name == name } }

    private static func padded(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return "0x" + String(repeating: "0", count: max(8 - digits.count, 0)) + digits
    }
}
