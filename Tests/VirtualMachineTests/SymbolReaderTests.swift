import Testing
import VirtualMachine
import _SeededNumbers

/// Reading symbols from text and from ELF files made by hand.
@Suite struct SymbolReaderTests {
    private func error(_ text: String) -> String? {
        do throws(SymbolError) {
            _ = try SymbolFile(map: Array(text.utf8), named: "map")
            return nil
        } catch { return error.description }
    }

    @Test func nmOutputIsRead() throws {
        let text = """
                             U printf
                             w __gmon_start__
            0000000000004010 0000000000000004 B counter
            0000000000001139 0000000000000015 T main
            0000000000002000 r table
            0000000000001150 T operator new(unsigned long)
            00000000deadbeef a number

            """
        let file = try SymbolFile(map: Array(text.utf8), named: "nm")
        var table = SymbolTable()
        table.add(file)
        #expect(file.count == 5)
        #expect(table.symbols(named: "main").first?.size == 0x15)
        #expect(table.symbols(named: "main").first?.kind == .code)
        #expect(table.symbols(named: "counter").first?.kind == .data)
        #expect(table.symbols(named: "number").first?.kind == .absolute)
        #expect(table.text(of: 0x1150) == "operator new(unsigned long)")
        #expect(table.text(of: 0xDEAD_BEEF) == nil)
    }

    @Test func kallsymsTextNamesModules() throws {
        let file = try SymbolFile(
            map: Array("ffffffffc0123000 t probe\t[e1000]\r\nffffffffc0124000 T x\t[e1000]\n".utf8), named: "kallsyms")
        #expect(file.names(withPrefix: "", limit: 9) == ["probe", "x"])
    }

    @Test func malformedTextIsToldWithItsLine() {
        #expect(
            error("1000 T a\nhello world\n")
                == "map: line 2: not an address in hexadecimal, a letter and a name: `hello world`")
        #expect(error("1000 T\n") == "map: line 1: no letter and name behind the address: `1000 T`")
        #expect(error("10000000000000000 T a\n")?.hasPrefix("map: line 1: not an address") == true)
        #expect(error("1000 TT a\n")?.hasPrefix("map: line 1: no letter") == true)
        #expect(error("") == "map: no symbols in 1 lines")
        #expect(error("0000000000000000 T a\n0000000000000000 T b\n")?.contains("kptr_restrict") == true)
    }

    @Test func controlCharactersInNamesAreReplaced() throws {
        let file = try SymbolFile(map: Array("1000 T a\u{1B}[31mb\n".utf8), named: "map")
        #expect(file.names(withPrefix: "", limit: 1) == ["a?[31mb"])
    }

    @Test(arguments: [true, false]) func symbolsOfAnELFFileAreRead(wide: Bool) throws {
        let elf = HandmadeELF(
            wide: wide,
            symbols: [
                .init(name: "local", value: 0x1010, size: 8, info: 0x02, section: 1),
                .init(name: "global", value: 0x1010, size: 8, info: 0x12, section: 1),
                .init(name: "undefined", value: 0x1020, size: 0, info: 0x12, section: 0),
                .init(name: "object", value: 0x1020, size: 4, info: 0x11, section: 1),
                .init(name: "number", value: 0x77, size: 0, info: 0x10, section: 0xFFF1),
                .init(name: "file.c", value: 0, size: 0, info: 0x04, section: 0xFFF1),
            ])
        var table = SymbolTable()
        table.add(try SymbolFile(BootFile(name: "elf", bytes: elf.bytes)))
        #expect(table.count == 4)
        #expect(table.text(of: 0x1012) == "global+2")
        #expect(table.text(of: 0x1020) == "object")
        #expect(table.symbols(named: "number").first?.kind == .absolute)
        #expect(table.symbols(named: "local").first?.address == 0x1010)
        // The section says where its last symbol ends.
        #expect(table.text(of: 0x10FF) == "object+0xdf")
        #expect(table.text(of: 0x1100) == nil)
    }

    @Test func malformedSymbolTablesAreRefused() {
        let cases: [(change: (inout HandmadeELF) -> Void, text: String)] = [
            ({ $0.symbolEntrySize = 23 }, "sh_entsize of .symtab is 0x17, not 0x18"),
            ({ $0.stringTable = 99 }, "sh_link of .symtab is 99, which is not a section"),
            ({ $0.symbols[0].nameOffset = 4000 }, "st_name 0xfa0 of symbol 1 of .symtab"),
            ({ $0.sectionCount = 4000 }, "the number of section headers is 0xfa0"),
            ({ $0.symbolTableSize = 1 << 40 }, "truncated: .symtab"),
            ({ $0.symbols = [] }, "no symbols"),
            ({ $0.symbolFlags = 0x800 }, "compressed"),
        ]
        for (change, text) in cases {
            var elf = HandmadeELF(wide: true, symbols: [.init(name: "f", value: 1, size: 0, info: 0x12, section: 1)])
            change(&elf)
            let bytes = elf.bytes
            let error = #expect(throws: SymbolError.self) { try SymbolFile(BootFile(name: "elf", bytes: bytes)) }
            #expect(error?.description.contains(text) == true, "\(error?.description ?? "")")
        }
    }

    @Test func noMutationOfAFileIsATrap() throws {
        let elf = HandmadeELF(
            wide: true,
            symbols: (0..<20).map {
                .init(name: "symbol\($0)", value: 0x1000 + UInt64($0) * 4, size: 4, info: 0x12, section: 1)
            }
        ).bytes
        var random = SeededNumbers(1)
        for _ in 0..<3000 {
            var bytes = elf
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = random.interestingByte()
            }
            if Int.random(in: 0..<4, using: &random) == 0 {
                bytes.removeLast(Int.random(in: 1..<bytes.count, using: &random))
            }
            var table = SymbolTable()
            if let file = try? SymbolFile(BootFile(name: "elf", bytes: bytes)) { table.add(file, slide: random.next()) }
            for address: UInt64 in [0, 0x1003, .max, random.next()] { _ = table.text(of: address) }
            _ = table.names(withPrefix: "sym")
        }
    }
}

