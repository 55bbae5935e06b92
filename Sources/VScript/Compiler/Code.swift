import VScriptSyntax

// A script after its names are bound: what the evaluator walks.

/// A step of a script with its place.
struct Node: Sendable {
    let span: SourceSpan
    let code: Code

    init(_ span: SourceSpan, _ code: Code) {
        self.span = span
        self.code = code
    }
}

/// Where a variable lies: so many environments outwards, in that slot.
struct Slot: Sendable {
    let hops: Int
    let index: Int
}

/// A value that stands in the script itself.
enum Literal: Sendable {
    case `nil`
    case bool(Bool)
    case int(Int128)
    case float(Double)
    case duration(Int64)
    case string(String)
    case symbol(String)
    case bytes([UInt8])
    case regex(RegularExpression)

    var value: Value {
        switch self {
        case .nil: .nil
        case .bool(let value): .bool(value)
        case .int(let value): .int(value)
        case .float(let value): .float(value)
        case .duration(let value): .duration(value)
        case .string(let value): .string(value)
        case .symbol(let value): .symbol(value)
        case .bytes(let value): .bytes(value)
        case .regex(let value): .regex(value)
        }
    }
}

/// What a step does.
indirect enum Code: Sendable {
    case literal(Literal)
    case text([TextPiece])
    case variable(Slot, name: String)
    case builtin(String)
    /// A member of an enclosing declaration, whose object is in the slot.
    case ownMember(Slot, name: String)
    /// A register of the processor that the event in the slot is about.
    case register(event: Slot, name: String)
    case list([Node])
    case map([(key: Node, value: Node)])
    case function(FunctionCode)
    case conditional(Node, Block, alternative: Node?)
    case match(Node, [Arm])
    case tryCatch(Block, handler: Block)
    case handler(HandlerCode)
    case assembly(AssemblyCode)
    case unary(UnaryOperator, Node)
    case binary(BinaryOperator, SourceSpan, Node, Node)
    case member(Node, name: String, SourceSpan)
    case call(Node, [Argument])
    case index(Node, Node)
    case block(Block)
    /// A value that `expect` shows if it fails, under the column of the span.
    case captured(Node, at: SourceSpan)

    case define(Int, Node)
    case assign(Node, BinaryOperator?, SourceSpan, Node)
    case `return`(Node?)
    case `throw`(Node)
    case `break`
    case `continue`
    case expect(Node, message: Node?)
    case forLoop(variables: Int, Node, Block)
    case whileLoop(Node, Block)
    case importModule(Int, ModuleReference)
    case property(declaration: Slot, name: String, Node)
    /// An `asm` block that is part of a declaration.
    case contents(declaration: Slot, Node)
    case declaration(DeclarationCode)
}

/// Text, or a value with its format.
enum TextPiece: Sendable {
    case text(String)
    case value(Node, FormatSpecification?)
}

/// Statements with the variables they declare.
struct Block: Sendable {
    /// Slots of the block's own environment; 0 if it needs none.
    let slots: Int
    let statements: [Node]
}

struct Argument: Sendable {
    let label: String?
    let value: Node
}

struct Arm: Sendable {
    /// Empty for `else`.
    let patterns: [Node]
    let guardCondition: Node?
    let body: Node
}

/// A function's code; its environment holds the parameters first.
final class FunctionCode: Sendable {
    let name: String
    let signature: Signature
    let defaults: [Node?]
    let body: Block
    let span: SourceSpan

    init(name: String, parameters: [String], defaults: [Node?], body: Block, span: SourceSpan) {
        self.name = name
        signature = Signature(
            name: name,
            parameters: zip(parameters, defaults).map {
                Signature.Parameter(name: $0, kind: $1 == nil ? .required : .optional)
            })
        self.defaults = defaults
        self.body = body
        self.span = span
    }
}

/// `on event if guard { … }`; the environment of guard and body holds the event in slot 0.
final class HandlerCode: Sendable {
    let filter: Node
    let guardCondition: Node?
    let body: Block
    /// The declaration in whose body the handler stands directly.
    let declaration: Slot?
    let span: SourceSpan

    init(filter: Node, guardCondition: Node?, body: Block, declaration: Slot?, span: SourceSpan) {
        self.filter = filter
        self.guardCondition = guardCondition
        self.body = body
        self.declaration = declaration
        self.span = span
    }
}

/// The code of `asm(arguments) { … }`.
final class AssemblyCode: Sendable {
    enum Segment: Sendable {
        case text(SourceSpan)
        case splice(Node)
    }

    let arguments: [Argument]
    let segments: [Segment]
    init(arguments: [Argument], segments: [Segment]) {
        self.arguments = arguments
        self.segments = segments
    }
}

/// A declaration; its body's environment holds its own object in slot 0.
final class DeclarationCode: Sendable {
    enum Label: Sendable {
        case none
        case name(String, slot: Int)
        case value(Node)
    }

    let kind: KindSchema
    let label: Label
    let parent: Node?
    /// The declaration in whose body it stands directly.
    let enclosing: Slot?
    let body: Block
    /// The labels of `asm` blocks in the body and their slots.
    let labels: [(name: String, slot: Int)]
    let header: SourceSpan

    init(
        kind: KindSchema, label: Label, parent: Node?, enclosing: Slot?, body: Block,
        labels: [(name: String, slot: Int)], header: SourceSpan
    ) {
        self.kind = kind
        self.label = label
        self.parent = parent
        self.enclosing = enclosing
        self.body = body
        self.labels = labels
        self.header = header
    }
}

/// What `import` names.
enum ModuleReference: Sendable {
    case standard(String)
    /// A path, relative to the importing file.
    case path(String)
}
