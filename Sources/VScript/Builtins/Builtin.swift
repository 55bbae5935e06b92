import VScriptSyntax
// How host code is given to scripts.
//
// A builtin is one literal: signature, summary, body. Its names, arity, help and suggestions derive from the signature
// (`name`, `name?` may be left out, `name...` takes the rest). Most bodies work on `ScriptValue`, by `Arguments`' typed
// accessors, which fail with the parameter's name; `.items` and `.named` make new collections:
//
//     Builtin("repeated(count)", "The item so many times.") { item, arguments in
//         let count = try arguments.integer(0, in: 0...1_000)
//         try arguments.context.pay(Int(count))
//         return .items(Array(repeating: item, count: Int(count)))
//     }
//
// What scripts call millions of times works on cells instead (`cells:`, `CellCall`): the receiver and one cell for each
// parameter lie in registers and are rooted. A cell that the body has made is not: it stays in `heap.temporaries` while
// something else is allocated. Work that grows with its input is paid for before it is done, by `pay`.
//
// A host object is a class with a table of members (`TabledObject`), or one that answers for its names itself
// (`HostObject`). Scripts hold it by an index that the collector takes out; it may keep `ScriptValue`s, whose
// collections and functions stay alive as long. Failures are `HostFailure`s; the interpreter adds the place.
import VirtualMachine

/// Why a host function or operator fails, before anybody knows where in the script.
package struct HostFailure: Error {
    package var code: ScriptCode
    package var message: String
    package var notes: [String]
    /// The argument at fault, by its position in the signature.
    package var argument: Int?
    /// The operator that would not have failed.
    var operatorFix: String?
    /// Where the mistake is, if not where the script calls.
    var span: SourceSpan?
    /// What is said about the place.
    var label = ""

    package init(
        _ code: ScriptCode, _ message: String, notes: [String] = [], argument: Int? = nil, operatorFix: String? = nil
    ) {
        self.code = code
        self.message = message
        self.notes = notes
        self.argument = argument
        self.operatorFix = operatorFix
    }
}

/// The name and parameters of a function as written: `wait(pattern, within?)`, `print(values...)`.
package struct Signature: Sendable {
    /// A parameter: `name`, `name?` may be left out, `name...` takes all that is left.
    struct Parameter: Sendable {
        enum Kind: Sendable { case required, optional, rest }
        let name: String
        let kind: Kind
    }

    package let name: String
    let parameters: [Parameter]
    /// The signature as it was written.
    package let text: String
    /// Whether every parameter has to be passed, each with one argument.
    let isPlain: Bool

    package init(_ text: String) {
        self.text = text
        let parts = text.split(separator: "(", maxSplits: 1)
        name = parts.first.map { String($0).trimmed } ?? text
        parameters = (parts.count > 1 ? parts[1].dropLast() : "").split(separator: ",").map { part in
            let text = String(part).trimmed
            if text.hasSuffix("...") { return Parameter(name: String(text.dropLast(3)), kind: .rest) }
            if text.hasSuffix("?") { return Parameter(name: String(text.dropLast()), kind: .optional) }
            return Parameter(name: text, kind: .required)
        }
        isPlain = parameters.allSatisfy { $0.kind == .required }
    }

    init(name: String, parameters: [Parameter]) {
        self.name = name
        self.parameters = parameters
        text = "\(name)(\(parameters.map(\.name).joined(separator: ", ")))"
        isPlain = parameters.allSatisfy { $0.kind == .required }
    }
}

extension Signature {
    /// What a call passes for a parameter.
    enum Passed {
        case nothing
        /// The argument of that position.
        case argument(Int)
        /// All that are left, for a rest parameter.
        case rest([Int])
    }

