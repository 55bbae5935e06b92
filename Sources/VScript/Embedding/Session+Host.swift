import VScriptSyntax

/// What scripts may name beyond the language: functions, values and kinds that a session's host has defined.
///
/// A program is checked against it before it runs, in this or another session that defines the same.
public struct HostInterface: Sendable {
    var names: Set<String> = []
    var kinds: [KindSchema] = []
    /// Directories whose scripts `import name` finds, before the modules of the library; a session reads them only if
    /// its `files` allow it.
    public var searchPath: [String] = []

    /// The language alone.
    public static let none = HostInterface()
}

/// What a host-defined kind is declared on.
public enum DeclarationParent: String, Sendable {
    /// A guest: in its body, or with `on`.
    case guest
}

extension Session {
    // MARK: - Functions and values

    /// Gives scripts a function of the host; what it throws is an error of the script.
    ///
    /// A parameter that is an Optional may be left out.
    public func define<each Parameter: ScriptConvertible, Result: ScriptConvertible>(
        _ name: String, _ body: @escaping (repeat each Parameter) throws -> Result
    ) {
        setFunction(name) { [unowned self] (parameter: repeat each Parameter) in
            scriptValue(of: try body(repeat each parameter))
        }
    }

    /// Gives scripts a function of the host that has no result.
    public func define<each Parameter: ScriptConvertible>(
        _ name: String, _ body: @escaping (repeat each Parameter) throws -> Void
    ) {
        setFunction(name) { (parameter: repeat each Parameter) in
            try body(repeat each parameter)
            return .nil
        }
    }

    private func setFunction<each Parameter: ScriptConvertible>(
        _ name: String, _ body: @escaping (repeat each Parameter) throws -> ScriptValue
    ) {
        let signature = Self.signature(name, repeat (each Parameter).self)
        setGlobal(
            name,
            .function(
                Function(signature) { [unowned self] arguments in
                    var index = 0
                    func take<Argument: ScriptConvertible>(_: Argument.Type) throws -> Argument {
                        defer { index += 1 }
                        return try argument(index, of: arguments)
                    }
                    return try body(repeat try take((each Parameter).self))
                }))
    }

    /// Gives scripts an object of a registered class.
    public func define(_ name: String, object: some ScriptObject) { setGlobal(name, scriptValue(of: object)) }

    /// A value that scripts may name, or that the last script has given a top-level name; nil if there is none.
    public subscript(name: String) -> Value? {
        get { globalCell(name).map { Value($0, in: interpreter.heap) } }
        set { setGlobal(name, newValue?.forScript ?? .nil) }
    }

    /// Calls a function that a script has declared at its top level.
    @discardableResult
    public func call(_ function: String, _ arguments: any ScriptConvertible...) throws(ScriptError) -> Value {
        guard let cell = globalCell(function) else {
            throw ScriptError("no script has declared `\(function)`")
        }
        do {
            let heap = interpreter.heap
            let kept = try arguments.map { KeptCell(try heap.cell(scriptValue(of: $0)), in: heap) }
            return Value(try interpreter.call(cell, kept.map(\.cell)), in: heap)
        } catch {
            throw Self.scriptError(error)
        }
    }

    // MARK: - Classes and kinds

    /// Tells what scripts see of a class's objects.
    public func register<Object: ScriptObject>(
        _ type: Object.Type, as name: String, _ members: (ObjectMembers<Object>) -> Void
    ) {
        let hostType = HostType(name, make: nil)
        hostTypes[ObjectIdentifier(type)] = hostType
        members(ObjectMembers(type: hostType, session: self))
    }

    /// Gives scripts a kind of declaration, whose objects are of a class.
    ///
    /// - Parameters:
    ///   - name: The kind.
    ///   - parent: What it is declared on; nil if it stands by itself.
    ///   - type: The class.
    ///   - members: Tells its properties, which declarations give, and methods.
    public func register<Object: ScriptDeclarable>(
        kind name: String, on parent: DeclarationParent? = nil, as type: Object.Type,
        _ members: (ObjectMembers<Object>) -> Void
    ) {
        let hostType = HostType(name) { Object() }
        hostTypes[ObjectIdentifier(type)] = hostType
        members(ObjectMembers(type: hostType, session: self))
        hostKinds[name] = hostType
        interface.kinds.removeAll { $0.name == name }
        let properties = hostType.properties.filter { $0.value.set != nil }.sorted { $0.key < $1.key }.map {
            PropertySchema($0.key, .any, isRequired: $0.value.isRequired, "a property of `\(name)`")
        }
        let names = (Array(hostType.properties.keys) + Array(hostType.methods.keys)).sorted()
        interface.kinds.append(
            KindSchema(
                name, "Defined by the program that runs the script.", on: parent.map { [$0.rawValue] } ?? [],
                properties: properties, members: { names }))
    }

    /// The object of a declaration of a host-defined kind.
    func makeHostObject(_ declaration: Declaration, _ type: HostType) throws -> ScriptValue {
        guard let object = type.make?() else { return .nil }
        for (name, property) in declaration.properties {
            do {
                try type.properties[name]?.set?(object, property.value)
            } catch var failure as HostFailure {
                failure.span = property.span
                throw failure
            }
        }
        return .object(HostInstance(object, type))
    }

    // MARK: - Conversion

    /// The signature of a function whose parameters have no names.
    static func signature<each Parameter: ScriptConvertible>(
        _ name: String, _ types: repeat (each Parameter).Type
    ) -> Signature {
        var parameters: [Signature.Parameter] = []
        for type in repeat each types {
            parameters.append(
                Signature.Parameter(
                    name: "argument\(parameters.count + 1)",
                    kind: type is any OptionalParameter.Type ? .optional : .required))
        }
        return Signature(name: name, parameters: parameters)
    }

    func argument<Argument: ScriptConvertible>(_ index: Int, of arguments: Arguments) throws -> Argument {
        do {
            return try convert(arguments.values[index] ?? .nil, to: Argument.self)
        } catch let error as ScriptError {
            throw HostFailure(
                .wrongType, "`\(arguments.signature.name)`: \(error.message)", argument: index)
        }
    }

    func convert<Result: ScriptConvertible>(_ value: ScriptValue, to type: Result.Type) throws -> Result {
        if case .object(let object) = value, let instance = object as? HostInstance,
            let result = instance.object as? Result
        {
            return result
        }
        return try Result(scriptValue: self.value(value))
    }

    /// The value that a script is given for one of the host's.
    func scriptValue(of value: any ScriptConvertible) -> ScriptValue {
        if let object = value as? any ScriptObject, let type = hostTypes[ObjectIdentifier(Swift.type(of: object))] {
            return .object(HostInstance(object, type))
        }
        return value.scriptValue.forScript
    }

    /// A copy of a value that host code has been given.
    private func value(_ value: ScriptValue) throws(HostFailure) -> Value {
        let heap = interpreter.heap
        return Value(try heap.cell(value), in: heap)
    }

    // MARK: - Names

    private func setGlobal(_ name: String, _ value: ScriptValue) {
        interface.names.insert(name)
        guard let box = try? interpreter.global(name), let cell = try? interpreter.heap.cell(value) else { return }
        box.box.pointee.value = cell
    }

    private func globalCell(_ name: String) -> Cell? {
        if let export = interpreter.exports[name] { return export.cell }
        guard interface.names.contains(name), let box = try? interpreter.global(name) else { return nil }
        return box.box.pointee.value.isUnset ? nil : box.box.pointee.value
    }
}

/// A parameter that may be left out.
private protocol OptionalParameter {}
extension Optional: OptionalParameter {}
