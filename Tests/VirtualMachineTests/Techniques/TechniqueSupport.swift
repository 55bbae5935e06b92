import Hypervisors
import Testing
import VirtualMachine
import X86
import X86Engine

/// A technique with a way of paging.
struct Way: Sendable, CustomTestStringConvertible {
    var technique: Technique
    var paging: Paging?

    var testDescription: String { paging.map { "\(technique) \($0)" } ?? "\(technique)" }

    static let translate = Way(technique: .translate)
    static let trapAndEmulate = Way(technique: .trapAndEmulate)
    /// Those that do what the bare machine does, whatever the guest, on an Intel processor.
    static let faithful = [translate, Way(technique: .vmx, paging: .nested), Way(technique: .vmx, paging: .shadow)]
    /// Those that run guests without sensitive unprivileged instructions too.
    static let all = faithful + [trapAndEmulate]

    /// A make of processors, and the techniques that do what its bare machine does, whatever the guest.
    struct Vendor: Sendable, CustomTestStringConvertible {
        var model: ProcessorModel
        var ways: [Way]
        var testDescription: String { "\(model.vendor)" }
    }

    static let vendors = [
        Vendor(model: .intel64, ways: faithful),
        Vendor(
            model: .amd64,
            ways: [translate, Way(technique: .svm, paging: .nested), Way(technique: .svm, paging: .shadow)]),
    ]

    /// A faithful technique on the processors that it is for.
    struct Placed: Sendable, CustomTestStringConvertible {
        var way: Way
        var model: ProcessorModel
        var testDescription: String { "\(model.vendor), \(way.testDescription)" }
    }

    static let placed = vendors.flatMap { vendor in vendor.ways.map { Placed(way: $0, model: vendor.model) } }

    func guest(
        _ boot: BootSource, _ model: ProcessorModel = .intel64, blocks: Bool = true, memory: UInt64 = 16 << 20
    ) throws -> Guest {
        var configuration = GuestConfiguration(boot: boot)
        configuration.memory = memory
        configuration.technique = technique
        configuration.paging = paging
        configuration.model = model
        configuration.usesBlockCache = blocks
        return try Guest(configuration)
    }

    static func bare(
        _ boot: BootSource, _ model: ProcessorModel = .intel64, blocks: Bool = true, memory: UInt64 = 16 << 20
    ) throws -> Guest {
        try Way(technique: .bare).guest(boot, model, blocks: blocks, memory: memory)
    }
}

extension Guest {
    /// Executes instructions, but does not wait for an interrupt that never comes: random programs may leave one without
    /// its end, and halt.
    @discardableResult
    func advance(_ count: UInt64) -> Stop { run(limits: RunLimits(time: 10_000_000, instructions: count)) }
}

/// Runs two guests side by side and compares them after every slice.
func expectSame(_ bare: Guest, _ other: Guest, slices: [UInt64], _ comment: Comment? = nil) throws {
    for slice in slices {
        let (a, b) = (bare.step(slice), other.step(slice))
        #expect(a.reason == b.reason && a.faults == b.faults, comment)
        #expect(bare.instructions == other.instructions, comment)
        if bare.digest != other.digest {
            for name in ["rip", "rax", "rcx", "rdx", "rbx", "rsp", "rflags", "cs", "cr0", "cr2", "cr3", "cr4"] {
                #expect(bare.cpu[name] == other.cpu[name], "\(name) after \(bare.instructions)")
            }
            try #require(bare.digest == other.digest, "after \(bare.instructions) instructions: \(comment ?? "")")
        }
        if a.reason != .instructions { break }
    }
    #expect(bare.console.debugOutput == other.console.debugOutput, comment)
}

