import VScript

/// A sensor of the program's that scripts read.
final class Sensor: ScriptObject {
    private(set) var celsius = 21.5
    func reset() { celsius = 0 }
}

/// Hardware that scripts declare.
final class FPGA: ScriptDeclarable {
    var path = ""
}

/// Runs scripts that use everything the program gives them, and gives the session with its guest.
func makeLaboratory(_ store: Marks, _ log: Log) throws -> Session {
    let source = """
        guest demo {
          memory: 4 MiB
          boot: .long
          ring 0 {
            syscall: back
            asm { back: sysretq }
          }
          ring 3 {
            asm {
              start: syscall
                     syscall
                     hlt
            }
          }
        }
        device fpga0 on demo { ports: 0x300 }
        fn score(name) { if name == "ada" { 42 } else { 0 } }
        print("ready")
        """
    let program = try Program(source, named: "lab1.vscript")
    let session = Session(limits: .untrusted, files: .reading("/srv/images").writing("/srv/out"))

    session.define("grade") { (points: Int, note: String) in store.add(points, to: note) }
    session["student"] = "ada"
    session.output = { log.write($0) }
    session.register(Sensor.self, as: "sensor") {
        $0.property("celsius", \.celsius)
        $0.method("reset", Sensor.reset)
    }
    session.register(kind: "fpga", on: .guest, as: FPGA.self) {
        $0.property("bitstream", \.path, required: true)
    }
    try session.run(program)
    let score = try Int(session.call("score", "ada"))

    // What the program has defined belongs to the interface that a script is checked against.
    let probe = Sensor()
    session.define("probe", object: probe)
    try session.run(
        Program(
            """
            guest rack { boot: .long; ring 0 { asm { hlt } } }
            fpga board on rack { bitstream: "lab.bit" }
            expect board.bitstream == "lab.bit" && probe.celsius == 21.5
            probe.reset()
            grade(\(score), student)
            """, named: "lab2.vscript", for: session.interface))
    guard probe.celsius == 0 else { throw ScriptError("the sensor was not reset") }
    return session
}

/// Looks at the guest of the scripts with the engine's own API.
func runLaboratory() async throws -> (marks: [String: Int], output: [String], stops: [String]) {
    let (store, log) = (Marks(), Log())
    let session = try makeLaboratory(store, log)
    var stops: [String] = []
    let guest = try session.guest("demo")
    for try await stop in guest.run(until: .transition(from: 3, to: 0)) {
        guard let event = stop.event else { break }
        stops.append("\(stop.cpu[.rip]) \(event.cause)")
    }
    return (store.points, log.lines, stops)
}

/// What scripts have printed.
final class Log {
    private(set) var lines: [String] = []
    func write(_ text: String) { lines.append(text) }
}
