import Testing
import VScript
import VirtualMachine

/// The techniques that this version has for guests that know nothing of them, as scripts name them.
let techniques = Technique.allCases.filter { $0 != .paravirtual }.map(\.rawValue)

@Suite("Techniques in scripts")
struct TechniqueTests {
    /// A guest with two rings on a hypervisor, `g`.
    private func guest(_ technique: String, model: String? = nil) -> String {
        """
        hypervisor h { technique: .\(technique) }
        guest g on h {
          memory: 4 MiB
          boot: .long
          cpuid: .\(model ?? (technique == "svm" ? "amd64" : "intel64"))
          ring 0 {
            syscall: sum
            gate 13 { handler: general }
            asm {
              sum:     lea rax, [rdi + rsi]
                       sysretq
              general: mov rbx, [rsp + 8]
                       cli
                       hlt
            }
          }
          ring 3 {
            asm {
              start: mov edi, 40
                     mov esi, 2
                     syscall
                     hlt
            }
          }
        }

        """
    }

    @Test("the same guest ends the same under every technique", arguments: techniques)
    func sameEnd(technique: String) throws {
        let source = """
            let stop = g.run(within: 1 ms)
            expect stop.reason == .halted
            expect g.cpu.rax == 42 && g.cpu.rbx == g.symbols.start + 12
            print(stop.instructions, stop.digest, g.transitions.count(from: 3, to: 0), g.transitions.count(from: 0, to: 3))
            """
        let model = technique == "svm" ? "amd64" : "intel64"
        #expect(try printed(guest(technique) + source) == printed(guest("bare", model: model) + source))
    }

    @Test("a hypervisor and its guest tell what they are", arguments: techniques)
    func members(technique: String) throws {
        let bare = technique == Technique.bare.rawValue
        let paging = Technique(rawValue: technique)?.pagings.first?.rawValue
        #expect(
            try printed(
                guest(technique)
                    + "print(h.technique, h.paging, h.type, g.technique, g.hypervisor == h, h.guests.count, h.host)")
                == ".\(technique) \(paging.map { ".\($0)" } ?? "nil") 1 .\(technique) true 1 nil\n")
        #expect(bare == (paging == nil))
    }

    /// Between the two readings lie 52 counts, at two ticks each.
    @Test("a host bounds the memory of its guests and gives them its clock")
    func host() throws {
        let source = """
            host lab { cpus: 2; memory: 8 MiB; clock: 2 GHz }
            hypervisor h on lab { technique: .translate; type: 2 }
            guest g on h {
              memory: 6 MiB
              boot: .long
              ring 0 { asm { rdtsc
                             mov ebx, eax
                             times 50 nop
                             rdtsc
                             sub eax, ebx
                             hlt } }
            }
            g.run()
            print(g.cpu.rax, lab.used, lab.cpus, lab.hypervisors[0] == h, h.type)
            """
        #expect(try printed(source) == "104 6291456 2 true 2\n")
    }

    @Test("kernels that do not speak the interface, and interfaces that do not fit, are refused by name")
    func paravirtual() throws {
        let hypervisor = "hypervisor h { technique: .paravirtual }\n"
        let prepared = failure(hypervisor + "guest g on h { memory: 4 MiB; boot: .long; ring 0 { asm { hlt } } }")
        #expect(prepared?.code == "V0504")
        #expect(prepared?.message.contains("does not say that it speaks the interface .native") == true)
        #expect(failure("hypervisor h { technique: .paravirtual; abi: .none }")?.code == "V0318")
        #expect(failure("hypervisor h { technique: .vmx; abi: .native }")?.code == "V0318")
        #expect(failure("hypervisor h { technique: .paravirtual; paging: .shadow }")?.code == "V0318")
        #expect(failure("hypervisor h { technique: .paravirtual; abi: .xen }")?.code == "V0320")
        #expect(try printed(hypervisor + "print(h.abi, h.paging)") == ".native nil\n")
    }
}
