import VScriptSyntax
import VirtualMachine

/// A guest as scripts hold it.
final class GuestObject: TabledObject, EventSource {
    let guest: Guest
    let name: String
    /// What it runs on; nil for a bare machine.
    var hypervisor: HypervisorObject?
    /// How it shares its hypervisor's processor with other guests.
    var share: GuestScheduler.Share
    unowned let session: Session
    /// Handlers that are installed.
    private var handlers: [ObjectIdentifier: (handler: Handler, id: HandlerID)] = [:]
    /// What a handler threw; the run ends with it.
    @exclusivity(unchecked) private var handlerError: (any Error)?
    private var isHeld = false
    /// Whether handlers can answer: a script runs the guest, or somebody else does.
    var isRunning: Bool { isHeld || guest.isRunning }
    /// Why it cannot run at all.
    var refusal: (any Error)?
    private(set) var lastStop: StopObject?

    init(
        _ guest: Guest, name: String, on hypervisor: HypervisorObject?, _ share: GuestScheduler.Share, session: Session
    ) {
        self.guest = guest
        self.share = share
        self.name = name
        self.hypervisor = hypervisor
        self.session = session
    }

    var typeName: String { "a guest" }
    var text: String { "<guest \(name)>" }
    var memberNames: [String] { Self.members.names + Schema.guest.events.map(\.name) }

    func member(_ name: String) throws -> ScriptValue? {
        if let found = try Self.members.get(name, of: self) { return found }
        return Schema.guest.events.first { $0.name == name }.map { .function(EventPattern.maker($0, of: self)) }
    }

    // MARK: - Devices, timers and snapshots

    /// The devices that scripts have put into it.
    private var devices: [DeviceObject] = []
    private var pending: [GuestTimer] = []
    private var snapshots: [WeakSnapshot] = []
    /// Pages that handlers of physical memory have ever watched.
    private var watchedPages = 0

    private struct WeakSnapshot {
        weak var object: SnapshotObject?
    }

    func attach(_ device: DeviceObject) throws(HostFailure) {
        try device.attach(to: self)
        devices.append(device)
    }

    /// What a handler, device or timer has thrown ends the run; it is the script's error.
    func fail(_ error: any Error) {
        handlerError = handlerError ?? error
        if isRunning { guest.requestStop("a handler failed") }
    }

    /// Throws what a device has thrown outside of a run.
    func checkFailure() throws {
        if let error = takeFailure() { throw error }
    }

    /// What a handler, device or timer has thrown; whoever takes it tells it, once.
    func takeFailure() -> (any Error)? {
        defer { handlerError = nil }
        return handlerError
    }

    /// `after(duration, function)`: has a function called later.
    func later(
        _ arguments: Arguments, _ arm: (Int64, @escaping () -> Void) -> GuestTimer?
    ) throws -> ScriptValue {
        let time = try arguments.duration(0)
        guard time >= 0 else { throw HostFailure(.outOfRange, "the time is negative", argument: 0) }
        let function = try arguments.function(1)
        let context = arguments.context
        pending.removeAll { !$0.isPending }
        try context.pay(pending.count)
        let timer = arm(time) { [weak self, unowned context] in
            guard let self, handlerError == nil else { return }
            do { _ = try context.call(function, []) } catch { fail(error) }
        }
        guard let timer else { return .nil }
        timer.place = "\(arguments.span.file.name):\(arguments.span.startPosition.line)"
        pending.append(timer)
        return .object(TimerObject(timer))
    }

    private func takeSnapshot() throws -> ScriptValue {
        let snapshot: GuestSnapshot
        do throws(SnapshotError) { snapshot = try guest.snapshot() } catch {
            throw HostFailure(.wrongOperand, error.description)
        }
        try checkFailure()
        snapshots.removeAll { $0.object == nil }
        let object = SnapshotObject(snapshot, of: self)
        // Pages that several snapshots share are counted for each: a bound that is the same on every machine.
        let bytes = snapshots.reduce(object.bytes) { $0 + ($1.object?.bytes ?? 0) }
        guard bytes <= session.limits.guestMemory else {
            throw HostFailure(
                .guestMemoryLimit, "the guest's snapshots need more than \(session.limits.guestMemory) bytes",
                notes: ["the limit is `Limits.guestMemory`"])
        }
        snapshots.append(WeakSnapshot(object: object))
        return .object(object)
    }

