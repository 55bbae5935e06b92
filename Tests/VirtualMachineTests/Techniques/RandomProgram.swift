import VirtualMachine
import X86
import _SeededNumbers

/// A random program for ring 0, with excursions to the other rings and modes, and interrupts by timer.
///
/// It consists of small pieces; whatever a piece raises, the handler goes on with the next one. The program never ends
/// by itself: what it does to its stack, its segments or its page tables it survives, because double faults are handled on
/// a stack (or in a task) of their own.
struct RandomProgram {
    /// The kind of machine that a program sets up.
    enum Mode: CaseIterable, Sendable {
        /// 64-bit code with four-level paging.
        case long
        /// 32-bit code with two-level paging.
        case protected
        /// 32-bit code with three-level paging.
        case extended
    }

    let mode: Mode
    /// Leaves out the instructions whose meaning depends on the ring without a fault, which trap-and-emulate gets wrong.
    let avoidsSensitive: Bool
    var random: SeededNumbers
    /// How many labels there are.
    var labels = 0
    /// The source of ring 0, for looking at.
    private(set) var lastText = ""

    var is64: Bool { mode == .long }
    var environment: PreparedLayout.Environment { is64 ? .long : .protected }

    init(_ mode: Mode, seed: UInt64, avoidsSensitive: Bool = false) {
        self.mode = mode
        self.avoidsSensitive = avoidsSensitive
        // The seed is mixed, or the next one would give the same numbers, one later.
        random = SeededNumbers(seed)
        random = SeededNumbers(random.next())
    }

    // MARK: Names

    /// The accumulator and the other registers whose width is that of the mode.
    func wide(_ name: String) -> String { (is64 ? "r" : "e") + name }
    var word: String { is64 ? "qword" : "dword" }
    var wordSize: Int { is64 ? 8 : 4 }
    /// Where physical memory can be reached.
    var window: UInt64 { is64 ? 0xFFFF_8000_0000_0000 : 0x8000_0000 }
    var layout: PreparedLayout { environment.layout }
    /// A page of data.
    var data: String { is64 ? "r14" : hex(window + Place.data) }
    /// The size of an entry of the page tables.
    var entrySize: Int { mode == .protected ? 4 : 8 }

    /// Physical addresses of what a program uses besides what the environment has prepared.
    enum Place {
        static let data: UInt64 = 0x20_0000
        /// Two page tables of the program's own, for its private addresses.
        static let table: UInt64 = 0x21_0000
        static let otherTable: UInt64 = 0x21_1000
        /// What leads to them.
        static let directories: UInt64 = 0x22_0000
        /// A copy of the outermost table in use.
        static let otherRoot: UInt64 = 0x22_2000
        /// The value of CR3 at the beginning, then (32-bit) where the next piece begins.
        static let root: UInt64 = 0x22_F000
        /// Three-level tables.
        static let pointers: UInt64 = 0x23_0000
    }

    /// The linear address of the private pages.
    var privatePages: UInt64 { is64 ? 0x100_0000_0000 : 0xA000_0000 }

    func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

    /// An operand in the window of physical memory; loads the register for it where 32 bits cannot hold the address.
    func physical(_ address: UInt64, by register: String) -> (load: String, operand: String) {
        is64 ? ("mov \(register), \(hex(window + address))\n", "[\(register)]") : ("", "[\(hex(window + address))]")
    }

    func load(_ register: String, label: String) -> String {
        is64 ? "lea \(register), [rel \(label)]" : "mov \(register), \(label)"
    }

    mutating func label() -> String {
        labels += 1
        return "l\(labels)"
    }

    mutating func register() -> String {
        random.pick(
            is64
                ? ["rax", "rcx", "rdx", "rbx", "rsi", "rdi", "r8", "r9", "eax", "ecx", "edx", "ebx", "r10d", "r11d"]
                : ["eax", "ecx", "edx", "ebx", "esi", "edi"])
    }

    mutating func register(_ width: Int) -> String {
        width == 64
            ? random.pick(["rax", "rcx", "rdx", "rbx", "r8", "rdi"])
            : random.pick(["eax", "ecx", "edx", "ebx", is64 ? "r9d" : "esi"])
    }

    mutating func place() -> String { "[\(data) + \(random.below(500) * 8 + random.below(2) * 3)]" }

    mutating func number() -> String {
        random.pick(["0", "1", "-1", "0x7fffffff", "0x80", hex(random.next() & 0x7FFF_FFFF), hex(random.next() & 0xFF)])
    }

    /// Flags for ring 3: interrupts on, and what does no harm.
    mutating func userFlags() -> String {
        hex(0x202 | random.pick([0, 0, 1, 0x40, 0x800, 0x4_0000, 0x20_0000, 0x100, 0x8_0000, 0x10_0000, 0x18_0000]))
    }

    // MARK: The whole

