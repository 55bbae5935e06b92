/// What people write who come from other languages, and what it is here.
enum Habit {
    /// What to say about a character that begins nothing in this language.
    struct CharacterHint {
        var code = SyntaxCode.unexpectedCharacter
        let label: String
        var replacement: String?
    }

    /// What to say about an unexpected character.
    static func character(_ text: String) -> CharacterHint? {
        switch text {
        case "#": CharacterHint(label: "a comment begins with `//`", replacement: "//")
        case "?": CharacterHint(code: .conditionalOperator, label: "write `if a { b } else { c }`, which has a value")
        case "\u{201C}", "\u{201D}", "\u{201E}", "\u{AB}", "\u{BB}":
            CharacterHint(label: "strings use straight quotes", replacement: "\"")
        case "\u{2018}", "\u{2019}", "`": CharacterHint(label: "strings use `\"`", replacement: "\"")
        case "\u{2212}", "\u{2013}", "\u{2014}": CharacterHint(label: "this is not the minus sign", replacement: "-")
        case "\u{D7}": CharacterHint(label: "multiplication is `*`", replacement: "*")
        case "\u{2192}": CharacterHint(label: "an arm of `match` uses `=>`", replacement: "=>")
        case "\u{A0}": CharacterHint(label: "this is a no-break space", replacement: " ")
        case "\\": CharacterHint(label: "a statement goes on inside brackets and after an operator")
        case "@": CharacterHint(label: "there are no attributes")
        case _: nil
        }
    }

    /// C's suffixes of integer literals, in lower case.
    static let integerSuffixes: Set<String> = ["u", "l", "ul", "lu", "ll", "ull", "llu", "f", "uz", "z", "n"]

    /// Words that other languages declare variables with, and what is written here.
    static let variableWords: [String: String] = [
        "const": "let", "final": "let", "val": "let", "auto": "var", "int": "var", "long": "var", "unsigned": "var",
        "float": "var", "double": "var", "bool": "var", "char": "var", "string": "var", "local": "var", "mut": "var",
        "uint8_t": "var", "uint16_t": "var", "uint32_t": "var", "uint64_t": "var", "u8": "var", "u16": "var",
        "u32": "var", "u64": "var",
    ]

    /// Words that other languages declare functions with.
    static let functionWords: Set<String> = ["func", "function", "def", "fun", "void"]

    /// Words for `else if`.
    static let elseIfWords: Set<String> = ["elif", "elseif", "elsif"]

    /// Words for the logical operators.
    static let operatorWords: [String: BinaryOperator] = ["and": .and, "or": .or]
}

extension Parser {
    /// Takes `and` and `or` for the operators they mean, after a report.
    mutating func wordOperator(minimum: BinaryOperator.Precedence) -> BinaryOperator? {
        guard at(.identifier), !endsLine, let meant = Habit.operatorWords[text(current)],
            meant.precedence >= minimum, startsExpression(peek(1))
        else { return nil }
        report(
            .wordOperator, "`\(text(current))` is not an operator", at: span(current),
            label: "write `\(meant.rawValue)`",
            fixes: [.replace(span(current), with: meant.rawValue)])
        return meant
    }

    /// Reports `x++` and `x--`, whose first sign has been found after an operand.
    mutating func incrementOperator(operand: Mark) -> Bool {
        let sign = current
        let next = peek(1)
        guard sign.kind == .plus || sign.kind == .minus, next.kind == sign.kind, next.touchesPrevious else {
            return false
        }
        let after = peek(2)
        guard after.startsLine || after.kind == .semicolon || after.kind == .endOfFile || after.kind.isClosing else {
            return false
        }
        let mark = mark()
        let sum = span(sign).through(span(next))
        report(
            .incrementOperator, "there is no operator `\(sum.text)`", at: sum,
            fixes: lastIsAssignable ? [.replace(sum, with: " \(sign.kind.spelling ?? "")= 1")] : [])
        advance()
        advance()
        complete(.unexpected, mark)
        return true
    }

    /// What to say when something else than the end of a statement follows it.
    mutating func unexpectedAfterStatement(_ kind: SyntaxKind, from start: Int) {
        let first = tokens[start]
        let last = nodes.count > 1 ? nodes[nodes.count - 2].kind : .missing
        let canBeCalled = kind == .expressionStatement && last.canBeCalled
        if at(.leftParenthesis) || at(.leftBracket), canBeCalled, !current.touchesPrevious {
            let gap = SourceSpan(file, tokens[position - 1].end..<current.start)
            return fail(
                .detachedCall, "a space before the `\(text(current))` of \(at(.leftBracket) ? "an index" : "a call")",
                label: "this begins a new value",
                fixes: [Diagnostic.Fix("remove the space", [Diagnostic.Edit(gap, "")])])
        }
        if tokens[position - 1].kind == .number, at(.identifier),
            let unit = Suggestion.closest(to: text(current), in: Unit.all.map(\.name))
        {
            return fail(
                .unknownUnit, "unknown unit `\(text(current))`", label: "did you mean `\(unit)`?",
                fixes: [.replace(span(current), with: unit)])
        }
        var notes: [String] = []
        if kind == .declaration, tokens[start + 1].kind == .stringStart {
            notes = ["a function is called with parentheses: `\(text(first))(…)`"]
        }
        fail(.expectedStatementEnd, "expected a new line or `;` before \(found)", notes: notes)
    }

    /// Reports a declaration in another language's form, `int x = 5` or `func f() {`, whose two words come next.
    mutating func foreignDeclaration() -> Bool {
        let word = text(current)
        let next = peek(2)
        if Habit.functionWords.contains(word), next.kind == .leftParenthesis {
            report(
                .foreignDeclaration, "a function is declared with `fn`", at: span(current),
                fixes: [.replace(span(current), with: "fn")])
            return true
        }
        guard next.kind == .assign || next.kind == .colon, !next.startsLine else { return false }
        let keyword = Habit.variableWords[word] ?? "var"
        fail(
            .foreignDeclaration, "a variable is declared with `let` or `var`", at: span(current),
            fixes: [.replace(span(current), with: keyword)])
        return true
    }
}

extension SyntaxKind {
    /// Whether a value of the kind is commonly followed by arguments or an index.
    fileprivate var canBeCalled: Bool { self == .name || self == .member || self == .call || self == .index }
}
