import Testing
import VScript
import _SeededNumbers

@Suite("Values")
struct ValueTests {
    /// An expression and its value as the language's description defines it.
    static let integers = [
        ("1 + 2 * 3", "7"), ("7 / 2", "3"), ("-7 / 2", "-3"), ("-7 % 3", "-1"),
        ("0xFFFF_FFFF_FFFF_FFFF", "18446744073709551615"),
        ("-9223372036854775808", "-9223372036854775808"), ("9223372036854775807 + 1", "9223372036854775808"),
        ("0 - 9223372036854775808", "-9223372036854775808"), ("~0", "18446744073709551615"), ("-1 & 0xFF", "255"),
        ("-1 | 0", "18446744073709551615"), ("5 ^ 3", "6"), ("-1 >> 60", "15"), ("1 << 63", "9223372036854775808"),
        ("-1 << 4", "-16"), ("1 &<< 64", "0"), ("3 &<< 63", "9223372036854775808"), ("1 >> 64", "0"),
        ("0xFFFF_FFFF_FFFF_FFFF &+ 2", "1"), ("0 &- 1", "18446744073709551615"),
        ("0xFFFF_FFFF_FFFF_FFFF &* 0xFFFF_FFFF_FFFF_FFFF", "1"), ("0x200 & 0x200 == 0x200", "true"),
        ("(0 &- 1).signed", "-1"), ("0xFFFF_FFFF.sext(32)", "-1"), ("0x7FFF_FFFF.sext(32)", "2147483647"),
        ("0xABCD.bits(4...11)", "188"), ("0xABCD.bits(0..<64)", "43981"), ("5.bit(2)", "true"), ("5.bit(1)", "false"),
        ("0x1234.bytes(2)", "hex\"34 12\""), ("4 MiB / 1 KiB", "4096"), ("'A'", "65"), ("2 GHz", "2000000000"),
        ("1 == 1.0", "true"), ("18446744073709551615 == 18446744073709551616.0", "false"), ("1 + 0.5", "1.5"),
    ]

    @Test("ints are exact, bit operators work on 64-bit patterns", arguments: integers)
    func arithmetic(source: String, expected: String) throws {
        #expect(try result(source) == expected)
    }

    @Test(
        "what no int can hold is an error",
        arguments: [
            "0xFFFF_FFFF_FFFF_FFFF + 1", "0 - 9223372036854775809", "0x1_0000_0000 * 0x1_0000_0000", "1 << 64",
            "3 << 63",
            "-9223372036854775808 * 3", "0xFFFF_FFFF_FFFF_FFFF * 0xFFFF_FFFF_FFFF_FFFF * 1", "-(0xFFFF_FFFF_FFFF_FFFF)",
            "-9223372036854775808 / -1 * 0 + -9223372036854775808 - 1",
        ])
    func overflow(source: String) {
        #expect(failure(source)?.code == "V0401")
    }

    @Test("sums, differences and products agree with 128-bit arithmetic")
    func integerProperties() throws {
        var numbers = SeededNumbers(1)
        func next() -> Int128 {
            let wide = Int128(numbers.next() >> UInt64(numbers.below(64)))
            return numbers.chance(1, in: 2) ? wide : max(-wide, Value.integers.lowerBound)
        }
        for _ in 0..<300 {
            let (left, right) = (next(), next())
            for (symbol, exact) in [("+", left + right), ("-", left - right)] {
                let source = "(\(left)) \(symbol) (\(right))"
                if Value.integers.contains(exact) {
                    #expect(try result(source) == String(exact))
                } else {
                    #expect(failure(source)?.code == "V0401")
                }
            }
            let (product, overflow) = left.multipliedReportingOverflow(by: right)
            let source = "(\(left)) * (\(right))"
            if !overflow, Value.integers.contains(product) {
                #expect(try result(source) == String(product))
            } else {
                #expect(failure(source)?.code == "V0401")
            }
        }
    }

