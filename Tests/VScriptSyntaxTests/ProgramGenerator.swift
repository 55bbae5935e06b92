import _SeededNumbers

/// Writes random scripts over the whole grammar, with random layout and comments wherever they may stand.
struct ProgramGenerator {
    var random: SeededNumbers
    /// A statement that is put in once, on a line of its own; for tests of recovery.
    var mistake: String?

    private var text = ""
    /// How many more nodes may be written before only leaves are.
    private var budget = 0
    /// Whether a line break would end something: inside an interpolation.
    private var isOnOneLine = false

    init(seed: UInt64) { random = SeededNumbers(seed) }

    /// A script of some statements.
    mutating func program() -> String {
        (text, budget, isOnOneLine) = ("", Int.random(in: 20...120, using: &random), false)
        if chance(0.1) { text += "#!/usr/bin/env vscript\n" }
        let count = Int.random(in: 1...8, using: &random)
        statements(
            count, inDeclaration: false, mistakeAt: mistake == nil ? nil : Int.random(in: 0...count, using: &random))
        if chance(0.3) { text += " // the end" }
        if chance(0.7) { text += "\n" }
        return text
    }

    // MARK: - Choices

    private mutating func chance(_ probability: Double) -> Bool {
        Double.random(in: 0..<1, using: &random) < probability
    }

    private mutating func pick<Item>(_ items: [Item]) -> Item { items[Int.random(in: 0..<items.count, using: &random)] }

    private static let names = ["alpha", "x1", "_y", "memory", "event", "item", "total", "kind"]

    private mutating func name() { text += pick(Self.names) }

    // MARK: - Layout

    /// White space that must be there, on one line.
    private mutating func space() { text += pick([" ", " ", " ", "  ", "\t", " /* remark */ "]) }

    /// White space that may be there, on one line.
    private mutating func gap() { text += chance(0.7) ? "" : pick([" ", "  ", " /* é */ "]) }

    /// White space inside brackets.
    private mutating func wide() {
        guard !isOnOneLine, chance(0.25) else { return gap() }
        text += pick(["\n", "\n\n\n   ", "  // remark\n", "\n  /* two\n lines */ ", " \n // a\n\n // b\n  "])
    }

    /// A space, or a line break where the statement goes on anyway.
    private mutating func spaceOrBreak() {
        if !isOnOneLine, chance(0.15) { text += pick(["\n", " // remark\n   ", "\n\n\t"]) } else { text += " " }
    }

    /// What ends a statement; one that begins with a dot needs a semicolon before it.
    private mutating func separator(needsSemicolon: Bool) {
        if isOnOneLine { return text += pick(["; ", ";", " ; "]) }
        var mark = pick([
            "\n", "\n", "\n", "\n\n\n", "; ", ";\n", " // remark\n", " ;; /* x */ ", "\n/// About it.\n\t",
        ])
        if needsSemicolon, !mark.contains(";") { mark = ";" + mark }
        text += mark
    }

    // MARK: - Statements

    private mutating func statements(_ count: Int, inDeclaration: Bool, mistakeAt: Int? = nil) {
        for index in 0...count {
            if index == mistakeAt, let mistake { text += "\n\(mistake)\n" }
            guard index < count else { return }
            let before = text
            text = ""
            statement(inDeclaration: inDeclaration)
            let statement = text
            text = before
            if index > 0 { separator(needsSemicolon: statement.hasPrefix(".")) }
            text += statement
        }
    }

    private mutating func block(inDeclaration: Bool = false) {
        text += "{"
        budget -= 1
        let count = budget > 0 ? Int.random(in: 0...3, using: &random) : Int.random(in: 0...1, using: &random)
        if isOnOneLine {
            gap()
            statements(count, inDeclaration: inDeclaration)
            gap()
        } else {
            text += pick(["", " ", "\n", " // remark\n", "\n\n", " ; "])
            statements(count, inDeclaration: inDeclaration)
            text += pick(["", " ", "\n", "\n\n  // last\n", ";", " ;\n"])
        }
        text += "}"
    }

