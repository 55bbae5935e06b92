/// What people write who come from other languages, and what it is here.
package enum Habit {
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
        case _ where quotes.contains(text): CharacterHint(label: "strings use straight quotes", replacement: "\"")
        case "\u{2212}", "\u{2013}", "\u{2014}": CharacterHint(label: "this is not the minus sign", replacement: "-")
        case "\u{D7}": CharacterHint(label: "multiplication is `*`", replacement: "*")
        case "\u{2192}": CharacterHint(label: "an arm of `match` uses `=>`", replacement: "=>")
        case "\u{A0}": CharacterHint(label: "this is a no-break space", replacement: " ")
        case "\\": CharacterHint(label: "a statement goes on inside brackets and after an operator")
        case "@": CharacterHint(label: "there are no attributes")
        case _: nil
        }
    }

    /// Quotation marks of running text.
    static let quotes: Set<String> = [
        "\u{201C}", "\u{201D}", "\u{201E}", "\u{AB}", "\u{BB}", "\u{2018}", "\u{2019}", "\u{201A}", "`",
    ]

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

    /// Operators of other languages that come as two tokens touching, with what is written here.
    static let operatorPairs: [(first: TokenKind, second: TokenKind, meant: TokenKind)] = [
        (.tilde, .assign, .notEqual), (.tilde, .equal, .notEqual), (.less, .greater, .notEqual),
        (.equal, .assign, .equal), (.notEqual, .assign, .notEqual),
    ]

    /// What units are called elsewhere.
    private static let unitNames: [String: String] = [
        "sec": "s", "secs": "s", "second": "s", "seconds": "s", "msec": "ms", "msecs": "ms", "millis": "ms",
        "millisecond": "ms", "milliseconds": "ms", "usec": "us", "usecs": "us", "\u{B5}s": "us", "\u{3BC}s": "us",
        "micros": "us", "microsecond": "us", "microseconds": "us", "nanos": "ns", "nsec": "ns", "nanosecond": "ns",
        "nanoseconds": "ns", "m": "min", "mins": "min", "minute": "min", "minutes": "min", "hr": "h", "hour": "h",
        "hours": "h", "k": "KiB", "kilobytes": "KiB", "meg": "MiB", "megabytes": "MiB", "g": "GiB",
        "gigabytes": "GiB", "byte": "B", "bytes": "B",
    ]

    /// The unit that a word after a number was meant for; nil if it is none.
    static func unit(_ word: String) -> String? {
        let lower = word.lowercased()
        // Megabytes are written with a capital letter, minutes with a small one.
        if word == "M" { return "MiB" }
        return unitNames[lower] ?? Unit.all.first { $0.name.lowercased() == lower }?.name
    }

    /// The unit that a word after a number is like.
    static func likelyUnit(_ word: String) -> String? {
        unit(word) ?? Suggestion.closest(to: word, in: Unit.all.map(\.name))
    }

    /// Declarations of types in other languages, and what takes their place.
    package static let typeWords: [String: String] = [
        "class": "there are no classes: a function makes a map, `fn make() { [name: \"a\", count: 0] }`",
        "struct": "a record is a map: `[name: \"a\", count: 0]`", "enum": "choices are symbols, such as `.running`",
        "union": "a record is a map: `[name: \"a\", count: 0]`", "interface": "a value has no declared type",
        "trait": "a value has no declared type", "typedef": "a value has no declared type",
    ]

    /// Words that begin statements of other languages, and what is written here.
    static let statementWords: [String: String] = [
        "from": "write `import math`, then `math.sqrt(…)`", "with": "files need no closing: see the module `file`",
        "assert": "write `expect condition`", "guard": "write `if !condition { return }`",
        "repeat": "loops are `while condition { … }`", "until": "loops are `while condition { … }`",
        "unless": "write `if !condition { … }`", "async": "there is no `async`: leave it out",
        "export": "names of a file that do not begin with `_` are public: leave it out",
        "pub": "names of a file that do not begin with `_` are public: leave it out",
        "public": "names of a file that do not begin with `_` are public: leave it out",
        "private": "names that begin with `_` are private: leave it out", "static": "leave out `static`",
        "inline": "leave out `inline`", "goto": "there are no jumps; loops have `break` and `continue`",
        "throw": "write `throw value`", "raise": "write `throw value`", "del": "write `map.remove(key)`",
        "delete": "write `map.remove(key)`", "echo": "write `print(value)`", "puts": "write `print(value)`",
    ]

    /// Words that stand before a value in other languages, and what is written here.
    static let prefixWords: [String: String] = [
        "new": "a function makes the value: leave out `new`", "typeof": "write `type(value)`",
        "await": "a call ends before the next one begins: leave out `await`", "yield": "a function gives a list back",
        "sizeof": "the length is `value.count`",
    ]

    /// Words for `else if`.
    static let elseIfWords: Set<String> = ["elif", "elseif", "elsif"]

    /// Words that go on after `try` in other languages.
    static let tryWords: Set<String> = ["except", "finally", "rescue", "ensure"]

    /// Words for the logical operators.
    static let operatorWords: [String: BinaryOperator] = ["and": .and, "or": .or, "is": .equal]
}

