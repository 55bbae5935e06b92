import Testing
import X86

/// Hand-written sources whose bytes follow from the manuals.
@Suite struct AssemblerTests {
    @Test func labelsJumpsAndDataGetTheirBytes() throws {
        let source = """
            start:  mov ecx, 3          // a comment
            .again: dec ecx
                    jnz .again; ret
            text:   db "hi", 0
            length  equ $ - text
                    mov al, length
            """
        let assembled = try Assembler(mode: .bits32, origin: 0x1000).assemble(source)
        #expect(
            assembled.bytes == [
                0xB9, 3, 0, 0, 0, 0x49, 0x75, 0xFD, 0xC3, 0x68, 0x69, 0, 0xB0, 3,
            ])
        #expect(assembled.labels == ["start": 0x1000, "start.again": 0x1005, "text": 0x1009])
        #expect(assembled.constants == ["length": 3])
        #expect(assembled.listing.map(\.line) == [1, 2, 3, 3, 4, 6])
        #expect(assembled.listing.map(\.address) == [0x1000, 0x1005, 0x1006, 0x1008, 0x1009, 0x100C])
    }

    @Test func labelsMayHaveTheNamesOfInstructions() throws {
        let assembled = try Assembler(mode: .bits64).assemble("add: lea rax, [rdi + rsi]\nsysret\njmp add")
        #expect(assembled.labels == ["add": 0])
        #expect(assembled.bytes == [0x48, 0x8D, 0x04, 0x37, 0x0F, 0x07, 0xEB, 0xF8])
    }

    @Test func sizesDoNotDependOnExternalAddresses() throws {
        let source = "call far_away\nmov rax, far_away\njmp far_away\nadd eax, far_away"
        let lengths = try [0, 5, 0x7000_0000].map { address in
            try Assembler(mode: .bits64, externalSymbols: ["far_away": address]).assemble(source).bytes.count
        }
        #expect(lengths == [25, 25, 25])
    }
}
