import VScriptSyntax

// A script after its names are bound: what bytecode is made of.

/// A step of a script with its place.
struct Node {
    let span: SourceSpan
    let code: Code

    init(_ span: SourceSpan, _ code: Code) {
        self.span = span
        self.code = code
    }
}

/// What a step does.
indirect enum Code {
    case literal(Literal)
    case text([TextPiece])
    case variable(Binding)
    case builtin(String)
    /// A member of an enclosing declaration, whose object is in the variable.
    case ownMember(Binding, name: String)
    /// A register of the processor that the event in the variable is about.
    case register(event: Binding, name: String)
    case list([Node])
    case map([(key: Node, value: Node)])
    case function(FunctionNode)
    case conditional(Node, Block, alternative: Node?)
    case match(Node, [Arm])
    case tryCatch(Block, error: Binding?, handler: Block)
    case handler(HandlerNode)
    case assembly(AssemblyNode)
    case unary(UnaryOperator, Node)
    case binary(BinaryOperator, SourceSpan, Node, Node)
    case member(Node, name: String, SourceSpan)
    case call(Node, [Argument])
    case index(Node, Node)
    case block(Block)
    /// A value that `expect` shows if it fails, under the column of the span.
    case captured(Node, at: SourceSpan)

    case define(Binding, Node)
    case assign(Node, BinaryOperator?, SourceSpan, Node)
    case `return`(Node?)
    case `throw`(Node)
    case `break`
    case `continue`
    case expect(Node, message: Node?)
    case forLoop([Binding], Node, Block)
    case whileLoop(Node, Block)
    case importModule(Binding, ModuleReference)
    case property(declaration: Binding, name: String, Node)
    /// An `asm` block that is part of a declaration.
    case contents(declaration: Binding, Node)
    case declaration(DeclarationNode)
}

/// Text, or a value with its format.
enum TextPiece {
    case text(String)
    case value(Node, FormatSpecification?)
}

/// Statements with the variables they declare.
struct Block {
    let bindings: [Binding]
    let statements: [Node]
}

struct Argument {
    let label: String?
    let value: Node
}

struct Arm {
    /// Empty for `else`.
    let patterns: [Node]
    let guardCondition: Node?
    let body: Node
}

/// A function: its body's variables begin with the parameters.
struct FunctionNode {
    let name: String
    /// What the function is declared by.
    let binding: Binding?
    let parameters: [Binding]
    let defaults: [Node?]
    let body: Block
}

/// `on event if guard { … }`; the variables of the body begin with the event.
struct HandlerNode {
    let filter: Node
    let guardCondition: Node?
    let event: Binding
    let body: Block
    /// The declaration in whose body the handler stands directly.
    let declaration: Binding?
}

/// The code of `asm(arguments) { … }`.
struct AssemblyNode {
    enum Segment {
        case text(SourceSpan)
        case splice(Node)
    }

    let arguments: [Argument]
    let segments: [Segment]
}

/// A declaration; the variables of its body begin with its own object.
struct DeclarationNode {
    enum Label {
        case none
        case name(String, Binding)
        case value(Node)
    }

    let kind: KindSchema
    let label: Label
    let parent: Node?
    /// The declaration in whose body it stands directly.
    let enclosing: Binding?
    let own: Binding
    let body: Block
    /// The labels of `asm` blocks in the body.
    let labels: [Binding]
    let header: SourceSpan
}
