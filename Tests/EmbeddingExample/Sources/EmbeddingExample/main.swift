import VScript

/// What scripts have given their students.
final class Marks {
    private(set) var points: [String: Int] = [:]

    func add(_ points: Int, to student: String) { self.points[student, default: 0] += points }
}

/// Grades scripts of strangers, one after the other, and gives way to other tasks meanwhile.
actor Grader {
    private let session = Session(limits: .untrusted)
    private let marks = Marks()

    init() {
        let marks = marks
        session.output = { _ in }
        session.define("grade") { (student: String, points: Int) in marks.add(points, to: student) }
        session["student"] = "ada"
    }

    /// The points that a script gives its student.
    func grade(_ source: String) async throws -> Int {
        try await session.run(Program(source, named: "lesson.vscript", for: session.interface))
        return marks.points["ada"] ?? 0
    }

    /// How often the guest of the last script has entered ring 0, by the engine's own API.
    func entries() async throws -> Int {
        var count = 0
        for try await stop in try session.guest("demo").run(until: .transition(from: .ring3, to: .ring0)) {
            if stop.event != nil { count += 1 }
        }
        return count
    }
}

/// The code of the report that a script ends with; nil if it ends well.
func failure(of source: String, _ grader: Grader) async -> String? {
    do {
        _ = try await grader.grade(source)
        return nil
    } catch let error as CompilationError {
        return error.diagnostics.first?.code
    } catch let error as ScriptError {
        return error.diagnostic.code
    } catch {
        return "\(error)"
    }
}

let lesson = """
    guest demo {
      memory: 4 MiB
      boot: .long
      ring 0 {
        syscall: add
        asm {
          add:   lea rax, [rdi + rsi]
                 cmp rax, 44
                 je end
                 sysretq
          end:   hlt
        }
      }
      ring 3 {
        asm {
          start: mov edi, 40
                 mov esi, 1
          again: inc esi
                 syscall
                 jmp again
        }
      }
    }
    let stop = demo.run(until: demo.syscall)
    demo.step()
    if demo.cpu.ring == 0 && demo.cpu.rdi == 40 { grade(student, 42) }
    """

let grader = Grader()
let points = try await grader.grade(lesson)
guard points == 42 else { fatalError("the lesson gave \(points) points") }
let entries = try await grader.entries()
guard entries == 2 else { fatalError("the guest entered ring 0 \(entries) times more") }
let (misspelt, endless) = (await failure(of: "print(totl)", grader), await failure(of: "while true { }", grader))
guard misspelt == "V0301" else { fatalError("a misspelt name gave \(misspelt ?? "nothing")") }
guard endless == "V0902" else { fatalError("a loop without end gave \(endless ?? "nothing")") }
let laboratory = try await runLaboratory()
guard laboratory.marks == ["ada": 42], laboratory.output == ["ready\n"] else { fatalError("\(laboratory)") }
guard laboratory.stops.count == 2, laboratory.stops.allSatisfy({ $0.hasSuffix(" syscall") }) else {
    fatalError("\(laboratory)")
}
print("embedded: a script graded, a guest was looked at, a mistake was told, a loop was ended")
