import VScriptSyntax
import VirtualMachine

/// A device that a script has declared: its handlers answer the guest.
final class DeviceObject: HostObject, EventSource {
    let device: ScriptedDevice
    private unowned let session: Session
    private(set) weak var owner: GuestObject?
    /// The line that declares it.
    let header: SourceSpan
    private var handlers: [Handler]
    /// The names of the `var`s of its body, and how to read and set all of them.
    private var variables: (names: [String], save: Function, restore: Function)?

    init(_ declaration: Declaration, session: Session) throws {
        self.session = session
        header = declaration.header
        handlers = declaration.handlers
        variables = declaration.variables
        let name = declaration.label.isNil ? "device" : declaration.label.text
        device = ScriptedDevice(
            name, ports: try Self.ranges("ports", of: declaration, UInt16.self),
            memory: try Self.ranges("mmio", of: declaration, UInt64.self),
            irq: declaration.integer("irq").map { Int($0) })
        device.place = "\(header.file.name):\(header.startPosition.line)"
        for handler in handlers {
            handler.remove = { [weak self, unowned handler] in self?.handlers.removeAll { $0 === handler } }
        }
    }

    /// The ranges of a property: an address, a range, or a list of them.
    private static func ranges<Address: FixedWidthInteger>(
        _ name: String, of declaration: Declaration, _: Address.Type
    ) throws -> [ClosedRange<Address>] {
        guard let property = declaration.properties[name] else { return [] }
        let items = if case .list(let list) = property.value { list.items } else { [property.value] }
        return try items.map { item in
            let range: Range<Int128>
            switch item {
            case .int(let number): range = number..<number + 1
            case .range(let found): range = found
            case _:
                throw Interruption.fault(
                    Fault(
                        HostFailure(
                            .wrongType, "`\(name)` is an address, a range or a list of them, not \(item.typeName)"),
                        at: property.span))
            }
            guard let first = Address(exactly: range.lowerBound), let last = Address(exactly: range.upperBound - 1),
                first <= last
            else {
                throw Interruption.fault(
                    Fault(
                        HostFailure(
                            .outOfRange, "`\(name)` goes from 0 to \(hexadecimal(Address.max)), and no range is empty"),
                        at: property.span))
            }
            return first...last
        }
    }

    var typeName: String { "a device" }
    var text: String { "<device \(device.name)>" }
    var memberNames: [String] { Self.table.names + Schema.device.events.map(\.name) + (variables?.names ?? []) }

    func member(_ name: String) throws -> ScriptValue? {
        if let found = try Self.table.get(name, of: self) { return found }
        if let event = Schema.device.events.first(where: { $0.name == name }) {
            return .function(EventPattern.maker(event, of: self))
        }
        guard let variables, let index = variables.names.firstIndex(of: name) else { return nil }
        return try values()[index]
    }

    private func values() throws -> [ScriptValue] {
        guard let variables, case .list(let list) = try session.call(variables.save, []) else { return [] }
        return list.items
    }

    // MARK: - On the guest

    /// Puts the device into a guest.
    func attach(to guest: GuestObject) throws(HostFailure) {
        device.onRead = { [unowned self] in read($0) }
        device.onWrite = { [unowned self] in write($0, $1) }
        device.onReset = { [unowned self] in _ = call("reset", nil, nil) }
        device.saveState = { [unowned self] in saved() }
        device.restoreState = { [unowned self] in bringBack($0) }
        do throws(DeviceError) {
            try guest.guest.attach(device)
        } catch {
            throw HostFailure(.wrongOperand, error.description)
        }
        owner = guest
    }

    func install(_ handler: Handler) throws {
        handlers.append(handler)
        handler.remove = { [weak self, unowned handler] in self?.handlers.removeAll { $0 === handler } }
    }

    /// Lets go of what holds on to the script's variables.
    func close() {
        owner?.guest.detach(device)
        handlers = []
        variables = nil
    }

    private func read(_ access: DeviceAccess) -> UInt64 {
        switch call("read", access, nil) {
        case .int(let value): return UInt64(truncatingIfNeeded: value)
        case .bool(let value): return value ? 1 : 0
        case .nil: return .max
        case let other:
            owner?.fail(HostFailure(.wrongType, "reading a register gives an int, not \(other.typeName)"))
            return .max
        }
    }

