import VScriptSyntax

/// An object of a registered class as scripts hold it.
final class HostInstance: HostObject {
    let object: any ScriptObject
    private let type: HostType

    init(_ object: any ScriptObject, _ type: HostType) {
        self.object = object
        self.type = type
    }

    var typeName: String { type.article }
    var memberNames: [String] { (Array(type.properties.keys) + Array(type.methods.keys)).sorted() }
    func isSame(as other: any HostObject) -> Bool { (other as? HostInstance)?.object === object }

    func member(_ name: String) throws -> ScriptValue? {
        if let property = type.properties[name] { return try property.get(object) }
        guard let method = type.methods[name] else { return nil }
        return .function(Function(method.signature) { [object] in try method.body(object, $0) })
    }

    func setMember(_ name: String, to value: ScriptValue) throws -> Bool {
        guard let set = type.properties[name]?.set else { return false }
        try set(object, value)
        return true
    }
}

/// What scripts see of a class.
final class HostType {
    struct Property {
        let get: (any ScriptObject) throws -> ScriptValue
        let set: ((any ScriptObject, ScriptValue) throws -> Void)?
        let isRequired: Bool
    }

    struct Method {
        let signature: Signature
        let body: (any ScriptObject, Arguments) throws -> ScriptValue
    }

    let name: String
    /// Makes an object for a declaration; nil if the class is not one of declarations.
    let make: (() -> any ScriptObject)?
    var properties: [String: Property] = [:]
    var methods: [String: Method] = [:]

    init(_ name: String, make: (() -> any ScriptObject)?) {
        self.name = name
        self.make = make
    }

    var article: String {
        guard let first = name.first else { return name }
        return ("aeiou".contains(first.lowercased()) ? "an " : "a ") + name
    }
}

/// What scripts see of a class, while `Session.register` is told.
public struct ObjectMembers<Object: ScriptObject> {
    let type: HostType
    unowned let session: Session

    /// A property that scripts read.
    public func property<Property: ScriptConvertible>(
        _ name: String, _ path: KeyPath<Object, Property>, required: Bool = false
    ) {
        type.properties[name] = HostType.Property(
            get: { [unowned session] object in
                guard let object = object as? Object else { return .nil }
                return session.scriptValue(of: object[keyPath: path])
            }, set: nil, isRequired: required)
    }

    /// A property that scripts read and set.
    ///
    /// - Parameters:
    ///   - name: What scripts call it.
    ///   - path: Where it is.
    ///   - required: Whether each declaration has to give it.
    public func property<Property: ScriptConvertible>(
        _ name: String, _ path: ReferenceWritableKeyPath<Object, Property>, required: Bool = false
    ) {
        type.properties[name] = HostType.Property(
            get: { [unowned session] object in
                guard let object = object as? Object else { return .nil }
                return session.scriptValue(of: object[keyPath: path])
            },
            set: { [unowned session] object, value in
                guard let object = object as? Object else { return }
                do {
                    object[keyPath: path] = try session.convert(value, to: Property.self)
                } catch let error as ScriptError {
                    throw HostFailure(.wrongType, "`\(name)`: \(error.message)")
                }
            }, isRequired: required)
    }

    /// A method, given as `Class.method`.
    public func method<each Parameter: ScriptConvertible, Result: ScriptConvertible>(
        _ name: String, _ body: @escaping (Object) -> (repeat each Parameter) throws -> Result
    ) {
        let signature = Session.signature(name, repeat (each Parameter).self)
        type.methods[name] = HostType.Method(signature: signature) { [unowned session] object, arguments in
            guard let object = object as? Object else { return .nil }
            var index = 0
            func take<Argument: ScriptConvertible>(_: Argument.Type) throws -> Argument {
                defer { index += 1 }
                return try session.argument(index, of: arguments)
            }
            return session.scriptValue(of: try body(object)(repeat try take((each Parameter).self)))
        }
    }

    /// A method without a result, given as `Class.method`.
    public func method<each Parameter: ScriptConvertible>(
        _ name: String, _ body: @escaping (Object) -> (repeat each Parameter) throws -> Void
    ) {
        let signature = Session.signature(name, repeat (each Parameter).self)
        type.methods[name] = HostType.Method(signature: signature) { [unowned session] object, arguments in
            guard let object = object as? Object else { return .nil }
            var index = 0
            func take<Argument: ScriptConvertible>(_: Argument.Type) throws -> Argument {
                defer { index += 1 }
                return try session.argument(index, of: arguments)
            }
            try body(object)(repeat try take((each Parameter).self))
            return .nil
        }
    }
}
