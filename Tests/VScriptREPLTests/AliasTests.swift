import Testing
import VScriptREPL
import VirtualMachine

@Suite("The names that other debuggers have for commands")
struct AliasTests {
    /// What stands behind an alias where it needs something.
    private static func arguments(_ name: String) -> String {
        if name.hasPrefix("ba e") { return " add" }
        if name.hasPrefix("ba ") { return " $rsp" }
        return switch name {
        case "bp", "b", "lb", "u", "page", "ln": " add"
        case "db", "dw", "dd", "dq", "da", "dps", "dqs": " start"
        case _: ""
        }
    }

    @Test("each does what the command does", arguments: [("windbg", "bare"), ("bochs", "vmx")])
    func each(set: String, technique: String) throws {
        for (name, command) in try #require(AliasSets.all[set]).sorted(by: { $0.key < $1.key }) {
            let (own, other) = (LabSession(technique), LabSession(technique))
            #expect(own.say("import aliases.\(set)").isEmpty)
            for line in ["step 2", "b again", "step"] { #expect(own.say(":" + line) == other.say(":" + line)) }
            let arguments = Self.arguments(name)
            let full =
                command.contains("{}")
                ? command.replacing("{}", with: arguments.dropFirst()) : command + arguments
            let said = own.say(name + arguments)
            #expect(said == other.say(":" + full), "\(name)")
            #expect(!said.contains("error"), "\(name): \(said)")
            #expect(try #require(own.guest).digest == #require(other.guest).digest)
        }
    }

    @Test("WinDbg's fingers: breakpoints by `ba`, all of them by `*`")
    func windbg() {
        let session = LabSession("bare")
        session.say("import aliases.windbg")
        #expect(session.say("ba w8 $rsp - 64").hasPrefix("watchpoint 1: write of 8 bytes at 0x"))
        #expect(session.say("ba r4 $rsp - 8").hasPrefix("watchpoint 2: access of 4 bytes at 0x"))
        #expect(session.say("ba e1 twice").hasPrefix("breakpoint 3: twice"))
        #expect(session.say("g").contains("stopped: watchpoint 2"))
        #expect(session.say("bc *") == "3 stop points removed\n")
        #expect(session.say("bl").contains("no"))
    }
}
