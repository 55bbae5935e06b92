import VScriptSyntax

/// Binds every name of a script before anything runs and checks declarations against the schema; `Generator` makes
/// bytecode of the result.
///
/// A name is sought in the lexical scopes, then among the members of the enclosing declarations (innermost
/// first), then among imports, then in the prelude. There are no implicit globals.
struct Resolver {
    let schema: Schema
    /// Names that every script has.
    let prelude: Set<String>
    let modules: ModuleNames
    var diagnostics: [Diagnostic] = []
    /// The names that nothing declares, so far.
    private var unknownNames: Set<String> = []
    /// The labels of `asm` blocks in the declarations so far.
    var labels: Set<String> = []
    var scope: Scope
    let stack = StackGuard()
    /// The ring whose body is being checked, if its privileges are.
    var ring: CheckedRing?
    /// The width of the code in the rings of the guest whose body is being checked.
    var guestBits: Int?
    /// While the condition of an `expect` is made: its values are captured.
    var isCapturing = false

    /// The tree of a script, and its top-level names.
    struct Result {
        let body: Block
        let names: [Binding]
        let diagnostics: [Diagnostic]
    }

    static func resolve(_ program: ProgramSyntax, schema: Schema, prelude: Set<String>, modules: ModuleNames) -> Result
    {
        var resolver = Resolver(schema: schema, prelude: prelude, modules: modules, scope: Scope(.block, in: nil))
        let body = resolver.statements(program.statements)
        let names = resolver.scope.bindings.filter { $0.kind != .module }
        return Result(body: body, names: names, diagnostics: resolver.diagnostics)
    }

    /// Binds the names of a text that is run in a scope with names of earlier texts.
    static func resolve(
        _ program: ProgramSyntax, schema: Schema, prelude: Set<String>, modules: ModuleNames, in outer: Scope
    ) -> Result {
        // The text is to its scope what a function is to what it closes over.
        let scope = Scope(.function(nil), in: outer)
        var resolver = Resolver(schema: schema, prelude: prelude, modules: modules, scope: scope)
        let body = resolver.statements(program.statements)
        return Result(body: body, names: scope.bindings, diagnostics: resolver.diagnostics)
    }

    private init(schema: Schema, prelude: Set<String>, modules: ModuleNames, scope: Scope) {
        self.schema = schema
        self.prelude = prelude
        self.modules = modules
        self.scope = scope
    }

    mutating func report(
        _ code: ScriptCode, _ message: String, at span: SourceSpan, label: String = "",
        related: [Diagnostic.Label] = [], notes: [String] = [], fixes: [Diagnostic.Fix] = []
    ) {
        guard diagnostics.count < Diagnostic.limit else { return }
        diagnostics.append(
            Diagnostic(code, message, at: span, label: label, related: related, notes: notes, fixes: fixes))
    }

    /// Says once that the thread's stack is too small for the script's nesting.
    mutating func tooDeep(_ span: SourceSpan) {
        guard !diagnostics.contains(where: { $0.code == SyntaxCode.nestedTooDeeply.id }) else { return }
        diagnostics.append(
            Diagnostic(SyntaxCode.nestedTooDeeply, "this is nested too deeply for the thread's stack", at: span))
    }

    // MARK: - Scopes

    /// Makes the statements of a new scope.
    mutating func block(
        _ syntax: BlockSyntax, kind: Scope.Kind = .block, isLoop: Bool = false, declare: (Scope) -> Void = { _ in }
    ) -> Block {
        let inner = Scope(kind, in: scope)
        if case .block = kind { inner.isInLoop = isLoop || scope.isInLoop }
        declare(inner)
        let (outer, wasCapturing) = (scope, isCapturing)
        (scope, isCapturing) = (inner, false)
        let result = statements(syntax.statements)
        (scope, isCapturing) = (outer, wasCapturing)
        return result
    }

    /// Makes statements in the current scope, whose names are all declared first.
    mutating func statements(_ statements: [StatementSyntax]) -> Block {
        for statement in statements { hoist(statement) }
        for case .declaration(let declaration) in statements { hoistUnknown(declaration) }
        var functions: [Node] = []
        var others: [Node] = []
        for statement in statements {
            if case .function(let function) = statement {
                functions += functionStatement(function)
            } else if let node = self.statement(statement) {
                others.append(node)
            }
        }
        // Functions exist from the start of their block, so that they can call each other.
        return Block(bindings: scope.bindings, statements: functions + others)
    }

