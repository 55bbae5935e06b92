import VScriptSyntax
import VirtualMachine

/// Why, where and when a run ended, as scripts see it.
final class StopObject: HostObject, UnnoticedFailure {
    let stop: Stop
    /// Where the script began the run.
    let span: SourceSpan
    /// What a console wait has found.
    private let match: String?
    private let guest: GuestObject
    /// Whether the script has looked at how the run ended.
    package var isNoticed = false
    /// The registers when the run ended, in lines.
    let registers: [String]

    init(_ stop: Stop, guest: GuestObject, span: SourceSpan, match: String? = nil) {
        self.stop = stop
        self.guest = guest
        self.span = span
        self.match = match
        registers = stop.reason == .crashed ? Self.registers(of: guest) : []
    }

    var typeName: String { "a stop" }
    var text: String { summary }
    var memberNames: [String] { Self.table.names }

    func member(_ name: String) throws -> ScriptValue? {
        if ["reason", "detail", "faults", "event", "exitStatus"].contains(name) { isNoticed = true }
        return try Self.table.get(name, of: self)
    }

    package var report: Diagnostic {
        Diagnostic(
            ScriptCode.guestCrashed, "the guest `\(guest.name)` crashed", at: span, label: stop.detail,
            notes: registers + ["a script that looks at the stop's `reason` or `faults` goes on"])
    }

    /// One line: reason, detail, place, instructions.
    var summary: String {
        let detail = stop.detail.isEmpty ? "" : " (\(stop.detail))"
        return
            ".\(stop.reason.rawValue)\(detail) at \(guest.place(guest.guest.cpu.rip)), ring \(guest.guest.cpu.ring), "
            + "\(stop.instructions) instructions"
    }

    private static func registers(of guest: GuestObject) -> [String] {
        let cpu = guest.guest.cpu
        func line(_ names: [String]) -> String {
            names.compactMap { name in cpu[name].map { "\(name)=\(hexadecimal($0))" } }.joined(separator: " ")
        }
        return [
            "\(cpu.mode), ring \(cpu.ring), at \(guest.place(cpu.rip))",
            line(["rip", "rflags", "cs", "ss", "rsp", "cr0", "cr2", "cr3", "cr4", "efer"]),
            line([
                "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
            ]),
        ]
    }

    static let table = MemberTable<StopObject>(
        properties: [
            Property("reason", "Why: .event, .halted, .stopped, .timeout, .instructions, .crashed or .shutdown.") {
                .symbol($0.stop.reason.rawValue)
            },
            Property("detail", "What a handler said, or what became of the guest.") { .string($0.stop.detail) },
            Property("event", "The event that ended the run, or nil.") { stop in
                stop.stop.event.map { .object(EventObject($0, guest: stop.guest, handler: nil)) } ?? .nil
            },
            Property("cpu", "The processor, as it is now.") { .object(CPUObject($0.guest)) },
            Property("time", "Guest time at the stop.") { .time($0.stop.time) },
            Property("instructions", "Instructions executed until the stop.") { .integer($0.stop.instructions) },
            Property("digest", "A fingerprint of everything the guest can see, as it is now.") {
                .integer($0.guest.guest.digest)
            },
            Property("faults", "The faults that led to a triple fault.") {
                .items($0.stop.faults.map(ScriptValue.string))
            },
            Property("exitStatus", "What was written to the debug-exit port, or nil.") {
                $0.stop.exitStatus.map { .integer($0) } ?? .nil
            },
            Property("text", "What a wait on the console has found, or nil.") {
                $0.match.map(ScriptValue.string) ?? .nil
            },
        ])
}

/// An event as its handler sees it.
final class EventObject: HostObject {
    private var event: GuestEvent
    private let guest: GuestObject
    private let handler: Handler?
    /// What the handler has decided.
    private(set) var verdict = Verdict.proceed

    init(_ event: GuestEvent, guest: GuestObject, handler: Handler?) {
        self.event = event
        self.guest = guest
        self.handler = handler
    }

    /// Stands for another event from now on.
    func begin(_ event: GuestEvent) {
        self.event = event
        verdict = .proceed
    }

    var typeName: String { "an event" }
    /// What happened in a line: `<transition SYSCALL 3 -> 0>`, `<io write 0x3f8 = 0x41>`.
    var text: String {
        var words = [event.kind.rawValue]
        if !event.cause.isEmpty, event.cause != event.kind.rawValue { words.append(event.cause) }
        if event.from != event.to { words.append("\(event.from) -> \(event.to)") }
        if event.size != nil || event.kind == .msr { words.append(event.isRead ? "read" : "write") }
        if let code = event.errorCode { words.append("error code \(hexadecimal(code))") }
        if let address = event.address { words.append(hexadecimal(address)) }
        if let value = event.value { words.append("= \(hexadecimal(value))") }
        return "<\(words.joined(separator: " "))>"
    }
    var memberNames: [String] { Self.table.names }
    func member(_ name: String) throws -> ScriptValue? { try Self.table.get(name, of: self) }

    /// A decision, which only a handler can make while it runs.
    private func decide(_ verdict: Verdict) throws -> ScriptValue {
        guard handler != nil, guest.isRunning else {
            throw HostFailure(.outsideHandler, "an event is answered only in its handler")
        }
        if let objection = event.objection(to: verdict) { throw HostFailure(.wrongOperand, objection) }
        self.verdict = verdict
        return .nil
    }