    private func write(_ access: DeviceAccess, _ value: UInt64) { _ = call("write", access, value) }

    /// Calls the handlers of an event in order, until one has a value.
    private func call(_ name: String, _ access: DeviceAccess?, _ value: UInt64?) -> ScriptValue {
        guard let owner else { return .nil }
        for handler in handlers where handler.filter.event.name == name {
            if let access, !Self.accepts(handler.filter["offset"], access.offset) { continue }
            let event = DeviceEventObject(name, access, value, of: self, in: owner)
            do {
                let result = try handler.value(event)
                if let reply = event.reply { return reply }
                if name == "read", !result.isNil { return result }
            } catch {
                owner.fail(error)
                return .nil
            }
        }
        return .nil
    }

    private static func accepts(_ filter: ScriptValue?, _ offset: UInt64) -> Bool {
        switch filter {
        case nil, .nil: true
        case .int(let number): number == Int128(offset)
        case .range(let range): range.contains(Int128(offset))
        case .some: false
        }
    }

    // MARK: - What it remembers

    private func saved() -> [String: DeviceValue] {
        guard let variables else { return [:] }
        do {
            return Dictionary(zip(variables.names, try values().map(DeviceValue.init))) { $1 }
        } catch {
            owner?.fail(error)
            return [:]
        }
    }

    private func bringBack(_ state: [String: DeviceValue]) {
        guard let variables else { return }
        do {
            let now = try values()
            let before = zip(variables.names, now).map { name, value in state[name].flatMap(ScriptValue.init) ?? value }
            _ = try session.call(variables.restore, [.items(before)])
        } catch {
            owner?.fail(error)
        }
    }

    static let table = MemberTable<DeviceObject>(
        properties: [
            Property("name", "What it was declared as.") { .string($0.device.name) },
            Property("guest", "The guest it is in.") { $0.owner.map { .object($0) } ?? .nil },
            Property("isRaised", "Whether it asserts its interrupt line.") { .bool($0.device.isRaised) },
        ],
        methods: [
            Builtin("raise()", "Asserts the interrupt line until `lower`.") { object, _ in
                try object.checkAttached().raise()
                return .nil
            },
            Builtin("lower()", "Releases the interrupt line.") { object, _ in
                try object.checkAttached().lower()
                return .nil
            },
            Builtin("pulse()", "Asserts and releases the interrupt line.") { object, _ in
                try object.checkAttached().pulse()
                return .nil
            },
            Builtin("after(duration, function)", "Calls a function later in guest time, unless a reset comes first.") {
                object, arguments in
                let device = try object.checkAttached()
                guard let owner = object.owner else { return .nil }
                return try owner.later(arguments) { time, action in device.after(.nanoseconds(time), action) }
            },
        ])

    static var methodNames: [String] { table.names }

    private func checkAttached() throws(HostFailure) -> ScriptedDevice {
        guard owner != nil else {
            throw HostFailure(
                .usedBeforeDeclaration, "the device is not in a guest yet: its declaration is not complete")
        }
        return device
    }
}

/// What a handler of a device sees.
final class DeviceEventObject: TabledObject {
    private let name: String
    private let access: DeviceAccess?
    private let value: UInt64?
    private let device: DeviceObject
    private let guest: GuestObject
    /// What `event.reply` was given.
    private(set) var reply: ScriptValue?

    init(_ name: String, _ access: DeviceAccess?, _ value: UInt64?, of device: DeviceObject, in guest: GuestObject) {
        self.name = name
        self.access = access
        self.value = value
        self.device = device
        self.guest = guest
    }

    var typeName: String { "an event" }
    var text: String { "<\(name) of \(device.device.name)>" }