    private func restore(_ arguments: Arguments) throws {
        guard case .object(let value) = arguments.value(0), let object = value as? SnapshotObject,
            let snapshot = object.snapshot
        else { throw arguments.wrongType(0, "a snapshot") }
        try checkIdle()
        do throws(SnapshotError) { try guest.restore(snapshot) } catch {
            throw HostFailure(.wrongOperand, error.description, argument: 0)
        }
        try checkFailure()
    }

    // MARK: - Running

    /// Runs something that ends in a stop; scripts' handlers can fail meanwhile.
    ///
    /// `body` runs within limits as long as the checkpoint is true. In a session that gives way it is called again, with
    /// what is left of the limits, unless `isDone` says that what it gave is the end although the checkpoint had it
    /// pause. `finish` makes the script's value of what it gave at last.
    func running<Result>(
        _ arguments: Arguments, _ limits: RunLimits,
        _ body: @escaping (RunLimits, @escaping () -> Bool) throws -> Result,
        isDone: @escaping (Result) -> Bool = { _ in false },
        finish: @escaping (Result) throws -> ScriptValue
    ) throws -> ScriptValue {
        try checkIdle()
        handlerError = nil
        let context = arguments.context
        var left = limits
        isHeld = true
        return try context.inTurns { [self] in
            let start = (instructions: guest.instructions, time: guest.time)
            var (isPaused, slices) = (false, 0)
            let result: Result
            do {
                result = try body(session.budget(left)) { [self] in
                    guard !context.isInterrupted, handlerError == nil else { return false }
                    slices += 1
                    if slices > 1, context.givesWay { isPaused = true }
                    return !isPaused
                }
            } catch {
                isHeld = false
                throw error
            }
            let used = (instructions: guest.instructions &- start.instructions, time: guest.time &- start.time)
            left.spend(instructions: used.instructions, time: used.time)
            if isPaused, !isDone(result) {
                do { try session.count(instructions: used.instructions, time: used.time) } catch {
                    isHeld = false
                    throw error
                }
                return nil
            }
            isHeld = false
            try checkFailure()
            if context.isInterrupted { throw context.interruption }
            try session.count(instructions: used.instructions, time: used.time)
            return try finish(result)
        }
    }

    /// Lets something else than a script run the guest; handlers work, and what they throw is thrown.
    func serving(_ body: () -> Void) throws {
        isHeld = true
        body()
        isHeld = false
        try checkFailure()
    }

    /// The guest is about to run in turns with others.
    func beginTurns() {
        handlerError = nil
        isHeld = true
    }

    func endTurns() { isHeld = false }

    /// Whether a handler has thrown something that ends the run.
    var hasFailed: Bool { handlerError != nil }

    /// Throws if the guest cannot be run now.
    func checkIdle() throws {
        if let refusal { throw refusal }
        guard !isRunning else {
            throw HostFailure(
                .wrongOperand, "the guest is running: its handlers cannot run or reset it",
                notes: ["`event.stop()` ends the run after the handler"])
        }
    }

    /// Keeps a stop as the guest's last.
    func stopped(_ stop: Stop, at span: SourceSpan) -> StopObject {
        let object = StopObject(stop, guest: self, span: span)
        lastStop = object
        return object
    }

    /// A run's limits, from the parameters of the method that begins it.
    static func limits(
        _ arguments: Arguments, within: Int, instructions: Int?
    ) throws(HostFailure) -> RunLimits {
        var limits = RunLimits()
        if let time = try arguments.optionalDuration(within) {
            guard time >= 0 else { throw HostFailure(.outOfRange, "the time is negative", argument: within) }
            limits.time = UInt64(time)
        }
        if let instructions, let count = try arguments.optionalInteger(instructions, in: 0...Int128(UInt64.max)) {
            limits.instructions = UInt64(count)
        }
        return limits
    }

