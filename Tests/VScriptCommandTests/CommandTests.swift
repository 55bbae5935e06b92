import Foundation
import Testing

@Suite("Command line")
struct CommandTests {
    // MARK: - Running

    @Test("a script's text, file and standard input are run")
    func run() throws {
        #expect(try vscript("-e", "print(1 + 1)").output == "2\n")
        #expect(try vscript("-", input: "print(2)").output == "2\n")
        try withFiles(["a.vscript": "print(3)"]) { directory in
            let result = try vscript("a.vscript", in: directory)
            #expect((result.status, result.output, result.errors) == (0, "3\n", ""))
            #expect(try vscript("run", "a.vscript", in: directory).output == "3\n")
        }
    }

    @Test("what follows -- reaches the script, dashes and all")
    func arguments() throws {
        let code = "import args; print(args.all())"
        #expect(try vscript("-e", code, "--", "--out", "x", "--", "y").output == "[\"--out\", \"x\", \"--\", \"y\"]\n")
        #expect(try vscript("-e", code).output == "[]\n")
        try withFiles(["a.vscript": code]) { directory in
            let result = try vscript("a.vscript", "--", "--json", in: directory)
            #expect(result.output == "[\"--json\"]\n")
        }
    }

    @Test(
        "exit codes are those of the description",
        arguments: [
            ("", 0), ("print(1)", 0), ("expect 1 == 2", 1), ("throw \"no\"", 1), ("let a = [1]\na[1]", 1),
            ("let a =", 2),
            ("prnt(1)", 2), ("guest g { boot: .long; ring 0 { asm { ud2 } } }\ng.run()", 4),
            ("fn f() { f() }\nf()", 3), ("test \"t\" { expect false }", 1), ("test \"t\" { expect true }", 0),
        ])
    func exitCodes(code: String, status: Int32) throws {
        let result = try vscript("-e", code)
        #expect(result.status == status)
        #expect(status == 0 ? result.errors.isEmpty : !(result.errors + result.output).isEmpty)
    }

    @Test("an interrupted script ends with 130")
    func interrupt() throws {
        // The shell sends the signal once the script has begun.
        try withFiles(["a.vscript": "print(\"begun\")\nwhile true { }"]) { directory in
            let process = Process()
            process.executableURL = commandURL
            process.arguments = ["a.vscript"]
            process.currentDirectoryURL = directory
            let output = Pipe()
            process.standardOutput = output
            process.standardError = FileHandle.nullDevice
            try process.run()
            #expect(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self) == "begun\n")
            process.interrupt()
            process.waitUntilExit()
            #expect(process.terminationStatus == 130)
        }
    }

    @Test("files that are no scripts are refused, each for its reason")
    func unusableFiles() throws {
        try withFiles(["empty.vscript": "", "folder/x": ""]) { directory in
            #expect(try vscript("empty.vscript", in: directory).status == 0)
            for command in ["run", "check", "fmt", "fix"] {
                let missing = try vscript(command, "none.vscript", in: directory)
                #expect(missing.status == 2 && missing.errors.contains("none.vscript: no such file"))
                let folder = try vscript(command, "folder", in: directory)
                #expect(folder.status == 2 && folder.errors.contains("folder: is a directory, not a script"))
            }
            try Data([0x6C, 0x65, 0x74, 0x20, 0xFF]).write(to: directory.appendingPathComponent("latin.vscript"))
            let latin = try vscript("latin.vscript", in: directory)
            #expect(latin.status == 2)
            #expect(latin.errors.hasPrefix("error[V0101]: the file is not UTF-8 text\n  --> latin.vscript:1:5\n"))
            var generator = SystemRandomNumberGenerator()
            let noise = (0..<4096).map { _ in UInt8.random(in: 0x80...0xFF, using: &generator) }
            try Data(noise).write(to: directory.appendingPathComponent("noise.vscript"))
            for command in ["run", "check", "fmt", "fix"] {
                #expect(try vscript(command, "noise.vscript", in: directory).status == 2)
            }
            #expect(try Data(contentsOf: directory.appendingPathComponent("noise.vscript")) == Data(noise))
        }
    }