    /// The boot source with all of it.
    mutating func bootSource() throws -> BootSource {
        let pieces = 32
        let users = userCode()
        var code: [PreparedGuest.Code] = []
        var known: [String: UInt64] = [:]
        for (ring, source) in users {
            let origin = layout.codeOrigin(ring: ring) ?? 0
            let assembled = try Assembler(mode: is64 ? .bits64 : .bits32, origin: origin).assemble(source)
            code.append(.init(ring: ring, origin: origin, bytes: assembled.bytes))
            known.merge(assembled.labels) { first, _ in first }
        }
        var text = "begin:\n" + prologue()
        for number in 0..<pieces {
            let next = "piece\((number + 1) % pieces)"
            text += "piece\(number):\n"
            text += is64 ? "lea r15, [rel \(next)]\n" : "mov dword [\(hex(window + Place.root + 16))], \(next)\n"
            text += piece() + "\n"
        }
        text += "jmp piece0\n" + handlers()
        lastText = text
        let origin = layout.codeOrigin(ring: 0) ?? 0
        let kernel = try Assembler(mode: is64 ? .bits64 : .bits32, origin: origin, externalSymbols: known)
            .assemble(text)
        code.append(.init(ring: 0, origin: origin, bytes: kernel.bytes))
        return BootSource(
            .prepared(
                PreparedGuest(
                    environment, code: code, gates: gates(kernel.labels),
                    syscallEntry: is64 ? kernel.labels["enter"] : nil)))
    }

    private mutating func gates(_ labels: [String: UInt64]) -> [PreparedGuest.Gate] {
        var gates: [PreparedGuest.Gate] = []
        func handler(_ name: String) -> UInt64 { labels[name] ?? 0 }
        for vector: UInt16 in [0, 1, 3, 4, 5, 6, 7, 9, 16, 18, 19] {
            gates.append(
                .init(
                    random.chance(1, in: 4) ? .trap : .interrupt, number: vector, ring: 0,
                    handler: handler(vector == 1 ? "trap" : "plain"), privilege: random.chance(1, in: 3) ? 0 : 3,
                    interruptStack: is64 && random.chance(1, in: 5) ? 2 : 0))
        }
        for vector: UInt16 in [10, 11, 12, 13, 14, 17, 21] {
            gates.append(
                .init(
                    .interrupt, number: vector, ring: 0, handler: handler("coded"),
                    interruptStack: is64 && random.chance(1, in: 4) ? 3 : 0))
        }
        gates.append(
            is64
                ? .init(.interrupt, number: 8, ring: 0, handler: handler("double"), interruptStack: 1)
                : .init(.task, number: 8, ring: 0, handler: handler("double")))
        for (vector, name): (UInt16, String) in [
            (0x20, "timer"), (0x2D, "error"), (0x45, "local"), (0xFF, "return"), (0x40, "plain"), (0x41, "leave"),
            (0x42, "enter"), (0x43, "begin"),
        ] {
            gates.append(.init(.interrupt, number: vector, ring: 0, handler: handler(name), privilege: 3))
        }
        gates.append(.init(.trap, number: 0x46, ring: 0, handler: handler("return"), privilege: 3))
        if !is64 { gates.append(.init(.task, number: 0x44, ring: 0, handler: handler("task"), privilege: 3)) }
        gates.append(
            .init(.call(parameters: is64 ? 0 : 2), number: 0x100, ring: 0, handler: handler("enter"), privilege: 3))
        return gates
    }

    private mutating func piece() -> String {
        var lines: [String] = []
        for _ in 0..<1 + random.below(4) {
            var text: String
            repeat {
                labels += 1
                text = action()
            } while avoidsSensitive && Self.isSensitive(text)
            lines.append(text)
        }
        return lines.joined(separator: "\n")
    }

    /// What does something else in ring 1 and does not fault, by name; other instructions do so in some forms.
    static let sensitiveMnemonics = [
        "pushf", "pushfd", "pushfq", "popf", "popfd", "popfq", "sgdt", "sidt", "sldt", "str", "smsw", "lar", "lsl",
        "verr", "verw",
    ]

    /// Whether ring 1 makes a difference that no fault tells.
    private static func isSensitive(_ text: String) -> Bool {
        let others = ["retf", "db", "bits", "xgetbv", "iretq", "iretd", "int"]
        let mnemonics = Set((sensitiveMnemonics + others).map { $0[...] })
        return text.split(separator: "\n").contains { line in
            let words = line.split { " ,[]".contains($0) }
            guard let first = words.first else { return false }
            // The x87 unit keeps the selector of the code segment with its last instruction.
            if mnemonics.contains(first) || first.hasPrefix("f") || words.contains("far") || words.contains("retf") {
                return true
            }
            return ["mov", "push", "pop"].contains(first) && words.contains { ["cs", "ss"].contains($0) }
        }
    }
}