    /// Sorts the arguments of a call, whose labels are empty if none has one, to the parameters; a mistake names the
    /// function and the parameter.
    func sort(_ count: Int, labels: [String?]) throws(HostFailure) -> [Passed] {
        let called = name.isEmpty ? "the function" : "`\(name)`"
        var passed = [Passed](repeating: .nothing, count: parameters.count)
        func isPassed(_ index: Int) -> Bool { if case .nothing = passed[index] { false } else { true } }
        var next = 0
        for argument in 0..<count {
            if let label = labels.indices.contains(argument) ? labels[argument] : nil {
                guard let position = parameters.firstIndex(where: { $0.name == label && $0.kind != .rest }) else {
                    let names = parameters.filter { $0.kind != .rest }.map(\.name)
                    let guess = Suggestion.closest(to: label, in: names).map { "did you mean `\($0)`?" }
                    throw HostFailure(
                        .wrongArguments, "\(called) has no parameter `\(label)`", notes: [guess ?? "it is `\(text)`"],
                        argument: argument)
                }
                guard !isPassed(position) else {
                    throw HostFailure(.wrongArguments, "`\(label)` is passed twice", argument: argument)
                }
                passed[position] = .argument(argument)
                continue
            }
            while next < passed.count, isPassed(next), parameters[next].kind != .rest { next += 1 }
            guard next < passed.count else {
                let count = parameters.count
                throw HostFailure(
                    .wrongArguments,
                    "\(called) takes \(count == 0 ? "no arguments" : count == 1 ? "one argument" : "\(count) arguments")",
                    notes: ["it is `\(text)`"], argument: argument)
            }
            if parameters[next].kind == .rest {
                if case .rest(let others) = passed[next] {
                    passed[next] = .rest(others + [argument])
                } else {
                    passed[next] = .rest([argument])
                }
            } else {
                passed[next] = .argument(argument)
                next += 1
            }
        }
        for (index, parameter) in parameters.enumerated() where parameter.kind == .required && !isPassed(index) {
            throw HostFailure(.wrongArguments, "\(called) needs `\(parameter.name)`", notes: ["it is `\(text)`"])
        }
        return passed
    }
}

/// The arguments of a call, sorted to the parameters of a signature.
package struct Arguments {
    let signature: Signature
    /// One value for each parameter; nil if it was left out, a list for a rest parameter.
    package let values: [ScriptValue?]
    /// Carries out calls of functions that are passed in.
    package let context: any CallContext
    /// Where the call stands.
    package let span: SourceSpan

    // MARK: - Typed access

    /// The value of a parameter, nil if it was left out or is nil.
    package func value(_ index: Int) -> ScriptValue? {
        guard let value = values[index], !value.isNil else { return nil }
        return value
    }

    /// The values of a rest parameter.
    package func rest(_ index: Int) -> [ScriptValue] {
        if case .list(let list) = values[index] { list.items } else { [] }
    }

    private func failure(_ index: Int, _ expected: String, _ found: ScriptValue) -> HostFailure {
        HostFailure(
            .wrongType, "`\(signature.parameters[index].name)` must be \(expected), not \(found.typeName)",
            argument: index)
    }

    private func required(_ index: Int, _ expected: String) throws(HostFailure) -> ScriptValue {
        guard let value = values[index] else { throw failure(index, expected, .nil) }
        return value
    }

    package func string(_ index: Int) throws(HostFailure) -> String {
        let value = try required(index, "a string")
        guard case .string(let text) = value else { throw failure(index, "a string", value) }
        return text
    }

    package func optionalString(_ index: Int) throws(HostFailure) -> String? {
        value(index) == nil ? nil : try string(index)
    }

    package func optionalBool(_ index: Int) throws(HostFailure) -> Bool? {
        guard let value = value(index) else { return nil }
        guard case .bool(let flag) = value else { throw failure(index, "`true` or `false`", value) }
        return flag
    }

    /// An int inside a range, which the message tells.
    package func integer(_ index: Int, in range: ClosedRange<Int128> = Value.integers) throws(HostFailure) -> Int128 {
        let value = try required(index, "an int")
        guard case .int(let number) = value else { throw failure(index, "an int", value) }
        guard range.contains(number) else {
            throw HostFailure(
                .outOfRange,
                "`\(signature.parameters[index].name)` must be in \(range.lowerBound)...\(range.upperBound), not \(number)",
                argument: index)
        }
        return number
    }

    package func optionalInteger(
        _ index: Int, in range: ClosedRange<Int128> = Value.integers
    ) throws(HostFailure) -> Int128? {
        value(index) == nil ? nil : try integer(index, in: range)
    }

    /// A duration in nanoseconds; an int is refused with the unit it lacks.
    package func duration(_ index: Int) throws(HostFailure) -> Int64 {
        let value = try required(index, "a duration")
        if case .duration(let time) = value { return time }
        var failure = failure(index, "a duration", value)
        if case .int(let number) = value { failure.notes = ["write `\(number) s`, `\(number) ms` or another unit"] }
        throw failure
    }

    package func optionalDuration(_ index: Int) throws(HostFailure) -> Int64? {
        value(index) == nil ? nil : try duration(index)
    }

    package func function(_ index: Int) throws(HostFailure) -> Function {
        let value = try required(index, "a function")
        guard case .function(let function) = value else { throw failure(index, "a function", value) }
        return function
    }

    package func list(_ index: Int) throws(HostFailure) -> List {
        let value = try required(index, "a list")
        guard case .list(let list) = value else { throw failure(index, "a list", value) }
        return list
    }

    package func bytes(_ index: Int) throws(HostFailure) -> [UInt8] {
        let value = try required(index, "bytes")
        if case .bytes(let bytes) = value { return bytes }
        if case .string(let text) = value { return Array(text.utf8) }
        throw failure(index, "bytes or a string", value)
    }

    /// A failure that says what a parameter takes.
    package func wrongType(_ index: Int, _ expected: String) -> HostFailure {
        failure(index, expected, values[index] ?? .nil)
    }
}

