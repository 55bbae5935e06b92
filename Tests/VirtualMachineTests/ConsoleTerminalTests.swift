import Synchronization
import Testing
import VirtualMachine
import X86

/// A terminal at which keys are pressed at given moments; its clock goes on only while somebody waits.
private final class ScriptedTerminal: ConsoleTerminal {
    struct Key {
        var time: UInt64
        var input: ConsoleTerminalInput
    }

    struct State {
        var keys: [Key]
        var clock: UInt64 = 0
        var written: [UInt8] = []
        var isBegun = false
        var begins = 0
        /// True if it was used while it was not begun.
        var wasMisused = false
    }

    private let mutex: Mutex<State>
    private let refusal: String?

    init(_ keys: [(time: UInt64, input: ConsoleTerminalInput)], refusal: String? = nil) {
        mutex = Mutex(State(keys: keys.map { Key(time: $0.time, input: $0.input) }))
        self.refusal = refusal
    }

    var state: State { mutex.withLock { $0 } }
    var text: String { String(decoding: state.written, as: UTF8.self) }

    func begin() throws(ConsoleTerminalError) {
        if let refusal { throw ConsoleTerminalError(refusal) }
        mutex.withLock {
            $0.isBegun = true
            $0.begins += 1
        }
    }

    func end() { mutex.withLock { $0.isBegun = false } }

    func read() -> ConsoleTerminalInput {
        mutex.withLock {
            if !$0.isBegun { $0.wasMisused = true }
            guard let next = $0.keys.first, next.time <= $0.clock else { return ConsoleTerminalInput() }
            $0.keys.removeFirst()
            return next.input
        }
    }

    func write(_ bytes: [UInt8]) {
        mutex.withLock {
            if !$0.isBegun { $0.wasMisused = true }
            $0.written += bytes
        }
    }

    func wait(nanoseconds: UInt64) -> UInt64 {
        mutex.withLock {
            let clock = $0.clock
            let untilKey = $0.keys.first.map { $0.time > clock ? $0.time - clock : 0 } ?? .max
            let passed = min(nanoseconds, untilKey)
            $0.clock += passed
            return passed
        }
    }
}

/// Consoles on a terminal, and what was typed there coming in again.
@Suite struct ConsoleTerminalTests {
    /// A guest that halts between interrupts: it counts ticks of the 8254 at 0x200000 and echoes what the UART receives.
    private static let echo = """
            mov esp, 0x180000
            lea rax, [rel tick]
            lea rdi, [rel table + 0x20 * 16]
            call gate
            lea rax, [rel received]
            lea rdi, [rel table + 0x24 * 16]
            call gate
            lidt [rel pointer]
            mov al, 0x11
            out 0x20, al
            mov al, 0x20
            out 0x21, al
            mov al, 4
            out 0x21, al
            mov al, 1
            out 0x21, al
            mov al, 0xee
            out 0x21, al
            mov dx, 0x3fb
            mov al, 3
            out dx, al
            mov dx, 0x3fc
            mov al, 8
            out dx, al
            mov dx, 0x3f9
            mov al, 1
            out dx, al
            sti
        wait: hlt
            jmp wait
        tick:
            push rax
            inc qword [0x200000]
            mov al, 0x20
            out 0x20, al
            pop rax
            iretq
        received:
            push rax
            push rdx
            rdtsc
            xor [0x200008], eax
            mov dx, 0x3f8
            in al, dx
            out dx, al
            mov al, 0x20
            out 0x20, al
            pop rdx
            pop rax
            iretq
        gate:
            mov [rdi], ax
            mov dx, cs
            mov [rdi + 2], dx
            shr eax, 16
            mov [rdi + 6], ax
            mov word [rdi + 4], 0x8e00
            ret
        pointer: dw 0xfff
            dq table
            align 16
        table: times 4096 db 0
        """

    private func guest(
        _ source: String = echo, tlbEntries: Int = 1024, usesBlockCache: Bool = true
    ) throws -> Guest {
        let bytes = try Assembler(mode: .bits64, origin: 0x10_0000).assemble(source).bytes
        var configuration = GuestConfiguration(boot: .flat(bytes, at: 0x10_0000, mode: .long))
        configuration.memory = 4 << 20
        configuration.tlbEntries = tlbEntries
        configuration.usesBlockCache = usesBlockCache
        return try Guest(configuration)
    }

    private let second: UInt64 = 1_000_000_000

    @Test func typedBytesReachTheGuestAndItsAnswerTheTerminal() throws {
        let guest = try guest()
        let terminal = ScriptedTerminal([
            (second, .init(bytes: Array("hi".utf8))), (second * 2, .init(bytes: Array("!".utf8), ending: .leave)),
        ])
        let stop = try guest.console.attach(to: terminal)
        #expect(stop.reason == .stopped)
        #expect(stop.detail == "detached")
        #expect(terminal.text == "hi")
        #expect(terminal.state.begins == 1)
        #expect(!terminal.state.isBegun)
        #expect(!terminal.state.wasMisused)
        #expect(!guest.console.isAttached)
        // What came before the key that leaves is the guest's still.
        guest.run(limits: RunLimits(time: 1_000))
        #expect(guest.console.output == Array("hi!".utf8))
    }

    @Test func haltedGuestWaitsInTheTimeOfTheHost() throws {
        let guest = try guest()
        let terminal = ScriptedTerminal([(3 * second, .init(ending: .leave))])
        _ = try guest.console.attach(to: terminal)
        // It executes little; nearly all of its three seconds it has waited, as long as the terminal says.
        #expect(guest.time - guest.instructions == terminal.state.clock)
        #expect((3 * second..<3 * second + 100_000).contains(guest.time))
        // The 8254 divides 1,193,182 Hz by 65,536.
        var ticks: UInt64 = 0
        #expect(withUnsafeMutableBytes(of: &ticks) { guest.memory.read(0x20_0000, into: $0) })
        #expect(ticks == 54)
    }

