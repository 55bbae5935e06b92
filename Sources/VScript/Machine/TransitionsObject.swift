import VScriptSyntax
import VirtualMachine

/// The changes of privilege level of a guest, and its crossings to a monitor and back.
final class TransitionsObject: HostObject {
    private let owner: GuestObject
    private var log: TransitionLog { owner.guest.transitions }

    init(_ guest: GuestObject) { owner = guest }

    var typeName: String { "transitions" }
    var memberNames: [String] { Self.table.names }
    func member(_ name: String) throws -> ScriptValue? { try Self.table.get(name, of: self) }
    func setMember(_ name: String, to value: ScriptValue) throws -> Bool {
        try Self.table.set(name, to: value, of: self)
    }

    // MARK: - Rows as maps

    private static func optional(_ value: (some BinaryInteger)?) -> ScriptValue { value.map { .integer($0) } ?? .nil }

    /// A place before or after a transition.
    static func map(_ point: Transition.Point) -> ScriptValue {
        .named([
            "level": .level(point.level), "depth": .integer(point.depth), "physicalRing": .integer(point.physicalRing),
            "physicalRIP": optional(point.physicalRIP), "physicalCR3": optional(point.physicalCR3),
            "cs": .integer(point.cs), "rip": .integer(point.rip), "ss": .integer(point.ss),
            "rsp": .integer(point.rsp), "cr3": .integer(point.cr3), "rflags": .integer(point.rflags),
        ])
    }

    /// A call to the hypervisor.
    static func map(_ call: Transition.Call) -> ScriptValue {
        .named([
            "number": .integer(call.number), "arguments": .items(call.arguments.map { .integer($0) }),
            "result": optional(call.result), "name": call.name.map(ScriptValue.string) ?? .nil,
            "failure": call.failure.map(ScriptValue.string) ?? .nil,
        ])
    }

    private static func map(_ transition: Transition) -> ScriptValue {
        let exit = transition.exit
        return .named([
            "number": .integer(transition.sequence), "time": .time(transition.time),
            "instructions": .integer(transition.instructions), "cpu": .integer(transition.cpu),
            "technique": .symbol(transition.technique.rawValue), "from": .level(transition.before.level),
            "to": .level(transition.after.level), "kind": .symbol(transition.kind),
            "cause": .string(transition.cause), "gate": transition.gate.map(ScriptValue.string) ?? .nil,
            "before": map(transition.before), "after": map(transition.after),
            "switchedStack": .bool(transition.switchedStack), "vector": optional(transition.vector),
            "errorCode": optional(transition.errorCode), "address": optional(transition.address),
            "reason": exit.map { .symbol($0.reason.name) } ?? .nil,
            "exitName": exit.map { .string($0.name) } ?? .nil, "code": optional(exit?.code),
            "qualification": optional(exit?.qualification), "information": optional(exit?.information),
            "call": transition.call.map(map) ?? .nil, "cost": optional(transition.cost),
            "isModelled": .bool(transition.isModelled),
        ])
    }

    // MARK: - Counting

    private static func level(_ arguments: Arguments, _ index: Int) throws(HostFailure) -> Level? {
        switch arguments.value(index) {
        case nil: return nil
        case .int(let ring) where 0...3 ~= ring: return Level(rawValue: Int(ring))
        case .symbol("root"): return .root
        case .some: throw arguments.wrongType(index, "a ring's number or `.root`")
        }
    }

    private static func cause(_ arguments: Arguments, _ index: Int) throws(HostFailure) -> String? {
        switch arguments.value(index) {
        case nil: return nil
        case .symbol(let name), .string(let name):
            guard TransitionLog.causes.contains(name) else {
                throw HostFailure(
                    .outOfRange, "there is no cause `\(name)`",
                    notes: ["they are \(TransitionLog.causes.joined(separator: ", "))"], argument: index)
            }
            return name
        case .some: throw arguments.wrongType(index, "a symbol such as `.syscall`")
        }
    }

    private static func reason(_ arguments: Arguments, _ index: Int) throws(HostFailure) -> ExitReason? {
        switch arguments.value(index) {
        case nil: return nil
        case .symbol(let name): return try EventFilters.exitReason(name)
        case .some: throw arguments.wrongType(index, "a symbol such as `.pageTable`")
        }
    }

    static let table = MemberTable<TransitionsObject>(
        properties: [
            Property(
                "isRecording",
                "Whether rows are kept; from the start in a script that names `rows` or `save` but not this.",
                set: { object, value in
                    guard case .bool(let isOn) = value else {
                        throw HostFailure(.wrongType, "`isRecording` is `true` or `false`")
                    }
                    object.log.isRecording = isOn
                }
            ) { .bool($0.log.isRecording) },
            Property("cycles", "What all of them have cost by the hypervisor's cost model.") {
                .integer($0.owner.guest.modelledCycles)
            },
            Property("rows", "The transitions recorded, oldest first.") { object in
                var rows: [ScriptValue] = []
                do throws(Interrupted) { try object.log.forEachRow { rows.append(map($0)) } } catch {
                    throw HostFailure(.interrupted, "the script was interrupted")
                }
                return .items(rows)
            },
        ],
        methods: [
            Builtin(
                "count(from?, to?, cause?, reason?)",
                "How often the level changed so, `.root` being the monitor's; counting is always on."
            ) { object, arguments in
                .integer(
                    object.log.count(
                        from: try level(arguments, 0), to: try level(arguments, 1), cause: try cause(arguments, 2),
                        reason: try reason(arguments, 3)))
            },
            Builtin("save(path)", "Writes the rows to a file: a trace for Perfetto (.json), .csv, .ndjson or .html.") {
                object, arguments in
                let path = try arguments.string(0)
                guard let format = TransitionFormat(path: path) else {
                    throw HostFailure(
                        .wrongOperand, "`\(path)` names no format: it ends in .json, .csv, .ndjson or .html",
                        argument: 0)
                }
                let context = arguments.context
                let text: String
                do throws(Interrupted) { text = try object.log.exported(as: format) } catch {
                    throw context.interruption
                }
                let bytes = Array(text.utf8)
                try arguments.context.pay(bytes.count / 64)
                try HostFile.write(bytes, to: path, arguments.context.files)
                return .nil
            },
        ])
}
