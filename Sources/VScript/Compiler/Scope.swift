import VScriptSyntax

/// The names declared in one block, function, handler or declaration while its code is made.
final class Scope {
    /// What a scope belongs to.
    enum Kind {
        case block, function, handler
        case declaration(KindSchema)
    }

    /// A declared name.
    final class Binding {
        enum Kind: String {
            case constant = "let", variable = "var", function = "a function", parameter = "a parameter"
            case loop = "the loop's variable", module = "a module", declaration = "a declaration", label = "a label"
            case predefined = "predefined"
        }

        let slot: Int
        let kind: Kind
        let span: SourceSpan
        /// Whether the code that gives it its value has been passed.
        var isReady: Bool

        init(slot: Int, kind: Kind, span: SourceSpan, isReady: Bool) {
            self.slot = slot
            self.kind = kind
            self.span = span
            self.isReady = isReady
        }
    }

    let kind: Kind
    let parent: Scope?
    private(set) var names: [String: Binding] = [:]
    private(set) var slots = 0
    var isInLoop = false

    init(_ kind: Kind, in parent: Scope?) {
        self.kind = kind
        self.parent = parent
    }

    /// Whether names outside are reached across a call, which happens later.
    var isCallBoundary: Bool {
        switch kind {
        case .function, .handler: true
        case .block, .declaration: false
        }
    }

    /// Whether the scope has an environment of its own at run time.
    var hasEnvironment: Bool { slots > 0 }

    /// Declares a name; nil if the scope has it already.
    @discardableResult
    func declare(_ name: String, _ kind: Binding.Kind, at span: SourceSpan, isReady: Bool) -> Binding? {
        guard names[name] == nil else { return nil }
        let binding = Binding(slot: slots, kind: kind, span: span, isReady: isReady)
        names[name] = binding
        slots += 1
        return binding
    }

    /// Takes a slot that has no name.
    func reserve() -> Int {
        slots += 1
        return slots - 1
    }
}