    static let table = MemberTable<EventObject>(
        properties: [
            Property("kind", "What kind of event it is.") { .symbol($0.event.kind.rawValue) },
            Property("guest", "The guest it happened in.") { .object($0.guest) },
            Property("cpu", "The processor it happened on.") { .object(CPUObject($0.guest)) },
            Property("time", "When, in guest time.") { .time($0.event.time) },
            Property("instructions", "After how many instructions.") { .integer($0.event.instructions) },
            Property("rip", "Of the instruction concerned; of a transition, where it led.") { .integer($0.event.rip) },
            Property("from", "The level before.") { .level($0.event.from) },
            Property("to", "The level after; of an exception or interrupt, the level of its handler.") { event in
                guard event.handler != nil, let vector = event.event.vector,
                    event.event.kind == .exception || event.event.kind == .interrupt
                else { return .level(event.event.to) }
                return .level(event.guest.guest.handlerLevel(of: vector))
            },
            Property("cause", "What caused it, in the manuals' words.") { .string($0.event.cause) },
            Property("vector", "Of an exception or interrupt, or nil.") {
                $0.event.vector.map { .integer($0) } ?? .nil
            },
            Property("errorCode", "Of an exception, or nil.") { $0.event.errorCode.map { .integer($0) } ?? .nil },
            Property("address", "A faulting address, a port, an MSR or a control register, or nil.") {
                $0.event.address.map { .integer($0) } ?? .nil
            },
            Property("value", "What is written, or nil.") { $0.event.value.map { .integer($0) } ?? .nil },
            Property("nr", "Of a system call or hypercall, or nil.") { $0.event.value.map { .integer($0) } ?? .nil },
            Property("size", "Of an access in bytes, or nil.") { $0.event.size.map { .integer($0) } ?? .nil },
            Property("physical", "The guest-physical address of an access to memory, or nil.") {
                $0.event.physicalAddress.map { .integer($0) } ?? .nil
            },
            Property("reason", "Why the guest was left for its monitor, a symbol such as `.cpuid`, or nil.") {
                $0.event.exit.map { .symbol($0.reason.name) } ?? .nil
            },
            Property("exitName", "What the technique's manual calls that reason, or nil.") {
                $0.event.exit.map { .string($0.name) } ?? .nil
            },
            Property("code", "The basic exit reason, the exit code, or the vector that left the guest, or nil.") {
                $0.event.exit?.code.map { .integer($0) } ?? .nil
            },
            Property("qualification", "The exit qualification or EXITINFO1 of a VM exit, or nil.") {
                $0.event.exit?.qualification.map { .integer($0) } ?? .nil
            },
            Property("information", "The guest-physical address or EXITINFO2 of a VM exit, or nil.") {
                $0.event.exit?.information.map { .integer($0) } ?? .nil
            },
            Property("call", "A call to the hypervisor: its number, arguments and, at the entry, result; or nil.") {
                $0.event.call.map(TransitionsObject.map) ?? .nil
            },
            Property("technique", "The technique under which the guest runs.") {
                .symbol($0.guest.guest.configuration.technique.rawValue)
            },
            Property("isRead", "Whether memory, a port or an MSR is read.") { .bool($0.event.isRead) },
            Property("gate", "The gate that was used: kind, DPL and index, or nil.") {
                $0.event.transition?.gate.map(ScriptValue.string) ?? .nil
            },
            Property("switchedStack", "Whether the stack came from a TSS.") {
                .bool($0.event.transition?.switchedStack ?? false)
            },
            Property(
                "before",
                "Before a transition: level, depth, physicalRing, cs, rip, ss, rsp, cr3 and rflags; or nil."
            ) {
                $0.event.transition.map { TransitionsObject.map($0.before) } ?? .nil
            },
            Property("after", "The same after it.") {
                $0.event.transition.map { TransitionsObject.map($0.after) } ?? .nil
            },
            Property("cost", "What a transition costs by the hypervisor's cost model, in cycles, or nil.") {
                $0.event.transition?.cost.map { .integer($0) } ?? .nil
            },
        ],
        methods: [
            Builtin("stop(why?)", "Ends the run after the handler.") { event, arguments in
                guard event.guest.isRunning else { throw HostFailure(.outsideHandler, "the guest is not running") }
                event.guest.guest.requestStop(try arguments.optionalString(0) ?? "")
                return .nil
            },
            Builtin("skip()", "Goes on after the instruction, without its effect.") { event, _ in
                try event.decide(.skip)
            },
            Builtin(
                "reply(value?, eax?, ebx?, ecx?, edx?)", "Answers for the instruction: with a value, or with registers."
            ) {
                event, arguments in
                for (index, name) in ["eax", "ebx", "ecx", "edx"].enumerated() {
                    guard let value = try arguments.optionalInteger(index + 1, in: 0...Int128(UInt32.max)) else {
                        continue
                    }
                    event.guest.guest.cpu.set(name, UInt64(value))
                }
                guard let value = try arguments.optionalInteger(0) else { return try event.decide(.skip) }
                return try event.decide(.reply(UInt64(truncatingIfNeeded: value)))
            },
            Builtin("inject(vector, errorCode?)", "Raises an exception instead.") { event, arguments in
                let vector: UInt8
                switch arguments.value(0) {
                case .symbol(let name):
                    guard let found = ExceptionName.vector(named: name) else {
                        throw HostFailure(.outOfRange, "there is no exception `.\(name)`", argument: 0)
                    }
                    vector = found
                case _: vector = UInt8(try arguments.integer(0, in: 0...31))
                }
                let code = try arguments.optionalInteger(1, in: 0...Int128(UInt32.max)).map { UInt32($0) }
                return try event.decide(.inject(vector: vector, errorCode: code))
            },
            Builtin("off()", "Ends the handler for good.") { event, _ in
                event.handler?.turnOff()
                return .nil
            },
        ])
}