extension Parser {
    /// Takes `and` and `or` for the operators they mean, after a report.
    mutating func wordOperator(minimum: BinaryOperator.Precedence) -> BinaryOperator? {
        guard at(.identifier), !endsLine, let meant = Habit.operatorWords[text(current)],
            meant.precedence >= minimum, startsExpression(peek(1))
        else { return nil }
        // Python's `is not` is one operator.
        let isNegated = meant == .equal && text(peek(1)) == "not"
        let words = isNegated ? span(current).through(span(peek(1))) : span(current)
        let operation = isNegated ? BinaryOperator.notEqual : meant
        reportOnce(
            .wordOperator, "`\(words.text)` is not an operator", at: words, label: "write `\(operation.rawValue)`",
            fix: .replace(words, with: operation.rawValue))
        if isNegated { advance() }
        return operation
    }

    /// Takes an operator such as `~=` for the one it means, after a report; the parser then stands at its last token.
    mutating func foreignOperator(minimum: BinaryOperator.Precedence) -> BinaryOperator? {
        guard let pair = Habit.operatorPairs.first(where: { at($0.first) && peek(1).kind == $0.second }),
            peek(1).touchesPrevious, let meant = BinaryOperator(pair.meant), meant.precedence >= minimum
        else { return nil }
        let both = span(current).through(span(peek(1)))
        report(
            .foreignForm, "there is no operator `\(both.text)`", at: both, label: "write `\(meant.rawValue)`",
            fixes: [.replace(both, with: meant.rawValue)])
        advance()
        return meant
    }

    /// Takes `..` beside a text for the `+` it means, after a report; the parser then stands at its last token.
    mutating func concatenation(minimum: BinaryOperator.Precedence) -> BinaryOperator? {
        guard minimum <= .addition, isConcatenation else { return nil }
        let both = span(current).through(span(peek(1)))
        reportOnce(
            .foreignForm, "there is no operator `..`", at: both, label: "texts are joined with `+`",
            fix: .replace(both, with: "+"))
        hasConcatenated = true
        advance()
        return .add
    }

    /// Whether Lua's `..` comes next, beside a text or after another one.
    var isConcatenation: Bool {
        at(.dot) && peek(1).kind == .dot && peek(1).touchesPrevious && peek(2).kind != .dot
            && (hasConcatenated || tokens[max(position - 1, 0)].kind == .stringEnd || peek(2).kind == .stringStart)
    }

    /// Reports a habit, unless the statement has shown it already.
    mutating func reportOnce(
        _ code: SyntaxCode, _ message: String, at span: SourceSpan, label: String, fix: Diagnostic.Fix
    ) {
        if habitsReported.insert(code).inserted { report(code, message, at: span, label: label, fixes: [fix]) }
    }