    static let durations = [
        ("1.5 ms", "1.5 ms"), ("1 s + 500 ms", "1.5 s"), ("90 s", "90 s"), ("3 ms * 2", "6 ms"), ("1 s / 4", "250 ms"),
        ("1 s / 250 ms", "4.0"), ("1 s % 300 ms", "100 ms"), ("1 s > 999 ms", "true"), ("-(1 us)", "-1 us"),
        ("0 ns", "0 ns"), ("2 min", "120 s"), ("1500 ms.seconds", "1.5"), ("1 us.nanoseconds", "1000"),
        ("1 s == 1", "false"),
    ]

    @Test("durations count nanoseconds", arguments: durations)
    func duration(source: String, expected: String) throws {
        #expect(try result(source) == expected)
    }

    /// An expression and the text of its value; the formats' results are Python's.
    static let texts = [
        (#""\(255:#x) \(255:08b) \(1234567:,)""#, "0xff 11111111 1,234,567"),
        (#""\(3.14159:.2f)|\(2:5d)|\(2:<5d)|""#, "3.14|    2|2    |"),
        (#""\(-5:+d) \(5:+d) \(5: d)""#, "-5 +5  5"), (#""\(0xFFFF800000001000:#018x)""#, "0xffff800000001000"),
        (#""\(33:#018x)""#, "0x0000000000000021"), (#""\("ab":*^6)|\("ab":>4)|\("abcdef":.3)""#, "**ab**|  ab|abc"),
        (#""\(12345.678:e) \(0.00001:g) \(1e20:g) \(0.5:%)""#, "1.234568e+04 1e-05 1e+20 50.000000%"),
        (#""\(2.5:.0f) \(3.5:.0f) \(0.125:.2f) \(1e22:.0f)""#, "2 4 0.12 10000000000000000000000"),
        (#""\(1234567.891:,.2f) \(65:c) \(0xABCDEF12:_x) \(1.0:g)""#, "1,234,567.89 A abcd_ef12 1"),
        (#""\(1500 ms:.2f) \(-1:#06x) \(0.0:e)""#, "1.50 -0x001 0.000000e+00"),
        (#""\([1, "a", .b, 2 s, nil, true])""#, #"[1, "a", .b, 2 s, nil, true]"#),
        (#""\([a: 1, "b c": [:]])""#, #"[a: 1, "b c": [:]]"#),
        (#""\("x") \(.vmx) \(hex"90 CC") \(1...3)""#, "x .vmx hex\"90 cc\" 1..<4"),
    ]

    @Test("interpolation and formats", arguments: texts)
    func formats(source: String, expected: String) throws {
        #expect(try printed("print(\(source))") == expected + "\n")
    }

    @Test("a collection inside itself can be printed and compared")
    func cycles() throws {
        #expect(try printed("let a = []\na.append(a)\nprint(\"\\(a)\".count < 100, a == a)") == "true true\n")
        #expect(try result("let a = []\nlet b = []\na.append(a)\nb.append(b)\na == b") == "true")
        let doubling = "var a = [1]\nvar b = [1]\nfor i in 0..<40 { a = [a, a]; b = [b, b] }\n"
        #expect(try result(doubling + "\"\\(a)\".count < 3 * 1 MiB") == "true")
    }

    static let expressions = [
        ("\"abc\".count + \"é\".count", "4"), ("\"a,b,,c\".split(\",\")", #"["a", "b", "", "c"]"#),
        ("\"  a b \".split()", #"["a", "b"]"#),
        ("\"abc\"[1]", "\"b\""), ("\"abc\"[0..<2]", "\"ab\""), ("\" x\\n\".trimmed", "\"x\""),
        ("\"a\\nb\\n\".lines.count", "2"),
        ("\"abc\".hasPrefix(\"ab\") && !\"abc\".hasSuffix(\"b\")", "true"), ("\"abcb\".indexOf(\"b\")", "1"),
        ("\"a-b\".replace(\"-\", by: \"+\")", "\"a+b\""), ("\"b\" in \"abc\"", "true"), ("\"é\".bytes", "hex\"c3 a9\""),
        ("[3, 1, 2].sorted()", "[1, 2, 3]"), ("[1, 2, 3].map(fn(x) { x * x }).sum", "14"),
        ("[1, 2, 3, 4].filter(fn(x) { x % 2 == 0 })", "[2, 4]"),
        ("[1, 2, 3].reduce(0, fn(a, b) { a + b })", "6"),
        ("[\"bb\", \"a\"].sorted(by: fn(s) { s.count }).join(\"-\")", "\"a-bb\""),
        ("[1, 2][0..<1] + [5]", "[1, 5]"), ("[1, [2]] == [1, [2]]", "true"), ("2 in [1, 2]", "true"),
        ("[].first", "nil"), ("[4, 9, 2].max", "9"),
        ("let m = [a: 1, b: 2]; m[\"c\"] ?? m.b", "2"), ("[a: 1].has(\"a\") && \"a\" in [a: 1]", "true"),
        ("[b: 1, a: 2].keys", #"["b", "a"]"#),
        ("let m = [:]; m[3] = 4; m.x = 5; m.remove(3) ?? 0; m", "[x: 5]"), ("[(1.0): 2][1]", "2"),
        ("[a: 1, b: 2] == [b: 2, a: 1]", "true"),
        ("(0 ..+ 3).list()", "[0, 1, 2]"), ("(1...4).count", "4"), ("5 in 1...4", "false"),
        ("hex\"01 02 03 04\".u16(1)", "770"),
        ("hex\"01\" + bytes(\"A\")", "hex\"01 41\""), ("hex\"48 69\".text", "\"Hi\""),
        ("int(\"0x1F\") + int(\"-1_0\") + int(2.9)", "23"),
        ("float(\"2.5\") + 1", "3.5"), ("string(1) + type([])", "\"1list\""), ("min(3, 1, 2) + max(3, 1, 2)", "4"),
        ("symbol(\"GP\") == .GP", "true"),
        ("2.5.rounded + 2.4.ceil + (-2.5).floor", "3"),
        (#"re"^6\.\d+".matches("6.1.0-9")"#, "true"),
        (#"re"(\w+)@(\w+)".find("a bob@host b")"#, #"["bob@host", "bob", "host"]"#),
        (#"re"[0-9]+".findAll("a1b22c333")"#, #"["1", "22", "333"]"#),
        (#"match "x12" { case re"^\w\d+$" => 1; else => 2 }"#, "1"),
    ]

    @Test("members and operators of collections", arguments: expressions)
    func members(source: String, expected: String) throws {
        #expect(try result(source) == expected)
    }
}

@Suite("Regular expressions")
struct RegularExpressionTests {
    /// Pattern, text and the first match (RE2's and Perl's), nil if there is none.
    static let cases: [(String, String, String?)] = [
        ("a|ab", "ab", "a"), ("ab|a", "ab", "ab"), ("a*", "aaa", "aaa"), ("a*?", "aaa", ""), ("a+?b", "aab", "aab"),
        ("(a|b)*c", "xababcx", "ababc"), ("^b", "ab", nil), ("b$", "ab", "b"), ("a{2,3}", "aaaa", "aaa"),
        ("a{2}", "a", nil),
        ("a{2,}", "aaaa", "aaaa"), ("a{,2}", "a{,2}", "a{,2}"), ("[^a-c]+", "abcxyz", "xyz"), ("[]a]+", "]a", "]a"),
        ("[a-]+", "a-b", "a-"),
        ("\\bfoo\\b", "a foo b", "foo"), ("\\bfoo\\b", "afoob", nil), ("\\S+", " ab ", "ab"),
        ("[\\d.]+", "v6.1", "6.1"), ("", "abc", ""),
        (".", "\n", nil), ("(?:ab)+", "ababa", "abab"), ("x*", "aaa", ""), ("(a*)*b", "aab", "aab"),
        ("é.", "aéb", "éb"), ("\\x41", "A", "A"),
        ("[^\\D]+", "a12", "12"),
    ]

    @Test("patterns match as RE2's do", arguments: cases)
    func match(pattern: String, text: String, expected: String?) throws {
        let scalars = Array(text.unicodeScalars)
        let range = try RegularExpression(pattern).firstMatch(in: scalars.map(\.value))?.first ?? nil
        #expect(range.map { String(String.UnicodeScalarView(scalars[$0])) } == expected)
    }

    @Test(
        "malformed patterns are refused",
        arguments: ["(", ")", "[a", "*a", "a\\", "a{3,2}", "a{9999}", "(?=a)", "\\q", "((a{900}){900})", "[b-a]"])
    func malformed(pattern: String) {
        #expect(throws: HostFailure.self) { try RegularExpression(pattern) }
    }

    @Test("no pattern runs away", .timeLimit(.minutes(5)))
    func linear() throws {
        let text = [UInt32](repeating: 97, count: 20_000)
        #expect(try RegularExpression("(a*)*(a|aa)+$b").firstMatch(in: text) == nil)
    }

    @Test("a scanner that is fed a text finds where matches end")
    func scanner() throws {
        var numbers = SeededNumbers(3)
        func next(_ count: Int) -> Int { numbers.below(count) }
        let patterns = ["ab", "a+b?", "(a|b)c", "[ab]{2}c", "a.c", "b*a", "(?:ab)+", "c$", "(a|ab)(c|bcd)"]
        for pattern in patterns {
            let regex = try RegularExpression(pattern)
            let anchored = try RegularExpression("^(?:\(pattern))$")
            for _ in 0..<40 {
                let text = (0..<12).map { _ in UInt32(97 + next(4)) }
                var scanner = regex.scanner()
                for end in 1...text.count {
                    let expected = (0..<end).contains { anchored.firstMatch(in: Array(text[$0..<end])) != nil }
                    #expect(scanner.feed(text[end - 1]) == expected)
                }
            }
        }
    }

    @Test("collections are compared to their ends, however deep they are and also if they hold themselves")
    func deepEquality() throws {
        let chains = "var a = nil\nvar b = nil\nfor i in 0..<100_000 { a = [next: a]; b = [next: b] }\n"
        #expect(try result(chains + "a == b") == "true")
        #expect(try result(chains + "a == [next: b]") == "false")
        #expect(try result(chains + "[b] == [a] && b in [1, a]") == "true")
        let rings = "let a = [1]\na.append(a)\nlet b = [1]\nb.append([1, b])\nlet c = [1]\nc.append([2, c])\n"
        #expect(try result(rings + "[a == b, b == a, a == c, b == c]") == "[true, true, false, false]")
        let shared =
            "var a = [1]\nvar b = [1]\nvar c = [2]\nfor i in 0..<1_000 { a = [a, a]; b = [b, b]; c = [c, c] }\n"
        #expect(try result(shared + "[a == b, a == c]") == "[true, false]")
    }

    @Test("code points are found in texts of any mixture, forwards and backwards")
    func codePointPositions() throws {
        let parts = ["a", "é", "∀", "𝄞", "\u{7F}", "\u{80}", "z"]
        var text = ""
        for index in 0..<200 { text += parts[(index * index + index / 3) % parts.count] }
        let scalars = Array(text.unicodeScalars)
        let source = "let t = \(ScriptText(text))\n"
        let forwards = try value(source + "(0..<t.count).map(fn(i) { t[i] })")
        #expect(forwards.text == "[" + scalars.map { ScriptText(String($0)).description }.joined(separator: ", ") + "]")
        let backwards = try value(source + "(0..<t.count).map(fn(i) { t[t.count - 1 - i..<t.count] }).join(\"|\")")
        let expected = scalars.indices.map { index in
            scalars[(scalars.count - 1 - index)...].reduce(into: "") { $0.unicodeScalars.append($1) }
        }
        #expect(backwards.text == expected.joined(separator: "|"))
    }
}

/// A text as a script writes it.
private struct ScriptText: CustomStringConvertible {
    let text: String
    init(_ text: String) { self.text = text }
    var description: String {
        "\"" + text.unicodeScalars.map { $0.value == 0x7F ? "\\u{7f}" : String($0) }.joined() + "\""
    }
}