    private mutating func hoist(_ statement: StatementSyntax) {
        switch statement {
        case .binding(let binding):
            declare(binding.name, binding.isVariable ? .variable : .constant, isReady: false)
        case .function(let function): declare(function.name, .function, isReady: true)
        case .import(let statement): declare(statement.name, .module, isReady: false)
        case .declaration(let declaration):
            if case .name(let name) = declaration.label, schema.kinds[declaration.kind?.text ?? ""] != nil {
                declare(name, .declaration, isReady: false)
            }
        case .expression(.assembly(let assembly)):
            guard case .declaration = scope.kind else { return }
            for label in AssemblyLabels.find(in: assembly) { declare(label, .label, isReady: true) }
        case .return, .throw, .break, .continue, .expect, .for, .while, .property, .assignment, .expression: break
        }
    }

    /// Declares the name of a declaration of an unknown kind, which is reported: that it is used is no other mistake.
    private mutating func hoistUnknown(_ declaration: DeclarationSyntax) {
        guard let kind = declaration.kind, schema.kinds[kind.text] == nil, case .name(let name) = declaration.label,
            !isCallWithoutParentheses(declaration), find(name.text) == nil
        else { return }
        declare(name, .variable, isReady: true)
    }

    private mutating func declare(_ name: NameSyntax?, _ kind: Binding.Kind, isReady: Bool) {
        guard let name else { return }
        if name.text == "event" || name.text == "self" {
            return report(.redeclaredName, "`\(name.text)` is predefined", at: name.span)
        }
        guard scope.declare(name.text, kind, at: name.span, isReady: isReady) == nil, let first = scope.names[name.text]
        else {
            return
        }
        report(
            .redeclaredName, "`\(name.text)` is declared twice", at: name.span,
            related: [Diagnostic.Label(first.span, "first declared here")])
    }

    // MARK: - Names

    /// A name that was found.
    enum Found {
        case binding(Binding)
        /// A member of the declaration whose object is in the variable.
        case member(Binding)
        case builtin
    }

    func find(_ name: String) -> Found? {
        var imported: Found?
        var member: Found?
        var current: Scope? = scope
        while let scope = current {
            if let binding = scope.names[name] {
                if binding.kind != .module { return .binding(binding) }
                imported = imported ?? .binding(binding)
            }
            if member == nil, case .declaration(let kind) = scope.kind, kind.memberNames.contains(name),
                let own = scope.names["self"]
            {
                member = .member(own)
            }
            current = scope.parent
        }
        return member ?? imported ?? (prelude.contains(name) ? .builtin : nil)
    }

    /// Notes that the current scope refers to a variable.
    func refer(to binding: Binding) {
        binding.isUsed = true
        var outermost: Scope?
        var current: Scope? = scope
        while let scope = current, scope.names[binding.name] !== binding {
            if scope.isCallBoundary { outermost = scope }
            current = scope.parent
        }
        guard let outermost else { return }
        if case .function(let own?) = outermost.kind {
            // A function reaches itself without a variable.
            if own === binding { return }
            // It exists from the start of its block, before the block's variables have values.
            if outermost.parent?.names[binding.name] === binding { binding.isCapturedEarly = true }
        }
        binding.isCaptured = true
        if !binding.isReady { binding.isCapturedEarly = true }
    }

    /// Whether a binding's value may be used here without its code having been passed.
    private func isDeferred(_ binding: Binding) -> Bool {
        var current: Scope? = scope
        while let scope = current {
            if scope.names.values.contains(where: { $0 === binding }) { return false }
            if scope.isCallBoundary { return true }
            current = scope.parent
        }
        return true
    }

    mutating func name(_ name: NameSyntax) -> Node {
        switch find(name.text) {
        case .binding(let binding):
            if !binding.isReady, !isDeferred(binding) {
                report(
                    .usedBeforeDeclaration, "`\(name.text)` is used before it has a value", at: name.span,
                    related: [Diagnostic.Label(binding.span, "declared here")])
            }
            refer(to: binding)
            if binding.kind == .predefined { (binding.mayBeKept, binding.isOnlyForRegisters) = (true, false) }
            return Node(name.span, .variable(binding))
        case .member(let own):
            refer(to: own)
            return Node(name.span, .ownMember(own, name: name.text))
        case .builtin: return Node(name.span, .builtin(name.text))
        case nil:
            unknown(name)
            return Node(name.span, .literal(.nil))
        }
    }