    /// Reports a word that touches the string after it, as in Python's `f"…"`.
    mutating func prefixedString() {
        let word = tokens[position - 1]
        fail(
            .foreignForm, "a string has no prefix `\(text(word))`", at: span(word),
            label: "a value is put into a text as `\\(value)`")
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
        if text(first) == "switch", at(.leftParenthesis) {
            return fail(
                .foreignDeclaration, "`switch` declares a network", at: span(first),
                label: "to choose, write `match value { case 1 => … }`")
        }
        if at(.leftParenthesis) || at(.leftBracket), canBeCalled, !current.touchesPrevious { return detachedCall() }
        if let dashes = dashesOnLine(from: start) {
            return fail(
                .foreignForm, "`--` does not begin a comment", at: dashes, label: "write `//`",
                fixes: [Diagnostic.Fix("replace with `//`", [Diagnostic.Edit(dashes, "//")], isSafe: false)])
        }
        if misspeltUnit(Habit.likelyUnit) { return }
        if at(.identifier), Unit.named(text(current)) != nil, last == .name || last == .parenthesized {
            return fail(
                .unknownUnit, "a unit follows a number", at: span(current), label: "write `… * 1 \(text(current))`")
        }
        if kind == .bindingStatement, at(.assign) {
            return fail(.misplacedAssignment, "an assignment is not a value", label: "one `=` for each statement")
        }
        if let hint = foreignStatement(kind, from: start) {
            return fail(.expectedStatementEnd, "expected a new line or `;` before \(found)", label: hint)
        }
        var notes: [String] = []
        if kind == .declaration, tokens[start + 1].kind == .stringStart {
            notes = ["a function is called with parentheses: `\(text(first))(…)`"]
        }
        fail(
            .expectedStatementEnd, "expected a new line or `;` before \(found)",
            label: at(.arrow) ? "a function is written `fn(a, b) { … }`" : "", notes: notes)
    }

    /// What a statement is called here whose words are those of another language.
    private func foreignStatement(_ kind: SyntaxKind, from start: Int) -> String? {
        if let hint = foreignPrefix ?? Habit.statementWords[text(tokens[start])] { return hint }
        let previous = tokens[max(position - 1, 0)]
        if at(.comma), kind != .declaration { return "a statement gives one variable its value" }
        if at(.not), current.touchesPrevious {
            return peek(1).kind == .leftParenthesis ? "a function is called without `!`" : "leave out the `!`"
        }
        if at(.identifier), text(current) == "do" { return "a function is an argument: `list.each(fn(x) { … })`" }
        if at(.leftBracket), Habit.variableWords[text(tokens[start])] != nil { return "write `let name = [1, 2, 3]`" }
        if at(.leftBrace), previous.kind == .rightParenthesis {
            let words = tokens[start..<position].filter { $0.kind == .identifier }
            if words.contains(where: { Self.isFunctionWord(text($0)) }) {
                return "a function is written `fn(a, b) { … }`"
            }
        }
        return nil
    }

    /// What is written here instead of the word of another language before the value that comes next.
    var foreignPrefix: String? {
        guard position > 0 else { return nil }
        let previous = tokens[position - 1]
        if previous.kind == .identifier { return Habit.prefixWords[text(previous)] }
        // C's `(int)value`.
        guard previous.kind == .rightParenthesis, position > 2, tokens[position - 3].kind == .leftParenthesis,
            tokens[position - 2].kind == .identifier, Habit.variableWords[text(tokens[position - 2])] != nil
        else { return nil }
        return "a value is converted by a call, such as `int(value)`"
    }

    /// Replaces the reports about the body of a type's declaration by one about its first word.
    mutating func foreignType(_ word: Token, reportsBefore count: Int) {
        guard diagnostics.count > count, let hint = Habit.typeWords[text(word)] else { return }
        diagnostics.removeSubrange(count...)
        diagnostics.append(
            Diagnostic(
                SyntaxCode.foreignDeclaration, "types are not declared with `\(text(word))`", at: span(word),
                label: hint))
    }

    /// Reports a word after a number that was meant for a unit.
    mutating func misspeltUnit(_ unit: (String) -> String?) -> Bool {
        guard position > 0, tokens[position - 1].kind == .number, at(.identifier), !current.startsLine,
            let unit = unit(text(current))
        else { return false }
        fail(
            .unknownUnit, "unknown unit `\(text(current))`", label: "did you mean `\(unit)`?",
            fixes: [.replace(span(current), with: unit)])
        return true
    }

    /// Takes Python's `not in` for the operator `in`, after a report; the parser then stands at its last token.
    mutating func negatedMembership(minimum: BinaryOperator.Precedence) -> BinaryOperator? {
        guard at(.identifier), text(current) == "not", peek(1).kind == .in, !peek(1).startsLine, minimum <= .comparison
        else { return nil }
        report(
            .foreignForm, "there is no operator `not in`", at: span(current).through(span(peek(1))),
            label: "write `!(item in collection)`")
        advance()
        return .contains
    }