/// What host functions can ask of the session that calls them.
package protocol CallContext: AnyObject {
    /// Calls a script's function.
    func call(_ function: Function, _ arguments: [ScriptValue]) throws -> ScriptValue
    /// Pays fuel for work that is about to be done: one for each element, or for 64 bytes.
    func pay(_ amount: Int) throws
    /// The files that the script may read and write.
    var files: Files { get }
    /// Does work until it gives a value; a session that gives way to other tasks does so between its turns.
    func inTurns(_ turn: @escaping () throws -> ScriptValue?) throws -> ScriptValue
    /// Whether work in turns should pause now and then.
    var givesWay: Bool { get }
    /// Writes to the script's standard output.
    func write(_ text: String)
    /// A copy of a value that belongs to no session; pays for it.
    func copy(_ value: ScriptValue) throws -> Value
    /// Hands a row of results to whoever collects them.
    func emit(_ value: Value) throws
    /// Whether somebody asked the script to stop, or it has run for too long.
    var isInterrupted: Bool { get }
    /// Why the script has to stop, if `isInterrupted`.
    var interruption: HostFailure { get }
    /// The directory that relative paths of the script begin at, and its arguments.
    var environment: ScriptEnvironment { get }
}

/// A call of a builtin that works on cells: the receiver and one cell for each parameter, unset if it was left out.
///
/// The cells lie in registers and are rooted; what the builtin makes it keeps in `heap.temporaries` until it has
/// stored it, if it allocates again meanwhile.
struct CellCall {
    let interpreter: Interpreter
    let base: UnsafeMutablePointer<Cell>

    var heap: Heap { interpreter.heap }
    var receiver: Cell { base[0] }
    subscript(index: Int) -> Cell { base[index + 1] }
}

/// A function of the host, declared beside its signature and its help text.
///
/// Most are written over `ScriptValue`; those that scripts call millions of times are written over cells.
package struct Builtin<Receiver>: Sendable {
    enum Body: Sendable {
        case values(@Sendable (Receiver, Arguments) throws -> ScriptValue)
        case cells(@Sendable (CellCall) throws -> Cell)
    }

    package let signature: Signature
    package let summary: String
    let body: Body

    package init(
        _ signature: String, _ summary: String, body: @escaping @Sendable (Receiver, Arguments) throws -> ScriptValue
    ) {
        self.signature = Signature(signature)
        self.summary = summary
        self.body = .values(body)
    }

    init(_ signature: String, _ summary: String, cells: @escaping @Sendable (CellCall) throws -> Cell) {
        self.signature = Signature(signature)
        self.summary = summary
        body = .cells(cells)
    }
}

/// A property of the host, declared beside its help text.
package struct Property<Receiver>: Sendable {
    enum Body: Sendable {
        case values(@Sendable (Receiver) throws -> ScriptValue)
        case cells(@Sendable (Interpreter, Cell) throws -> Cell)
    }

    package let name: String
    package let summary: String
    let get: Body
    let set: (@Sendable (Receiver, ScriptValue) throws -> Void)?

    package init(
        _ name: String, _ summary: String, set: (@Sendable (Receiver, ScriptValue) throws -> Void)? = nil,
        get: @escaping @Sendable (Receiver) throws -> ScriptValue
    ) {
        self.name = name
        self.summary = summary
        self.get = .values(get)
        self.set = set
    }

    init(_ name: String, _ summary: String, cells: @escaping @Sendable (Interpreter, Cell) throws -> Cell) {
        self.name = name
        self.summary = summary
        get = .cells(cells)
        set = nil
    }
}

