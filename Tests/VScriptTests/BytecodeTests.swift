import Testing
import VScript
import _LanguageFuzz
import _SeededNumbers

extension SeededNumbers {
    /// An int of the language, more often near the ends of its ranges.
    mutating func int() -> Int128 {
        let corners: [Int128] = [
            0, 1, -1, 2, 7, 63, 64, 0x7FFF, 0x8000, Int128(Int32.max), Int128(Int32.min), Int128(Int64.max),
            Int128(Int64.max) + 1, Int128(Int64.min), Int128(UInt64.max), Int128(UInt64.max) - 1,
        ]
        switch below(3) {
        case 0: return pick(corners)
        case 1: return Int128(next() >> UInt64(below(64)))
        default: return max(-Int128(next() >> UInt64(below(64))), Int128(Int64.min))
        }
    }
}

@Suite("Bytecode and its machine")
struct BytecodeTests {
    private static let integers = Int128(Int64.min)...Int128(UInt64.max)

    /// What an operator gives by arithmetic of more than 64 bits; nil if no int holds it.
    private static func oracle(_ operation: String, _ left: Int128, _ right: Int128) -> String? {
        let (first, second) = (UInt64(truncatingIfNeeded: left), UInt64(truncatingIfNeeded: right))
        func exact(_ value: Int128, _ overflow: Bool = false) -> String? {
            !overflow && integers.contains(value) ? String(value) : nil
        }
        switch operation {
        case "+": return exact(left + right)
        case "-": return exact(left - right)
        case "*":
            let (product, overflow) = left.multipliedReportingOverflow(by: right)
            return exact(product, overflow)
        case "/": return right == 0 ? nil : exact(left / right)
        case "%": return right == 0 ? nil : exact(left % right)
        case "&": return String(first & second)
        case "|": return String(first | second)
        case "^": return String(first ^ second)
        case "&+": return String(first &+ second)
        case "&-": return String(first &- second)
        case "&*": return String(first &* second)
        case "<<":
            if right < 0 { return nil }
            if left == 0 { return "0" }
            return right > 63 ? nil : exact(left << right)
        case ">>": return right < 0 ? nil : right > 63 ? "0" : String(first >> UInt64(right))
        case "&<<": return right < 0 ? nil : right > 63 ? "0" : String(first << UInt64(right))
        case "<": return String(left < right)
        case "<=": return String(left <= right)
        case ">": return String(left > right)
        case ">=": return String(left >= right)
        case "==": return String(left == right)
        default: return String(left != right)
        }
    }

    private static let operators = [
        "+", "-", "*", "/", "%", "&", "|", "^", "&+", "&-", "&*", "<<", ">>", "&<<", "<", "<=", ">", ">=", "==", "!=",
    ]

    @Test("operators on ints agree with wider arithmetic, in registers, with constants and in conditions")
    func integers() throws {
        var numbers = SeededNumbers(7)
        for operation in Self.operators {
            let pairs = (0..<60).map { _ in
                let shift = operation.hasSuffix("<<") || operation.hasSuffix(">>")
                return (numbers.int(), shift && numbers.below(4) > 0 ? Int128(numbers.below(70)) : numbers.int())
            }
            let isComparison = Self.oracle(operation, 1, 2) == "true" || Self.oracle(operation, 1, 2) == "false"
            // With both operands in variables, and with the right one in the instruction if it fits.
            let lines = pairs.flatMap { left, right in
                [
                    "out.append(try { a[\(left)](\(right)) } catch e { e.code })",
                    "out.append(try { let x = \(left); x \(operation) \(right) } catch e { e.code })",
                    isComparison
                        ? "out.append(try { let x = \(left); if x \(operation) \(right) { true } else { false } } catch e { e.code })"
                        : "",
                ]
            }
            let makers = Set(pairs.map(\.0)).map { "a[\($0)] = fn(y) { let x = \($0); x \(operation) y }" }
            let source = (["let a = [:]", "let out = []"] + makers + lines + ["out"]).joined(separator: "\n")
            guard case .list(let results) = try value(source) else {
                Issue.record("no list for \(operation)")
                continue
            }
            let expected = pairs.flatMap { left, right -> [String] in
                let result = Self.oracle(operation, left, right) ?? "error"
                return [result, result] + (isComparison ? [result] : [])
            }
            let found = results.items.map { item -> String in
                if case .string(let code) = item { return code.hasPrefix("V04") ? "error" : code }
                return item.source()
            }
            #expect(found == expected, "\(operation)")
        }
    }

