import Testing
import VScriptSyntax

@Suite("Literals")
struct LiteralTests {
    /// The expression a text consists of.
    private func expression(_ source: String) throws -> ExpressionSyntax {
        let tree = tree(source)
        #expect(tree.diagnostics.map(\.code) == [])
        guard case .expression(let value) = try #require(tree.program.statements.first) else { throw NotAnExpression() }
        return value
    }

    private func number(_ source: String) throws -> NumberValue? {
        guard case .number(let number) = try expression(source) else { throw NotAnExpression() }
        return number.value
    }

    private func text(_ source: String) throws -> String? {
        guard case .string(let string) = try expression(source) else { throw NotAnExpression() }
        return string.plainText
    }

    struct NotAnExpression: Error {}

    @Test("numbers have exact values")
    func numbers() throws {
        #expect(try number("1_000_000") == .integer(1_000_000))
        #expect(try number("0xFFFF_FFFF_FFFF_FFFF") == .integer(.max))
        #expect(try number("0b1010") == .integer(10))
        #expect(try number("0o17") == .integer(15))
        #expect(try number("1.5") == .float(1.5))
        #expect(try number("2e9") == .float(2e9))
        #expect(try number("18446744073709551615") == .integer(.max))
        #expect(codes("18446744073709551616") == ["V0110"])
        #expect(codes("0x1_0000_0000_0000_0000") == ["V0110"])
    }

    @Test("units scale numbers exactly, with or without one space")
    func units() throws {
        #expect(try number("4 KiB") == .integer(4_096))
        #expect(try number("4KiB") == .integer(4_096))
        #expect(try number("1.5 GiB") == .integer(1_610_612_736))
        #expect(try number("2GHz") == .integer(2_000_000_000))
        #expect(try number("2e3 Hz") == .integer(2_000))
        #expect(try number("10 us") == .duration(10_000))
        #expect(try number("0.5 ms") == .duration(500_000))
        #expect(try number("1 h") == .duration(3_600_000_000_000))
        #expect(codes("0.3 B") == ["V0110"])
        #expect(codes("20000000 TiB") == ["V0110"])
        #expect(codes("3000000 h") == ["V0110"])
        #expect(tree("a = 4 min(x)").diagnostics.count == 1)
        #expect(codes("let x = 4 MIB") == ["V0109"])
    }

    @Test("characters are code points")
    func characters() throws {
        for (source, value) in [("'A'", 65), ("'\\n'", 10), ("'\\''", 39), ("'é'", 0xE9), ("'\\u{1F600}'", 0x1F600)] {
            guard case .character(let character) = try expression(source) else { throw NotAnExpression() }
            #expect(character.codePoint == UInt32(value))
        }
        #expect(codes("''") == ["V0111"])
        #expect(codes("'a") == ["V0111"])
        #expect(codes("'\\q'") == ["V0111"])
    }

    @Test("escapes in strings")
    func escapes() throws {
        #expect(try text(#""a\tb\n\r\0\\\"\'\u{1F600}""#) == "a\tb\n\r\0\\\"'😀")
        #expect(codes(#""\q""#) == ["V0112"])
        #expect(codes(#""\u{110000}""#) == ["V0112"])
        #expect(codes(#""\u1234""#) == ["V0112"])
    }

    @Test("multi-line strings lose the indentation of the closing quotes")
    func multiline() throws {
        #expect(try text("\"\"\"\n  a\n    b\n\n  c\n  \"\"\"") == "a\n  b\n\nc")
        #expect(try text("\"\"\"\n\"\"\"") == "")
        #expect(try text("\"\"\"\n\n\"\"\"") == "")
        #expect(try text("\"\"\"\n\n\n\"\"\"") == "\n")
        #expect(try text("\"\"\"\n  a \\\n  b\n  \"\"\"") == "a b")
        #expect(try text("\"\"\"\r\n  a\r\n  b\r\n  \"\"\"") == "a\nb")
        #expect(try text("\"\"\"\n  say \"hi\"\n  \"\"\"") == "say \"hi\"")
        #expect(codes("\"\"\"a\"\"\"") == ["V0113"])
        #expect(codes("\"\"\"\n a\n  \"\"\"") == ["V0113"])
        #expect(codes("\"\"\"\n  a\"\"\"") == ["V0113"])
    }

    @Test("interpolations hold expressions and formats")
    func interpolation() throws {
        let source = #""a \(f("x, \(y)")) b \([k: 1].k:>8,.2f) \(m["q"])""#
        guard case .string(let string) = try expression(source) else { throw NotAnExpression() }
        let interpolations: [InterpolationSyntax] = string.segments.compactMap {
            if case .interpolation(let view) = $0 { view } else { nil }
        }
        #expect(interpolations.map(\.value.span.text) == [#"f("x, \(y)")"#, "[k: 1].k", #"m["q"]"#])
        let format = try #require(interpolations[1].format)
        #expect(format.alignment == .right)
        #expect((format.width, format.grouping, format.precision, format.notation) == (8, ",", 2, .fixed))
        #expect(interpolations[0].format == nil)
    }

    @Test("formats are Python's")
    func formats() throws {
        let padded = try #require(FormatSpecification("#018x"))
        #expect(padded.alternate && padded.fill == "0" && padded.alignment == .afterSign && padded.width == 18)
        #expect(padded.notation == .hexadecimal)
        let filled = try #require(FormatSpecification("*^+20_d"))
        #expect(filled.fill == "*" && filled.alignment == .center && filled.sign == .always && filled.grouping == "_")
        #expect(FormatSpecification("") == FormatSpecification())
        for wrong in ["hex", "5.", "x#", "99999", ".1000f"] { #expect(FormatSpecification(wrong) == nil) }
    }

    @Test("bytes and patterns")
    func bytesAndPatterns() throws {
        guard case .bytes(let bytes) = try expression("hex\"90 90CC\"") else { throw NotAnExpression() }
        #expect(bytes.value == [0x90, 0x90, 0xCC])
        guard case .regex(let regex) = try expression(#"re"^6\.\d+""#) else { throw NotAnExpression() }
        #expect(regex.pattern == #"^6\.\d+"#)
        #expect(codes("hex\"9\"") == ["V0114"])
    }

    @Test("asm holds raw text and splices")
    func assembly() throws {
        let source = "asm(bits: 16) { mov al, '}' // }\n db \"}\\(n)\" ; {x}\n mov esi, \\(a.count) }"
        guard case .assembly(let assembly) = try expression(source) else { throw NotAnExpression() }
        #expect(assembly.arguments.map(\.span.text) == ["bits: 16"])
        let parts = assembly.segments.map { segment in
            switch segment {
            case .text(let span): span.text
            case .splice(let splice): "<\(splice.value.span.text)>"
            }
        }
        #expect(parts == [" mov al, '}' // }\n db \"}", "<n>", "\" ; {x}\n mov esi, ", "<a.count>", " "])
        #expect(codes("x.asm { }") == ["V0203"])
        #expect(codes("let m = [asm: 1]; m.asm") == [])
    }
}
