import Hypervisors
import VirtualMachine
import X86
import X86Engine

/// A small kernel that speaks the native interface, in 64-bit or 32-bit code, at 1 MiB in 4 MiB of memory.
///
/// It installs handlers, a stack and the shared page, and then runs the body. What it finds out is at `results`.
struct ParavirtualKernel {
    static let results: UInt64 = 0x19_0000
    static let shared: UInt64 = 0x1A_0000
    /// The end of the memory that the first page tables leave free, of 4 MiB: five of them lie behind it.
    static let firstTables: UInt64 = 0x3F_B000
    let isWide: Bool

    /// Where results go that handlers count.
    enum Counter: Int {
        case faults = 32
        case interrupts, events, systemCalls, lastVector, lastError, lastCode, lastFlags
    }

    /// A general register of the kernel's width: `r("ax")`.
    func r(_ name: String) -> String { (isWide ? "r" : "e") + name }

    var word: String { isWide ? "qword" : "dword" }
    var data: String { isWide ? "dq" : "dd" }
    var width: Int { isWide ? 8 : 4 }

    static func number(_ name: String) -> Int {
        HypercallInterface.native.calls.firstIndex { $0.name == name } ?? 0xFFFF
    }

    /// A call with its arguments, if they are constants.
    func call(_ name: String, _ arguments: UInt64..., by instruction: String = "vmcall") -> String {
        let registers = ["edi", "esi", "edx"]
        let moves = zip(registers, arguments).map { register, value in
            value > UInt32.max && isWide
                ? "mov r\(register.dropFirst()), 0x\(String(value, radix: 16))\n"
                : "mov \(register), 0x\(String(value, radix: 16))\n"
        }
        return moves.joined() + "mov eax, \(Self.number(name))\n\(instruction)\n"
    }

    /// Stores RAX as a result.
    func store(_ index: Int, _ register: String = "ax") -> String {
        "mov [\(Self.place(index))], \(r(register))\n"
    }

    static func place(_ index: Int) -> String { "0x" + String(results + UInt64(index) * 8, radix: 16) }

    /// Where the handler of faults goes on.
    func landing(_ label: String) -> String { "mov \(isWide ? "r15d" : "ebp"), \(label)\n" }

    /// Goes to `user` in ring 3 with a stack of its own and events enabled.
    var enterUser: String { enter("user", code: isWide ? 0xE04B : 0xE03B) }

    func enter(_ label: String, code: UInt64) -> String {
        let words = ["0", label, "\(code)", "0x202", "0x1d0000", "0xe043"]
        return "sub \(r("sp")), \(words.count * width)\n"
            + words.enumerated().map { "mov \(word) [\(r("sp")) + \($0.offset * width)], \($0.element)\n" }.joined()
            + call("returnFromTrap")
    }

    /// Builds page tables from 0x200000 on that map all memory but 0xA0000...0xBFFFF, and themselves read-only.
    ///
    /// The top-level table is at 0x200000, the next ones follow, and the page tables are at 0x203000 and 0x204000.
    var buildTables: String {
        let (di, cx) = (r("di"), r("cx"))
        return """
            mov edi, 0x203000
            xor ecx, ecx
            fill:
            mov eax, ecx
            shl eax, 12
            or eax, 7
            mov dword [\(di) + \(cx) * 8], eax
            mov dword [\(di) + \(cx) * 8 + 4], 0
            inc ecx
            cmp ecx, 1024
            jb fill
            mov ecx, 0xa0
            hole:
            mov dword [\(di) + \(cx) * 8], 0
            inc ecx
            cmp ecx, 0xc0
            jb hole
            mov ecx, 0x200
            tables:
            and dword [\(di) + \(cx) * 8], ~2
            inc ecx
            cmp ecx, 0x205
            jb tables
            mov dword [0x202000], 0x203007
            mov dword [0x202008], 0x204007
            mov dword [0x201000], 0x202007
            mov dword [0x200000], 0x201007

            """
    }