    /// Whether the time of the host is left that a run may take.
    static func deadline(_ arguments: Arguments, wall: Int) throws(HostFailure) -> () -> Bool {
        guard let time = try arguments.optionalDuration(wall) else { return { true } }
        let end = ContinuousClock.now + .nanoseconds(time)
        return { ContinuousClock.now < end }
    }

    static let members = MemberTable<GuestObject>(
        properties: [
            Property("name", "What it was declared as.") { .string($0.name) },
            Property("technique", "How its privileged side is virtualized; `.bare` without a hypervisor.") {
                .symbol($0.guest.configuration.technique.rawValue)
            },
            Property("cpu", "Its processor.") { .object(CPUObject($0)) },
            Property("cpus", "Its processors.") { .items([.object(CPUObject($0))]) },
            Property("mem", "Its memory, by physical address.") { .object(MemoryObject($0, isVirtual: false)) },
            Property("console", "Its serial port.") { .object(ConsoleObject($0)) },
            Property("transitions", "Its changes of privilege level.") { .object(TransitionsObject($0)) },
            Property("time", "Guest time since it was made.") { .time($0.guest.time) },
            Property(
                "hostTime", "How long its runs have taken on the host, or nil if the script may not read its clock."
            ) {
                $0.session.limits.clock ? .time($0.guest.hostTime.wholeNanoseconds) : .nil
            },
            Property("instructions", "How many instructions it has executed.") { .integer($0.guest.instructions) },
            Property("digest", "A fingerprint of everything the guest can see.") { .integer($0.guest.digest) },
            Property("stats", "What the guest and the engine have done so far.") { guest in
                .named(guest.guest.stats.members.map { ($0.name, .integer($0.value)) })
            },
            Property("devices", "The devices that scripts have put into it.") {
                .items($0.devices.map { .object($0) })
            },
            Property("symbols", "Names of addresses.") { guest in
                .named(
                    guest.guest.symbols.sorted { ($0.value, $0.key) < ($1.value, $1.key) }
                        .map { ($0.key, .integer($0.value)) })
            },
            Property("resets", "How often the guest has reset the machine.") { .integer($0.guest.resets) },
        ] + hypervisorProperties,
        methods: [
            Builtin("run(until?, within?, instructions?, wall?)", "Runs until an event, a limit or the guest's end.") {
                guest, arguments in
                let until = try guest.filter(arguments.value(0), arguments)
                let limits = try limits(arguments, within: 1, instructions: 2)
                let hasTime = try deadline(arguments, wall: 3)
                return try guest.running(arguments, limits) { limits, checkpoint in
                    guest.guest.run(until: until, limits: limits) { checkpoint() && hasTime() }
                } finish: {
                    .object(guest.stopped($0, at: arguments.span))
                }
            },
            Builtin("step(count?)", "Executes instructions, one if not told how many.") { guest, arguments in
                let count = try arguments.optionalInteger(0, in: 1...Int128(UInt64.max)) ?? 1
                let limits = RunLimits(instructions: UInt64(count))
                return try guest.running(arguments, limits) { limits, checkpoint in
                    guest.guest.run(limits: limits, checkpoint: checkpoint)
                } finish: {
                    .object(guest.stopped($0, at: arguments.span))
                }
            },
            Builtin("reset()", "Resets the machine as its reset line would.") { guest, _ in
                try guest.checkIdle()
                guest.guest.reset()
                try guest.checkFailure()
                return .nil
            },
            Builtin("snapshot()", "Keeps everything about the guest as it is now.") { guest, _ in
                try guest.checkIdle()
                return try guest.takeSnapshot()
            },
            Builtin("restore(snapshot)", "Brings the guest back to a snapshot.") { guest, arguments in
                try guest.restore(arguments)
                return .nil
            },
            Builtin("after(duration, function)", "Calls a function once, at that guest time from now.") {
                guest, arguments in
                try guest.later(arguments) { guest.guest.after(nanoseconds: UInt64($0), $1) }
            },
            Builtin(
                "translation(at)",
                "Kernel code beside what the translator has made of it, or nil if an address has no translation."
            ) { guest, arguments in
                var value = arguments.value(0)
                if case .object(let object) = value, let label = object as? CodeLabel {
                    value = label.address.map { .integer($0) }
                }
                let address: UInt64
                switch value {
                case .string(let name):
                    guard let known = guest.guest.symbols[name] ?? guest.guest.symbolTable.address(of: name) else {
                        throw HostFailure(.unknownName, "the guest has no symbol `\(name)`", argument: 0)
                    }
                    address = known
                case .int(let number):
                    guard let known = UInt64(exactly: number) else {
                        throw HostFailure(.outOfRange, "\(number) is no address", argument: 0)
                    }
                    address = known
                case _: throw arguments.wrongType(0, "an address, a label or a symbol")
                }
                return guest.guest.translation(at: address).map { .object(ListingObject($0, of: guest)) } ?? .nil
            },
            Builtin("findSymbols()", "Finds the names that a running Linux kernel carries, and gives their number.") {
                guest, arguments in
                do throws(SymbolError) { return .integer(try guest.guest.findKernelSymbols().count) } catch {
                    if case .interrupted = error { throw arguments.context.interruption }
                    throw HostFailure(.wrongOperand, error.description)
                }
            },
        ] + hypervisorMethods + outsideMethods)

