import Testing
import VScript
import VScriptSyntax

/// What a script's first line says: `// expect error: V0214 at 4:10, fixed, hint: write `&&``.
private struct Expectation {
    let code: String
    let place: String
    let isFixed: Bool
    let hint: String

    init?(_ source: String) {
        guard let match = source.prefixMatch(of: /\/\/ expect error: (V\d{4}) at (\d+:\d+)(, fixed)?, hint: (.+)\n/)
        else { return nil }
        (code, place, hint) = (String(match.1), String(match.2), String(match.4))
        isFixed = match.3 != nil
    }
}

/// All errors of a script: those found before it runs, or the one that ends it.
private func errors(_ source: String) -> [Diagnostic] {
    do {
        let session = Session(limits: Limits(fuel: 100_000), files: .all)
        session.output = { _ in }
        try session.run(Program(source, named: "test.vscript"))
        return []
    } catch let error as CompilationError {
        return error.diagnostics.filter { $0.severity == .error }
    } catch let error as ScriptError {
        return [error.diagnostic]
    } catch {
        Issue.record("unexpected \(error)")
        return []
    }
}

@Suite("Typical mistakes")
struct MistakeTests {
    @Test(
        "a script with one mistake gets one error, at its place and with a hint", arguments: fixtureScripts("Mistakes"))
    func mistake(name: String) throws {
        let source = try fixture("Mistakes/\(name)")
        let expected = try #require(Expectation(source))
        let found = errors(source)
        try #require(found.map(\.code) == [expected.code])
        let place = try #require(found[0].span?.startPosition)
        #expect("\(place.line):\(place.column)" == expected.place)
        #expect(found[0].rendered().contains(expected.hint))
        #expect(found[0].fixes.contains(where: \.isSafe) == expected.isFixed)
        if expected.isFixed {
            let fixed = Diagnostic.fixing(SourceFile(source, named: "test.vscript")).text
            #expect(errors(fixed).map(\.code) == [], "\(fixed)")
        }
    }

    @Test("there are mistakes of newcomers and of users of C and Lua")
    func origins() {
        for origin in ["new", "c", "lua"] {
            #expect(fixtureScripts("Mistakes").filter { $0.hasPrefix("\(origin)-") }.count >= 10)
        }
    }
}
