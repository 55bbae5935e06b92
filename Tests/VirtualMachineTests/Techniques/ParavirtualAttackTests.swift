import Foundation
import Hypervisors
import Testing
import VirtualMachine
import X86
import X86Engine

/// Kernels that call their hypervisor with anything: its memory stays as it was, and no page table leads out.
@Suite struct ParavirtualAttackTests {
    private static let isLong = ProcessInfo.processInfo.environment["VSCRIPT_LONG_TESTS"] != nil
    /// 60 with `VSCRIPT_LONG_TESTS=1`.
    private static let kernelCount: UInt64 = isLong ? 60 : 12
    /// How many kernels make each call; 10 with `VSCRIPT_LONG_TESTS=1`.
    private static let seedCount: UInt64 = isLong ? 10 : 1

    /// A kernel that calls in a loop, with numbers and arguments of a generator; `number` computes EAX from EBX.
    private func attacker(_ kernel: ParavirtualKernel, seed: UInt64, number: String) throws -> Guest {
        let (bx, cx) = (kernel.r("bx"), kernel.r("cx"))
        /// Puts the next random number into EBX.
        let next = "imul ebx, ebx, 1664525\nadd ebx, 1013904223\n"
        /// An argument: a small number, a place in tables or data, any page, or anything at all.
        func argument(_ register: String, _ name: String) -> String {
            """
            \(next)
            mov ecx, ebx
            shr ecx, 28
            mov \(register), ebx
            cmp ecx, 3
            ja other_\(name)
            and \(register), 15
            jmp done_\(name)
            other_\(name):
            cmp ecx, 6
            ja page_\(name)
            mov \(register), [\(cx) * 4 + places - 16]
            mov ecx, ebx
            shr ecx, 16
            and ecx, 0x7ff8
            add \(register), ecx
            jmp done_\(name)
            page_\(name):
            cmp ecx, 10
            ja any_\(name)
            and \(register), 0x3ff007
            jmp done_\(name)
            any_\(name):
            \(kernel.isWide ? "shl r\(register.dropFirst()), 17\nadd r\(register.dropFirst()), rbx" : "nop")
            done_\(name):

            """
        }
        return try kernel.guest(
            """
            \(kernel.buildTables)
            \(kernel.landing("again"))
            mov ebx, 0x\(String(UInt32(truncatingIfNeeded: seed &* 0x9E37_79B9), radix: 16))
            again:
            mov esp, 0x180000
            \(argument("edi", "a"))
            \(argument("esi", "b"))
            \(argument("edx", "c"))
            \(next)
            \(number)
            mov [\(ParavirtualKernel.place(60))], \(bx)
            vmcall
            jmp again
            """,
            user: "int 0x80\njmp $",
            rest: """
                align 4
                places: dd 0x200000, 0x3fb000, 0x1c0000

                """)
    }

    /// The monitor's descriptors, IDT, TSS and entry points, and of the rest of its pages all that differs from zero but
    /// the virtual-state page and the page tables of its region.
    private func monitorMemory(_ guest: Guest) throws -> [UInt8] {
        let machine = try #require(guest.monitor).machine.memory
        let first = Int(guest.memory.size >> 12)
        var bytes: [UInt8] = (first..<first + 4).flatMap { Array(machine.bytes(page: $0, offset: 0)) }
        let zeros = [UInt8](repeating: 0, count: 4096)
        for page in first + 5..<Int(machine.size >> 12) {
            let content = machine.bytes(page: page, offset: 0)
            guard let base = content.baseAddress, memcmp(base, zeros, 4096) != 0 else { continue }
            let words = content.bindMemory(to: UInt64.self)
            // What maps the guest's descriptor table is changed by its calls, and looked at below.
            for (index, word) in words.enumerated() where !(page == first + 512 && (16..<30).contains(index)) {
                withUnsafeBytes(of: word) { bytes += $0 }
            }
        }
        return bytes
    }

    /// Whether every page table in force leads to the guest's own pages only, and none can be written through another;
    /// found out without the monitor's own accounts.
    private func tablesAreClosed(_ guest: Guest, root: UInt64) -> Bool {
        let pages = guest.memory.size >> 12
        let region = pages << 12
        var tables: Set<UInt64> = []
        var writable: Set<UInt64> = []
        func walk(_ table: UInt64, level: Int) -> Bool {
            guard table >> 12 < pages else { return false }
            tables.insert(table >> 12)
            for index in UInt64(0)..<512 {
                let entry = guest.physicalWord(table + index * 8)
                guard entry & 1 != 0 else { continue }
                let frame = entry & 0x000F_FFFF_FFFF_F000
                if level == 4 && index == 384 {
                    guard frame >= region, entry & 4 == 0 else { return false }
                    continue
                }
                guard frame >> 12 < pages else { return false }
                if level == 1 {
                    if entry & 2 != 0 { writable.insert(frame >> 12) }
                    continue
                }
                guard entry & 0x80 == 0 else { return false }
                if tables.contains(frame >> 12) && level == 2 { continue }
                guard walk(frame, level: level - 1) else { return false }
            }
            return true
        }
        // The descriptor table must not be writable either: the region's table says where it is.
        guard walk(root, level: 4), let machine = guest.monitor?.machine.memory else { return false }
        let mapped = machine.bytes(page: Int(pages) + 512, offset: 0).bindMemory(to: UInt64.self)[16..<30]
        let descriptors = Set(mapped.map { ($0 & 0x000F_FFFF_FFFF_F000) >> 12 }.filter { $0 < pages })
        return writable.isDisjoint(with: tables.union(descriptors))
    }

