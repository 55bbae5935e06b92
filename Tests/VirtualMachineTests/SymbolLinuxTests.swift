import Foundation
import Testing
import VirtualMachine

/// Symbols and backtraces of an unmodified Debian kernel, which has no symbol table, compared with what it says itself.
@Suite(.serialized) struct SymbolLinuxTests {
    private static let limits = RunLimits(time: 30_000_000_000)

    /// One guest for all tests, which run one after the other, and its snapshot at the shell.
    private nonisolated(unsafe) static var booted: (guest: Guest, shell: GuestSnapshot)?

    /// A guest at its shell.
    private func shell() throws -> Guest {
        if let (guest, shell) = Self.booted {
            try guest.restore(shell)
            return guest
        }
        let linux = try LinuxGuest()
        let guest = try Guest(linux.configuration(try linux.pvh()))
        try #require(guest.console.wait(for: "\n# ", limits: Self.limits).match != nil)
        Self.booted = (guest, try guest.snapshot())
        return guest
    }

    /// Runs to the first execution of a function.
    private func run(_ guest: Guest, to name: String) throws {
        let address = try #require(guest.symbolTable[name])
        let handler = guest.on(.exec(address)) { _ in .stop(name) }
        defer { guest.off(handler) }
        #expect(guest.run(limits: Self.limits).reason == .stopped)
        #expect(guest.cpu.rip == address)
    }

    private func sha256(_ text: String) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/sha256sum")
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: Data(text.utf8))
        try input.fileHandleForWriting.close()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: data.prefix(64), as: UTF8.self)
    }

    @Test func theKernelsOwnListIsReadFromItsMemory() throws {
        let guest = try shell()
        let found = try guest.findKernelSymbols()
        #expect(found.count > 50_000)
        #expect(found.slide == 0)
        // The kernel lists its symbols by address, with the per-CPU offsets first.
        let file = try #require(guest.symbolTable.placements.first?.file)
        let order = Array(file.addressedCount..<file.count) + Array(0..<file.addressedCount)
        let text = order.map { index -> String in
            let symbol = file.symbol(index, slide: 0)
            let digits = String(symbol.address, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits + " " + symbol.name + "\n"
        }.joined()
        guest.console.send("cut -d' ' -f1,3 /proc/kallsyms | sha256sum\n")
        #expect(guest.console.wait(for: try sha256(text), limits: Self.limits).match != nil)
    }

    @Test func theStrippedFileHasTheSymbolsThatTheKernelHasInMemory() throws {
        let guest = try shell()
        let slide = try guest.addSymbols(contentsOf: try LinuxGuest().vmlinux)
        let fromFile = try #require(guest.symbolTable.placements.first?.file)
        #expect(slide == 0)
        try guest.findKernelSymbols()
        let fromMemory = try #require(guest.symbolTable.placements.last?.file)
        #expect(fromFile.count == fromMemory.count && fromFile.count > 50_000)
        let differs = (0..<min(fromFile.count, fromMemory.count)).first {
            let (first, second) = (fromFile.symbol($0, slide: 0), fromMemory.symbol($0, slide: 0))
            return (first.name, first.address, first.kind) != (second.name, second.address, second.kind)
        }
        #expect(differs == nil)
    }

    @Test func aSystemCallIsFollowedIntoTheProgram() throws {
        let guest = try shell()
        try guest.findKernelSymbols()
        guest.console.send("cat /proc/version\n")
        try run(guest, to: "do_sys_openat2")
        let frames = guest.cpu.backtrace()
        #expect(
            frames.prefix(4).map { $0.position?.symbol.name ?? "" } == [
                "do_sys_openat2", "__x64_sys_openat", "do_syscall_64", "entry_SYSCALL_64_after_hwframe",
            ])
        #expect(frames.dropFirst().prefix(4).allSatisfy { $0.method == .orc })
        let program = try #require(frames.first { $0.ring == 3 })
        #expect(program.isInterrupted)
        // SYSCALL is 0F 05, and RIP points behind it.
        #expect(guest.cpu.read(program.address &- 2, count: 2) == [0x0F, 0x05])
    }

    @Test func tasksAreThoseOfTheKernelsOwnList() throws {
        let guest = try shell()
        try guest.findKernelSymbols()
        let tasks = try KernelTasks(guest).all()
        guest.console.send("for p in /proc/[0-9]*; do read a b c d e < $p/stat; echo T $a $b $d; done; echo all told\n")
        #expect(guest.console.wait(for: "\nall told", limits: Self.limits).match != nil)
        let log = String(decoding: guest.console.output, as: UTF8.self)
        // `T 12 (kworker/0:1-events) 2`: what follows a worker's name is what it does. The kernel tells long names of its
        // threads in full; `comm` has 15 characters of them.
        let own = log.split(whereSeparator: \.isNewline).compactMap { line -> String? in
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 4, words[0] == "T", Int(words[1]) != nil else { return nil }
            let name = words[2].dropFirst().dropLast()
            let plain = name.hasPrefix("kworker") ? name.prefix { !"-+".contains($0) } : name.prefix(15)
            return "\(words[1]) \(plain) \(words[3])"
        }
        let found = tasks.filter { $0.identifier != 0 }.map { "\($0.identifier) \($0.name) \($0.parent)" }
        #expect(own.count > 20 && Set(own).symmetricDifference(found) == [])
        #expect(tasks.filter(\.isCurrent).count == 1)
        let shell = try #require(tasks.first { $0.identifier == 1 })
        #expect(shell.addressSpace != nil && tasks.filter { $0.addressSpace == nil }.count > 20)
    }

    @Test func switchesLeadFromTaskToTaskAndSayWhy() throws {
        let guest = try shell()
        try guest.findKernelSymbols()
        let tasks = try KernelTasks(guest)
        guest.console.send("(while :; do :; done) & sleep 0.05; echo over\n")
        var switches: [KernelSwitch] = []
        for _ in 0..<12 {
            try run(guest, to: "__switch_to_asm")
            switches.append(try #require(try tasks.presentSwitch()))
            guest.step(1)
        }
        for (one, next) in zip(switches, switches.dropFirst()) { #expect(one.to.address == next.from.address) }
        #expect(switches.contains { $0.reason.hasPrefix("waits in ") })
    }

    @Test func backtracesAgreeWithTheKernelsOwn() throws {
        let guest = try shell()
        try guest.findKernelSymbols()
        guest.console.send("echo l > /proc/sysrq-trigger\n")
        try run(guest, to: "show_trace_log_lvl")
        let own = guest.cpu.backtrace().filter { $0.ring == 0 }.dropFirst().map { $0.position?.description ?? "" }
        #expect(guest.console.wait(for: "</TASK>", limits: Self.limits).match != nil)
        let log = String(decoding: guest.console.output, as: UTF8.self)
        let trace = log.components(separatedBy: "<TASK>").last ?? ""
        // `[    1.306772]  dump_stack_lvl+0x44/0x5c`; what the kernel only guesses has a question mark.
        let wanted = trace.split(whereSeparator: \.isNewline).prefix { !$0.contains("RIP:") }.compactMap { line in
            line.contains(" ? ") ? nil : line.split(separator: " ").last?.split(separator: "/").first.map(String.init)
        }.filter { $0.contains("+0x") }
        #expect(wanted.count > 5)
        #expect(own.map { $0.contains("+0x") ? $0 : $0.replacing("+", with: "+0x") } == wanted)
    }
}
