import VScriptSyntax

/// What values a property takes.
package enum PropertyType: Sendable {
    case integer(ClosedRange<Int128>)
    /// Bytes, with or without a unit of size.
    case size
    case frequency
    case duration
    case string
    case boolean
    case symbol([String])
    /// A symbol or an object that one of the modules makes.
    case symbolOrObject([String], typeName: String)
    /// A symbol, or a map that says it all itself.
    case symbolOrMap([String])
    case list
    /// A label of an `asm` block, or an address.
    case address
    case any

    /// What messages call the values.
    package var description: String {
        switch self {
        case .integer(let range): "an int in \(range.lowerBound)...\(range.upperBound)"
        case .size: "a size such as `4 MiB`"
        case .frequency: "a frequency such as `1 GHz`"
        case .duration: "a duration such as `10 s`"
        case .string: "a string"
        case .boolean: "`true` or `false`"
        case .symbol(let names): Self.choices(names)
        case .symbolOrObject(let names, let typeName): "\(Self.choices(names)) or \(typeName)"
        case .symbolOrMap(let names): "\(Self.choices(names)) or a map"
        case .list: "a list"
        case .address: "a label or an address"
        case .any: "any value"
        }
    }

    private static func choices(_ names: [String]) -> String { names.map { "`.\($0)`" }.joined(separator: ", ") }

    /// Whether a value is one the property takes.
    func accepts(_ value: ScriptValue) -> Bool {
        switch (self, value) {
        case (.integer(let range), .int(let value)): range.contains(value)
        case (.size, .int(let value)), (.frequency, .int(let value)): value >= 0
        case (.duration, .duration), (.string, .string), (.boolean, .bool), (.list, .list), (.any, _): true
        case (.symbol(let names), .symbol(let name)): names.contains(name)
        case (.symbolOrObject(let names, _), .symbol(let name)): names.contains(name)
        case (.symbolOrObject(_, let typeName), .object(let object)): object.typeName == typeName
        case (.symbolOrMap(let names), .symbol(let name)): names.contains(name)
        case (.symbolOrMap, .map): true
        case (.address, .int(let value)): value >= 0
        case (.address, .object(let object)): object is CodeLabel
        case (.integer, _), (.size, _), (.frequency, _), (.duration, _), (.string, _), (.boolean, _), (.symbol, _),
            (.symbolOrObject, _), (.symbolOrMap, _), (.list, _), (.address, _):
            false
        }
    }

    /// The symbol that was probably meant.
    func suggestion(for value: ScriptValue) -> String? {
        guard case .symbol(let name) = value else { return nil }
        switch self {
        case .symbol(let names), .symbolOrObject(let names, _), .symbolOrMap(let names):
            return Suggestion.closest(to: name, in: names)
        case .integer, .size, .frequency, .duration, .string, .boolean, .list, .address, .any: return nil
        }
    }
}

/// A property of a kind of declaration.
package struct PropertySchema: Sendable {
    package let name: String
    package let type: PropertyType
    package let isRequired: Bool
    package let summary: String
    /// Why this version refuses the property; nil if it does not.
    package let refusal: String?
    /// The symbols among its values that this version does not have yet.
    package let missing: [String]

    init(
        _ name: String, _ type: PropertyType, isRequired: Bool = false, _ summary: String, refusal: String? = nil,
        missing: [String] = []
    ) {
        self.name = name
        self.type = type
        self.isRequired = isRequired
        self.summary = summary
        self.refusal = refusal
        self.missing = missing
    }

    /// The symbols that it takes in this version.
    package var choices: [String] {
        switch type {
        case .symbol(let names), .symbolOrObject(let names, _), .symbolOrMap(let names):
            names.filter { !missing.contains($0) }
        case .integer, .size, .frequency, .duration, .string, .boolean, .list, .address, .any: []
        }
    }
}

/// A kind of declaration: what it is called, where it stands, and what its body may hold.
package final class KindSchema: Sendable {
    /// How declarations of the kind are labelled.
    package enum LabelRule: Sendable {
        /// With a name that is declared, or not at all.
        case optionalName
        /// With a number in a range.
        case number(ClosedRange<Int128>)
        /// With a text.
        case string
    }

    package let name: String
    package let summary: String
    package let label: LabelRule
    /// The kinds in whose body it stands; empty if it stands anywhere else.
    package let inside: [String]
    /// The kinds it can be declared `on`.
    package let on: [String]
    package let properties: [PropertySchema]
    /// The events that handlers in the body can name.
    package let events: [Signature]
    /// Those that this version does not have yet.
    package let missingEvents: Set<String>
    /// Members of the declared object that its body may name.
    let members: @Sendable () -> [String]
    /// Whether the `var`s of its body are saved with the object.
    let remembersVariables: Bool
    /// Whether `asm` in the body belongs to the declaration.
    let takesAssembly: Bool
    /// Whether everything can be declared in the body that can be outside of declarations.
    let isScope: Bool
    /// Why this version refuses the kind; nil if it does not.
    package let refusal: String?

    init(
        _ name: String, _ summary: String, label: LabelRule = .optionalName, inside: [String] = [], on: [String] = [],
        properties: [PropertySchema] = [], events: [Signature] = [], missingEvents: Set<String> = [],
        members: @escaping @Sendable () -> [String] = { [] },
        remembersVariables: Bool = false, takesAssembly: Bool = false, isScope: Bool = false, refusal: String? = nil
    ) {
        self.name = name
        self.summary = summary
        self.label = label
        self.inside = inside
        self.on = on
        self.properties = properties
        self.events = events
        self.missingEvents = missingEvents
        self.members = members
        self.remembersVariables = remembersVariables
        self.takesAssembly = takesAssembly
        self.isScope = isScope
        self.refusal = refusal
    }

    /// Whether the body is run and judged on its own.
    var isTest: Bool { name == "test" }

    /// The kind with its article.
    package var article: String { "a \(name)" }

    func property(_ name: String) -> PropertySchema? { properties.first { $0.name == name } }

    /// What the body may name without saying of what.
    var memberNames: [String] { properties.map(\.name) + events.map(\.name) + members() }
}

/// The kinds of declarations a session knows.
package struct Schema: Sendable {
    package let kinds: [String: KindSchema]

    /// The schema with kinds of a host's.
    func adding(_ kinds: [KindSchema]) -> Schema { kinds.isEmpty ? self : Schema(Array(self.kinds.values) + kinds) }

    init(_ kinds: [KindSchema]) {
        self.kinds = Dictionary(kinds.map { ($0.name, $0) }) { $1 }
    }
}
