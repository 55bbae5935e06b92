import Testing
import VScript

@Suite("Embedding")
struct EmbeddingTests {
    /// A class whose objects scripts hold.
    final class Sensor: ScriptObject {
        var celsius = 21.5
        let name = "probe"
        private(set) var resets = 0

        func reset(_ times: Int) -> Int {
            resets += times
            return resets
        }

        func warm(_ by: Double?) { celsius += by ?? 1 }
        func copy() -> Sensor { self }
    }

    /// A class whose objects scripts declare.
    final class Board: ScriptDeclarable {
        var bitstream = ""
        var cells = 0
    }

    @Test("scripts call functions of the host with converted values")
    func functions() throws {
        let session = Session()
        var notes: [String] = []
        session.define("grade") { (points: Int, note: String) in
            notes.append("\(note): \(points)")
            return points * 2
        }
        session.define("note") { (text: String?) in notes.append(text ?? "none") }
        session.define("total") { (items: [Int], weights: [String: Double]) in
            Double(items.reduce(0, +)) * (weights["all"] ?? 1)
        }
        session["student"] = "ada"
        let program = try Program(
            "note(student)\nnote()\n[grade(21, \"good\"), total([1, 2], [all: 0.5])]", for: session.interface)
        #expect(try session.run(program) == [42, 1.5])
        #expect(notes == ["ada", "none", "good: 21"])
        session["student"] = ["name": "bob", "ages": [1, 2]]
        #expect(try session.run(Program("student.ages.sum", for: session.interface)) == 3)
    }

    @Test("what a host function refuses or throws is an error at the script's place")
    func failures() throws {
        struct Refused: Error {}
        let session = Session()
        session.define("small") { (value: UInt8) in value }
        session.define("refuse") { () throws -> Int in throw ScriptError("not today") }
        session.define("fail") { () throws -> Int in throw Refused() }
        func failure(_ source: String) throws -> ScriptError? {
            let program = try Program(source, named: "t", for: session.interface)
            return #expect(throws: ScriptError.self) { try session.run(program) }
        }
        let range = try #require(try failure("small(300)"))
        #expect(range.diagnostic.code == "V0310" && range.diagnostic.span?.text == "300")
        #expect(range.message.contains("0...255"))
        #expect(try failure("small(\"a\")")?.diagnostic.code == "V0310")
        let missing = try failure("small()")?.diagnostic
        #expect(missing?.code == "V0307" && missing?.message == "`small` needs `argument1`")
        #expect(try failure("refuse()")?.message == "not today")
        #expect(try failure("fail()")?.diagnostic.span?.startPosition.line == 1)
        let caught = try Program("try { refuse() } catch e { e.message }", for: session.interface)
        #expect(try session.run(caught) == "not today")
        #expect(throws: CompilationError.self) { try Program("small(1)") }
    }

    @Test("functions of a script are called from Swift, and its names are read")
    func calls() throws {
        let session = Session()
        try session.run(
            Program("var seen = 0\nfn score(name, bonus = 1) { seen += 1; name.count + bonus }\nlet limit = [a: 1]"))
        #expect(try session.call("score", "ada") == 4)
        #expect(try session.call("score", "ada", 10) == 13)
        #expect(session["limit"] == ["a": 1])
        #expect(session["nothing"] == nil)
        let unknown = #expect(throws: ScriptError.self) { try session.call("unknown") }
        #expect(unknown?.message.contains("unknown") == true)
        #expect(throws: ScriptError.self) { try session.call("score", 1) }
    }

    @Test("scripts hold objects of registered classes by reference")
    func objects() throws {
        let session = Session()
        session.register(Sensor.self, as: "sensor") {
            $0.property("celsius", \.celsius)
            $0.property("name", \.name)
            $0.method("reset", Sensor.reset)
            $0.method("warm", Sensor.warm)
            $0.method("copy", Sensor.copy)
        }
        let sensor = Sensor()
        session.define("probe", object: sensor)
        session.define("read") { (sensor: Sensor) in sensor.celsius }
        func run(_ source: String) throws -> Value { try session.run(Program(source, for: session.interface)) }
        #expect(
            try run("probe.celsius = 30.0\nprobe.warm()\nprobe.warm(4.0)\n[probe.name, probe.celsius, read(probe)]")
                == ["probe", 35.0, 35.0])
        #expect(try run("probe.reset(2)\nprobe.reset(3)") == 5)
        #expect(try run("probe.copy() == probe") == true)
        #expect(sensor.resets == 5 && sensor.celsius == 35)
        let error = #expect(throws: ScriptError.self) { try run("probe.celsuis") }
        #expect(error?.diagnostic.rendered().contains("did you mean `celsius`?") == true)
    }

    @Test("a host's kind of declaration is checked and makes objects of its class")
    func kinds() throws {
        let session = Session()
        session.register(kind: "fpga", as: Board.self) {
            $0.property("bitstream", \.bitstream, required: true)
            $0.property("cells", \.cells)
        }
        let program = try Program(
            "fpga f { bitstream: \"a.bit\"; cells: 4 }\n[f.bitstream, f.cells]", for: session.interface)
        #expect(try session.run(program) == ["a.bit", 4])
        for (source, code) in [
            ("fpga f { cells: 4 }", "V0315"), ("fpga f { bitstream: \"a\"; cels: 4 }", "V0312"),
        ] {
            let error = #expect(throws: CompilationError.self) { try Program(source, for: session.interface) }
            #expect(error?.diagnostics.first?.code == code)
        }
        let wrong = try Program("fpga f { bitstream: 7 }", for: session.interface)
        #expect(throws: ScriptError.self) { try session.run(wrong) }
    }
}
