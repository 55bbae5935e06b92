import Testing
import X86

@Suite struct InstructionTableTests {
    /// Every opcode of every map with every ModRM byte, after each mandatory prefix, VEX and REX.W: all rows there are.
    private static let decodedRows: Set<UInt16> = {
        var rows: Set<UInt16> = []
        let tail = [UInt8](repeating: 0, count: 12)
        for mode in CodeMode.allCases {
            let prefixes: [[UInt8]] =
                [[], [0x66], [0xF3], [0xF2]] + (mode == .bits64 ? [[0x48], [0x66, 0x48], [0x41]] : [])
            let legacy = prefixes.flatMap { prefix in ByteStrings.legacyEscapes.map { prefix + $0 } }
            // L = 0 and no register in vvvv
            for start in legacy + ByteStrings.vexEscapes(mode: mode).filter({ $0[2] & 0x7C == 0x78 }) {
                for number in 0..<0x10000 {
                    let bytes = start + [UInt8(number >> 8), UInt8(number & 0xFF)] + tail
                    if case .instruction(let instruction) = bytes.withUnsafeBytes({ Decoder.decode($0, mode: mode) }) {
                        rows.insert(instruction.row)
                    }
                }
            }
        }
        return rows
    }()

    @Test func everyRowIsReached() {
        let missing = InstructionTable.definitions.indices.filter { !Self.decodedRows.contains(UInt16($0)) }
        #expect(missing.map { InstructionTable.definitions[$0].operation }.isEmpty, "\(missing)")
    }

    @Test func everyOperationHasARow() {
        let operations = Set(InstructionTable.definitions.map(\.operation))
        #expect(Operation.allCases.filter { !operations.contains($0) }.isEmpty)
    }

    @Test func aliasesHaveADocumentedRow() {
        for row in InstructionTable.definitions where row.isAlias {
            let others = InstructionTable.definitions.filter { !$0.isAlias && $0.operation == row.operation }
            #expect(!others.isEmpty, "\(row.operation)")
        }
    }

    @Test func undefinedFlagsAreWritten() {
        for row in InstructionTable.definitions { #expect(row.undefined.isSubset(of: row.writes), "\(row.operation)") }
    }

    @Test func onlyRowsWithAMemoryDestinationAreLockable() {
        for row in InstructionTable.definitions where row.lockable {
            #expect(row.operands.first?.shape.allowsMemory == true, "\(row.operation)")
            #expect(row.modRM == .any || row.modRM == .memory, "\(row.operation)")
        }
    }

    /// The seventeen of Robin and Irvine (2000, table 2), in the forms that read or write privileged state.
    @Test func theSeventeenInstructionsAreSensitive() {
        let always: Set<Operation> = [
            .sgdt, .sidt, .sldt, .smsw, .pushf, .popf, .lar, .lsl, .verr, .verw, .callFar, .jmpFar, .int, .retFar, .str,
        ]
        for row in InstructionTable.definitions where always.contains(row.operation) {
            #expect(row.sensitivity == .sensitiveUnprivileged, "\(row.operation)")
        }
        let bySegment: Set<Operation> = [.pop, .push, .mov]
        let segments: Set<OperandForm> = [.Sw, .ES, .CS, .SS, .DS, .FS, .GS]
        for row in InstructionTable.definitions where bySegment.contains(row.operation) {
            let namesSegment = !segments.isDisjoint(with: row.operands)
            #expect((row.sensitivity == .sensitiveUnprivileged) == namesSegment, "\(row.operation) \(row.operands)")
        }
    }

    /// SDM volume 3 section 26.1.2, without GETSEC, which is not in the table.
    @Test func unconditionalExitsAreThoseOfTheManual() {
        let manual: Set<Operation> = [
            .cpuid, .invd, .xsetbv, .invept, .invvpid, .vmcall, .vmclear, .vmlaunch, .vmptrld, .vmptrst, .vmread,
            .vmresume, .vmwrite, .vmxoff, .vmxon,
        ]
        #expect(Set(InstructionTable.definitions.filter { $0.exit == .always }.map(\.operation)) == manual)
    }

    @Test func everyOperandFormIsUsed() {
        let used = Set(InstructionTable.definitions.flatMap(\.operands))
        #expect(OperandForm.allCases.filter { !used.contains($0) }.isEmpty)
    }

    @Test func whatLeavesTheProcessorInAnotherStateEndsABlock() {
        let ending: Set<Operation> = [
            .sti, .popf, .hlt, .cpuid, .invlpg, .wrmsr, .lmsw, .clts, .stac, .clac, .rdtsc, .rdtscp, .movs, .cmps,
            .scas,
            .lods, .stos, .ins, .outs, .in, .out, .ud2, .xsetbv, .lss, .iret, .sysret, .sysexit,
        ]
        for row in InstructionTable.definitions where ending.contains(row.operation) {
            #expect(row.endsBlock, "\(row.operation)")
        }
    }
}
