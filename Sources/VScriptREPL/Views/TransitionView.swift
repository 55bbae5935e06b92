import VScriptSyntax
import VirtualMachine
import X86
import X86Engine

/// Shows what a change of privilege level changed, and by which rule.
package struct TransitionView {
    let guest: DebuggedGuest

    /// The width of the rule at the top.
    private static let width = 67
    /// Where the names of registers that gave the new values stand.
    private static let sourceColumn = 53

    /// `── 3 → 0 ── syscall ──── #1`.
    static func heading(
        from: Level, to: Level, _ cause: String, sequence: UInt64, isUndone: Bool = false
    ) -> StyledText {
        // Undone, the arrow points from where it led to where it began.
        let (left, arrow, right) = isUndone ? (to, "←", from) : (from, "→", to)
        let start =
            StyledText("── ", .faint) + StyledText("\(left)", .level(left.rawValue)) + " \(arrow) "
            + StyledText("\(right)", .level(right.rawValue)) + StyledText(" ── ", .faint)
            + StyledText(cause + (isUndone ? " undone" : ""), .heading) + " "
        let fill = max(width - start.plain.count, 2)
        return start + StyledText(String(repeating: "─", count: fill), .faint) + " #\(sequence)"
    }

    /// Whether leaving a guest for a reason is the monitor's own business.
    static func isNoise(_ reason: ExitReason) -> Bool { reason == .branch || reason == .emulation }

    /// The heading and what changed.
    func lines(_ transition: Transition) -> [StyledText] {
        let done = transition.family == .entry ? CrossingView(guest: guest).entry(transition).before : []
        return done + [
            Self.heading(
                from: transition.before.level, to: transition.after.level, title(transition),
                sequence: transition.sequence)
        ] + details(transition)
    }

    /// The cause with the gate in short.
    func title(_ transition: Transition) -> String {
        guard let gate = transition.gateRecord else { return CrossingView.title(transition) }
        // `interrupt gate 0x80, DPL 3` becomes `gate dpl 3` after `int 0x80`.
        let level = "dpl \(gate.descriptorPrivilegeLevel)"
        if transition.family == .callGate {
            return "\(transition.cause), \(gate.isNarrow ? "16-bit, " : "")\(level)"
        }
        let kind = [0x7, 0xF].contains(gate.type) ? "trap gate" : gate.type == 0x5 ? "task gate" : "gate"
        return "\(transition.cause), \(gate.isNarrow ? "16-bit " : "")\(kind) \(level)"
    }

    private func details(_ transition: Transition) -> [StyledText] {
        switch transition.family {
        case .exit: CrossingView(guest: guest).exit(transition)
        case .entry: CrossingView(guest: guest).entry(transition).after
        case .host: []
        case .syscall: syscall(transition)
        case .sysret: fastReturn(transition)
        case .sysenter, .sysexit: sysenter(transition)
        case .iret, .farReturn: popped(transition)
        case .exception, .externalInterrupt, .nonMaskableInterrupt, .softwareInterrupt: delivered(transition)
        case .callGate: called(transition)
        case .taskSwitch: switched(transition)
        case .farTransfer: general(transition)
        }
    }

    // MARK: - The ways

    /// What IA32_LSTAR, IA32_STAR and IA32_FMASK gave; RSP is not touched.
    ///
    /// SDM vol. 2, SYSCALL.
    private func syscall(_ t: Transition) -> [StyledText] {
        let cpu = guest.guest.cpu
        let isLong = guest.isLongMode
        // Code in compatibility mode has an entry of its own, which only AMD's processors know.
        let isCompatible = t.after.rip != cpu["lstar"] && t.after.rip == cpu["cstar"]
        let entry = !isLong ? "IA32_STAR" : isCompatible ? "IA32_CSTAR" : "IA32_LSTAR"
        // A handler may have used the register since; what it was given follows from where the guest came from.
        let r11 = guest.isLive(t) ? cpu["r11"] ?? 0 : t.before.rflags
        let masked = flagChanges(t, gap: 4)
        let rcx = "rcx  ← \(Numbers.hex(guest.returnAddress(t)))".padded(to: 22)
        return [
            sourced(
                row("rip", change(t.before.rip, t.after.rip) + (place.name(t.after.rip).map { " \($0)" } ?? "")), entry),
            sourced(selectors(t), "IA32_STAR"),
            // Outside of long mode there is neither R11 nor the mask (APM vol. 3, SYSCALL).
            isLong
                ? sourced("   " + rcx + "r11 ← \(Numbers.hex(r11))" + masked, masked.isEmpty ? "" : "IA32_FMASK")
                : StyledText("   " + rcx + flagChanges(t, gap: 0)),
            StyledText(
                row(
                    "rsp",
                    t.before.rsp == t.after.rsp
                        ? "\(Numbers.hex(t.after.rsp)), unchanged: SYSCALL does not switch stacks"
                        : change(t.before.rsp, t.after.rsp))),
        ]
    }

    private func fastReturn(_ t: Transition) -> [StyledText] {
        [
            StyledText(
                "   rip  → \(place.text(t.after.rip))".padded(to: 31) + "  cs \(change16(t.before.cs, t.after.cs))"
                    + flagChanges(t, gap: 5))
        ] + stack(t)
    }

    private func sysenter(_ t: Transition) -> [StyledText] {
        let isEntry = t.family == .sysenter
        return [
            sourced(
                row("rip", change(t.before.rip, t.after.rip) + (place.name(t.after.rip).map { " \($0)" } ?? "")),
                isEntry ? "IA32_SYSENTER_EIP" : "rdx"),
            sourced(selectors(t), "IA32_SYSENTER_CS"),
            sourced(row("rsp", change(t.before.rsp, t.after.rsp)), isEntry ? "IA32_SYSENTER_ESP" : "rcx"),
        ] + flagLine(t)
    }

    /// IRET and far RET take everything from the stack.
    private func popped(_ t: Transition) -> [StyledText] {
        // SDM vol. 2, IRET: RETURN-TO-VIRTUAL-8086-MODE.
        let returnsToVirtual8086 = t.family == .iret && t.after.rflags & ~t.before.rflags & RFLAGS.VM != 0
        return [
            StyledText(
                "   rip  → \(place.text(t.after.rip))".padded(to: 31) + "  cs \(change16(t.before.cs, t.after.cs))"
                    + flagChanges(t, gap: 5))
        ] + stack(t)
            + (returnsToVirtual8086 ? [StyledText("   es ds fs gs popped too: virtual-8086 mode")] : [])
    }

    /// Interrupts and exceptions: the gate, the stack, and what was pushed.
    private func delivered(_ t: Transition) -> [StyledText] {
        var lines: [StyledText] = []
        if t.family == .exception { lines.append(StyledText("   " + fault(t))) }
        if t.switchedStack {
            lines.append(StyledText("   stack switched to \(guest.stackSource(t))"))
        }
        let frame = guest.pushedFrame(t)
        var pushed = "ss \(Numbers.selector(frame.ss))  rsp \(Numbers.hex(frame.rsp))  "
        if !t.switchedStack && !guest.isLongMode { pushed = "" }
        // Virtual-8086 mode's segments are of no use to the handler, which has its own (SDM vol. 3 section 21.3.1).
        if t.before.rflags & RFLAGS.VM != 0 { pushed = "gs fs ds es  " + pushed }
        pushed += "rflags \(Numbers.hex(frame.rflags ?? 0))  cs \(Numbers.selector(frame.cs))"
        pushed += "  rip \(Numbers.hex(frame.rip))"
        if let code = t.errorCode { pushed += "  error code \(Numbers.hex(code))" }
        lines.append(StyledText("   pushed  \(pushed)"))
        return lines
    }

    /// A call through a gate to a more privileged level: place and stack come from the gate and the TSS.
    ///
    /// SDM vol. 3 section 5.8.5.
    private func called(_ t: Transition) -> [StyledText] {
        var lines = general(t)
        guard t.switchedStack else { return lines }
        let frame = guest.pushedFrame(t)
        lines.append(StyledText("   stack switched to \(guest.stackSource(t))"))
        lines.append(
            StyledText(
                "   pushed  ss \(Numbers.selector(frame.ss))  rsp \(Numbers.hex(frame.rsp))  "
                    + (frame.parameters == 0 ? "" : "parameters \(frame.parameters)  ")
                    + "cs \(Numbers.selector(frame.cs))  rip \(Numbers.hex(frame.rip))"))
        return lines
    }

    /// A task switch: all registers come from a TSS, and those of before are in another.
    ///
    /// SDM vol. 3 section 7.3.
    private func switched(_ t: Transition) -> [StyledText] {
        let state = guest.guest.processor.state.pointee
        var lines = general(t)
        if t.before.cr3 != t.after.cr3 {
            lines.append(sourced(row("cr3", change(t.before.cr3, t.after.cr3)), "TSS"))
        }
        guard guest.isLive(t) else { return lines }
        var text = row("tr", "\(Numbers.selector(state.tr.selector))  TSS at \(Numbers.hex(state.tr.base))")
        // A nested task says by NT that its TSS holds a link to the one before.
        if t.after.rflags & 1 << 14 != 0, let link = guest.number(state.tr.base, bytes: 2) {
            text += "   back link \(Numbers.selector(UInt16(truncatingIfNeeded: link)))"
        }
        lines.append(StyledText(text))
        if let code = guest.taskErrorCode(t) {
            lines.append(StyledText("   pushed  error code \(Numbers.hex(code))"))
        }
        return lines
    }

    private func general(_ t: Transition) -> [StyledText] {
        [
            StyledText(
                row("rip", change(t.before.rip, t.after.rip) + (place.name(t.after.rip).map { " \($0)" } ?? ""))),
            StyledText(selectors(t)),
            StyledText(row("rsp", change(t.before.rsp, t.after.rsp))),
        ] + flagLine(t)
    }

    // MARK: - Parts

    private var place: PlaceView { PlaceView(guest: guest) }

    private func row(_ name: String, _ text: String) -> String { "   \(name.padded(to: 3))  \(text)" }

    private func sourced(_ text: String, _ source: String) -> StyledText {
        StyledText(text.padded(to: Self.sourceColumn - 1) + " ") + StyledText(source, .register)
    }

    private func change(_ before: UInt64, _ after: UInt64) -> String {
        before == after ? "\(Numbers.hex(after)), unchanged" : "\(Numbers.hex(before)) → \(Numbers.hex(after))"
    }

    private func change16(_ before: UInt16, _ after: UInt16) -> String {
        before == after
            ? "\(Numbers.selector(after)), unchanged" : "\(Numbers.selector(before)) → \(Numbers.selector(after))"
    }

    private func selectors(_ t: Transition) -> String {
        "   " + "cs   \(change16(t.before.cs, t.after.cs))".padded(to: 22) + "ss  \(change16(t.before.ss, t.after.ss))"
    }

    private func stack(_ t: Transition) -> [StyledText] {
        guard t.before.rsp != t.after.rsp || t.family == .iret && t.before.ss != t.after.ss else { return [] }
        let text =
            "   " + "ss   \(change16(t.before.ss, t.after.ss))".padded(to: 22)
            + "rsp \(change(t.before.rsp, t.after.rsp))"
        return [StyledText(text)]
    }

    private static let flags: [(String, UInt64)] = [
        ("IF", 1 << 9), ("TF", 1 << 8), ("DF", 1 << 10), ("NT", 1 << 14), ("RF", 1 << 16), ("AC", 1 << 18),
        ("VM", 1 << 17),
    ]

    /// `IF 1 → 0` for each flag that governs the processor and has changed.
    private func flagChanges(_ t: Transition, gap: Int) -> String {
        var changes = Self.flags.compactMap { name, bit -> String? in
            let (before, after) = (t.before.rflags & bit != 0, t.after.rflags & bit != 0)
            return before == after ? nil : "\(name) \(before ? 1 : 0) → \(after ? 1 : 0)"
        }
        let levels = [t.before, t.after].map { $0.rflags >> 12 & 3 }
        if levels[0] != levels[1] { changes.append("IOPL \(levels[0]) → \(levels[1])") }
        return changes.isEmpty ? "" : String(repeating: " ", count: gap) + changes.joined(separator: "  ")
    }

    private func flagLine(_ t: Transition) -> [StyledText] {
        let text = flagChanges(t, gap: 0)
        return text.isEmpty ? [] : [StyledText("   " + text)]
    }

    /// The exception in words: the error code decoded, CR2.
    private func fault(_ t: Transition) -> String {
        guard let vector = t.vector else { return t.cause }
        if vector == 14, let code = t.errorCode {
            return "address \(Numbers.hex(t.address ?? 0)): \(guest.words(ofPageFault: code))"
        }
        let words = t.errorCode.map { ErrorCodeWords.text($0, vector: vector) } ?? ""
        return "at \(place.text(t.before.rip))" + (words.isEmpty ? "" : ", \(words)")
    }

    /// The transition as JSON.
    static func json(_ t: Transition) -> JSON {
        func point(_ point: Transition.Point) -> JSON {
            .object([
                ("level", .string("\(point.level)")), ("cs", .integer(point.cs)), ("rip", .integer(point.rip)),
                ("ss", .integer(point.ss)), ("rsp", .integer(point.rsp)), ("cr3", .integer(point.cr3)),
                ("rflags", .integer(point.rflags)),
            ])
        }
        return .object([
            ("sequence", .integer(t.sequence)), ("time", .integer(t.time)), ("instructions", .integer(t.instructions)),
            ("cause", .string(t.cause)), ("gate", t.gate.map(JSON.string) ?? .null), ("before", point(t.before)),
            ("after", point(t.after)), ("switchedStack", .bool(t.switchedStack)),
            ("vector", t.vector.map { .integer($0) } ?? .null),
            ("errorCode", t.errorCode.map { .integer($0) } ?? .null),
            ("address", t.address.map { .integer($0) } ?? .null),
        ])
    }
}