    @Test func guestThatWaitsForKeysAloneIsNotOver() throws {
        // Only the UART can wake it: the mask leaves no timer.
        let guest = try guest(Self.echo.replacing("mov al, 0xee", with: "mov al, 0xef"))
        let terminal = ScriptedTerminal([
            (400 * second, .init(bytes: [0x61])), (401 * second, .init(ending: .closed)),
        ])
        let stop = try guest.console.attach(to: terminal)
        #expect(stop.detail == "the terminal is gone")
        #expect(terminal.text == "a")
    }

    @Test func guestThatNothingWakesEndsAsHalted() throws {
        let terminal = ScriptedTerminal([])
        let guest = try guest("cli\n hlt")
        #expect(try guest.console.attach(to: terminal).reason == .halted)
        #expect(!terminal.state.isBegun)
    }

    @Test func attachingEndsAtItsTimeLimit() throws {
        let guest = try guest()
        let stop = try guest.console.attach(to: ScriptedTerminal([]), limits: RunLimits(time: 5 * second + 7))
        #expect(stop.reason == .timeout)
        #expect(stop.time == 5 * second + 7)
    }

    @Test func guestThatNeverHaltsHearsTheKeyThatLeaves() throws {
        let guest = try guest("spin: jmp spin")
        #expect(try guest.console.attach(to: ScriptedTerminal([(0, .init(ending: .leave))])).reason == .stopped)
    }

    @Test func theLineThatTheOutputEndsWithIsShownFirst() throws {
        let source = """
                mov dx, 0x3fb
                mov al, 3
                out dx, al
                mov dx, 0x3f8
                lea rsi, [rel text]
                mov ecx, 8
                rep outsb
            spin: jmp spin
            text: db "old", 13, 10, "$ ", 0
            """
        for isShown in [true, false] {
            let guest = try guest(source.replacing("mov ecx, 8", with: "mov ecx, 7"))
            guest.run(limits: RunLimits(instructions: 100))
            let terminal = ScriptedTerminal([(0, .init(ending: .leave))])
            _ = try guest.console.attach(to: terminal, showingLastLine: isShown)
            #expect(terminal.text == (isShown ? "$ " : ""))
        }
    }

    @Test func terminalThatRefusesIsNamed() throws {
        let guest = try guest()
        let error = #expect(throws: ConsoleTerminalError.self) {
            try guest.console.attach(to: ScriptedTerminal([], refusal: "standard input is not a terminal"))
        }
        #expect(error?.description == "standard input is not a terminal")
        #expect(guest.instructions == 0)
    }

    // MARK: - Replay

    @Test func whatWasTypedIsRecordedWithItsPosition() throws {
        let guest = try guest()
        let terminal = ScriptedTerminal([(second, .init(bytes: [0x61])), (2 * second, .init(ending: .leave))])
        _ = try guest.console.attach(to: terminal)
        #expect(guest.console.inputs.map(\.bytes) == [[0x61]])
        let input = try #require(guest.console.inputs.first)
        #expect((second..<second + 100_000).contains(input.time))
        #expect(input.instructions < 100_000)
    }

    @Test(arguments: [(1024, true), (16, true), (16, false)])
    func recordedInputGivesTheSameDigest(tlbEntries: Int, usesBlockCache: Bool) throws {
        let original = try guest()
        // At odd moments, more than the UART's FIFO holds, and some of it while the guest is not attached.
        let terminal = ScriptedTerminal([
            (123_456_789, .init(bytes: Array("one".utf8))),
            (1_023_456_781, .init(bytes: Array("a line that is longer than the FIFO\r".utf8))),
            (1_023_456_782, .init(bytes: [3])), (3_000_000_001, .init(ending: .leave)),
        ])
        _ = try original.console.attach(to: terminal)
        original.console.send("typed by a script")
        let end = original.run(limits: RunLimits(time: second))
        #expect(original.console.output.count > 50)

        let replayed = try guest(tlbEntries: tlbEntries, usesBlockCache: usesBlockCache)
        try replayed.replay(original.console.inputs)
        let stop = replayed.run(limits: RunLimits(time: end.time))
        #expect(stop.instructions == end.instructions)
        #expect(replayed.console.output == original.console.output)
        #expect(replayed.console.inputs == original.console.inputs)
        #expect(replayed.digest == original.digest)

        // The same keys a nanosecond later are another run.
        let other = try guest()
        var late = original.console.inputs
        late[0].time += 1
        try other.replay(late)
        other.run(limits: RunLimits(time: end.time))
        #expect(other.digest != original.digest)
    }

    @Test func replayRefusesPositionsThatAreOver() throws {
        let guest = try guest()
        guest.run(limits: RunLimits(time: 1_000))
        #expect(throws: GuestError.self) {
            try guest.replay([ExternalInput(time: 999, instructions: 999, bytes: [1])])
        }
        #expect(throws: GuestError.self) {
            try guest.replay([
                ExternalInput(time: 2_000, instructions: 0, bytes: [1]),
                ExternalInput(time: 1_999, instructions: 0, bytes: [2]),
            ])
        }
        #expect(guest.run(limits: RunLimits(time: 10_000)).reason == .timeout)
        #expect(guest.console.inputs.isEmpty)
    }
}