    @Test("a wrong command line is told with exit code 2")
    func usage() throws {
        #expect(try vscript("run", "--", "--nonsense").status == 2)
        #expect(try vscript("--nonsense").errors.contains("Unknown option '--nonsense'"))
        #expect(try vscript("check").status == 2)
        #expect(try vscript("explain", "V9999").errors.contains("there is no code `V9999`"))
        #expect(try vscript("--help").status == 0)
        #expect(try vscript("--version").output == "0.1.0\n")
    }

    // MARK: - Reports

    @Test("with --json everything is a line of JSON with the fields of the description")
    func json() throws {
        let result = try vscript("--json", "-e", "print(\"é\")\nlet a = [1]\na[9]")
        #expect(result.status == 1 && result.errors == "")
        let objects = result.objects
        try #require(objects.count == 2)
        #expect(objects[0]["type"] as? String == "output")
        #expect(objects[0]["text"] as? String == "é\n")
        let report = objects[1]
        #expect(
            Set(report.keys) == [
                "type", "v", "code", "severity", "message", "spans", "notes", "fixes", "rendered",
            ])
        #expect(report["code"] as? String == "V0404")
        let span = try #require((report["spans"] as? [[String: Any]])?.first)
        #expect(Set(span.keys) == ["file", "start", "end", "label", "primary"])
        let start = try #require(span["start"] as? [String: Int])
        #expect(Set(start.keys) == ["line", "column", "byte"] && start["line"] == 3)
    }

    @Test("check tells about every script and goes on after a bad one")
    func check() throws {
        try withFiles(["a.vscript": "let x = [1 2]\nx++", "b.vscript": "print(1)"]) { directory in
            let result = try vscript("check", "--json", "none", "a.vscript", "b.vscript", in: directory)
            #expect(result.status == 2)
            #expect(result.objects.map { $0["code"] as? String } == ["V0502", "V0222", "V0213"])
            let before = try vscript("--json", "check", "none", "a.vscript", "b.vscript", in: directory)
            #expect((before.status, before.output) == (result.status, result.output))
            let folder = try vscript("--path", ".", "--json", "check", "a.vscript", in: directory)
            #expect(folder.objects.map { $0["code"] as? String } == ["V0222", "V0213"])
            #expect(try vscript("--json", "-e", "print(1)", "check", in: directory).status == 0)
            let fine = try vscript("check", "b.vscript", in: directory)
            #expect((fine.status, fine.output, fine.errors) == (0, "", ""))
        }
    }

    @Test("fix applies what is safe, also what shows only afterwards, and tells the rest")
    func fix() throws {
        try withFiles(["a.vscript": "let x = 1\nx++\nprint(x y)\nlet z = nope\n"]) { directory in
            let result = try vscript("fix", "a.vscript", in: directory)
            let text = try String(contentsOf: directory.appendingPathComponent("a.vscript"), encoding: .utf8)
            #expect(text == "var x = 1\nx += 1\nprint(x, y)\nlet z = nope\n")
            #expect(result.status == 2 && result.output == "a.vscript: 3 fixes\n")
            #expect(result.errors.contains("V0301"))
        }
        #expect(try vscript("fix", "-", input: "var n = 0\nn--").output == "var n = 0\nn -= 1")
    }

    @Test("explain prints the rule with both examples")
    func explain() throws {
        let result = try vscript("explain", "v0213", "V0401")
        #expect(result.status == 0)
        #expect(result.output.contains("V0213: ") && result.output.contains("V0401: "))
        #expect(result.output.contains("\n    n++\n"))
    }

    // MARK: - Results and modules

    @Test("emit writes a table, and with --json an object for each row")
    func emit() throws {
        let code = "for n in 1...2 { emit([paging: .nested, n: n, time: 2 s]) }"
        #expect(
            try vscript("-e", code).output == """
                paging           n      time
                .nested          1       2 s
                .nested          2       2 s

                """)
        let objects = try vscript("--json", "-e", code).objects
        #expect(objects.map { $0["type"] as? String } == ["row", "row"])
        let rows = objects.compactMap { $0["value"] as? [String: Any] }
        #expect(rows.map { $0["n"] as? Int } == [1, 2])
        #expect(rows.allSatisfy { $0["paging"] as? String == "nested" && $0["time"] as? Double == 2 })
    }

    @Test("a sweep over guests emits its rows and writes them to files in a new folder")
    func sweep() throws {
        let script = """
            import args
            import file
            let out = args.string("out", default: "out")
            let rows = []
            for memory in [1 MiB, 2 MiB] {
              guest g {
                memory: memory
                boot: .long
                ring 0 {
                  syscall: back
                  asm { back: sysretq }
                }
                ring 3 { asm { start: syscall
                  jmp start } }
              }
              g.transitions.isRecording = true
              let row = try {
                let stop = g.run(instructions: 9)
                [memory: memory, seconds: stop.time.seconds, calls: g.transitions.count(from: 3, to: 0)]
              } catch e {
                [memory: memory, error: e.message]
              }
              rows.append(row)
              emit(row)
              if row.get("error") == nil { g.transitions.save("\\(out)/\\(memory / 1 MiB)M.perfetto.json") }
            }
            file.csv("\\(out)/sweep.csv", rows)
            file.json("\\(out)/sweep.json", rows)
            """
        try withFiles(["sweep.vscript": script]) { directory in
            let result = try vscript("--json", "sweep.vscript", "--", "--out", "results/today", in: directory)
            #expect(result.status == 0)
            #expect(result.objects.count == 2 && result.objects.allSatisfy { $0["type"] as? String == "row" })
            func text(_ name: String) throws -> String {
                try String(contentsOf: directory.appendingPathComponent("results/today/\(name)"), encoding: .utf8)
            }
            #expect(try text("sweep.csv").hasPrefix("memory,seconds,calls\r\n1048576,"))
            let rows = try JSONSerialization.jsonObject(with: Data(text("sweep.json").utf8)) as? [[String: Any]]
            #expect(rows?.map { $0["calls"] as? Int } == [3, 3])
            #expect(try text("2M.perfetto.json").contains("traceEvents"))
        }
    }

    @Test("import finds modules in the folders of --path, then of VSCRIPT_PATH, then in the library")
    func searchPath() throws {
        let files = [
            "a.vscript": "import words\nimport math\nprint(words.hello, math.pi > 3)",
            "lib/words.vscript": "let hello = \"hi\"",
            "other/words.vscript": "let hello = \"ho\"",
            "t.vscript": "import words\ntest \"t\" { expect words.hello == \"hi\" }",
        ]
        try withFiles(files) { directory in
            #expect(try vscript("a.vscript", in: directory).status == 2)
            #expect(try vscript("--path", "lib", "a.vscript", in: directory).output == "hi true\n")
            #expect(try vscript("--path", "other", "--path", "lib", "a.vscript", in: directory).output == "ho true\n")
            #expect(try vscript("check", "--path", "lib", "a.vscript", in: directory).status == 0)
            #expect(try vscript("test", "--path", "lib", "t.vscript", in: directory).status == 0)
            let result = try vscript(["a.vscript"], in: directory, environment: ["VSCRIPT_PATH": "none:other"])
            #expect(result.output == "ho true\n")
        }
    }

    // MARK: - Layout

    @Test("fmt rewrites scripts, or only tells which it would")
    func format() throws {
        try withFiles(["a.vscript": "let  a=1 // one\n", "b.vscript": "let b = 2\n", "c.vscript": "let = 1"]) {
            directory in
            func text(_ name: String) throws -> String {
                try String(contentsOf: directory.appendingPathComponent(name), encoding: .utf8)
            }
            let checked = try vscript("fmt", "--check", "a.vscript", "b.vscript", in: directory)
            #expect((checked.status, checked.output) == (1, "a.vscript\n"))
            #expect(try text("a.vscript") == "let  a=1 // one\n")
            let done = try vscript("fmt", "a.vscript", "b.vscript", "c.vscript", in: directory)
            #expect((done.status, done.output) == (2, "a.vscript\n"))
            #expect(done.errors.contains("V0207"))
            #expect(try text("a.vscript") == "let a = 1 // one\n")
            #expect(try text("c.vscript") == "let = 1")
            #expect(try vscript("fmt", "--check", "a.vscript", in: directory).status == 0)
        }
        #expect(try vscript("fmt", "-", input: "f( 1 )").output == "f(1)\n")
    }
}
