import VScriptSyntax

/// A declared name.
final class Binding {
    enum Kind: String {
        case constant = "let", variable = "var", function = "a function", parameter = "a parameter"
        case loop = "the loop's variable", module = "a module", declaration = "a declaration", label = "a label"
        case predefined = "predefined"
    }

    let name: String
    let kind: Kind
    let span: SourceSpan
    /// Whether the code that gives it its value has been passed.
    var isReady: Bool
    /// Whether a function other than its own refers to it from further in.
    var isCaptured = false
    /// Whether it is referred to from further in before it has a value, or gets another one later.
    var isCapturedEarly = false
    /// Whether it gets another value.
    var isAssigned = false
    /// Whether anything refers to it.
    var isUsed = false
    /// Of a handler's event: whether all that refers to it are registers, `$rax`, which are the processor's.
    var isOnlyForRegisters = true
    /// Of a handler's event: whether it is used otherwise than for a property or a method called at once, so that it
    /// may be kept longer than the handler runs.
    var mayBeKept = false

    /// Whether it lies in a box, so that all who refer to it see its value change.
    var isShared: Bool { isCaptured && (isAssigned || isCapturedEarly) }

    init(name: String, kind: Kind, span: SourceSpan, isReady: Bool) {
        self.name = name
        self.kind = kind
        self.span = span
        self.isReady = isReady
    }
}

/// The names declared in one block, function, handler or declaration while its code is made.
final class Scope {
    /// What a scope belongs to.
    enum Kind {
        case block, handler
        /// A function, with the name it is declared by if it is.
        case function(Binding?)
        case declaration(KindSchema)
    }

    let kind: Kind
    let parent: Scope?
    private(set) var names: [String: Binding] = [:]
    /// The names in the order they were declared.
    private(set) var bindings: [Binding] = []
    var isInLoop = false

    init(_ kind: Kind, in parent: Scope?) {
        self.kind = kind
        self.parent = parent
    }

    /// Whether names outside are reached across a call, which may happen later.
    var isCallBoundary: Bool {
        switch kind {
        case .function, .handler: true
        case .declaration(let kind): kind.isTest
        case .block: false
        }
    }

    /// Declares a name; nil if the scope has it already.
    @discardableResult
    func declare(_ name: String, _ kind: Binding.Kind, at span: SourceSpan, isReady: Bool) -> Binding? {
        guard names[name] == nil else { return nil }
        let binding = Binding(name: name, kind: kind, span: span, isReady: isReady)
        names[name] = binding
        bindings.append(binding)
        return binding
    }

    /// Takes in a name that was declared elsewhere.
    func adopt(_ binding: Binding) { names[binding.name] = binding }

    /// Adds a variable that has no name.
    func reserve(at span: SourceSpan) {
        bindings.append(Binding(name: "", kind: .constant, span: span, isReady: true))
    }
}