    @Test("loops run over ranges up to the ends of the ints")
    func rangeEnds() throws {
        #expect(
            try result("let out = []\nfor i in 0xFFFF_FFFF_FFFF_FFFE...0xFFFF_FFFF_FFFF_FFFF { out.append(i) }\nout")
                == "[18446744073709551614, 18446744073709551615]")
        #expect(
            try result("let out = []\nfor i in 0x7FFF_FFFF_FFFF_FFFF ..+ 2 { out.append(i) }\nout")
                == "[9223372036854775807, 9223372036854775808]")
        #expect(
            try result("let out = []\nfor i in -9223372036854775808 ..+ 2 { out.append(i) }\nout")
                == "[-9223372036854775808, -9223372036854775807]")
        #expect(try result("var n = 0\nfor i in 5..<5 { n += 1 }\nfor i in 5...5 { n += 10 }\nn") == "10")
        #expect(failure("for i in 3..<2 { }")?.code == "V0404")
        #expect(failure("for i in 1..<\"a\" { }")?.code == "V0403")
    }

    static let programs = [
        "fn fib(n) { if n < 2 { n } else { fib(n - 1) + fib(n - 2) } }\nfib(9)",
        "let m = [a: 1, b: [1, 2, 3]]\nm.c = \"x\\(m.a)\"\nm[\"d\"] = m.b.map(fn(x) { x * 2 })\nfor k, v in m { m.a += 1 }\nm",
        "var s = \"\"\nfor i in 0..<20 { s += \"\\(i:04x) \" }\ns.split(\" \").filter(fn(t) { t != \"\" }).sorted().join(\"-\")",
        "fn make() { var n = 0; fn() { n += 1; n } }\nlet f = make()\nf(); f()\n[f(), try { throw [a: 1] } catch e { e.a }]",
        "let out = []\nfor i, c in \"héllo\" { out.append(match c { case \"l\" => i; case re\"[a-h]\" => -1; else => c }) }\nout",
        "try { [1, 2][5] } catch e { e.message } + (nil ?? \"!\")",
        "let x = 3\nexpect x == 3 && [x].count == 1\nfn d(a, b = a * 2) { a + b }\n[d(1), d(b: 1, a: 2)]",
        "var i = 0\nwhile i < 10 && i != 7 { i += 1; if i == 3 { continue } }\n[i, hex\"01 02\" + bytes(\"A\"), 1 s * 3, .sym]",
    ]

    @Test("values survive when every allocation collects", arguments: programs + LanguageTests.scripts.map(\.0))
    func stress(source: String) throws {
        let expected = try result(source)
        let session = Session()
        session.output = { _ in }
        session.collectsAlways = true
        #expect(try session.evaluate(Program(source, named: "test.vscript")).source() == expected)
    }

    @Test(
        "members and formats survive when every allocation collects",
        arguments: ValueTests.expressions + ValueTests.texts)
    func stressMembers(source: String, expected: String) throws {
        let session = Session()
        session.output = { _ in }
        session.collectsAlways = true
        let value = try session.evaluate(Program(source, named: "test.vscript"))
        #expect(value.source() == expected || value.text == expected)
    }

    @Test("compiled programs are verified", arguments: programs + LanguageTests.scripts.map(\.0))
    func verified(source: String) throws { #expect(try Program(source).isVerified) }

    @Test("mutated bytecode is refused or runs to an end", arguments: 0..<8)
    func mutations(seed: UInt64) throws {
        var numbers = SeededNumbers(seed)
        let programs = try Self.programs.map { try Program($0, named: "test.vscript") }
        var refused = 0
        var ran = 0
        for _ in 0..<400 {
            let program = LanguageFuzz.mutated(numbers.pick(programs), by: &numbers)
            guard program.isVerified else {
                refused += 1
                continue
            }
            ran += 1
            let session = Session(limits: Limits(fuel: 20_000, heap: 4 << 20, depth: 60))
            session.output = { _ in }
            session.collectsAlways = numbers.chance(1, in: 4)
            _ = try? session.run(program)
        }
        #expect(refused > 0 && ran > 0)
    }

    @Test("a map keeps its order through additions and removals, whatever its keys are")
    func maps() throws {
        var numbers = SeededNumbers(3)
        var keys: [String] = []
        var lines = ["let m = [:]"]
        for step in 0..<400 {
            let key = ["\"k\(numbers.below(40))\"", "\(numbers.below(40))", ".s\(numbers.below(9))"][numbers.below(3)]
            if numbers.below(3) == 0 {
                lines.append("m.remove(\(key))")
                keys.removeAll { $0 == key }
            } else {
                lines.append("m[\(key)] = \(step)")
                if !keys.contains(key) { keys.append(key) }
            }
        }
        #expect(try result((lines + ["m.keys"]).joined(separator: "\n")) == "[\(keys.joined(separator: ", "))]")
        #expect(
            try result("let m = [:]\nfor i in 0..<5000 { m[i] = i }\nfor i in 0..<4990 { m.remove(i) }\nm.keys.sum")
                == "49945")
    }

    @Test("members of maps made alike are found wherever they stand")
    func shapes() throws {
        let source = """
            fn get(m) { m.x }
            fn set(m) { m.x = 9; m.y = 8; m }
            let a = [x: 1, y: 2]
            let b = [y: 3, x: 4]
            let c = [:]
            c["x"] = 5
            let d = [f: fn(k) { k + 1 }, x: 6]
            [get(a), get(b), get(c), get(d), get(a), d.f(1), set([:]), set(b), set(c), [x: 1] == set([y: 0])]
            """
        #expect(
            try result(source)
                == "[1, 4, 5, 6, 1, 2, [x: 9, y: 8], [y: 8, x: 9], [x: 9, y: 8], false]")
    }
}
