import Foundation
import Testing
import VScriptREPL
import VirtualMachine

/// A session on a booted Debian kernel without a symbol table, checked against what that kernel itself says.
@Suite("A session on a Linux guest", .serialized)
struct LinuxSessionTests {
    private static let limits = RunLimits(time: 30_000_000_000)

    /// The paths that `scripts/guests` tells; it downloads what is missing.
    private static func paths() throws -> [String: String] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("scripts/guests")
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return text.split(separator: "\n").reduce(into: [:]) { paths, line in
            let parts = line.split(separator: "=", maxSplits: 1).map(String.init)
            if parts.count == 2 { paths[parts[0]] = parts[1] }
        }
    }

    private static func guest(memory: UInt64 = 256 << 20) throws -> Guest {
        let paths = try paths()
        let boot = try BootSource.pvh(
            try #require(paths["vmlinux"]), initrd: paths["initrd"], append: "console=ttyS0")
        var configuration = GuestConfiguration(name: "linux", boot: boot)
        configuration.memory = memory
        return try Guest(configuration)
    }

    /// What a command in the guest's shell prints.
    private func answer(_ guest: Guest, _ command: String) throws -> String {
        let start = guest.console.output.count
        guest.console.send(command + "\n")
        try #require(guest.console.wait(for: "\n# ", limits: Self.limits).match != nil)
        let text = String(decoding: guest.console.output[start...], as: UTF8.self)
        return text.split(whereSeparator: \.isNewline).dropFirst().dropLast().joined(separator: "\n")
    }

    @Test("a system call is caught in the kernel, looked at, finished, and gone back over")
    func systemCall() throws {
        let guest = try Self.guest()
        try #require(guest.console.wait(for: "\n# ", limits: Self.limits).match != nil)
        let own = try answer(guest, "grep -w -e do_sys_openat2 -e __x64_sys_openat -e entry_SYSCALL_64 /proc/kallsyms")
        let addresses = own.split(separator: "\n").reduce(into: [String: UInt64]()) { addresses, line in
            let words = line.split(separator: " ")
            if words.count == 3 { addresses[String(words[2])] = UInt64(words[0], radix: 16) }
        }
        let session = TestSession(guest)
        let open = try #require(addresses["do_sys_openat2"])
        #expect(session.say("b do_sys_openat2") == "breakpoint 1: do_sys_openat2, 0x\(String(open, radix: 16))\n")
        guest.console.send("cat /proc/version\n")
        // The shell may open other files before that.
        for _ in 0..<20 {
            #expect(session.say("c").contains("stopped: breakpoint 1"))
            if session.say("x/s $rsi").contains("\"/proc/version\"") { break }
        }
        let path = try #require(guest.cpu["rsi"])
        #expect(session.say("x/s $rsi") == "0x\(String(path, radix: 16)): \"/proc/version\"\n")
        #expect(guest.cpu.rip == open && guest.cpu.ring == 0)

        let names = session.say("bt").split(separator: "\n").dropFirst().map { line in
            line.split(separator: " ").dropFirst(3).first.map { String($0.prefix { $0 != "+" }) } ?? ""
        }
        #expect(
            names.prefix(4) == [
                "do_sys_openat2", "__x64_sys_openat", "do_syscall_64", "entry_SYSCALL_64_after_hwframe",
            ])

        // The program's page: the tables lead there, and the kernel may not read it before STAC.
        let walk = session.say("walk $rsi")
        #expect(walk.contains("PML4E") && walk.contains("PTE"))
        #expect(walk.contains("#PF(0x1): a user page, which SMAP forbids to the kernel while AC is clear"))
        let physical = try #require(walk.firstMatch(of: /physical (0x[0-9a-f]+),/)?.1)
        #expect(session.say("xp/s \(physical)") == "\(physical): \"/proc/version\"\n")

        // The address that CALL has pushed.
        let stack = try #require(guest.cpu["rsp"])
        let back = try #require(guest.cpu.read(stack, count: 8)).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let finished = session.say("finish")
        #expect(guest.cpu.rip == back && guest.cpu["rsp"] == stack &+ 8)
        let caller = try #require(addresses["__x64_sys_openat"])
        #expect(finished.contains("__x64_sys_openat+0x\(String(back - caller, radix: 16))"))
        // A file descriptor.
        #expect(guest.cpu["rax"].map { $0 < 16 } ?? false)

        #expect(session.say("rcross").contains("0 ← 3 ── syscall undone"))
        #expect(guest.cpu.ring == 3 && guest.cpu["rsi"] == path)
        #expect(guest.cpu.read(guest.cpu.rip, count: 2) == [0x0F, 0x05])
        let crossed = session.say("cross")
        #expect(crossed.contains("3 → 0 ── syscall ─") && crossed.contains("IA32_LSTAR"))
        #expect(guest.cpu.rip == addresses["entry_SYSCALL_64"])
        session.say("d")
        #expect(session.say("walk $rsi").contains("SMAP"))
        #expect(session.say("rs").contains("syscall undone") && guest.cpu.ring == 3)
        #expect(session.say("walk $rsi").contains("readable"))
        session.say("s 2")
        #expect(session.say("rs 1000").contains("=> 0x"))
    }
}