/// The members of one type.
package struct MemberTable<Receiver>: Sendable {
    package let properties: [String: Property<Receiver>]
    package let methods: [String: Builtin<Receiver>]

    package init(properties: [Property<Receiver>] = [], methods: [Builtin<Receiver>] = []) {
        self.properties = Dictionary(properties.map { ($0.name, $0) }) { $1 }
        self.methods = Dictionary(methods.map { ($0.signature.name, $0) }) { $1 }
    }

    package var names: [String] { (Array(properties.keys) + Array(methods.keys)).sorted() }

    /// A property's value, or a method bound to its receiver; nil if there is no such member.
    package func get(_ name: String, of receiver: Receiver) throws -> ScriptValue? {
        if let property = properties[name] {
            guard case .values(let get) = property.get else { return nil }
            return try get(receiver)
        }
        guard let method = methods[name], case .values(let body) = method.body else { return nil }
        return .function(Function(method.signature) { try body(receiver, $0) })
    }

    /// Sets a property; false if there is none that can be set.
    package func set(_ name: String, to value: ScriptValue, of receiver: Receiver) throws -> Bool {
        guard let set = properties[name]?.set else { return false }
        try set(receiver, value)
        return true
    }
}

/// An object of the host that scripts hold by reference.
package protocol HostObject: AnyObject {
    /// What messages call it, with an article: `a guest`.
    var typeName: String { get }
    /// The object as `print` writes it.
    var text: String { get }
    /// The names of its members, for suggestions.
    var memberNames: [String] { get }
    /// A member; nil if there is none of the name.
    func member(_ name: String) throws -> ScriptValue?
    /// Sets a member; false if there is none that can be set.
    func setMember(_ name: String, to value: ScriptValue) throws -> Bool
    /// `object[key]`; nil if the object has no elements.
    func element(_ key: ScriptValue) throws -> ScriptValue?
    /// `object[key] = value`; false if elements cannot be set.
    func setElement(_ key: ScriptValue, to value: ScriptValue) throws -> Bool
    /// Whether two references are to the same object.
    func isSame(as other: any HostObject) -> Bool
}

extension HostObject {
    package var text: String { "<\(typeName.split(separator: " ", maxSplits: 1).last ?? "")>" }
    package func setMember(_ name: String, to value: ScriptValue) throws -> Bool { false }
    package func element(_ key: ScriptValue) throws -> ScriptValue? { nil }
    package func setElement(_ key: ScriptValue, to value: ScriptValue) throws -> Bool { false }

    /// Whether two references are to the same object.
    package func isSame(as other: any HostObject) -> Bool { ObjectIdentifier(self) == ObjectIdentifier(other) }
}

/// A host object whose members stand in a table.
package protocol TabledObject: HostObject {
    static var members: MemberTable<Self> { get }
}

extension TabledObject {
    package var memberNames: [String] { Self.members.names }
    package func member(_ name: String) throws -> ScriptValue? { try Self.members.get(name, of: self) }
    package func setMember(_ name: String, to value: ScriptValue) throws -> Bool {
        try Self.members.set(name, to: value, of: self)
    }
}

/// A named set of values that a script imports.
package final class ModuleObject: HostObject {
    let name: String
    private let values: [String: ScriptValue]

    package init(_ name: String, _ values: [String: ScriptValue]) {
        self.name = name
        self.values = values
    }

    package var typeName: String {
        // A module of the library is known by its name alone.
        let prefix = ScriptedModule.filePrefix
        return "the module `\(name.hasPrefix(prefix) ? String(name.dropFirst(prefix.utf8.count)) : name)`"
    }
    package var text: String { "<module \(name)>" }
    package var memberNames: [String] { values.keys.filter { !$0.hasPrefix("_") }.sorted() }
    package func member(_ name: String) -> ScriptValue? { name.hasPrefix("_") ? nil : values[name] }
}

/// What a script finds around it.
public struct ScriptEnvironment: Sendable {
    /// The arguments after `--` on the command line.
    public var arguments: [String]
    /// The terminal that scripts attach a guest's console to, if there may be one.
    public var terminal: (any ConsoleTerminal)?
    /// Whether `golden` writes its files anew instead of comparing with them.
    package var updatesGoldenFiles = false

    /// An environment with arguments.
    public init(arguments: [String] = [], terminal: (any ConsoleTerminal)? = nil) {
        self.arguments = arguments
        self.terminal = terminal
    }
}
