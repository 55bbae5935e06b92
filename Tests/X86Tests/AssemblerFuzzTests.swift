import Testing
import X86
import _SeededNumbers

/// Whatever the text, the assembler returns, and what it returns is consistent.
@Suite struct AssemblerFuzzTests {
    @Test(arguments: CodeMode.allCases)
    func anyTextIsAssembledOrRefused(mode: CodeMode) {
        var random = SeededNumbers(7 &+ UInt64(mode.rawValue))
        var accepted = 0
        for round in 0..<1_500 {
            let source =
                switch round % 3 {
                case 0: Self.words(&random)
                case 1: Self.damaged(&random)
                default: Self.bytes(&random)
                }
            do {
                let assembled = try Assembler(mode: mode, origin: random.next(), maximumSize: 4_096).assemble(source)
                accepted += 1
                #expect(assembled.bytes.count <= 4_096)
                #expect(Self.isContiguous(assembled), "\(source)")
            } catch {
                #expect(!error.errors.isEmpty)
                let length = source.utf8.count
                #expect(
                    error.errors.allSatisfy { $0.range.offset >= 0 && $0.range.offset + $0.range.length <= length },
                    "\(source)")
            }
        }
        #expect(accepted > 10)
    }

    /// Sources that would take long or much memory if they were believed.
    @Test(arguments: [
        String(repeating: "(", count: 100_000),
        "mov eax, " + String(repeating: "(", count: 100_000),
        "mov eax, " + String(repeating: "-", count: 100_000) + "1",
        "mov eax, 1" + String(repeating: "+1", count: 100_000),
        "mov eax, [" + String(repeating: "rax+", count: 20_000) + "rax]",
        "db " + String(repeating: "1,", count: 50_000) + "1",
        String(repeating: "times 9000000000000000000 db 0\n", count: 1_000),
        String(repeating: "times 4096 resq 4096\n", count: 1_000),
        "align 0x4000000000000000",
        "nop\nalign 0x4000000000000000",
        "times 0x7fffffffffffffff nop",
        "x equ y\ny equ x\ntimes 3 dq x",
        "a: times b - a nop\nb:",
        String(repeating: "\"", count: 100_001),
        String(repeating: "lock ", count: 100_000),
        String(repeating: "dword ", count: 100_000),
        String(repeating: "x", count: 1_000_000),
        String(repeating: ";", count: 1_000_000),
        String(repeating: ":", count: 100_000),
        "dt " + String(repeating: "9", count: 100_000) + ".0e" + String(repeating: "9", count: 100_000),
        "db 1" + String(repeating: " ? 1 : 0", count: 10_000),
        (0..<500).map { "a\($0): jmp b\($0)\ntimes 60 nop\n\($0 > 0 ? "b\($0 - 1):" : "")\ntimes 63 nop\n" }.joined()
            + "b499:",
    ])
    func hostileSourcesEndSoon(source: String) {
        _ = try? Assembler(mode: .bits64, maximumSize: 1 << 20).assemble(source)
    }

    /// Every byte belongs to one line of the listing, in order, at its address.
    private static func isContiguous(_ assembled: Assembled) -> Bool {
        var offset = 0
        for line in assembled.listing {
            guard line.range.lowerBound == offset, line.address == assembled.origin &+ UInt64(offset) else {
                return false
            }
            offset = line.range.upperBound
        }
        return offset == assembled.bytes.count
    }

    private static let vocabulary =
        Mnemonics.all.map(\.self)
            + """
            eax ebx ax al ah rax r8 r15d sil xmm1 mm2 st3 cr0 dr7 ds fs es [ ] [rax] [bx+si] [rel x] [ebp*2] , , , , : + - * / % ( ) \
            $ $$ 0 1 -1 127 128 0x7fffffff 0xffffffffffffffff 1.5 'a' "text" `\\n` x y .z x: .z: equ times db dw dd dq dt \
            align alignb resb org bits 16 32 64 byte word dword qword tword oword short near far strict to rel abs nosplit \
            lock rep repne o16 a32 wait ; ? << >> == && ! ~ default // section
            """.split(separator: " ").map(String.init)

    private static func words(_ random: inout SeededNumbers) -> String {
        var text = ""
        for _ in 0..<1 + random.next() % 12 {
            text += vocabulary[Int(random.next() % UInt64(vocabulary.count))]
            text += random.next() % 5 == 0 ? "\n" : " "
        }
        return text
    }

    private static func damaged(_ random: inout SeededNumbers) -> String {
        let source = AssemblerSourceTests.sources[Int(random.next() % UInt64(AssemblerSourceTests.sources.count))].text
        var bytes = Array(source.utf8)
        for _ in 0..<1 + random.next() % 6 {
            let index = Int(random.next() % UInt64(bytes.count))
            switch random.next() % 3 {
            case 0: bytes[index] = UInt8(truncatingIfNeeded: 32 + random.next() % 95)
            case 1: bytes.remove(at: index)
            default: bytes.insert(bytes[Int(random.next() % UInt64(bytes.count))], at: index)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func bytes(_ random: inout SeededNumbers) -> String {
        let count = Int(random.next() % 60)
        return String(decoding: (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }, as: UTF8.self)
    }
}
