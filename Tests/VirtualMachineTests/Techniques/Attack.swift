import Hypervisors
import VirtualMachine
import X86
import X86Engine

/// A guest that attacks: 64-bit code of ring 0 that survives whatever it raises.
///
/// R15 holds where to go on after a fault; R14 the window of physical memory; `payload` is a quadword that differs from one
/// run to the next and decides nothing, so that what is written with it can be told from everything else.
struct Attack {
    static let memory: UInt64 = 4 << 20
    static let payloads: [UInt64] = [0x4141_4141_4141_4141, 0xA5C3_96E1_0F1E_2D3C]

    var source: String
    /// Code of ring 3, where the guest then begins; an `int 0x40` leads to `start`.
    var user: String?

    func boot(_ payload: UInt64) throws -> BootSource {
        let layout = PreparedLayout.Environment.long.layout
        let origin = layout.codeOrigin(ring: 0) ?? 0
        let text = """
            start:
                mov r14, 0xffff800000000000
                mov r8, [rel payload]
                lea r15, [rel finished]
            \(source)
            finished:
                xor eax, eax
                xor ecx, ecx
                xor edx, edx
                xor r8d, r8d
            end: jmp end
            coded:
                add rsp, 8
            plain:
                inc qword [rel faults]
                mov [rsp], r15
                mov qword [rsp + 8], 8
                mov qword [rsp + 32], 0x10
                iretq
            double:
                mov rsp, \(layout.rings[0].stack.upperBound - 0x100)
                inc qword [rel faults]
                jmp r15
            align 8
            faults: dq 0
            payload: dq \(payload)
            """
        let code = try Assembler(mode: .bits64, origin: origin).assemble(text)
        func gate(_ vector: UInt16, _ name: String, stack: UInt8 = 0) -> PreparedGuest.Gate {
            .init(
                .interrupt, number: vector, ring: 0, handler: code.labels[name] ?? 0, privilege: 3,
                interruptStack: stack)
        }
        var gates: [PreparedGuest.Gate] = [0, 1, 3, 4, 5, 6, 7, 9, 16, 18, 19].map { gate($0, "plain") }
        gates += [10, 11, 12, 13, 14, 17, 21].map { gate($0, "coded") }
        gates += [gate(8, "double", stack: 1), gate(0x40, "start")]
        var blocks: [PreparedGuest.Code] = [.init(ring: 0, origin: origin, bytes: code.bytes)]
        if let user {
            let origin = layout.codeOrigin(ring: 3) ?? 0
            blocks.append(
                .init(ring: 3, origin: origin, bytes: try Assembler(mode: .bits64, origin: origin).assemble(user).bytes)
            )
        }
        return BootSource(.prepared(PreparedGuest(.long, code: blocks, gates: gates)))
    }

    func guest(_ way: Way, _ model: ProcessorModel, payload: UInt64 = payloads[0]) throws -> Guest {
        try way.guest(try boot(payload), model, memory: Self.memory)
    }
}

extension Guest {
    /// A hash of all memory of the machine that is not the guest's, but for the virtual-state page.
    var monitorHash: UInt64 {
        guard let monitor else { return 0 }
        let machine = monitor.machine.memory
        let first = Int(memory.size >> 12)
        let isSoftware = monitor.technique == .translate || monitor.technique == .trapAndEmulate
        let virtualState = isSoftware ? first + Int(SoftwareMonitor.virtualStateOffset >> 12) : -1
        var hash: UInt64 = 0
        for page in first..<Int(machine.size >> 12) where page != virtualState {
            let words = machine.bytes(page: page, offset: 0).assumingMemoryBound(to: UInt64.self)
            guard words.contains(where: { $0 != 0 }) else { continue }
            for (index, word) in words.enumerated() where word != 0 {
                hash = mix(hash ^ mix(word &+ UInt64(page * 512 + index)))
            }
        }
        return hash
    }
}
