import VScript
import VScriptREPL
import VScriptSyntax
import VirtualMachine

/// A session with the language on a guest that changes rings in several ways and writes to a port in between.
final class LabSession {
    static let techniques = ["bare", "trapAndEmulate", "translate", "vmx", "svm"]

    static func script(_ technique: String) -> String {
        """
        hypervisor h { technique: .\(technique) }
        guest demo on h {
          memory: 4 MiB
          boot: .long
          ring 0 {
            syscall: add
            gate 0x80 { handler: addInt; dpl: 3 }
            asm {
              add:    mov al, 0x21
                      out 0xe9, al
                      lea rax, [rdi + rsi]
                      o64 sysret
              addInt: push rax
                      cpuid
                      pop rax
                      add rax, rsi
                      iretq
            }
          }
          ring 3 {
            asm {
              start:  mov edi, 40
                      mov ebp, 30
              again:  mov esi, 2
                      syscall
                      call twice
                      int 0x80
                      mov [rsp - 64], rax
                      dec ebp
                      jnz again
                      hlt
              twice:  add rax, rax
                      ret
            }
          }
        }
        """
    }

    let repl: REPL
    private var said = ""

    convenience init(_ technique: String) { self.init(script: Self.script(technique)) }

    init(script: String) {
        repl = REPL(scope: SessionScope(Session())) { _ in }
        let renderer = TextRenderer(colours: false)
        repl.output = { [unowned self] in said += renderer.text($0) }
        repl.begin(with: SourceFile(script, named: "lab.vscript"), environment: [:])
    }

    var guest: Guest? { repl.focused?.guest }

    /// What a line makes the REPL say.
    @discardableResult
    func say(_ line: String) -> String {
        said = ""
        _ = repl.handle(line)
        return said
    }

    /// A session on a guest whose ring 3 begins, with code for ring 0 behind gates, and more properties and handlers.
    static func rings(
        _ technique: String = "bare", boot: String, gates: String, kernel: String, program: String,
        more: String = ""
    ) -> LabSession {
        LabSession(
            script: """
                hypervisor h { technique: .\(technique) }
                guest demo on h {
                  memory: 4 MiB
                  boot: .\(boot)
                  \(more)
                  ring 0 {
                    \(gates)
                    asm {
                \(kernel)
                    }
                  }
                  ring 3 {
                    asm {
                \(program)
                    }
                  }
                }
                """)
    }

    /// What a line shows of the last transition: heading without its number, then lines with single blanks; the place
    /// where the guest stands is left out.
    func shown(_ line: String) -> [String] {
        let lines = say(line).split(separator: "\n").filter { !$0.hasPrefix("=>") }
        guard let heading = lines.lastIndex(where: { $0.hasPrefix("── ") }) else { return lines.map(String.init) }
        return lines[heading...].map { line in
            var words = line.split(separator: " ")
            if line.hasPrefix("── "), words.count > 2 { words.removeLast(2) }
            return words.joined(separator: " ")
        }
    }
}