    private mutating func statement(inDeclaration: Bool) {
        budget -= 1
        guard budget > 0 else {
            // What is short and may stand anywhere.
            name()
            return
        }
        if inDeclaration, chance(0.5) {
            name()
            gap()
            text += ":"
            spaceOrBreak()
            return expression()
        }
        switch Int.random(in: 0..<16, using: &random) {
        case 0, 1:
            text += pick(["let", "var"])
            space()
            name()
            gap()
            text += "="
            spaceOrBreak()
            expression()
        case 2:
            text += "fn "
            name()
            parameters()
            space()
            block()
        case 3:
            text += pick(["break", "continue", "return"])
        case 4:
            text += pick(["return ", "throw "])
            expression()
        case 5:
            text += "expect "
            expression()
            if chance(0.5) {
                gap()
                text += ","
                spaceOrBreak()
                string()
            }
        case 6:
            text += "for "
            name()
            if chance(0.3) {
                text += " ,"
                gap()
                name()
            }
            text += " in "
            expression()
            space()
            block()
        case 7:
            text += "while "
            expression()
            space()
            block()
        case 8:
            text += pick(["import linux", "import std . trace as tr", "import \"dir/a.vscript\"  as  a"])
        case 9, 10: declaration()
        case 11, 12: assignment()
        case _: expression()
        }
    }

    private mutating func declaration() {
        text += pick(["guest", "ring", "gate", "test", "device", "fpga"])
        switch Int.random(in: 0..<4, using: &random) {
        case 0: text += " g"
        case 1: text += " 0x80"
        case 2: text += " \"name \\(1+2)\""
        case _:
            space()
            return block(inDeclaration: true)
        }
        if chance(0.3) {
            text += " on "
            text += pick(["vt", "a.b"])
        }
        guard chance(0.8) else { return }
        space()
        block(inDeclaration: true)
    }

    private mutating func assignment() {
        text += pick(["alpha", "$rax", "item.kind", "item[0]", "self.total", "item [0].kind".replacing(" ", with: "")])
        gap()
        text += pick(["=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="])
        spaceOrBreak()
        expression()
    }

    private mutating func parameters() {
        text += "("
        wide()
        let count = Int.random(in: 0...3, using: &random)
        for index in 0..<count {
            if index > 0 {
                text += ","
                wide()
            }
            text += "p\(index)"
            if chance(0.3) {
                text += pick([" = ", "="])
                expression()
            }
            wide()
        }
        text += ")"
    }

    // MARK: - Expressions

    /// Operators by how tightly they bind; the comparisons and ranges do not chain.
    private static let levels: [[String]] = [
        ["||"], ["&&"], ["==", "!=", "<", "<=", ">", ">=", "in"], ["??"], ["...", "..<", "..+"],
        ["+", "-", "|", "^", "&+", "&-"], ["*", "/", "%", "&", "&*"], ["<<", ">>", "&<<"],
    ]
    private static let nonassociative = [2, 4]

    private mutating func expression() { binary(0) }

    private mutating func binary(_ level: Int) {
        budget -= 1
        guard level < Self.levels.count else { return unary() }
        guard budget > 0, chance(0.12) else { return binary(level + 1) }
        binary(Self.nonassociative.contains(level) ? level + 1 : level)
        let mark = pick(Self.levels[level])
        let before = text
        text = ""
        binary(level + 1)
        let right = text
        text = before
        let isPlain = right.first.map { $0.isLetter || $0 == "(" || $0 == "\"" } == true
        if mark != "in", isPlain, chance(0.3) {
            text += mark
        } else {
            text += chance(0.2) ? "  " : " "
            text += mark
            spaceOrBreak()
        }
        text += right
    }

    private mutating func unary() {
        while chance(0.08) { text += pick(["-", "~", "!"]) }
        postfix()
    }

    private mutating func postfix() {
        primary()
        // A word that is called is no unit.
        while budget > 0, !text.hasSuffix("KiB"), !text.hasSuffix("us"), !text.hasSuffix("GiB"), chance(0.25) {
            budget -= 1
            switch Int.random(in: 0..<3, using: &random) {
            case 0:
                if !isOnOneLine, chance(0.3) { text += pick(["\n  ", "\n// remark\n"]) }
                text += pick([".count", ".kind", ".if", ". total"])
            case 1: arguments()
            case _:
                text += "["
                wide()
                expression()
                wide()
                text += "]"
            }
        }
    }

    private mutating func arguments() {
        items("(", ")") { generator in
            if generator.chance(0.3) { generator.text += generator.pick(["label: ", "label:", "label : "]) }
            generator.expression()
        }
    }

    private mutating func items(_ open: String, _ close: String, item: (inout ProgramGenerator) -> Void) {
        text += open
        wide()
        let count = budget > 0 ? Int.random(in: 0...3, using: &random) : 0
        for index in 0..<count {
            if index > 0 {
                text += ","
                wide()
            }
            item(&self)
            wide()
        }
        if count > 0, chance(0.2) {
            text += ","
            wide()
        }
        text += close
    }

