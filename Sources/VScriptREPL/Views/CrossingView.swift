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
        case .svm: return "#VMEXIT: \(SVMWords.reason(exit.code ?? 0)) (\(Numbers.hex(exit.code ?? 0)))"
        case .bare, .trapAndEmulate, .translate, .paravirtual: return t.cause
        }
    }

    /// The cause in a table: `I/O out 0xe9`, `CPUID`, `VM entry`.
    static func shortTitle(_ t: Transition) -> String {
        guard t.kind == "exit", let exit = t.exit else { return t.cause }
        if let access = PortAccess(exit, under: t.technique) {
            return "I/O \(access.isInput ? "in" : "out") \(Numbers.hex(access.port))"
        }
        switch t.technique {
        case .vmx: return VMXWords.reason(UInt32(truncatingIfNeeded: exit.code ?? 0))
        case .svm: return SVMWords.reason(exit.code ?? 0)
        case .bare, .trapAndEmulate, .translate, .paravirtual: return t.cause
        }
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
        } else if t.technique == .svm, let code = exit.code {
            let words = SVMWords.information1(exit.qualification ?? 0, code: code, of: guest)
            for (name, value, words) in [
                ("EXITINFO1", exit.qualification, words),
                ("EXITINFO2", exit.information, SVMWords.information2(exit.information ?? 0, code: code)),
            ] where value ?? 0 != 0 || !words.isEmpty {
                lines.append(StyledText("   \(name) \(Self.padded(value ?? 0))   \(words)"))
            }
        }
        var place = "   guest rip \(Numbers.hex(t.before.rip))"
        if let length = exit.instructionLength, length > 0 { place += ", length \(length)" }
        if t.before.physicalRing != max(t.before.level.rawValue, 0) {
            place += "   really at ring \(t.before.physicalRing)"
        }
        if let physical = t.before.physicalRIP { place += "   translated code \(Numbers.hex(physical))" }
        if exit.reason == .io, isStanding(t) {
            let register = access(t).map { $0.isString ? $0.isInput ? "rdi" : "rsi" : "rax" } ?? "rax"
            place += "     \(register) \(Numbers.hex(guest.guest.cpu[register] ?? 0))"
        }
        lines.append(StyledText(place))
        if let call = t.call { lines.append(StyledText("   hypercall \(Self.text(call))")) }
        if exit.reason == .pageTable, let address = exit.information, t.technique == .vmx {
            lines.append(StyledText("   guest-physical address \(Numbers.hex(address))"))
        }
        if let device = access(t).flatMap(device) {
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
        if let access = access(t), let device = device(access) {
            var text = "   \(device) \(access.isInput ? "read" : "write")(port: \(Numbers.hex(access.port))"
            // The register still has the value as long as the guest has not gone on.
            if access.isString {
                text += ", in memory)"
            } else if guest.guest.cpu.rip == t.after.rip {
                let mask: UInt64 = access.size == 4 ? 0xFFFF_FFFF : (1 << (access.size * 8)) - 1
                let value = (guest.guest.cpu["rax"] ?? 0) & mask
                text += ", value: \(Numbers.hex(value)))"
                if access.size == 1, value >= 0x20, value < 0x7F {
                    text += "  \"\(Character(UnicodeScalar(UInt8(value))))\""
                }
            } else {
                text += ")"
            }
            if let cost = cost(t) { text = text.padded(to: 54) + "\(cost) model cost" }
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

    /// The access to a port that an exit was for, or the exit before an entry.
    private func access(_ t: Transition) -> PortAccess? {
        guard let exit = t.exit, exit.reason == .io else { return nil }
        if let access = PortAccess(exit, under: t.technique) { return access }
        let left = t.family == .exit ? t : guest.guest.transitions.record(numbered: t.sequence &- 1)
        guard let place = left, place.family == .exit,
            let instruction = guest.decode(at: place.before.rip)?.instruction
        else { return nil }
        return PortAccess(instruction, dx: guest.guest.cpu["rdx"] ?? 0)
    }

    /// The device that a port belongs to.
    private func device(_ access: PortAccess) -> String? { MachineTables.device(atPort: access.port, of: guest) }

    /// What it costs by the model to leave the guest, do what is to be done, and go on.
    private func cost(_ t: Transition) -> String? {
        let model = guest.guest.configuration.hypervisor.costs
        guard let reason = t.exit?.reason, let way = model.cost(ofExitFor: reason, under: t.technique),
            let back = t.cost
        else { return nil }
        guard let time = model.time(ofCycles: way &+ back) else { return "\(Numbers.grouped(way &+ back)) cycles" }
        let tenths = (time + 50) / 100
        return "\(tenths / 10).\(tenths % 10) µs"
    }

    private func scripted(_ name: String) -> ScriptedDevice? { guest.guest.devices.first { $0.name == name } }

    private static func padded(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return "0x" + String(repeating: "0", count: max(8 - digits.count, 0)) + digits
    }
}