    /// Reports Python's and JavaScript's forms of `try`, and their clauses that follow.
    mutating func foreignTry() {
        guard at(.colon) else { return }
        hasForeignTry = true
        fail(
            .expectedToken, "expected `{`, found `:`",
            label: "errors are caught by `try { … } catch error { … }`")
    }

    /// Passes over a clause of a `try` in another language's form, which has been told of.
    mutating func foreignClause() -> Bool {
        guard hasForeignTry, Habit.tryWords.contains(text(current)) else { return false }
        passOver()
        return true
    }

    /// Reports the result's type that other languages declare between a function's parameters and its body.
    mutating func declaredResult() {
        let isArrow = at(.minus) && peek(1).kind == .greater && peek(1).touchesPrevious
        guard isArrow || at(.colon), !isPanicking, !endsLine else { return }
        let found = isArrow ? "->" : ":"
        let hasBody = peek(isArrow ? 2 : 1).kind == .identifier
        fail(
            .expectedToken, "expected `{`, found `\(found)`", at: isArrow ? span(current).through(span(peek(1))) : nil,
            label: hasBody ? "functions have no declared result" : "a block is written in braces: `{ … }`")
    }

    /// Reports a bracket that does not touch what it calls or takes an element of.
    mutating func detachedCall() {
        let gap = SourceSpan(file, tokens[position - 1].end..<current.start)
        fail(
            .detachedCall, "a space before the `\(text(current))` of \(at(.leftBracket) ? "an index" : "a call")",
            label: "this begins a new value",
            fixes: [Diagnostic.Fix("remove the space", [Diagnostic.Edit(gap, "")])])
    }

    /// Two minus signs, apart from what is before them, on the line being read.
    private func dashesOnLine(from start: Int) -> SourceSpan? {
        for index in start..<max(position - 1, start) where tokens[index].kind == .minus {
            let next = tokens[index + 1]
            if next.kind == .minus, next.touchesPrevious, !tokens[index].touchesPrevious {
                return span(tokens[index]).through(span(next))
            }
        }
        return nil
    }

    /// Reports a declaration in another language's form, `int x = 5` or `func f() {`, whose two words come next.
    mutating func foreignDeclaration() -> Bool {
        let word = text(current)
        let next = peek(2)
        if Habit.functionWords.contains(word) || Habit.variableWords[word] != nil, next.kind == .leftParenthesis {
            if hasPlainParametersAndBody {
                report(
                    .foreignDeclaration, "a function is declared with `fn`", at: span(current),
                    fixes: [.replace(span(current), with: "fn")])
            } else {
                fail(
                    .foreignDeclaration, "a function is declared with `fn`", at: span(current),
                    label: "as in `fn \(text(peek(1)))(a, b) { … }`")
            }
            return true
        }
        if Self.isFunctionWord(text(peek(1))), Habit.variableWords[word] != nil, next.kind == .identifier {
            let words = span(current).through(span(peek(1)))
            fail(
                .foreignDeclaration, "a function is declared with `fn`", at: words,
                label: "as in `fn \(text(next))(a, b) { … }`")
            return true
        }
        if Habit.variableWords[word] != nil, next.startsLine || next.kind == .semicolon || next.kind == .endOfFile {
            let name = span(peek(1))
            let edits = [Diagnostic.Edit(span(current), "var"), Diagnostic.Edit(name.after, " = nil")]
            fail(
                .foreignDeclaration, "a variable is declared with `let` or `var` and a value", at: span(current),
                fixes: [Diagnostic.Fix("replace with `var \(name.text) = nil`", edits)])
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

extension Parser {
    private static func isFunctionWord(_ text: String) -> Bool { Habit.functionWords.contains(text) }

    /// Whether parameters as they are written here, and a `{`, follow the name of a function that comes next.
    private var hasPlainParametersAndBody: Bool {
        var index = position + 3
        while index < tokens.count - 1, tokens[index].kind != .rightParenthesis, !tokens[index].startsLine {
            let (kind, next) = (tokens[index].kind, tokens[index + 1].kind)
            guard kind == .identifier && (next == .comma || next == .rightParenthesis) || kind == .comma else {
                return false
            }
            index += 1
        }
        return index + 1 < tokens.count && tokens[index + 1].kind == .leftBrace
    }
}

extension SyntaxKind {
    /// Whether a value of the kind is commonly followed by arguments or an index.
    var canBeCalled: Bool { self == .name || self == .member || self == .call || self == .index }
}
