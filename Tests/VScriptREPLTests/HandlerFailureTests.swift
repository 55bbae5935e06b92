import Testing
import VScript
import VScriptREPL
import VScriptSyntax

/// What is told of a script's handlers in runs that commands make.
@Suite("Handlers in a session")
struct HandlerFailureTests {
    private static func script(_ technique: String, _ handler: String) -> String {
        """
        hypervisor h { technique: .\(technique) }
        guest demo on h {
          memory: 4 MiB
          boot: .long
          ring 0 {
            asm {
              start:  mov ecx, 3
              again:  out 0xe9, al
                      dec ecx
                      jnz again
                      hlt
            }
          }
        }
        var calls = 0
        on demo.io(ports: 0xe9) { calls += 1; \(handler) }
        """
    }

    @Test(
        "an error of a handler is told with code and place, once", arguments: LabSession.techniques,
        [("1 / (calls - calls)", "error[V0402]"), ("event.nonsense", "error[V0301]")])
    func failure(_ technique: String, _ handler: (body: String, code: String)) {
        let session = LabSession(script: Self.script(technique, handler.body))
        let first = session.say("c")
        #expect(first.hasPrefix(handler.code), "\(first)")
        #expect(first.contains("--> lab.vscript:16:"))
        #expect(first.contains("stopped: a handler failed"))
        #expect(session.say("p calls") == "1\n")
        #expect(!session.say("info rings").contains("error"))
        // The next write is another event, whose handler is called and fails by itself.
        let second = session.say("c")
        #expect(second.hasPrefix(handler.code), "\(second)")
        #expect(session.say("p calls") == "2\n")
    }

    @Test("going to a moment ahead of the history tells the error, too")
    func failureOnTheWay() {
        let session = LabSession(script: Self.script("bare", "1 / (calls - calls)"))
        #expect(session.say("goto 5").hasPrefix("error[V0402]"))
        #expect(session.say("p calls") == "1\n")
    }

    @Test("the protocol tells it as a diagnostic, before the stop")
    func failureInTheProtocol() {
        let repl = REPL(scope: SessionScope(Session())) { _ in }
        repl.begin(with: SourceFile(Self.script("vmx", "1 / (calls - calls)"), named: "lab.vscript"), environment: [:])
        var lines: [String] = []
        let session = JSONSession(repl) { lines.append($0) }
        #expect(session.answer(#"{"input": "c"}"#))
        #expect(lines.count == 3)
        #expect(lines.first?.contains(#""type":"diagnostic""#) == true && lines.first?.contains("V0402") == true)
        lines = []
        #expect(session.answer(#"{"input": "p calls"}"#))
        #expect(lines.count == 2 && !lines.joined().contains("diagnostic"))
    }

    @Test(
        "a handler that has stopped the guest stops it there again, without being called",
        arguments: LabSession.techniques, ["event.stop(\"here\")", "1 / (calls - calls)"])
    func stopsAgain(_ technique: String, _ handler: String) {
        let session = LabSession(script: Self.script(technique, handler))
        func place() -> UInt64? { session.guest?.instructions }
        var places: [UInt64?] = []
        for _ in 0..<2 {
            session.say("c")
            places.append(place())
        }
        #expect(places == [1, 4])
        session.say("goto 0")
        for expected in places {
            #expect(!session.say("c").contains("error"))
            #expect(place() == expected)
        }
        #expect(session.say("p calls") == "2\n")
        session.say("c")
        #expect(place() == 7)
        #expect(session.say("p calls") == "3\n")
    }
}
