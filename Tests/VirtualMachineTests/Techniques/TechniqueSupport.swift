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
