import Foundation
import Testing
import VScript

@Suite("Limits")
struct LimitTests {
    /// Scripts without an end, and the limit each runs into.
    static let endless = [
        ("while true { }", "V0902"), ("fn f() { f() }\nf()", "V0901"),
        ("let a = []\nwhile true { a.append(\"text \\(a.count)\") }", "V0904"),
        ("var s = \"x\"\nwhile true { s += s }", "V0904"),
        ("let m = [:]\nvar i = 0\nwhile true { m[\"key \\(i)\"] = i; i += 1 }", "V0904"),
        ("var f = nil\nwhile true { let g = f; f = fn() { g } }", "V0904"),
        ("let a = [1]\nwhile true { a.append(a + a) }", "V0904"), ("\"a\".repeated(1_000_000).repeated(60)", "V0902"),
        ("var n = 0\nwhile true { n = symbol(\"s\\(n)\").name.count + n }", "V0904"),
        ("[1, 2, 3].map(fn(x) { while true { } })", "V0902"),
        ("let f = [nil]\nf[0] = fn() { [1].each(f[0]) }\nf[0]()", "V0307"),
        ("let f = [nil]\nf[0] = fn(x) { [1].each(f[0]) }\nf[0](1)", "V0901"),
        ("try { while true { } } catch e { 1 }", "V0902"), ("while true { try { throw 1 } catch e { } }", "V0902"),
    ]

    private let limits = Limits(fuel: 300_000, heap: 2 << 20, depth: 200)