/// The first instruction after which two guests are not the same, with what differs, found by halving.
///
/// `make` makes both anew and runs them for a number of instructions.
func firstDifference(within count: UInt64, _ make: (UInt64) throws -> (bare: Guest, other: Guest)) throws -> String {
    func differ(_ count: UInt64) throws -> Bool {
        let (bare, other) = try make(count)
        return bare.digest != other.digest || bare.instructions != other.instructions
    }
    guard try differ(count) else { return "no difference in one run of \(count) instructions" }
    var (same, different): (UInt64, UInt64) = (0, count)
    while different - same > 1 {
        let middle = (same + different) / 2
        if try differ(middle) { different = middle } else { same = middle }
    }
    let before = try make(same).bare
    let (bare, other) = try make(different)
    let code = before.cpu.disassemble(1).first
    var text = "after \(same) instructions in ring \(before.cpu.ring), "
    text += "\(hexadecimal(before.cpu.rip)) \(code?.text ?? "that cannot be fetched"):"
    if bare.instructions != other.instructions { text += " \(other.instructions) for \(bare.instructions) counts" }
    let memory = (0..<bare.memory.size / 8).first {
        bare.memory.quadword(at: $0 * 8) != other.memory.quadword(at: $0 * 8)
    }
    if let address = memory.map({ $0 * 8 }) {
        let (here, there) = (bare.memory.quadword(at: address), other.memory.quadword(at: address))
        text += " memory at \(hexadecimal(address)) \(hexadecimal(there)) for \(hexadecimal(here))"
    }
    let names = [
        "rip", "rflags", "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
        "r14", "r15", "cs", "ss", "ds", "es", "fs", "gs", "ldtr", "tr", "fs_base", "gs_base", "kernel_gs_base", "gdtr",
        "idtr", "cr0", "cr2", "cr3", "cr4", "dr0", "dr6", "dr7", "efer", "star", "lstar", "fmask", "xcr0", "pat",
        "tsc_aux", "mxcsr", "cpl",
    ]
    for name in names {
        guard let here = bare.cpu[name], let there = other.cpu[name], here != there else { continue }
        text += " \(name) \(hexadecimal(there)) for \(hexadecimal(here))"
    }
    let segments = ["cs", "ss", "ds", "es", "fs", "gs", "ldtr", "tr"].filter {
        bare.cpu.segment($0) != other.cpu.segment($0)
    }
    return segments.isEmpty ? text : text + " hidden parts of \(segments.joined(separator: ", "))"
}

private func hexadecimal(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

extension BootSource {
    /// A prepared environment with ring 0 only.
    static func prepared(_ environment: PreparedLayout.Environment, _ source: String) throws -> BootSource {
        let origin = environment.layout.codeOrigin(ring: 0) ?? 0
        let code = try Assembler(mode: .bits64, origin: origin).assemble(source)
        return BootSource(
            .prepared(PreparedGuest(environment, code: [.init(ring: 0, origin: origin, bytes: code.bytes)])))
    }

    /// A prepared 64-bit environment with ring 0 and ring 3: vector 0x40 leads to `handler`, #GP to `fault`, SYSCALL to
    /// `entry`.
    static func prepared(
        rings environment: PreparedLayout.Environment, ring0: String, ring3: String
    ) throws -> BootSource {
        func assemble(_ ring: UInt8, _ source: String) throws -> (PreparedGuest.Code, [String: UInt64]) {
            let origin = environment.layout.codeOrigin(ring: ring) ?? 0
            let code = try Assembler(mode: .bits64, origin: origin).assemble(source)
            return (.init(ring: ring, origin: origin, bytes: code.bytes), code.labels)
        }
        let (kernel, labels) = try assemble(0, ring0)
        let (user, _) = try assemble(3, ring3)
        let gates: [PreparedGuest.Gate] = [
            .init(.interrupt, number: 0x40, ring: 0, handler: labels["handler"] ?? 0, privilege: 3),
            .init(.interrupt, number: 13, ring: 0, handler: labels["fault"] ?? 0),
        ]
        return BootSource(
            .prepared(
                PreparedGuest(environment, code: [kernel, user], gates: gates, syscallEntry: labels["entry"])))
    }
}