    /// The whole program; `body` runs in the kernel with everything set up, `user` is where user code begins.
    func source(_ body: String, user: String = "jmp $", rest: String = "") -> String {
        func counted(_ counter: Counter) -> String { "inc \(word) [\(Self.place(counter.rawValue))]\n" }
        func note(_ counter: Counter, _ register: String = "ax") -> String { store(counter.rawValue, register) }
        let sp = r("sp")
        return """
            jmp start
            align 8
            db "vsnative", 0, 0, 0, 0
            dd 1
            start:
                mov esp, 0x180000
                \(store(40, "di"))\(store(41, "si"))\(store(42, "dx"))
                mov edi, traps
                mov esi, 6
                \(call("setTraps"))
                mov edi, events
                mov esi, 0x\(String(Self.shared, radix: 16))
                \(call("setEvents"))
                \(call("setStack", 0x17_F000))
                \(body)
            end: jmp end
            // Goes on where R15 or EBP says, with everything else as it was.
            skip:
                push \(r("ax"))
                \(counted(.faults))
                mov \(r("ax")), [\(sp) + \(width)]
                \(note(.lastVector))
                mov \(r("ax")), [\(sp) + \(2 * width)]
                \(note(.lastError))
                mov \(r("ax")), [\(sp) + \(4 * width)]
                \(note(.lastCode))
                pop \(r("ax"))
                add \(sp), \(width)
                mov [\(sp)], \(r("ax"))
                mov \(word) [\(sp) + \(width)], \(isWide ? "r15" : "ebp")
                \(call("returnFromTrap"))
            service:
                \(counted(.interrupts))
                push \(r("ax"))
                mov ax, cs
                \(note(.lastCode))
                pop \(r("ax"))
                add \(sp), \(width)
                mov [\(sp)], \(r("ax"))
                \(call("returnFromTrap"))
            called:
                \(counted(.systemCalls))
                add \(sp), \(width)
                mov [\(sp)], \(r("cx"))
                \(call("returnFromTrap"))
            events:
                \(counted(.events))
                push \(r("ax"))
                mov \(r("ax")), [\(sp) + \(5 * width)]
                \(note(.lastFlags))
                pop \(r("ax"))
                mov \(word) [0x\(String(Self.shared, radix: 16))], 0
                add \(sp), \(width)
                mov [\(sp)], \(r("ax"))
                \(call("returnFromTrap"))
            user:
                \(user)
            \(rest)
            text: db "paravirtual"
            align 8
            traps: \(data) 14, skip, 6, skip, 13, skip, 0x80, service, 3, skip, 0, skip
            """
    }

    func boot(_ body: String, user: String = "jmp $", rest: String = "") throws -> BootSource {
        let code = try Assembler(mode: isWide ? .bits64 : .bits32, origin: 0x10_0000)
            .assemble(source(body, user: user, rest: rest))
        return BootSource.flat(code.bytes, at: 0x10_0000, mode: isWide ? .long : .protected)
    }

    func guest(
        _ body: String, user: String = "jmp $", rest: String = "", model: ProcessorModel = .intel64
    ) throws -> Guest {
        try Way(technique: .paravirtual).guest(
            try boot(body, user: user, rest: rest), model, memory: 4 << 20)
    }
}

extension Guest {
    /// A word that the kernel has left.
    func result(_ index: Int) -> UInt64 { physicalWord(ParavirtualKernel.results + UInt64(index) * 8) }

    func result(_ counter: ParavirtualKernel.Counter) -> UInt64 { result(counter.rawValue) }

    /// A result as a 32-bit number with a sign.
    func result32(_ index: Int) -> Int32 { Int32(truncatingIfNeeded: result(index)) }

    func physicalWord(_ address: UInt64) -> UInt64 {
        var bytes = [UInt8](repeating: 0, count: 8)
        _ = bytes.withUnsafeMutableBytes { memory.read(address, into: $0) }
        return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