    private mutating func primary() {
        guard budget > 0, chance(0.5) else { return leaf() }
        budget -= 2
        switch Int.random(in: 0..<11, using: &random) {
        case 0:
            text += "("
            wide()
            expression()
            wide()
            text += ")"
        case 1: items("[", "]") { $0.expression() }
        case 2:
            if chance(0.3) { return text += "[:]" }
            text += "["
            wide()
            text += pick(["key", "\"two words\"", "if", "(alpha)"])
            gap()
            text += ":"
            wide()
            expression()
            wide()
            text += "]"
        case 3:
            text += "fn"
            parameters()
            space()
            block()
        case 4: conditional()
        case 5: match()
        case 6:
            text += "try "
            block()
            text += pick([" catch ", isOnOneLine ? " catch " : "\ncatch "])
            if chance(0.5) { text += "e " }
            block()
        case 7:
            text += "on "
            text += pick(["vm.exec(\"f\")", "exception(.GP)", "read"])
            if chance(0.4) {
                text += " if "
                expression()
            }
            space()
            block()
        case 8: assembly()
        case _: string()
        }
    }

    private mutating func leaf() {
        text += pick([
            "1", "0xFFFF_0000", "0b101", "2.5e3", "4 KiB", "10us", "1.5 GiB", "'a'", "'\\n'", "true", "false", "nil",
            "alpha",
            "x1", "event", "$rax", ".vmx", "re\"^a+$\"", "hex\"90 cc\"", "\"text\"",
        ])
    }

    private mutating func conditional() {
        text += "if "
        expression()
        text += chance(0.1) && !isOnOneLine ? "\n" : " "
        block()
        guard chance(0.6) else { return }
        text += isOnOneLine ? " " : pick([" ", "", "\n", " // remark\n"])
        text += "else "
        if chance(0.3) { conditional() } else { block() }
    }

    private mutating func match() {
        text += "match "
        expression()
        text += " {"
        let count = Int.random(in: 1...3, using: &random)
        for index in 0..<count {
            text += isOnOneLine ? (index == 0 ? " " : "; ") : pick(["\n", "\n\n  ", " // remark\n"])
            if index == count - 1, chance(0.5) {
                text += "else"
            } else {
                text += "case "
                binary(3)
                if chance(0.3) {
                    text += " ,"
                    gap()
                    binary(3)
                }
                if chance(0.2) {
                    text += " if "
                    expression()
                }
            }
            text += pick([" => ", " =>  "])
            if chance(0.3) { block() } else { statement(inDeclaration: false) }
        }
        text += isOnOneLine ? " }" : pick(["\n}", " }", "\n\n// remark\n}"])
    }

    private mutating func string() {
        if !isOnOneLine, chance(0.15) {
            text += "\"\"\"\n    one \\(alpha)\n      two \"quoted\" // no remark\n\n    \"\"\""
            return
        }
        text += "\""
        for _ in 0..<Int.random(in: 0...3, using: &random) {
            text += pick(["text ", "\\n", "é😀", "// no remark", "{", "  two  spaces ", "\\\""])
            guard budget > 0, chance(0.3) else { continue }
            let saved = isOnOneLine
            isOnOneLine = true
            text += "\\("
            expression()
            if chance(0.3) { text += pick([":#x", ":>8,.2f"]) }
            text += ")"
            isOnOneLine = saved
        }
        text += "\""
    }

    private mutating func assembly() {
        text += pick(["asm {", "asm(bits: 16, at:0x7c00){", "asm  {"])
        let instructions = [
            "mov   eax,  40", "syscall", "db \"a  {b;\", 'c', 0", "push 0;popfq ;int3", "mov esi, \\(1+2)", "hlt",
            "times 4  nop", "lea rax,[rdi + rsi]",
        ]
        if isOnOneLine {
            text += " \(pick(instructions)) }"
            return
        }
        for index in 0..<Int.random(in: 0...5, using: &random) {
            text += pick(["\n", "\n    ", "\n\n\n  ", "\n\t"])
            if chance(0.3) { text += pick(["start:", "l\(index): ", "longLabel\(index):   "]) }
            if chance(0.8) { text += pick(instructions) }
            if chance(0.3) { text += pick([" // remark", "     //far", "// { not code"]) }
        }
        text += pick(["\n}", "\n\n  }"])
    }
}