    // MARK: - Events

    func install(_ handler: Handler) throws {
        let filter = try EventFilters.filter(handler.filter)
        // The engine looks at all handlers anew, and at the pages that they watch.
        if filter.isPhysical { watchedPages += filter.watchedPages(in: guest) }
        try session.pay(handlers.count + (filter.isPhysical ? watchedPages / 64 : 0))
        let key = ObjectIdentifier(handler)
        let id =
            switch handler.use {
            case .nothing: notice(filter, handler)
            case .registers: notice(filter, handler, try handler.keep(CPUObject(self)))
            case .looks: observe(filter, handler)
            case .kept: observeAnew(filter, handler)
            }
        handlers[key] = (handler, id)
        handler.remove = { [weak self] in
            guard let self, let entry = handlers.removeValue(forKey: key) else { return }
            guest.off(entry.id)
        }
    }

    /// Installs a handler that looks at its event while it runs: one object stands for all events in turn.
    private func observe(_ filter: VirtualMachine.EventFilter, _ handler: Handler) -> HandlerID {
        var shared: (object: EventObject, cell: KeptCell)?
        return guest.on(filter) { [unowned self, handler] event in
            guard handlerError == nil else { return .proceed }
            do {
                if shared == nil {
                    let object = EventObject(event, guest: self, handler: handler)
                    shared = (object, try handler.keep(object))
                } else {
                    shared?.object.begin(event)
                }
                guard let shared else { return .proceed }
                try handler(shared.cell)
                return shared.object.verdict
            } catch {
                fail(error)
                return .proceed
            }
        }
    }

    /// Installs a handler that may keep its event.
    private func observeAnew(_ filter: VirtualMachine.EventFilter, _ handler: Handler) -> HandlerID {
        guest.on(filter) { [unowned self, handler] event in
            guard handlerError == nil else { return .proceed }
            do {
                let object = EventObject(event, guest: self, handler: handler)
                try handler(object)
                return object.verdict
            } catch {
                fail(error)
                return .proceed
            }
        }
    }

    /// Installs a handler that only has to be called, or to be given the processor.
    private func notice(
        _ filter: VirtualMachine.EventFilter, _ handler: Handler, _ processor: KeptCell? = nil
    ) -> HandlerID {
        // SAFETY: the session's maker keeps this object until it has taken its handlers out of the guest (`close`).
        guest.onNotice(filter) { [unowned(unsafe) self, handler] in
            guard handlerError == nil else { return }
            do {
                if let processor { try handler(processor) } else { try handler() }
            } catch {
                fail(error)
            }
        }
    }

