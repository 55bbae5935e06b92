import VirtualMachine
import X86
import X86Engine

/// A guest as the REPL looks at it: with symbols, stops and what it saw last.
package final class DebuggedGuest {
    package let guest: Guest
    package let name: String
    package let summary: String
    package var symbols: SymbolTable { guest.symbolTable }
    package var stopPoints: [StopPoint] = []
    /// The registers at the stop before the last, for `diff`.
    package private(set) var earlier: RegisterSnapshot?
    /// The registers at the last stop.
    package private(set) var last: RegisterSnapshot
    package var lastStop: Stop?
    /// The position of the last search for a kernel's names.
    package var lastSymbolSearch: UInt64 = 0
    /// The reader of its Linux kernel's tasks, once it was needed.
    package var kernelTasks: KernelTasks?
    /// The snapshots by which it goes back.
    package let history: GuestHistory

    package init(_ scoped: ScopedGuest) {
        guest = scoped.guest
        name = scoped.name
        summary = scoped.summary
        last = RegisterSnapshot(scoped.guest)
        guest.transitions.isRecording = true
        history = GuestHistory(guest)
    }

    /// Takes the registers as those of a new stop.
    package func stopped(_ stop: Stop) {
        lastStop = stop
        earlier = last
        last = RegisterSnapshot(guest)
    }

    /// Whether it stands in its monitor: it was left, and nothing was done about that yet.
    package var isInRoot: Bool {
        guard guest.monitor != nil, let last = guest.transitions.last, last.kind == "exit" else { return false }
        return last.instructions == guest.instructions && last.before.rip == guest.cpu.rip
    }

    package var isLongMode: Bool { guest.processor.state.pointee.efer & EFER.LMA != 0 }

    /// The linear address of an offset in CS.
    package func codeAddress(_ rip: UInt64) -> UInt64 {
        let state = guest.processor.state.pointee
        if state.efer & EFER.LMA != 0 && state.cs.isLong { return rip }
        return (state.cs.base &+ rip) & 0xFFFF_FFFF
    }

    /// The mode in which the processor decodes.
    package var codeMode: CodeMode {
        switch guest.cpu.mode {
        case "64-bit": .bits64
        case "protected 32": .bits32
        case "compatibility": guest.processor.state.pointee.cs.isDefault32 ? .bits32 : .bits16
        default: .bits16
        }
    }

    /// The instruction at an offset in CS; nil where memory is not mapped.
    ///
    /// Bytes that are none become `db`.
    package func decode(at rip: UInt64) -> DecodedInstruction? {
        decode(at: rip, linear: codeAddress(rip), mode: codeMode)
    }

    /// The instruction at an offset in a code segment, which lies at a linear address.
    func decode(at rip: UInt64, linear: UInt64, mode: CodeMode) -> DecodedInstruction? {
        var bytes: [UInt8] = []
        // A page at a time, so that an instruction before an unmapped page is seen.
        let first = min(15, 0x1000 - Int(linear & 0xFFF))
        guard let head = guest.cpu.read(linear, count: first) else { return nil }
        bytes = head
        if first < 15, let tail = guest.cpu.read(linear &+ UInt64(first), count: 15 - first) { bytes += tail }
        let result = bytes.withUnsafeBytes { Decoder.decode($0, mode: mode) }
        guard case .instruction(let instruction) = result else {
            return DecodedInstruction(
                address: rip, bytes: [bytes[0]], text: "db \(Numbers.hex(bytes[0]))", instruction: nil)
        }
        return DecodedInstruction(
            address: rip, bytes: Array(bytes.prefix(Int(instruction.length))),
            text: InstructionFormatter(mode: mode).text(of: instruction, at: rip), instruction: instruction)
    }

    /// A number in linear memory, little-endian.
    package func number(_ linear: UInt64, bytes: Int) -> UInt64? {
        guest.cpu.read(linear, count: bytes)?.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}

extension Transition {
    /// What kinds of cause there are.
    package enum Kind: Equatable, Sendable {
        case exception, externalInterrupt, nonMaskableInterrupt, softwareInterrupt
        /// Between a guest and its monitor, or in the host of one.
        case exit, entry, host
        case syscall, sysret, sysenter, sysexit, iret, callGate, farReturn, taskSwitch, farTransfer
    }

    /// The kind of cause, by its name.
    package var family: Kind {
        switch kind as String {
        case "exit": return .exit
        case "entry": return .entry
        case "host": return .host
        case _: break
        }
        let names: [(String, Kind)] = [
            ("#", .exception), ("exception", .exception), ("interrupt", .externalInterrupt),
            ("NMI", .nonMaskableInterrupt), ("int ", .softwareInterrupt), ("syscall", .syscall), ("sysret", .sysret),
            ("sysenter", .sysenter), ("sysexit", .sysexit), ("iret", .iret), ("call gate", .callGate),
            ("far return", .farReturn), ("task switch", .taskSwitch),
        ]
        return names.first { cause.hasPrefix($0.0) }?.1 ?? .farTransfer
    }
}

/// The registers at a moment, and how far the guest had come.
package struct RegisterSnapshot: Equatable, Sendable {
    package private(set) var values: [String: UInt64] = [:]
    /// Instructions, guest time, changes of level, and bytes that the guest printed.
    package private(set) var counts: [(name: String, value: UInt64)] = []

    package static func == (left: RegisterSnapshot, right: RegisterSnapshot) -> Bool {
        left.values == right.values && left.counts.map(\.value) == right.counts.map(\.value)
    }

    package static let names: [String] =
        ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp"] + (8...15).map { "r\($0)" } + [
            "rip", "rflags", "cs", "ss", "ds", "es", "fs", "gs", "fs_base", "gs_base", "kernel_gs_base", "gdtr", "idtr",
            "ldtr", "tr", "cr0", "cr2", "cr3", "cr4", "efer", "star", "lstar", "fmask", "xcr0", "pat", "mxcsr", "dr0",
            "dr1", "dr2", "dr3", "dr6", "dr7",
        ]

    package init(_ guest: Guest) {
        for name in Self.names { values[name] = guest.cpu[name] }
        counts = [
            ("instructions", guest.instructions), ("time", guest.time), ("transitions", guest.transitions.count()),
            ("printed", UInt64(guest.console.output.count)),
        ]
    }
}
