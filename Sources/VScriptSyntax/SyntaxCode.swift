/// The codes of mistakes in a script's form: V01xx in its words, V02xx in how they stand together.
package enum SyntaxCode: String, CaseIterable, DiagnosticCode {
    case invalidUTF8 = "V0101"
    case fileTooLarge = "V0102"
    case unexpectedCharacter = "V0103"
    case unterminatedComment = "V0104"
    case unterminatedString = "V0105"
    case unterminatedInterpolation = "V0106"
    case unterminatedAssembly = "V0107"
    case malformedNumber = "V0108"
    case unknownUnit = "V0109"
    case numberOutOfRange = "V0110"
    case malformedCharacter = "V0111"
    case unknownEscape = "V0112"
    case multilineString = "V0113"
    case malformedBytes = "V0114"
    case malformedFormat = "V0115"
    case leadingZero = "V0116"

    case expectedExpression = "V0201"
    case expectedToken = "V0202"
    case expectedStatementEnd = "V0203"
    case unclosedBracket = "V0204"
    case unmatchedBracket = "V0205"
    case nestedTooDeeply = "V0206"
    case expectedName = "V0207"
    case misplacedProperty = "V0208"
    case notAssignable = "V0209"
    case chainedOperator = "V0210"
    case mixedCollection = "V0211"
    case missingCase = "V0212"
    case incrementOperator = "V0213"
    case wordOperator = "V0214"
    case misplacedAssignment = "V0215"
    case importWithoutName = "V0216"
    case foreignDeclaration = "V0217"
    case conditionalOperator = "V0218"
    case strayKeyword = "V0219"
    case tryWithoutCatch = "V0220"
    case detachedCall = "V0221"
    case missingComma = "V0222"
    case bracesForCollection = "V0223"
    case foreignForm = "V0224"

    package var id: String { rawValue }

    package var page: DiagnosticPage { Self.pages[self] ?? DiagnosticPage("", failing: "", fixed: "") }

    // swift-format-ignore
    private static let pages: [SyntaxCode: DiagnosticPage] = [
        .invalidUTF8: .init(
            "a script is UTF-8 text",
            failing: "a file in another encoding, or not a text at all", fixed: "print(\"naïve\")"),
        .fileTooLarge: .init(
            "a script has at most 64 MiB",
            failing: "a file larger than that", fixed: "import \"part.vscript\" as part"),
        .unexpectedCharacter: .init(
            "a character that begins nothing in the language stands outside of strings and comments",
            failing: "let a = 1 # one", fixed: "let a = 1 // one"),
        .unterminatedComment: .init(
            "`/*` comments nest, and each needs its own `*/`",
            failing: "/* outer /* inner */\nlet a = 1", fixed: "/* outer /* inner */ */\nlet a = 1"),
        .unterminatedString: .init(
            "a string ends on the line it begins on; `\"\"\"` strings span lines",
            failing: "print(\"ready)", fixed: "print(\"ready\")"),
        .unterminatedInterpolation: .init(
            "`\\(` in a string needs its `)` before the string ends",
            failing: "let n = 1\nprint(\"n is \\(n\")", fixed: "let n = 1\nprint(\"n is \\(n)\")"),
        .unterminatedAssembly: .init(
            "an `asm` block ends with `}`",
            failing: "let code = asm { hlt", fixed: "let code = asm { hlt }"),
        .malformedNumber: .init(
            "numbers are written 42, 1_000, 0xFF, 0b10, 0o17, 1.5 or 2e9, without suffixes",
            failing: "let mask = 0xFFu", fixed: "let mask = 0xFF"),
        .unknownUnit: .init(
            "a number takes a unit of size (B KiB MiB GiB TiB KB MB GB TB), frequency (Hz kHz MHz GHz) or time (ns us ms s min h)",
            failing: "let size = 4KiBs", fixed: "let size = 4 KiB"),
        .numberOutOfRange: .init(
            "an int holds -2⁶³ to 2⁶⁴ - 1, and a number with a unit is a whole count of bytes, hertz or nanoseconds",
            failing: "let big = 0x1_0000_0000_0000_0000", fixed: "let big = 0xFFFF_FFFF_FFFF_FFFF"),
        .malformedCharacter: .init(
            "single quotes hold one character, whose value is its code point; strings use double quotes",
            failing: "let name = 'vm'", fixed: "let name = \"vm\""),
        .unknownEscape: .init(
            "the escapes of a string are \\n \\t \\r \\0 \\\\ \\\" \\' \\u{…} and \\(…)",
            failing: "let bell = \"\\x07\"", fixed: "let bell = \"\\u{07}\""),
        .multilineString: .init(
            "the text of a `\"\"\"` string begins on the next line and is indented at least as far as the closing quotes",
            failing: "let text = \"\"\"\n    one\n  two\n    \"\"\"", fixed: "let text = \"\"\"\n    one\n    two\n    \"\"\""),
        .malformedBytes: .init(
            "`hex\"…\"` holds pairs of hexadecimal digits, with spaces between them or not",
            failing: "let code = hex\"90 9\"", fixed: "let code = hex\"90 90\""),
        .malformedFormat: .init(
            "what follows `:` in an interpolation is a format as in Python",
            failing: "let n = 1\nprint(\"\\(n:hex)\")", fixed: "let n = 1\nprint(\"\\(n:#x)\")"),
        .leadingZero: .init(
            "a number that begins with 0 is decimal; octal is 0o",
            failing: "let mode = 0755", fixed: "let mode = 0o755"),

        .expectedExpression: .init(
            "a value is missing, or stands where none can",
            failing: "let a = * 2", fixed: "let a = 1 * 2"),
        .expectedToken: .init(
            "a construct lacks a word or mark that belongs to it",
            failing: "for x of [1, 2] { }", fixed: "for x in [1, 2] { }"),
        .expectedStatementEnd: .init(
            "a statement ends with its line, or with `;`",
            failing: "let a = 1 let b = 2", fixed: "let a = 1; let b = 2"),
        .unclosedBracket: .init(
            "every `(`, `[` and `{` needs its counterpart",
            failing: "fn f() {\n  1", fixed: "fn f() {\n  1\n}"),
        .unmatchedBracket: .init(
            "every `)`, `]` and `}` needs its counterpart",
            failing: "let a = 1\n}", fixed: "let a = 1"),
        .nestedTooDeeply: .init(
            "expressions and blocks nest at most 200 deep",
            failing: "a text with more brackets inside each other than that", fixed: "let a = ((1))"),
        .expectedName: .init(
            "a name is a letter or `_`, then letters, digits and `_`, and none of the 24 keywords",
            failing: "let match = 1", fixed: "let matched = 1"),
        .misplacedProperty: .init(
            "`name: value` gives a property and stands directly in a declaration's body; `=` assigns",
            failing: "memory: 4 MiB", fixed: "guest g { memory: 4 MiB; boot: .long; ring 0 { asm { hlt } } }"),
        .notAssignable: .init(
            "only a name, a register, a member or an element can be assigned to",
            failing: "let f = fn() { 1 }\nf() = 2", fixed: "var f = 1\nf = 2"),
        .chainedOperator: .init(
            "comparisons and ranges do not chain",
            failing: "let a = 1\nlet inside = 0 < a < 9", fixed: "let a = 1\nlet inside = 0 < a && a < 9"),
        .mixedCollection: .init(
            "a collection holds either plain items or `key: value` pairs",
            failing: "let m = [a: 1, 2]", fixed: "let m = [a: 1, b: 2]"),
        .missingCase: .init(
            "an arm of `match` begins with `case` or `else`",
            failing: "let a = match 1 { 1 => 2 }", fixed: "let a = match 1 { case 1 => 2 }"),
        .incrementOperator: .init(
            "there is no `++` and no `--`",
            failing: "var n = 0\nn++", fixed: "var n = 0\nn += 1"),
        .wordOperator: .init(
            "the logical operators are `&&`, `||` and `!`",
            failing: "let a = true\nlet b = a and !a", fixed: "let a = true\nlet b = a && !a"),
        .misplacedAssignment: .init(
            "an assignment is a statement, not a value; `==` compares and `name: value` labels",
            failing: "let a = 1\nif a = 1 { }", fixed: "let a = 1\nif a == 1 { }"),
        .importWithoutName: .init(
            "a module imported by its path is given a name",
            failing: "import \"fixtures.vscript\"", fixed: "import \"fixtures.vscript\" as fixtures"),
        .foreignDeclaration: .init(
            "variables are declared with `let` or `var`, functions with `fn`",
            failing: "int n = 5", fixed: "var n = 5"),
        .conditionalOperator: .init(
            "`if` is an expression, so there is no `?:`",
            failing: "let a = true\nlet b = a ? 1 : 2", fixed: "let a = true\nlet b = if a { 1 } else { 2 }"),
        .strayKeyword: .init(
            "`case`, `else` and `catch` belong to the construct before them",
            failing: "else { }", fixed: "if true { } else { }"),
        .tryWithoutCatch: .init(
            "`try` says in `catch` what happens when its block fails",
            failing: "let a = try { 1 }", fixed: "let a = try { 1 } catch e { nil }"),
        .detachedCall: .init(
            "the `(` of a call and the `[` of an index touch what stands before them",
            failing: "print (1)", fixed: "print(1)"),
        .missingComma: .init(
            "items are separated by commas",
            failing: "let a = [1 2]", fixed: "let a = [1, 2]"),
        .bracesForCollection: .init(
            "lists and maps are written in brackets; braces hold code",
            failing: "let m = { a: 1 }", fixed: "let m = [ a: 1 ]"),
        .foreignForm: .init(
            "`!=` compares, `+` joins texts, `//` begins a comment, strings have no prefix: other languages differ",
            failing: "let a = 1\nlet b = a ~= 2", fixed: "let a = 1\nlet b = a != 2"),
    ]
}
