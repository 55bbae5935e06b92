extension SymbolFile {
    /// Reads `.symtab` or `.dynsym` of an ELF file (System V gABI chapter 4, "Symbol Table"), and its line table; of a
    /// stripped Linux kernel the symbols that it carries for its own messages.
    ///
    /// Throws if a table is malformed, or if there are neither symbols nor lines.
    package init(elf: ELFFile) throws(SymbolError) {
        let sections = try Self.inFile { () throws(BootError) in try elf.sections() }
        var builder = SymbolFileBuilder(name: elf.file.name)
        for section in sections where section.isAllocated {
            builder.addSection(at: section.address, size: section.size)
        }
        // SHT_SYMTAB has all symbols of SHT_DYNSYM and more.
        let tables = sections.filter { $0.type == 2 }
        for table in tables.isEmpty ? sections.filter({ $0.type == 11 }) : tables {
            try builder.add(table: table, of: elf, sections)
        }
        let lines = try LineTable(elf: elf, sections: sections)
        if builder.count == 0, let tables = try elf.kernelSymbolTables {
            self = try tables.symbols(named: elf.file.name, lines: lines)
            return
        }
        guard builder.count > 0 || lines != nil else {
            throw .file(
                "\(elf.file.name): no symbols: none in .symtab, .dynsym and .debug_line, and no kallsyms of a Linux "
                    + "kernel in its segments; the file may be stripped")
        }
        self = try builder.finish(lines: lines)
    }

    /// Turns the errors of file readers into those of symbols.
    package static func inFile<Value>(_ body: () throws(BootError) -> Value) throws(SymbolError) -> Value {
        do throws(BootError) { return try body() } catch { throw .file(error.description) }
    }
}

extension SymbolFileBuilder {
    fileprivate mutating func add(
        table: ELFSection, of elf: ELFFile, _ sections: [ELFSection]
    ) throws(SymbolError) {
        let wide = elf.is64Bit
        let entrySize = wide ? 24 : 16
        let what = table.name.isEmpty ? "a symbol table" : table.name
        guard sections.indices.contains(Int(table.link)) else {
            throw .file("\(name): sh_link of \(what) is \(table.link), which is not a section")
        }
        guard table.entrySize == UInt64(entrySize) else {
            throw .file("\(name): sh_entsize of \(what) is \(hexText(table.entrySize)), not \(hexText(entrySize))")
        }
        let bytes = try SymbolFile.inFile { () throws(BootError) in try elf.bytes(of: table, what) }
        let strings = try SymbolFile.inFile { () throws(BootError) in
            try elf.bytes(of: sections[Int(table.link)], "the names of \(what)")
        }
        for start in stride(from: bytes.startIndex, to: bytes.endIndex - entrySize + 1, by: entrySize) {
            let entry = bytes[start..<start + entrySize]
            let info = entry[start + (wide ? 4 : 12)]
            let section = entry[(start + (wide ? 6 : 14))...].littleEndian(UInt16.self)
            let value: UInt64 =
                wide
                ? entry[(start + 8)...].littleEndian(UInt64.self)
                : UInt64(entry[(start + 4)...].littleEndian(UInt32.self))
            let size: UInt64 =
                wide
                ? entry[(start + 16)...].littleEndian(UInt64.self)
                : UInt64(entry[(start + 8)...].littleEndian(UInt32.self))
            // SHN_UNDEF is defined elsewhere; SHN_COMMON has no address.
            guard section != 0, section != 0xFFF2 else { continue }
            let kind: Symbol.Kind
            switch info & 0xF {
            case 2, 10: kind = .code  // STT_FUNC, STT_GNU_IFUNC
            case 1: kind = section == 0xFFF1 ? .absolute : .data  // STT_OBJECT
            case 0: kind = section == 0xFFF1 ? .absolute : .label  // STT_NOTYPE
            default: continue  // Sections, file names and thread-local offsets are not addresses.
            }
            let nameOffset = entry.littleEndian(UInt32.self)
            guard Int(nameOffset) < strings.count else {
                let index = (start - bytes.startIndex) / entrySize
                throw .file("\(name): st_name \(hexText(nameOffset)) of symbol \(index) of \(what) is behind its names")
            }
            let symbolName = strings[(strings.startIndex + Int(nameOffset))...].prefix { $0 != 0 }
            // STB_GLOBAL before STB_WEAK before STB_LOCAL; what has a type before what has none.
            let binding: UInt8 = info >> 4 == 1 ? 0 : info >> 4 == 2 ? 1 : 2
            try add(symbolName, at: value, size: size, kind: kind, rank: binding + (kind == .label ? 4 : 0))
        }
    }
}