    static let members = MemberTable<DeviceEventObject>(
        properties: [
            Property("kind", "`.read`, `.write` or `.reset`.") { .symbol($0.name) },
            Property("guest", "The guest.") { .object($0.guest) },
            Property("device", "The device.") { .object($0.device) },
            Property("cpu", "The processor that accesses the device.") { .object(CPUObject($0.guest)) },
            Property("time", "When, in guest time.") { .time($0.guest.guest.time) },
            Property("instructions", "After how many instructions.") { .integer($0.guest.guest.instructions) },
            Property("offset", "The distance from the start of the device's range, or nil.") {
                $0.access.map { .integer($0.offset) } ?? .nil
            },
            Property("address", "The port or the physical address, or nil.") {
                $0.access.map { .integer($0.address) } ?? .nil
            },
            Property("size", "Bytes of the access, or nil.") { $0.access.map { .integer($0.width) } ?? .nil },
            Property("space", "`.ports` or `.memory`, or nil.") {
                $0.access.map { .symbol($0.space.rawValue) } ?? .nil
            },
            Property("value", "What is written, or nil.") { $0.value.map { .integer($0) } ?? .nil },
        ],
        methods: [
            Builtin("reply(value)", "What a read gives.") { event, arguments in
                guard event.name == "read" else {
                    throw HostFailure(.wrongOperand, "a \(event.name) has no result to reply with")
                }
                event.reply = .int(try arguments.integer(0))
                return .nil
            },
            Builtin("stop(why?)", "Ends the run after the instruction.") { event, arguments in
                guard event.guest.isRunning else { throw HostFailure(.outsideHandler, "the guest is not running") }
                event.guest.guest.requestStop(try arguments.optionalString(0) ?? "")
                return .nil
            },
        ])
}

// MARK: - Values that are saved

/// The key of a map that stands for a value of another type.
private let typeKey = "\u{0}type"

extension DeviceValue {
    /// A value as a device's snapshot keeps it; functions and objects belong to the script and stay as they are.
    init(_ value: ScriptValue) {
        switch value {
        case .nil: self = .null
        case .function, .object, .regex: self = .map([typeKey: "kept"])
        case .bool(let value): self = .boolean(value)
        case .int(let value): self = .integer(value)
        case .float(let value): self = .number(value)
        case .string(let text): self = .text(text)
        case .bytes(let bytes): self = .bytes(bytes)
        case .duration(let time): self = .map([typeKey: "duration", "value": .integer(Int128(time))])
        case .symbol(let name): self = .map([typeKey: "symbol", "value": .text(name)])
        case .range(let range):
            self = .map([typeKey: "range", "lower": .integer(range.lowerBound), "upper": .integer(range.upperBound)])
        case .list(let list): self = .list(list.items.map(DeviceValue.init))
        case .map(let map):
            // Pairs, since keys are of any type and in order.
            let pairs = map.pairs.map { DeviceValue.list([DeviceValue($0.key), DeviceValue($0.value)]) }
            self = .map([typeKey: "map", "pairs": .list(pairs)])
        }
    }
}

extension ScriptValue {
    /// A value that a snapshot has kept; nil for what it cannot keep.
    init?(_ saved: DeviceValue) {
        switch saved {
        case .null: self = .nil
        case .boolean(let value): self = .bool(value)
        case .integer(let value): self = .int(value)
        case .number(let value): self = .float(value)
        case .text(let text): self = .string(text)
        case .bytes(let bytes): self = .bytes(bytes)
        case .list(let items): self = .items(items.map { ScriptValue($0) ?? .nil })
        case .map(let parts):
            switch (parts[typeKey], parts["value"]) {
            case ("duration", .integer(let time)): self = .duration(Int64(truncatingIfNeeded: time))
            case ("symbol", .text(let name)): self = .symbol(name)
            case ("range", _):
                guard case .integer(let lower) = parts["lower"], case .integer(let upper) = parts["upper"],
                    lower <= upper
                else { return nil }
                self = .range(lower..<upper)
            case ("map", _):
                guard case .list(let pairs) = parts["pairs"] else { return nil }
                self = .map(
                    Map(
                        pairs.compactMap { pair in
                            guard case .list(let both) = pair, both.count == 2 else { return nil }
                            return (ScriptValue(both[0]) ?? .nil, ScriptValue(both[1]) ?? .nil)
                        }))
            case (_, _): return nil
            }
        }
    }
}
