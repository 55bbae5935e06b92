import Foundation
import Testing

@Suite("vscript test")
struct TestCommandTests {
    private static let mixed = """
        fn double(n) { n * 2 }
        for n in 1...3 {
          test "double of \\(n)" {
            tags: ["loop"]
            print("computing", n)
            expect double(n) == 4
          }
        }
        test "not today" { skip: "too hot"; expect false }
        test "under vmx and more" { requires: [.vmx, .noSuchTechnique]; expect false }
        test "throws" { throw "no" }

        """

    @Test("each test runs by itself and its failure does not stop the others")
    func outcomes() throws {
        try withFiles(["a.vscript": Self.mixed]) { directory in
            let result = try vscript("test", "--json", in: directory)
            #expect(result.status == 1)
            let objects = result.objects
            #expect(
                objects.compactMap { $0["name"] as? String } == [
                    "double of 1", "double of 2", "double of 3", "not today", "under vmx and more", "throws",
                ])
            #expect(
                objects.compactMap { $0["status"] as? String } == [
                    "failed", "passed", "failed", "skipped", "skipped", "failed",
                ])
            #expect(objects.compactMap { $0["line"] as? Int } == [3, 3, 3, 9, 10, 11])
            #expect(objects[0]["output"] as? String == "computing 1\n")
            #expect(objects[3]["reason"] as? String == "too hot")
            let report = try #require((objects[5]["diagnostics"] as? [[String: Any]])?.first)
            #expect(report["code"] as? String == "V0409")
            let summary = try #require(objects.last)
            #expect(summary["type"] as? String == "summary")
            #expect(summary["passed"] as? Int == 1)
            #expect(summary["failed"] as? Int == 3)
            #expect(summary["skipped"] as? Int == 2)
        }
    }

    @Test("a test whose process crashes has failed, and the others are not touched")
    func crash() throws {
        let script = "test \"crashes\" { while true { } }\ntest \"fine\" { expect true }"
        try withFiles(["a.vscript": script]) { directory in
            let process = Process()
            process.executableURL = commandURL
            process.arguments = ["test", "--json", "--jobs", "1", "a.vscript"]
            process.currentDirectoryURL = directory
            let output = Pipe()
            process.standardOutput = output
            try process.run()
            // The process of the first test runs until it is shot.
            let deadline = ContinuousClock.now + .seconds(60)
            while ContinuousClock.now < deadline {
                if let child = Self.worker(of: process.processIdentifier, test: 0) {
                    kill(child, SIGKILL)
                    break
                }
                usleep(10_000)
            }
            let data = output.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            let result = CommandResult(
                status: process.terminationStatus, output: String(decoding: data, as: UTF8.self), errors: "")
            #expect(result.status == 1)
            #expect(result.objects.prefix(2).map { $0["status"] as? String } == ["failed", "passed"])
            #expect((result.objects.first?["reason"] as? String)?.contains("crashed with signal \(SIGKILL)") == true)
        }
    }

    /// The process of a test that a run of tests has started; nil while there is none.
    private static func worker(of parent: Int32, test: Int) -> pid_t? {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { pid_t($0) }.first { child in
            let status = (try? String(contentsOfFile: "/proc/\(child)/status", encoding: .utf8)) ?? ""
            let command = (try? String(contentsOfFile: "/proc/\(child)/cmdline", encoding: .utf8)) ?? ""
            return status.contains("PPid:\t\(parent)\n") && command.contains("--worker-test\0\(test)\0")
        }
    }

    @Test("a failed expectation shows its values and what the test printed")
    func explanation() throws {
        try withFiles(["a.vscript": Self.mixed]) { directory in
            let result = try vscript("test", "--filter", "double of 3", in: directory)
            #expect(result.status == 1)
            #expect(result.output.hasPrefix("a.vscript:3  double of 3  "))
            #expect(result.output.contains("expect double(n) == 4\n"))
            #expect(result.output.contains("   its output ends with:\n   | computing 3\n"))
            #expect(result.output.contains("   = again: vscript test a.vscript --filter \"double of 3\"\n"))
            #expect(result.output.contains("0 passed, 1 failed, 0 skipped in "))
        }
    }

    @Test("tests are chosen by parts of their name and by tags")
    func selection() throws {
        try withFiles(["a.vscript": Self.mixed]) { directory in
            let named = try vscript("test", "--json", "--filter", "of 2", "--filter", "throws", in: directory)
            #expect(named.objects.compactMap { $0["name"] as? String } == ["double of 2", "throws"])
            let tagged = try vscript("test", "--json", "--tag", "loop", in: directory)
            #expect(tagged.objects.count == 4)
            let none = try vscript("test", "--filter", "nothing", in: directory)
            #expect(none.status == 2 && none.errors.contains("there is no test to run"))
        }
    }

    @Test("a test that hangs or whose process dies fails, and the others go on")
    func hangs() throws {
        let script = """
            test "hangs" { timeout: 200 ms; while true { } }
            test "runs" { expect true }

            """
        try withFiles(["a.vscript": script]) { directory in
            let result = try vscript("test", "--json", "--jobs", "2", in: directory)
            #expect(result.objects.compactMap { $0["status"] as? String } == ["failed", "passed"])
            #expect(result.objects[0]["reason"] as? String == "it did not end within 0.2 s")
            let limited = try vscript("test", "--json", "--timeout", "0.3", "--filter", "runs", in: directory)
            #expect(limited.status == 0)
        }
    }

    @Test("a script that fails before its tests is told, and so is a malformed one")
    func brokenScripts() throws {
        let files = [
            "a.vscript": "throw \"early\"\ntest \"t\" { }", "b.vscript": "let = 1\ntest \"t\" { }",
            "c.vscript": "test \"fine\" { }", "d.vscript": "let = 1", "e/f.vscript": "test \"below\" { }",
        ]
        try withFiles(files) { directory in
            let result = try vscript("test", "--json", in: directory)
            #expect(result.status == 2)
            #expect(
                result.objects.dropLast().map { "\($0["file"] ?? ""): \($0["name"] ?? ""): \($0["status"] ?? "")" } == [
                    "a.vscript: (the script): failed", "b.vscript: (the script): failed", "c.vscript: fine: passed",
                    "e/f.vscript: below: passed",
                ])
            #expect(try vscript("test", "a.vscript", in: directory).status == 1)
            #expect(try vscript("test", "c.vscript", "e", in: directory).status == 0)
            let missing = try vscript("test", "none", in: directory)
            #expect(missing.status == 2 && missing.errors.contains("none: no such file or folder"))
        }
    }

    @Test("golden files are compared, and written when asked")
    func golden() throws {
        try withFiles(["a.vscript": "test \"t\" { expect golden(\"rows\", \"a\\nb\") }"]) { directory in
            let file = directory.appendingPathComponent("golden/rows.txt")
            let first = try vscript("test", in: directory)
            #expect(first.status == 1 && first.output.contains("there is no golden file `golden/rows.txt`"))
            #expect(try vscript("test", "--update", in: directory).status == 0)
            #expect(try String(contentsOf: file, encoding: .utf8) == "a\nb\n")
            #expect(try vscript("test", in: directory).status == 0)
            try Data("a\nc\n".utf8).write(to: file)
            let changed = try vscript("test", in: directory)
            #expect(changed.status == 1)
            #expect(changed.output.contains("line 2 was `c`") && changed.output.contains("and is `b`"))
        }
        let escaping = try vscript("-e", "golden(\"../x\", 1)")
        #expect(escaping.status == 1 && escaping.errors.contains("is not the name of a golden file"))
    }

    @Test("results as TAP")
    func tap() throws {
        try withFiles(["a.vscript": Self.mixed + "test \"# \\\\\" { }\n"]) { directory in
            let result = try vscript("test", "--tap", in: directory)
            let lines = result.output.split(separator: "\n").map(String.init)
            #expect(lines.prefix(2) == ["TAP version 14", "1..7"])
            let points = lines.filter { $0.hasPrefix("ok ") || $0.hasPrefix("not ok ") }
            #expect(
                points
                    == [
                        "not ok 1 - a.vscript: double of 1", "ok 2 - a.vscript: double of 2",
                        "not ok 3 - a.vscript: double of 3", "ok 4 - a.vscript: not today # SKIP too hot",
                        "ok 5 - a.vscript: under vmx and more # SKIP it needs .noSuchTechnique, which is not implemented",
                        "not ok 6 - a.vscript: throws", "ok 7 - a.vscript: \\# \\\\",
                    ].map {
                        $0.replacing(
                            ".noSuchTechnique", with: points[4].contains(".vmx,") ? ".vmx" : ".noSuchTechnique")
                    })
            #expect(lines.filter { $0 == "  ---" }.count == lines.filter { $0 == "  ..." }.count)
        }
    }

    @Test("results as JUnit's XML, well formed whatever a test prints")
    func junit() throws {
        let script =
            "test \"<&\\\"> \\u{1}\" { print(\"]]> \\u{0}\\u{FFFF}\"); throw \"a < b\" }\ntest \"b\" { skip: true }"
        try withFiles(["a.vscript": script]) { directory in
            let result = try vscript("test", "--junit", "out.xml", in: directory)
            #expect(result.status == 1)
            let reader = SuiteReader(try Data(contentsOf: directory.appendingPathComponent("out.xml")))
            #expect(reader.isWellFormed)
            #expect(reader.suites.first?["tests"] == "2")
            #expect(reader.suites.first?["failures"] == "1")
            #expect(reader.suites.first?["skipped"] == "1")
            #expect(reader.cases.map { $0["name"] } == ["<&\"> \u{FFFD}", "b"])
            #expect(reader.elements.filter { $0 == "failure" || $0 == "skipped" } == ["failure", "skipped"])
        }
    }
}

/// The elements of an XML document in their order.
private struct SuiteReader {
    let isWellFormed: Bool
    let elements: [String]
    let suites: [[String: String]]
    let cases: [[String: String]]

    init(_ document: Data) {
        // Python's parser is not ours: it judges the form, and lists what it finds.
        let code = """
            import sys, json, xml.etree.ElementTree as tree
            print(json.dumps([[e.tag, e.attrib] for e in tree.fromstring(sys.stdin.buffer.read()).iter()]))
            """
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", "-c", code]
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        try? process.run()
        try? input.fileHandleForWriting.write(contentsOf: document)
        try? input.fileHandleForWriting.close()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        isWellFormed = process.terminationStatus == 0
        let found = (try? JSONSerialization.jsonObject(with: data)) as? [[Any]] ?? []
        elements = found.compactMap { $0.first as? String }
        func attributes(_ tag: String) -> [[String: String]] {
            found.filter { $0.first as? String == tag }.compactMap { $0.last as? [String: String] }
        }
        suites = attributes("testsuite")
        cases = attributes("testcase")
    }
}