    @Test("a script over a limit stops at the same place every time, and its session goes on", arguments: endless)
    func deterministic(source: String, code: String) throws {
        var reports: [String] = []
        var spent: [UInt64] = []
        for _ in 0..<3 {
            let session = Session(limits: limits)
            let error = try #require(throws: ScriptError.self) { try session.run(Program(source, named: "test")) }
            #expect(error.diagnostic.code == code)
            reports.append(error.diagnostic.rendered())
            spent.append(session.fuelSpent)
            #expect(session.heapUse <= limits.heap)
            if code != "V0902" { #expect(try session.run(Program("1 + 1")) == 2) }
        }
        #expect(Set(reports).count == 1 && Set(spent).count == 1)
    }

    @Test("hitting a limit names the amount and the knob, cannot be caught, and ends with exit code 3")
    func report() throws {
        for (source, knob) in [
            ("while true { }", "Limits.fuel"), ("fn f() { f() }\nf()", "Limits.depth"),
            ("let a = []\nwhile true { a.append(a + [1]) }", "Limits.heap"),
        ] {
            let caught = "try { \(source) } catch e { 1 }"
            let error = try #require(throws: ScriptError.self) { try Session(limits: limits).run(Program(caught)) }
            #expect(error.exitCode == .limit)
            #expect(error.diagnostic.notes.contains { $0.contains(knob) })
            #expect(error.diagnostic.span != nil)
        }
    }

    @Test("fuel counts calls and turns: so many more turns cost so much more")
    func fuelCounts() throws {
        func spent(_ source: String) throws -> UInt64 {
            let session = Session()
            try session.run(Program(source))
            return session.fuelSpent
        }
        #expect(try spent("for i in 0..<200 { }") - spent("for i in 0..<100 { }") == 100)
        #expect(try spent("var i = 0\nwhile i < 200 { i += 1 }") - spent("var i = 0\nwhile i < 100 { i += 1 }") == 100)
        #expect(try spent("fn f() { }\nf(); f(); f()") - spent("fn f() { }\nf()") == 2)
        #expect(try spent("\"a\".repeated(64_000)") - spent("\"a\".repeated(6_400)") >= 900)
    }

    @Test(
        "writing a collection is paid for, so that limits hold between long lines",
        arguments: ["print(a)", "\"\\(a)\""])
    func writingPays(statement: String) throws {
        let source = "var a = [1]\nfor i in 0..<40 { a = [a, a] }\nwhile true { \(statement) }"
        let session = Session(limits: Limits(fuel: 1_000_000))
        var written = 0
        session.output = { written += $0.utf8.count }
        let error = try #require(throws: ScriptError.self) { try session.run(Program(source, named: "test")) }
        #expect(error.diagnostic.code == "V0902")
        #expect(written <= 8 << 20)
    }

    /// Comparisons whose parts are shared or long: what they look at is more than the script's size.
    static let comparisons = [
        "var a = [\"x\".repeated(1_000_000)]\nvar b = [\"x\".repeated(1_000_000)]\n"
            + "for i in 0..<16 { a = a + a; b = b + b }\na == b",
        "var a = [1]\nvar b = [1]\nfor i in 0..<16 { a = a + a; b = b + b }\n"
            + "let many = [a, a, a, a].map(fn(x) { [x] })\nfor i in 0..<1_000_000 { [b] in many }",
    ]

    @Test("a comparison pays for all it looks at", arguments: comparisons)
    func comparisonPays(source: String) throws {
        var spent: [UInt64] = []
        for _ in 0..<2 {
            let session = Session(limits: Limits(fuel: 10_000_000, heap: 64 << 20))
            let error = try #require(throws: ScriptError.self) { try session.run(Program(source, named: "test")) }
            #expect(error.diagnostic.code == "V0902")
            spent.append(session.fuelSpent)
        }
        #expect(spent[0] == spent[1])
    }

    @Test("a text that stands in many places of a result takes its memory once")
    func sharedTexts() throws {
        let session = Session(limits: .untrusted)
        let value = try session.run(
            Program(
                "let s = \"x\".repeated(10_000_000)\nlet b = s.bytes\n"
                    + "(0..<10_000).map(fn(i) { [s, b] })"))
        // Copied for each place it would be 200 GB.
        #expect(value[9_999]?[0] == .string(String(repeating: "x", count: 10_000_000)))
        #expect(value[9_999]?[1] == .bytes([UInt8](repeating: 0x78, count: 10_000_000)))
    }

    @Test("a script gets a bounded number of reports, in time that grows with its length")
    func reports() {
        let source = (0..<50_000).map { "x\($0)\n" }.joined()
        let error = #expect(throws: CompilationError.self) { try Program(source) }
        #expect(error?.diagnostics.count == 200)
    }

    @Test("a script that runs for too long by the clock is stopped")
    func wallClock() throws {
        let session = Session(limits: Limits(wallClock: .milliseconds(20)))
        let error = try #require(throws: ScriptError.self) { try session.run(Program("while true { }")) }
        #expect(error.diagnostic.code == "V0905" && error.exitCode == .limit)
    }

    @Test("another thread stops a script")
    func interruption() throws {
        let session = Session()
        let signal = session.stopSignal
        Thread.detachNewThread { signal.set() }
        let error = try #require(throws: ScriptError.self) { try session.run(Program("while true { }")) }
        #expect(error.exitCode == .interrupted)
    }

    @Test("memory that a script no longer refers to is used again")
    func garbage() throws {
        let session = Session(limits: Limits(heap: 2 << 20))
        try session.run(Program("for i in 0..<20_000 { let a = [i, \"text \\(i)\", [x: i], fn() { i }] }"))
        session.collect()
        #expect(session.heapUse < 1 << 16)
    }

    @Test("sessions leave nothing behind")
    func manySessions() throws {
        let program = try Program(
            "fn f(n) { [n, \"\\(n)\", [a: n]] }\nlet all = []\nfor i in 0..<20 { all.append(f(i)) }\nall.count")
        func run(_ count: Int) throws {
            for _ in 0..<count { #expect(try Session(limits: .untrusted).run(program) == 20) }
        }
        let rounds = ProcessInfo.processInfo.environment["VSCRIPT_LONG_TESTS"] == nil ? 500 : 10_000
        try run(100)
        let before = residentPages()
        try run(rounds)
        // A session takes about 300 KiB while it runs.
        #expect(residentPages() < before + 2_048)
    }

    /// Pages of memory the process has, 0 where the system does not tell.
    private func residentPages() -> Int {
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        return text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    }

    @Test("sessions on several threads run the same program without meeting")
    func threads() async throws {
        let program = try Program(
            "let m = [:]\nfor i in 0..<500 { m[\"k\\(i)\"] = [i, .a, re\"x\", fn() { i }] }\nm.values.map(fn(v) { v[3]() }).sum"
        )
        let sums = try await withThrowingTaskGroup(of: Value.self) { group in
            for _ in 0..<8 { group.addTask { try Session(limits: .untrusted).run(program) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(sums == [Value](repeating: 124_750, count: 8))
    }

    @Test("files outside the granted directories are refused, also through symbolic links and ..")
    func files() throws {
        let manager = FileManager.default
        let root = manager.temporaryDirectory.appendingPathComponent("vscript-files-\(UInt64.random(in: 0 ... .max))")
        defer { try? manager.removeItem(at: root) }
        for folder in ["in/deep", "out", "other"] {
            try manager.createDirectory(at: root.appendingPathComponent(folder), withIntermediateDirectories: true)
        }
        try Data("secret".utf8).write(to: root.appendingPathComponent("other/secret"))
        try Data("fine".utf8).write(to: root.appendingPathComponent("in/deep/file"))
        for (link, target) in [("in/link", "other/secret"), ("in/folder", "other"), ("out/link", "other/secret")] {
            try manager.createSymbolicLink(
                at: root.appendingPathComponent(link), withDestinationURL: root.appendingPathComponent(target))
        }
        #expect(mkfifo(root.path + "/in/pipe", 0o600) == 0)
        let (path, files) = (root.path, Files.reading(root.path + "/in").writing(root.path + "/out"))
        func run(_ call: String, _ files: Files) throws -> Value {
            try Session(limits: .untrusted, files: files).run(
                Program("import file\nimport linux\ntry { \(call) } catch e { e.code }", named: path + "/t.vscript"))
        }
        #expect(try run("file.text(\"\(path)/in/deep/file\")", files) == "fine")
        #expect(try run("file.write(\"\(path)/out/new\", \"text\"); file.text(\"\(path)/out/new\")", files) == "text")
        for call in [
            "file.text(\"\(path)/other/secret\")", "file.text(\"\(path)/in/../other/secret\")",
            "file.text(\"\(path)/in/link\")", "file.text(\"\(path)/in/folder/secret\")",
            "file.text(\"\(path)/in\")", "file.text(\"\(path)/in/pipe\")", "file.write(\"\(path)/in/new\", \"x\")",
            "file.write(\"\(path)/out/link\", \"x\")", "file.write(\"\(path)/out/../in/new\", \"x\")",
            "linux.bzImage(\"\(path)/other/secret\")", "linux.vmlinux(\"\(path)/in/link\")",
        ] {
            #expect(try run(call, files) == "V0502", "\(call)")
            #expect(try run(call, .none) == "V0502", "\(call)")
        }
        #expect(try run("file.exists(\"\(path)/other/secret\")", files) == false)
        #expect(try String(contentsOf: root.appendingPathComponent("other/secret"), encoding: .utf8) == "secret")
        let importing = try Program("import \"deep.vscript\" as d", named: path + "/t.vscript")
        #expect(throws: ScriptError.self) { try Session(limits: .untrusted).run(importing) }
    }
}