    /// What `run(until:)` is given: an event, or the function that makes one.
    private func filter(_ value: ScriptValue?, _ arguments: Arguments) throws -> VirtualMachine.EventFilter? {
        guard var value else { return nil }
        if case .function(let function) = value { value = try arguments.context.call(function, []) }
        guard case .object(let object) = value, let pattern = object as? EventPattern else {
            throw arguments.wrongType(0, "an event such as `guest.exception(.GP)`")
        }
        guard pattern.source == nil || pattern.source === self else {
            throw HostFailure(.wrongType, "the event is another guest's", argument: 0)
        }
        return try EventFilters.filter(pattern)
    }

    /// Lets go of what holds on to the guest or to the script's variables.
    func close() {
        lastStop = nil
        for entry in handlers.values { guest.off(entry.id) }
        handlers = [:]
        for device in devices { device.close() }
        devices = []
        for timer in pending { timer.cancel() }
        pending = []
        for snapshot in snapshots { snapshot.object?.snapshot = nil }
        snapshots = []
        guest.console.onOutput = nil
    }
}

extension VirtualMachine.EventFilter {
    /// How many pages of a guest's memory the filter's range has at most.
    fileprivate func watchedPages(in guest: Guest) -> Int {
        let range = numbers ?? 0...UInt64.max
        let bytes = min(range.upperBound - range.lowerBound, guest.configuration.memory)
        return Int(clamping: bytes / 4096 + 2)
    }
}

/// Turns a script's event into what the engine filters by.
enum EventFilters {
    static func filter(_ pattern: EventPattern) throws(HostFailure) -> VirtualMachine.EventFilter {
        let name = pattern.event.name
        guard !Schema.guest.missingEvents.contains(name), let kind = GuestEvent.Kind(rawValue: name) else {
            throw HostFailure(.notImplemented, "the event `\(name)` is not implemented")
        }
        switch kind {
        case .transition:
            return .transition(from: try level(pattern["from"]), to: try level(pattern["to"]))
        case .exception:
            return VirtualMachine.EventFilter(kind, numbers: try numbers(pattern["vector"], upTo: 0x1F, vector: true))
        case .interrupt: return VirtualMachine.EventFilter(kind, numbers: try numbers(pattern["vector"], upTo: 0xFF))
        case .syscall, .hypercall: return VirtualMachine.EventFilter(kind, numbers: try numbers(pattern["nr"]))
        case .io: return VirtualMachine.EventFilter(kind, numbers: try numbers(pattern["ports"], upTo: 0xFFFF))
        case .msr: return VirtualMachine.EventFilter(kind, numbers: try numbers(pattern["index"], upTo: 0xFFFF_FFFF))
        case .cr: return VirtualMachine.EventFilter(kind, numbers: try numbers(pattern["number"], upTo: 15))
        case .exec:
            guard let range = try numbers(pattern["address"], of: pattern.source as? GuestObject) else {
                throw HostFailure(.wrongArguments, "`exec` needs an address")
            }
            return VirtualMachine.EventFilter(kind, numbers: range)
        case .read, .write:
            guard let range = try numbers(pattern["range"], of: pattern.source as? GuestObject) else {
                throw HostFailure(.wrongArguments, "`\(name)` needs an address or a range")
            }
            let isPhysical = if case .bool(true) = pattern["physical"] { true } else { false }
            return kind == .read ? .read(range, physical: isPhysical) : .write(range, physical: isPhysical)
        case .instruction:
            let mnemonic: String
            switch pattern["mnemonic"] {
            case .string(let name), .symbol(let name): mnemonic = name
            case let other:
                throw HostFailure(.wrongType, "`instruction` needs a mnemonic, not \(other?.typeName ?? "nothing")")
            }
            guard let filter = VirtualMachine.EventFilter.instruction(mnemonic) else {
                throw HostFailure(.unknownName, "there is no instruction `\(mnemonic)`")
            }
            return filter
        case .console:
            guard case .string(let text) = pattern["text"], !text.isEmpty else {
                throw HostFailure(.wrongType, "`console` needs a text")
            }
            return .console(text)
        case .vmexit:
            guard case .symbol(let name) = pattern["reason"] else {
                return VirtualMachine.EventFilter(kind, numbers: try numbers(pattern["reason"]))
            }
            return .vmexit(try exitReason(name))
        case .vmentry: return .vmentry()
        case .halt, .cpuid, .reset: return VirtualMachine.EventFilter(kind)
        }
    }

