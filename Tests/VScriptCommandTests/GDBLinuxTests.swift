import Foundation
import Testing

#if os(Linux)

/// `vscript --gdb` with a Linux guest and Debian's gdb, where there is one.
@Suite(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/gdb")), .serialized)
struct GDBLinuxTests {
    @Test func gdbDrivesALinuxGuestFromResetThroughItsSystemCalls() throws {
        // A kernel that is not moved has the same addresses in every run.
        let script = try linuxScript(append: "console=ttyS0 nokaslr")
        try withFiles(["linux.vscript": script]) { directory in
            // What the kernel calls its places, asked at its first system call.
            let names = ["entry_SYSCALL_64", "native_irq_return_iret", "jiffies_64", "do_sys_openat2"]
            let input = "catch syscall\nc\n" + names.map { "info/csv symbols \($0)\n" }.joined()
            let told = try vscript("repl", "linux.vscript", input: input, in: directory).output
            let addresses = told.split(whereSeparator: \.isNewline).reduce(into: [String: String]()) {
                addresses, line in
                let cells = line.split(separator: ",").map(String.init)
                if cells.count == 2 { addresses[cells[1]] = cells[0] }
            }
            let entry = try #require(addresses["entry_SYSCALL_64"], "\(told)")
            let returns = try #require(addresses["native_irq_return_iret"])
            let ticks = try #require(addresses["jiffies_64"])
            let open = try #require(addresses["do_sys_openat2"])

            let (server, port) = try ChildProcess.gdbServer(["--gdb", "0", "linux.vscript"], in: directory)
            let first = try ChildProcess.gdb(
                [
                    "printf \"reset cpl %d pc %#lx\\n\", $cpl, $pc", "info registers cr0",
                    "hbreak *\(entry)", "continue", "printf \"entry cpl %d\\n\", $cpl",
                    "info registers cr0 cr3 cr4 efer",
                    // Back over SYSCALL, and through it again.
                    "reverse-stepi", "printf \"before cpl %d code %#x\\n\", $cpl, *(unsigned short *)$pc", "stepi",
                    "printf \"after cpl %d pc %#lx\\n\", $cpl, $pc", "delete",
                    // Through an IRET to the program.
                    "hbreak *\(returns) if (*(unsigned long *)($rsp + 8) & 3) == 3", "continue",
                    "printf \"iret cpl %d to %#lx\\n\", $cpl, *(unsigned long *)$rsp",
                    "set $to = *(unsigned long *)$rsp",
                    "stepi", "printf \"program cpl %d there %d\\n\", $cpl, $pc == $to", "delete",
                    // A counter of the kernel's.
                    "set $before = *(unsigned long *)\(ticks)", "watch *(unsigned long *)\(ticks)", "continue",
                    "printf \"ticks %ld\\n\", *(unsigned long *)\(ticks) - $before", "delete",
                    "tbreak *\(open)", "continue", "printf \"file %s\\n\", (char *)$rsi", "x/s $rsi",
                    "hbreak *\(entry)", "reverse-continue", "printf \"back cpl %d pc %#lx\\n\", $cpl, $pc", "delete",
                    "monitor info rings", "printf \"left %#lx %#lx\\n\", $pc, $rsp", "detach",
                ], port: port, in: directory, "first", seconds: 600)
            for line in [
                "reset cpl 0 pc 0x", "entry cpl 0", "before cpl 3 code 0x50f", "after cpl 0 pc \(entry)",
                "iret cpl 0 to 0x",
                "program cpl 3 there 1", "ticks 1", "back cpl 0 pc \(entry)", "from  to",
            ] {
                #expect(first.contains(line), "\(line): \(first)")
            }
            for pattern in ["cr0 +0x[0-9a-f]*33 ", "cr3 +0x[0-9a-f]+ ", "cr4 +0x[0-9a-f]+ ", "efer +0x[0-9a-f]*d01 "] {
                #expect(first.range(of: pattern, options: .regularExpression) != nil, "\(pattern): \(first)")
            }
            let left = try #require(first.firstMatch(of: /left (0x[0-9a-f]+) (0x[0-9a-f]+)/))
            // The guest waits where it was left.
            let second = try ChildProcess.gdb(
                ["printf \"again %#lx %#lx\\n\", $pc, $rsp", "stepi", "detach"], port: port, in: directory, "second")
            #expect(second.contains("again \(left.1) \(left.2)\n"), "\(second)")
            server.interrupt()
            #expect(server.wait { $0.hasEnded })
        }
    }
}

#endif
