import VScriptSyntax

/// The codes of mistakes beyond a script's form: V03xx when it is checked, V04xx in what it computes,
/// V05xx in what it asks of guests and files, V06xx for warnings about its code, V09xx for limits.
package enum ScriptCode: String, CaseIterable, DiagnosticCode {
    case unknownName = "V0301"
    case redeclaredName = "V0302"
    case usedBeforeDeclaration = "V0303"
    case assignmentToConstant = "V0304"
    case outsideHandler = "V0305"
    case outsideLoop = "V0306"
    case wrongArguments = "V0307"
    case unknownModule = "V0308"
    case moduleFailure = "V0309"
    case wrongType = "V0310"
    case assignmentForProperty = "V0311"
    case unknownProperty = "V0312"
    case unknownKind = "V0313"
    case misplacedDeclaration = "V0314"
    case missingProperty = "V0315"
    case repeatedProperty = "V0316"
    case functionTooLarge = "V0317"
    case impossibleCombination = "V0318"
    case notImplemented = "V0320"

    case overflow = "V0401"
    case divisionByZero = "V0402"
    case wrongOperand = "V0403"
    case outOfRange = "V0404"
    case missingKey = "V0405"
    case noMatch = "V0406"
    case notBool = "V0407"
    case frozen = "V0408"
    case uncaught = "V0409"
    case notCallable = "V0410"
    case malformedPattern = "V0411"
    case conversion = "V0412"
    case wrongFormat = "V0413"
    case notIterable = "V0414"

    case expectationFailed = "V0501"
    case fileFailure = "V0502"
    case assemblerError = "V0503"
    case bootFailure = "V0504"
    case timeout = "V0505"
    case guestCrashed = "V0506"
    case noTerminal = "V0507"

    case faultingInstruction = "V0610"

    case depthLimit = "V0901"
    case fuelLimit = "V0902"
    case guestMemoryLimit = "V0903"
    case heapLimit = "V0904"
    case wallClockLimit = "V0905"
    case interrupted = "V0906"
    case guestBudgetLimit = "V0907"

    package var id: String { rawValue }

    /// Whether a script can catch the error.
    var isCatchable: Bool { !rawValue.hasPrefix("V09") }

    package var page: DiagnosticPage { Self.pages[self] ?? DiagnosticPage("", failing: "", fixed: "") }

    // swift-format-ignore
    private static let pages: [ScriptCode: DiagnosticPage] = [
        .unknownName: .init(
            "every name is declared, imported or built in, and every member exists",
            failing: "let total = 1\nprint(totl)", fixed: "let total = 1\nprint(total)"),
        .redeclaredName: .init(
            "a name is declared once in a block",
            failing: "let a = 1\nlet a = 2", fixed: "var a = 1\na = 2"),
        .usedBeforeDeclaration: .init(
            "a variable is used after the line that declares it",
            failing: "print(a)\nlet a = 1", fixed: "let a = 1\nprint(a)"),
        .assignmentToConstant: .init(
            "what `let`, `fn`, `for`, a parameter or an import names does not change; `var` declares a variable",
            failing: "let a = 1\na = 2", fixed: "var a = 1\na = 2"),
        .outsideHandler: .init(
            "`event` and registers such as `$rax` are there inside `on … { }`, `self` inside a declaration",
            failing: "print($rax)", fixed: "fn f(cpu) { cpu.rax }"),
        .outsideLoop: .init(
            "`break` and `continue` stand inside a loop",
            failing: "break", fixed: "while true { break }"),
        .wrongArguments: .init(
            "a call passes what the function takes, in order or by name",
            failing: "fn f(a) { a }\nf(1, 2)", fixed: "fn f(a) { a }\nf(a: 1)"),
        .unknownModule: .init(
            "a module is part of the standard library, or is imported by its path",
            failing: "import linx", fixed: "import linux"),
        .moduleFailure: .init(
            "an imported file exists and does not import the file that imports it",
            failing: "import \"no such file.vscript\" as missing", fixed: "import linux as missing"),
        .wrongType: .init(
            "a property takes values of its type, with their unit",
            failing: "guest g { memory: 10 ms; boot: .long }", fixed: "fn f() { guest g { memory: 10 MiB; boot: .long } }"),
        .assignmentForProperty: .init(
            "in a declaration's body `name: value` gives a property",
            failing: "guest g { memory = 4 MiB; boot: .long }", fixed: "fn f() { guest g { memory: 4 MiB; boot: .long } }"),
        .unknownProperty: .init(
            "a declaration has the properties of its kind",
            failing: "guest g { memroy: 4 MiB; boot: .long }", fixed: "fn f() { guest g { memory: 4 MiB; boot: .long } }"),
        .unknownKind: .init(
            "a declaration begins with one of the kinds",
            failing: "gest g { }", fixed: "fn f() { guest g { memory: 4 MiB; boot: .long } }"),
        .misplacedDeclaration: .init(
            "a declaration stands where its kind can be, and is called as its kind is",
            failing: "ring 0 { }", fixed: "fn f() { guest g { boot: .long; ring 0 { } } }"),
        .missingProperty: .init(
            "a declaration gives the properties that its kind requires",
            failing: "guest g { memory: 4 MiB }", fixed: "fn f() { guest g { memory: 4 MiB; boot: .long } }"),
        .repeatedProperty: .init(
            "a property is given once",
            failing: "guest g { memory: 4 MiB; memory: 8 MiB; boot: .long }", fixed: "fn f() { guest g { memory: 8 MiB; boot: .long } }"),
        .functionTooLarge: .init(
            "a function has at most 250 variables and values in use at once",
            failing: "fn f(x) { x }\nf(" + (0..<260).map(String.init).joined(separator: ", ") + ")",
            fixed: "fn f(x) { x }\nf([1, 2, 3])"),
        .impossibleCombination: .init(
            "what is declared fits together: technique, paging, processor model and host",
            failing: "hypervisor h { technique: .translate; paging: .nested }",
            fixed: "hypervisor h { technique: .translate; paging: .shadow }"),
        .notImplemented: .init(
            "what the language has and this version lacks is refused by name",
            failing: "switch lan { latency: 50 us }", fixed: "fn f() { guest g { memory: 4 MiB; boot: .long } }"),

        .overflow: .init(
            "a result that no int can hold is an error; `&+ &- &* &<<` keep the lowest 64 bits",
            failing: "print(0xFFFF_FFFF_FFFF_FFFF + 1)", fixed: "print(0xFFFF_FFFF_FFFF_FFFF &+ 1)"),
        .divisionByZero: .init(
            "nothing is divided by 0",
            failing: "let n = 0\nprint(1 / n)", fixed: "let n = 1\nprint(1 / n)"),
        .wrongOperand: .init(
            "an operator takes values of certain types, and both of them alike",
            failing: "print(\"n = \" + 1)", fixed: "print(\"n = \\(1)\")"),
        .outOfRange: .init(
            "an index, a count or an argument lies in its range",
            failing: "let items = [1]\nprint(items[1])", fixed: "let items = [1]\nprint(items[0])"),
        .missingKey: .init(
            "`map.key` demands the key; `map[\"key\"]` is nil without it",
            failing: "let m = [a: 1]\nprint(m.b)", fixed: "let m = [a: 1]\nprint(m[\"b\"] ?? 0)"),
        .noMatch: .init(
            "one arm of `match` fits the value, or there is an `else`",
            failing: "match 3 { case 1 => 2 }", fixed: "match 3 { case 1 => 2; else => 0 }"),
        .notBool: .init(
            "a condition is `true` or `false`",
            failing: "if 1 { }", fixed: "if 1 != 0 { }"),
        .frozen: .init(
            "what a module holds does not change once it has loaded",
            failing: "import \"shared.vscript\" as shared\nshared.items.append(1)", fixed: "let items = [1]\nitems.append(2)"),
        .uncaught: .init(
            "a value that is thrown is caught, or ends the script",
            failing: "throw \"no\"", fixed: "try { throw \"no\" } catch e { print(e.message) }"),
        .notCallable: .init(
            "only functions are called",
            failing: "let n = 1\nn()", fixed: "let n = fn() { 1 }\nn()"),
        .malformedPattern: .init(
            "a regular expression is well formed",
            failing: "let r = re\"(a\"", fixed: "let r = re\"(a)\""),
        .conversion: .init(
            "a text that is converted holds a number",
            failing: "int(\"twelve\")", fixed: "int(\"12\")"),
        .wrongFormat: .init(
            "a format fits the value it is applied to",
            failing: "print(\"\\(\"a\":#x)\")", fixed: "print(\"\\(10:#x)\")"),
        .notIterable: .init(
            "`for` runs over lists, maps, ranges, strings and bytes",
            failing: "for i in 3 { }", fixed: "for i in 0..<3 { }"),

        .expectationFailed: .init(
            "what `expect` states is true",
            failing: "expect 1 + 1 == 3", fixed: "expect 1 + 1 == 2"),
        .fileFailure: .init(
            "a file that is read exists, and one that is written can be",
            failing: "import file\nfile.text(\"no such file\")", fixed: "import file\nfile.exists(\"no such file\")"),
        .assemblerError: .init(
            "code in `asm` is made of instructions that the assembler knows",
            failing: "asm { mvo eax, 1 }.bytes", fixed: "asm { mov eax, 1 }.bytes"),
        .bootFailure: .init(
            "a guest can be started from what it is given",
            failing: "guest g { memory: 4 KiB; boot: .long; ring 0 { asm { hlt } } }", fixed: "guest g { memory: 4 MiB; boot: .long; ring 0 { asm { hlt } } }"),
        .timeout: .init(
            "what is waited for on a console appears within its time, and before the guest ends",
            failing: "guest g { boot: .long; ring 0 { asm { hlt } } }\ng.console.wait(\"login: \", within: 1 ms)",
            fixed: "guest g { boot: .long; ring 0 { asm { hlt } } }\ng.run(within: 1 ms)"),
        .guestCrashed: .init(
            "a guest does not triple-fault unless the script looks at how it stopped",
            failing: "guest g { boot: .long; ring 0 { asm { ud2 } } }\ng.run()",
            fixed: "guest g { boot: .long; ring 0 { asm { ud2 } } }\nexpect g.run().reason == .crashed"),
        .noTerminal: .init(
            "a console is attached when the script runs on a terminal",
            failing: "guest g { boot: .long; ring 0 { asm { hlt } } }\ng.console.attach()",
            fixed: "guest g { boot: .long; ring 0 { asm { hlt } } }\ng.console.echo()\ng.run(within: 1 ms)"),

        .faultingInstruction: .init(
            "instructions that need ring 0 stand in ring 0",
            failing: "guest g { boot: .long; ring 3 { asm { mov cr3, rax } } }",
            fixed: "guest g { boot: .long; ring 0 { asm { mov cr3, rax } } }"),
        .depthLimit: .init(
            "calls are nested only so deep",
            failing: "fn f() { f() }\nf()", fixed: "fn f(n) { if n > 0 { f(n - 1) } }\nf(9)"),
        .fuelLimit: .init(
            "a script with a limit on its steps ends within it",
            failing: "while true { }", fixed: "for i in 0..<9 { }"),
        .guestMemoryLimit: .init(
            "guests share the memory the session allows them",
            failing: "guest g { memory: 900 GiB; boot: .long }", fixed: "fn f() { guest g { memory: 64 MiB; boot: .long } }"),
        .heapLimit: .init(
            "a script's values fit the memory the session allows them",
            failing: "let text = \"text\".repeated(100_000)", fixed: "let text = \"text\".repeated(100)"),
        .wallClockLimit: .init(
            "a script with a limit on its time ends within it",
            failing: "while true { }", fixed: "for i in 0..<9 { }"),
        .interrupted: .init(
            "a script runs until it is stopped from outside",
            failing: "while true { }", fixed: "for i in 0..<9 { }"),
        .guestBudgetLimit: .init(
            "guests share the instructions and the guest time the session allows them",
            failing: "guest g { boot: .long; ring 0 { asm { spin: jmp spin } } }\ng.run()",
            fixed: "guest g { boot: .long; ring 0 { asm { spin: jmp spin } } }\ng.run(instructions: 9)"),
    ]
}
