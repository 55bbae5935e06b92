/// Where the assembler and NASM part on purpose; everything else must be equal.
struct AssemblerDifference {
    enum Kind {
        /// NASM refuses the line.
        case acceptedHere
        /// NASM accepts the line.
        case refusedHere
        /// The bytes differ and mean the same.
        case otherBytes
    }

    var kind: Kind
    /// Matches the whole line.
    var pattern: String
    var reason: String

    static let all: [AssemblerDifference] = [
        .init(
            kind: .acceptedHere, pattern: "mov[sz]x (ax|cx|sp|di|r8w|r13w), .*",
            reason: "MOVSX and MOVZX from word to word exist, and the disassembler writes them"),
        .init(
            kind: .acceptedHere, pattern: "movsxd .*",
            reason: "MOVSXD to 16 and 32 bits exists, and the disassembler writes it"),
        .init(
            kind: .acceptedHere, pattern: "bswap (ax|cx|sp|di|r8w|r13w)",
            reason: "BSWAP of a word has an encoding, and the disassembler writes it"),
        .init(
            kind: .acceptedHere, pattern: "(sysret|sysexit)q",
            reason: "Intel's and GNU's names for what NASM writes with `o64`"),
        .init(
            kind: .acceptedHere, pattern: "monitor .*",
            reason: "the address of MONITOR can have any address size"),
        .init(
            kind: .acceptedHere, pattern: "(loop\\w*|je?cxz|jrcxz) short .*",
            reason: "these jumps are short, and may be called so"),
        .init(
            kind: .acceptedHere, pattern: "skinit( eax)?",
            reason: "SKINIT exists outside 64-bit mode, and the disassembler writes its operand (APM volume 3)"),
        .init(
            kind: .acceptedHere, pattern: "(add|or|adc|sbb|and|sub|xor|cmp|test) .*, (strict )?dword \\d+",
            reason: "`dword` demands the field of 32 bits, also with 64-bit operands"),
        .init(
            kind: .acceptedHere, pattern: "\\w+ \\[.*\\], qword \\d+",
            reason: "the size of the number is that of the memory, with 64 bits too"),
        .init(
            kind: .acceptedHere, pattern: "add ax, -65536",
            reason: "the smallest number that NASM takes for a word elsewhere"),
        .init(
            kind: .refusedHere, pattern: "rep rep movsb|lock lock inc .*",
            reason: "a prefix is written once"),
        .init(
            kind: .refusedHere, pattern: ".*,",
            reason: "no operand follows the comma"),
        .init(
            kind: .refusedHere, pattern: "mov rbx, \\[qword 0x10\\]",
            reason: "only the accumulator can be moved from and to a 64-bit address, NASM ignores the size"),
        .init(
            kind: .refusedHere, pattern: "mov (cs|cr1), .*",
            reason: "they give #UD whatever the operand (SDM volume 2, MOV)"),
        .init(
            kind: .refusedHere, pattern: "(o16|o32) (jmp|jz|ret|lgdt).*",
            reason: "the size of these cannot be changed in 64-bit mode"),
        .init(
            kind: .refusedHere, pattern: "(loop\\w*|je?cxz|jrcxz) (strict )?-?\\w+(, \\w+)?",
            reason: "NASM does not see that a number as target is too far away"),
        .init(
            kind: .refusedHere, pattern: "ud(0|1|2b).*",
            reason: "UD0 and UD1 have a ModRM byte and no operand size (SDM volume 2)"),
        .init(
            kind: .refusedHere, pattern: "lea \\w+, -?\\w+",
            reason: "NASM takes a number for an address here"),
        .init(
            kind: .refusedHere, pattern: "salc",
            reason: "SALC does not exist in 64-bit mode"),
        .init(
            kind: .refusedHere, pattern: "(rorx|pshuf\\w+) .*, (-\\d+|~0xF0)",
            reason: "counts and shuffle orders are not negative, as with all other such instructions"),
        .init(
            kind: .refusedHere, pattern: "retw.*",
            reason: "without the prefix that NASM forgets it is another instruction, and in 64-bit mode there is none"),
        .init(
            kind: .otherBytes, pattern: "ud(0|1|2b) .*",
            reason: "the operand size of UD0 and UD1 has no meaning"),
        .init(
            kind: .otherBytes, pattern: "retw .+",
            reason: "NASM forgets the operand-size prefix when there is a number"),
        .init(
            kind: .otherBytes, pattern: "monitor eax, ecx, edx",
            reason: "NASM leaves out the address-size prefix in 16-bit code"),
        .init(
            kind: .otherBytes, pattern: "invpcid .*",
            reason: "NASM adds REX.W, which has no meaning"),
        .init(
            kind: .otherBytes, pattern: "pextrw .*, (strict )?byte \\d",
            reason: "NASM chooses the longer SSE4.1 form when the number has a size"),
    ]
}
