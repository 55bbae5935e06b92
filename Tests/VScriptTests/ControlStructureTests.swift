import Testing
import VScript
import VirtualMachine

@Suite("Control structures in scripts")
struct ControlStructureTests {
    /// A guest that executes CPUID and OUT in ring 0, and then halts.
    private func guest(_ technique: String) -> String {
        """
        hypervisor h { technique: .\(technique) }
        guest g on h {
          memory: 4 MiB
          boot: .long
          ring 0 {
            asm {
              start: mov eax, 7
                     cpuid
                     mov al, 0x21
                     out 0xe9, al
                     hlt
            }
          }
        }

        """
    }

    // The numbers are the manual's: basic exit reasons 10 and 30 (SDM volume 3 appendix C), the qualification of OUT to an
    // immediate port (table 28-5), lengths of CPUID and OUT imm8.
    @Test("handlers of exits read the VMCS by the manual's names")
    func exits() throws {
        #expect(
            try result(
                guest("vmx") + """
                    let seen = []
                    on g.vmexit(.cpuid) {
                      let v = event.cpu.vmcs
                      seen.append([v.exit_reason & 0xFFFF, v.exit_instruction_length, v.guest_rip == event.cpu.rip])
                    }
                    on g.vmexit(.io) {
                      let v = event.cpu.vmcs
                      seen.append([v.exit_reason & 0xFFFF, v.exit_qualification, v["exit_instruction_length"], v[0x4402]])
                    }
                    g.run(within: 1 ms)
                    seen
                    """) == "[[10, 2, true], [30, \(0xE9_0040), 2, 30]]")
    }

    // CPUID is exit code 72H, IOIO 7BH (APM volume 2 appendix C); EXITINFO1 of OUT 0xE9, AL: port, SZ8, A64 (section
    // 15.10.2); EXITINFO2 is the RIP behind the instruction.
    @Test("handlers of exits read the VMCB by the manual's names")
    func exitsOfSVM() throws {
        #expect(
            try result(
                guest("svm") + """
                    let seen = []
                    on g.vmexit(.cpuid) { seen.append([event.cpu.vmcb.exitcode, event.cpu.vmcb.cpl]) }
                    on g.vmexit(.io) {
                      let v = event.cpu.vmcb
                      seen.append([v.exitcode, v.exitinfo1 >> 16, v.exitinfo1 & 0x10, v.exitinfo2 - v.rip, v[0x70]])
                    }
                    g.run(within: 1 ms)
                    seen
                    """) == "[[\(0x72), 0], [\(0x7B), \(0xE9), 16, 2, \(0x7B)]]")
    }

    @Test("a stop's processor has it too, with an address and all fields")
    func stops() throws {
        #expect(
            try result(
                guest("vmx") + """
                    let stop = g.run(until: g.vmexit(.io))
                    let v = stop.cpu.vmcs
                    [v.exit_reason & 0xFFFF, v.fields.guest_cs_selector == g.cpu.cs, v.address % 4096, v == g.cpu.vmcs,
                     v.fields.count > 100, "\\(v)"]
                    """) == #"[30, true, 0, true, true, "<VMCS of g>"]"#)
    }

    @Test("a processor without one says so, and a misspelt field is told")
    func failures() throws {
        let none = try #require(failure(guest("svm") + "g.cpu.vmcs"))
        #expect(none.code == "V0403" && none.message.contains("has no current VMCS"))
        let bare = try #require(failure("guest g { boot: .long\nring 0 { asm { hlt } } }\ng.run()\ng.cpu.vmcb"))
        #expect(bare.message.contains("under `.bare`"))
        let misspelt = try #require(failure(guest("vmx") + "g.cpu.vmcs.exit_raeson"))
        #expect(misspelt.code == "V0301" && misspelt.rendered().contains("did you mean `exit_reason`?"))
        #expect(failure(guest("vmx") + "g.cpu.vmcs[0x9999]")?.code == "V0301")
        #expect(failure(guest("vmx") + "g.cpu.vmcs.guest_rip = 0")?.code == "V0304")
    }

    @Test("Swift reads it as well")
    func swift() throws {
        let session = Session()
        try session.run(Program(guest("vmx") + "g.run(until: g.vmexit(.cpuid))"))
        let vmcs = try #require(try session.guest("g").cpu.vmcs)
        #expect(vmcs["exit_reason"] == 10 && vmcs["nonsense"] == nil)
        #expect(try session.guest("g").cpu.vmcb == nil)
        for kind in ControlStructure.Kind.allCases {
            #expect(Set(kind.fields.map(\.name)).count == kind.fields.count)
        }
    }
}