    /// Reports a name that nothing declares; if nothing is like it, only where it stands first.
    mutating func unknown(_ name: NameSyntax, isAssigned: Bool = false) {
        if name.text == "event" || name.text == "self" {
            let place = name.text == "event" ? "`on … { }`" : "a declaration"
            return report(.outsideHandler, "`\(name.text)` is there only inside \(place)", at: name.span)
        }
        if let meant = ForeignNames.replacements[name.text] {
            return report(
                .unknownName, "there is no `\(name.text)`", at: name.span, label: "write `\(meant)`",
                fixes: [.replace(name.span, with: meant)])
        }
        guard diagnostics.count < Diagnostic.limit else { return }
        let hint = ForeignNames.hints[name.text]
        let guess = hint == nil ? Suggestion.closest(to: name.text, in: visibleNames) : nil
        guard unknownNames.insert(name.text).inserted || guess != nil else { return }
        report(
            .unknownName, "there is no `\(name.text)` here", at: name.span,
            label: guess.map { "did you mean `\($0)`?" } ?? hint
                ?? (isAssigned ? "declare it with `var \(name.text) = …`" : ""),
            notes: notes(on: name.text),
            fixes: guess.map { [.replace(name.span, with: $0)] } ?? (isAssigned ? [.insert("var ", at: name.span)] : [])
        )
    }

    private func notes(on name: String) -> [String] {
        if modules.contains(name) { return ["`import \(name)` makes the module known"] }
        return labels.contains(name)
            ? ["a label is a name in its guest's body; elsewhere it is `guest.symbols.\(name)`"] : []
    }

    private var visibleNames: [String] {
        var names = Array(prelude)
        var current: Scope? = scope
        while let scope = current {
            names += scope.names.keys
            if case .declaration(let kind) = scope.kind { names += kind.memberNames }
            current = scope.parent
        }
        return names.sorted()
    }

    /// The declaration in whose body the current statements stand directly, and what holds its object.
    var directDeclaration: (kind: KindSchema, own: Binding)? {
        guard case .declaration(let kind) = scope.kind, let own = scope.names["self"] else { return nil }
        return (kind, own)
    }

    /// The event of the enclosing handler.
    var event: Binding? {
        guard case .binding(let binding) = find("event"), binding.kind == .predefined else { return nil }
        return binding
    }
}

/// The labels in an `asm` block, which are names in the declaration around it.
enum AssemblyLabels {
    private static func endsLine(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "\n") || byte == UInt8(ascii: ";") }

    /// The labels in assembler text.
    static func names(in source: String) -> Set<String> {
        Set(names(in: source, atLineStart: true).map(\.name))
    }

    /// Names before a colon at the start of a statement, with their offsets.
    private static func names(in source: String, atLineStart: Bool) -> [(name: String, offset: Int)] {
        var found: [(name: String, offset: Int)] = []
        var start = 0
        for line in source.utf8.split(omittingEmptySubsequences: false, whereSeparator: endsLine) {
            if atLineStart || start > 0 {
                let blanks = line.prefix { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }.count
                let name = line.dropFirst(blanks).prefix { $0 != UInt8(ascii: ":") }
                if name.count < line.count - blanks, let text = String(name), text.isIdentifier {
                    found.append((text, start + blanks))
                }
            }
            start += line.count + 1
        }
        return found
    }

    /// The labels in an `asm` block with their places.
    static func find(in assembly: AssemblySyntax) -> [NameSyntax] {
        var labels: [NameSyntax] = []
        var atLineStart = true
        for segment in assembly.segments {
            if case .text(let span) = segment {
                labels += names(in: span.text, atLineStart: atLineStart).map { name, offset in
                    let first = span.start + offset
                    return NameSyntax(name, at: SourceSpan(span.file, first..<first + name.utf8.count))
                }
            }
            atLineStart = false
        }
        return labels
    }
}