    private func expectContained(_ guest: Guest, _ before: [UInt8], _ comment: Comment) throws {
        #expect(try monitorMemory(guest) == before, comment)
        let root = try #require(guest.monitor).machine.state.pointee.cr3
        #expect(tablesAreClosed(guest, root: root), comment)
        #expect(tablesAreClosed(guest, root: guest.cpu["cr3"] ?? 0), comment)
    }

    /// Every call by itself with random arguments.
    @Test(arguments: [true, false]) func eachCallTakesAnyArguments(isWide: Bool) throws {
        let kernel = ParavirtualKernel(isWide: isWide)
        let neighbour = try kernel.guest("nop")
        neighbour.step(1_000)
        let digest = neighbour.digest
        for number in 0...HypercallInterface.native.calls.count {
            for seed in UInt64(1)...Self.seedCount {
                let guest = try attacker(kernel, seed: seed, number: "mov eax, \(number)")
                guest.run(limits: RunLimits(time: 20_000, instructions: 11_000))
                let before = try monitorMemory(guest)
                guest.run(limits: RunLimits(time: 60_000, instructions: 30_000))
                try expectContained(guest, before, "call \(number), seed \(seed)")
            }
        }
        #expect(neighbour.digest == digest)
    }

    /// All calls in random order; whoever ends early is followed by the next.
    @Test(arguments: [true, false]) func allCallsTakeAnyArguments(isWide: Bool) throws {
        let kernel = ParavirtualKernel(isWide: isWide)
        var calls: UInt64 = 0
        let last = HypercallInterface.native.calls.count - 1
        for seed in UInt64(1)...Self.kernelCount {
            // Not the end, and half of the kernels leave their handlers alone.
            let number = """
                mov eax, ebx
                shr eax, 25
                cmp eax, \(last)
                jae again
                \(seed & 1 == 0 ? "" : "cmp eax, \(ParavirtualKernel.number("setTraps"))\nje again\n"
                    + "cmp eax, \(ParavirtualKernel.number("returnFromTrap"))\nje again\n"
                    + "cmp eax, \(ParavirtualKernel.number("block"))\nje again")
                """
            let guest = try attacker(kernel, seed: seed, number: number)
            guest.run(limits: RunLimits(time: 20_000, instructions: 11_000))
            let before = try monitorMemory(guest)
            for _ in 0..<8 {
                let stop = guest.run(limits: RunLimits(time: 20_000, instructions: 20_000))
                try expectContained(guest, before, "seed \(seed)")
                if stop.reason == .crashed || stop.reason == .halted { break }
            }
            calls += guest.monitor?.statistics.emulated ?? 0
        }
        #expect(calls > 2_000)
    }

    /// Tables that the host, or a device for the guest, has written to are judged anew before they are used.
    @Test(arguments: [true, false]) func tablesThatAreWrittenFromOutsideAreValidatedAgain(isWide: Bool) throws {
        let kernel = ParavirtualKernel(isWide: isWide)
        func guest() throws -> Guest {
            let guest = try kernel.guest("\(kernel.landing("end"))mov eax, [0x1f0000]\n\(kernel.store(0))jmp end")
            guest.step(30)
            return guest
        }
        // The page table of the first 2 MiB is the fourth of the first tables.
        let entry = ParavirtualKernel.firstTables + 0x3000 + 0x1F0 * 8
        let fine = try guest()
        try fine.mem.write(integer: UInt64(0x1F_1005), at: entry)
        #expect(fine.step(100).reason == .instructions)
        for value in [UInt64(0x40_0007), 0x3F_B007, 0x3F_E003] {
            let bad = try guest()
            try bad.mem.write(integer: value, at: entry)
            let stop = bad.step(100)
            #expect(stop.reason == .crashed && stop.detail.contains("changed from outside"), "\(stop.detail)")
        }
    }

    /// What a forged snapshot says of the hypervisor's knowledge is not believed.
    @Test func forgedKnowledgeIsRefused() throws {
        let kernel = ParavirtualKernel(isWide: true)
        let guest = try kernel.guest(kernel.call("bind", 0, 0))
        guest.step(200)
        let monitor = try #require(guest.monitor)
        let words = monitor.knowledge
        for index in words.indices {
            for value in [UInt64.max, 0x40_0000, 1, 0x3F_B008] {
                var forged = words
                forged[index] = value
                monitor.stateReplaced(knowledge: forged)
                guest.run(limits: RunLimits(time: 1_000, instructions: 50))
                guest.processor.state.pointee.activity = .active
            }
        }
        for count in words.indices {
            monitor.stateReplaced(knowledge: Array(words[..<count]))
            guest.processor.state.pointee.activity = .active
        }
        monitor.stateReplaced(knowledge: words)
        #expect(monitor.endReason == nil)
    }
}