    /// The reason of a VM exit by its name.
    static func exitReason(_ name: String) throws(HostFailure) -> ExitReason {
        if let reason = ExitReason(named: name) { return reason }
        let names = ExitReason.allCases.map(\.name)
        let guess = Suggestion.closest(to: name, in: names).map { "; did you mean `.\($0)`?" } ?? ""
        throw HostFailure(
            .outOfRange, "a guest is not left for `.\(name)`\(guess)",
            notes: ["the reasons are \(names.map { ".\($0)" }.joined(separator: ", "))"])
    }

    private static func level(_ value: ScriptValue?) throws(HostFailure) -> Level? {
        switch value {
        case nil, .nil: return nil
        case .int(let ring):
            guard let level = Int(exactly: ring).flatMap(Level.init(rawValue:)), level != .root else {
                throw HostFailure(.outOfRange, "there is no ring \(ring)")
            }
            return level
        case .symbol("root"): return .root
        case .some(let other):
            throw HostFailure(.wrongType, "a level is a ring's number or `.root`, not \(other.typeName)")
        }
    }

    /// The numbers that an argument lets through, of which there are so many.
    private static func numbers(
        _ value: ScriptValue?, upTo last: UInt64 = .max, vector: Bool = false, of guest: GuestObject? = nil
    ) throws(HostFailure) -> ClosedRange<UInt64>? {
        let numbers = try numbers(value, vector: vector, of: guest)
        guard let numbers, numbers.upperBound > last else { return numbers }
        throw HostFailure(
            .outOfRange,
            "\(hexadecimal(numbers.upperBound)) is none of this event's numbers, which end at \(hexadecimal(last))")
    }

    private static func numbers(
        _ value: ScriptValue?, vector: Bool, of guest: GuestObject?
    ) throws(HostFailure) -> ClosedRange<UInt64>? {
        switch value {
        case nil, .nil: return nil
        case .int(let number):
            guard let number = UInt64(exactly: number) else { throw HostFailure(.outOfRange, "\(number) is negative") }
            return number...number
        case .range(let range):
            guard let lower = UInt64(exactly: range.lowerBound), let last = UInt64(exactly: range.upperBound - 1),
                lower <= last
            else { throw HostFailure(.outOfRange, "the range is empty or negative") }
            return lower...last
        case .symbol(let name) where vector:
            guard let vector = ExceptionName.vector(named: name) else {
                throw HostFailure(
                    .outOfRange, "there is no exception `.\(name)`",
                    notes: ["they are called as in the manuals: .UD, .GP, .PF"])
            }
            return UInt64(vector)...UInt64(vector)
        case .object(let object):
            guard let label = object as? CodeLabel, let address = label.address else { break }
            return address...address
        case .string(let name):
            guard let address = guest?.guest.symbols[name] ?? guest?.guest.symbolTable.address(of: name) else {
                throw HostFailure(.unknownName, "the guest has no symbol `\(name)`")
            }
            return address...address
        case .some: break
        }
        throw HostFailure(.wrongType, "an event is narrowed by a number or a range, not \(value?.typeName ?? "nil")")
    }
}

extension ScriptValue {
    /// A duration of guest time.
    static func time(_ nanoseconds: UInt64) -> ScriptValue { .duration(Int64(clamping: nanoseconds)) }

    /// A privilege level: a ring's number or `.root`.
    static func level(_ level: Level) -> ScriptValue { level == .root ? .symbol("root") : .integer(level.rawValue) }
}