extension SeededNumbers {
    /// A byte that breaks things more often than most.
    mutating func interestingByte() -> UInt8 {
        let value = next()
        return [0, 0xFF, 0x80, 0x7F, 1, UInt8(truncatingIfNeeded: value >> 8)][Int(value % 6)]
    }
}

/// A small executable with a code section of 256 bytes at 0x1000 and a symbol table.
struct HandmadeELF {
    struct Symbol {
        var name: String
        var value: UInt64
        var size: UInt64
        var info: UInt8
        var section: UInt16
        var nameOffset: UInt32?

        init(name: String, value: UInt64, size: UInt64, info: UInt8, section: UInt16) {
            self.name = name
            self.value = value
            self.size = size
            self.info = info
            self.section = section
        }
    }

    var wide: Bool
    var symbols: [Symbol]
    var symbolEntrySize: UInt64?
    var symbolTableSize: UInt64?
    var symbolFlags: UInt64 = 0
    var stringTable: UInt32 = 3
    var sectionCount: UInt16?
    /// Further sections: name and bytes.
    var extra: [(name: String, bytes: [UInt8])] = []

    init(wide: Bool, symbols: [Symbol]) {
        self.wide = wide
        self.symbols = symbols
    }

    private func word(_ value: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        if wide {
            bytes.append(littleEndian: value)
        } else {
            bytes.append(littleEndian: UInt32(truncatingIfNeeded: value))
        }
        return bytes
    }

    var bytes: [UInt8] {
        var names: [UInt8] = [0]
        var table = [UInt8](repeating: 0, count: wide ? 24 : 16)
        for symbol in symbols {
            var entry: [UInt8] = []
            entry.append(littleEndian: symbol.nameOffset ?? UInt32(names.count))
            names += Array(symbol.name.utf8) + [0]
            if !wide { entry += word(symbol.value) + word(symbol.size) }
            entry += [symbol.info, 0]
            entry.append(littleEndian: symbol.section)
            if wide { entry += word(symbol.value) + word(symbol.size) }
            table += entry
        }
        var sectionNames: [UInt8] = [0]
        var headers = [UInt8](repeating: 0, count: wide ? 64 : 40)
        var data = [UInt8](repeating: 0, count: 256)
        let dataStart = wide ? 64 + 56 : 52 + 32
        func header(
            _ name: String, type: UInt32, flags: UInt64, address: UInt64, offset: Int, size: UInt64, link: UInt32,
            entrySize: UInt64
        ) {
            headers.append(littleEndian: UInt32(sectionNames.count))
            sectionNames += Array(name.utf8) + [0]
            headers.append(littleEndian: type)
            headers += word(flags) + word(address) + word(UInt64(dataStart + offset)) + word(size)
            headers.append(littleEndian: link)
            headers.append(littleEndian: UInt32(0))
            headers += word(1) + word(entrySize)
        }
        header(".text", type: 1, flags: 6, address: 0x1000, offset: 0, size: 256, link: 0, entrySize: 0)
        header(
            ".symtab", type: 2, flags: symbolFlags, address: 0, offset: data.count,
            size: symbolTableSize ?? UInt64(table.count), link: stringTable,
            entrySize: symbolEntrySize ?? UInt64(wide ? 24 : 16))
        data += table
        header(
            ".strtab", type: 3, flags: 0, address: 0, offset: data.count, size: UInt64(names.count), link: 0,
            entrySize: 0)
        data += names
        for section in extra {
            header(
                section.name, type: 1, flags: 0, address: 0, offset: data.count, size: UInt64(section.bytes.count),
                link: 0, entrySize: 0)
            data += section.bytes
        }
        let sectionNamesSize = sectionNames.count + ".shstrtab".utf8.count + 1
        header(
            ".shstrtab", type: 3, flags: 0, address: 0, offset: data.count, size: UInt64(sectionNamesSize), link: 0,
            entrySize: 0)
        data += sectionNames

        var file: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, wide ? 2 : 1, 1, 1] + [UInt8](repeating: 0, count: 9)
        file.append(littleEndian: UInt16(2))
        file.append(littleEndian: UInt16(wide ? 62 : 3))
        file.append(littleEndian: UInt32(1))
        file += word(0x1000) + word(wide ? 64 : 52) + word(UInt64(dataStart + data.count))
        file.append(littleEndian: UInt32(0))
        for value: UInt16 in [
            wide ? 64 : 52, wide ? 56 : 32, 1, wide ? 64 : 40, sectionCount ?? UInt16(5 + extra.count),
            UInt16(4 + extra.count),
        ] { file.append(littleEndian: value) }
        file.append(littleEndian: UInt32(1))
        if wide { file.append(littleEndian: UInt32(5)) }
        file += word(UInt64(dataStart)) + word(0x1000) + word(0x1000) + word(256) + word(256)
        if !wide { file.append(littleEndian: UInt32(5)) }
        file += word(0x1000)
        return file + data + headers
    }
}
