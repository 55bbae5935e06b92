extension LineTable {
    /// More rows than any program has; a hostile file ends here.
    package static let mostRows = 1 << 24

    /// Runs the line number programs of `.debug_line` (DWARF versions 2 to 5, section 6.2); nil without that section.
    package init?(elf: ELFFile, sections: [ELFSection]) throws(SymbolError) {
        func section(_ name: String) throws(SymbolError) -> ArraySlice<UInt8>? {
            guard let section = sections.first(where: { $0.name == name && !$0.isEmptyInFile }) else { return nil }
            return try SymbolFile.inFile { () throws(BootError) in try elf.bytes(of: section, name) }
        }
        guard let bytes = try section(".debug_line"), !bytes.isEmpty else { return nil }
        var reader = LineProgramReader(
            file: elf.file.name, strings: try section(".debug_str") ?? [],
            lineStrings: try section(".debug_line_str") ?? [])
        var units = ByteReader(bytes, section: ".debug_line", file: elf.file.name)
        while !units.isAtEnd {
            guard Checkpoint.isPassed else { throw .interrupted }
            try reader.readUnit(&units)
        }
        do throws(Interrupted) { try self.init(files: reader.files, rows: reader.rows) } catch { throw .interrupted }
    }
}

/// Reads the units of a `.debug_line` section.
package struct LineProgramReader {
    package let file: String
    package let strings: ArraySlice<UInt8>
    package let lineStrings: ArraySlice<UInt8>
    private(set) var files: [String] = []
    private(set) var rows: [LineTable.Row] = []
    private var fileNumbers: [String: UInt32] = [:]
    private var fileBytes = 0
    /// The work that file names may make, in bytes of all units' names.
    private static let mostFileBytes = 1 << 30

    package init(file: String, strings: ArraySlice<UInt8>, lineStrings: ArraySlice<UInt8>) {
        self.file = file
        self.strings = strings
        self.lineStrings = lineStrings
    }

    /// What the program needs of its header.
    private struct Header {
        var minimumLength: UInt64
        var maximumOperations: UInt64
        var lineBase: Int64
        var lineRange: UInt64
        var opcodeBase: UInt8
        var operandCounts: ArraySlice<UInt8>
        /// Indices in `files` by the program's numbers.
        var files: [UInt32]
        /// Whether the program counts files from 0 (version 5) or from 1.
        var firstFile: UInt64
    }

    package mutating func readUnit(_ section: inout ByteReader) throws(SymbolError) {
        let (is64Bit, length) = try Self.unitLength(&section)
        var unit = try section.part(length, "a unit")
        let version = try unit.integer(UInt16.self, "version")
        // A version of the future is stepped over: its unit has a length.
        guard (2...5).contains(version) else { return }
        if version >= 5 {
            _ = try unit.integer(UInt8.self, "address_size")
            let selectorSize = try unit.integer(UInt8.self, "seg_select_size")
            guard selectorSize == 0 else { throw unit.malformed("segment selectors are not supported") }
        }
        let headerLength = try unit.offset(is64Bit, "header_length")
        var head = try unit.part(headerLength, "the header")
        let header = try readHeader(&head, version: version, is64Bit: is64Bit)
        try run(&unit, header)
    }

    /// The initial length (DWARF 5 section 7.2.2).
    private static func unitLength(_ reader: inout ByteReader) throws(SymbolError) -> (is64Bit: Bool, length: UInt64) {
        let length = try reader.integer(UInt32.self, "unit_length")
        if length == 0xFFFF_FFFF { return (true, try reader.integer(UInt64.self, "unit_length")) }
        guard length < 0xFFFF_FFF0 else { throw reader.malformed("unit_length is the reserved \(hexText(length))") }
        return (false, UInt64(length))
    }

    private mutating func readHeader(
        _ head: inout ByteReader, version: UInt16, is64Bit: Bool
    ) throws(SymbolError) -> Header {
        let minimumLength = try head.integer(UInt8.self, "minimum_instruction_length")
        let maximumOperations = version >= 4 ? try head.integer(UInt8.self, "maximum_operations_per_instruction") : 1
        _ = try head.integer(UInt8.self, "default_is_stmt")
        let lineBase = Int8(bitPattern: try head.integer(UInt8.self, "line_base"))
        let lineRange = try head.integer(UInt8.self, "line_range")
        let opcodeBase = try head.integer(UInt8.self, "opcode_base")
        guard opcodeBase >= 1 else { throw head.malformed("opcode_base is 0") }
        guard lineRange > 0 || opcodeBase == 255 else { throw head.malformed("line_range is 0") }
        let operandCounts = try head.take(UInt64(opcodeBase - 1), "standard_opcode_lengths")
        let names =
            version >= 5 ? try readTables5(&head, is64Bit: is64Bit) : try readTables2(&head)
        return Header(
            minimumLength: UInt64(minimumLength), maximumOperations: UInt64(max(1, maximumOperations)),
            lineBase: Int64(lineBase), lineRange: UInt64(max(1, lineRange)), opcodeBase: opcodeBase,
            operandCounts: operandCounts, files: names, firstFile: version >= 5 ? 0 : 1)
    }

    // MARK: File tables

    /// Versions 2 to 4: texts, each list ended by an empty one.
    private mutating func readTables2(_ head: inout ByteReader) throws(SymbolError) -> [UInt32] {
        var folders: [ArraySlice<UInt8>] = [[]]
        while true {
            let folder = try head.text("a directory's name")
            if folder.isEmpty { break }
            folders.append(folder)
        }
        var numbers: [UInt32] = []
        while true {
            let name = try head.text("a file's name")
            if name.isEmpty { break }
            let folder = try head.unsignedLEB("a file's directory")
            _ = try head.unsignedLEB("a file's time")
            _ = try head.unsignedLEB("a file's length")
            guard folder < UInt64(folders.count) else { throw head.malformed("directory \(folder) does not exist") }
            numbers.append(try number(name, in: folders[Int(folder)], head))
        }
        return numbers
    }

    /// Version 5: tables that describe their own columns (section 6.2.4.1).
    private mutating func readTables5(_ head: inout ByteReader, is64Bit: Bool) throws(SymbolError) -> [UInt32] {
        let folders = try readTable5(&head, is64Bit: is64Bit)
        let entries = try readTable5(&head, is64Bit: is64Bit)
        var numbers: [UInt32] = []
        for entry in entries {
            guard entry.folder < UInt64(folders.count) else {
                throw head.malformed("directory \(entry.folder) does not exist")
            }
            // Directory 0 is where the compiler ran; names in it stay as they are, as in older versions.
            let folder = entry.folder == 0 ? [] : folders[Int(entry.folder)].name
            numbers.append(try number(entry.name, in: folder, head))
        }
        return numbers
    }

    private func readTable5(
        _ head: inout ByteReader, is64Bit: Bool
    ) throws(SymbolError) -> [(name: ArraySlice<UInt8>, folder: UInt64)] {
        var columns: [(content: UInt64, form: UInt64)] = []
        for _ in 0..<(try head.integer(UInt8.self, "a format's count")) {
            columns.append((try head.unsignedLEB("a content type"), try head.unsignedLEB("a form")))
        }
        let count = try head.unsignedLEB("a table's count")
        // Every form but an empty block takes at least a byte.
        guard count <= UInt64(head.remaining), count == 0 || !columns.isEmpty else {
            throw head.malformed("\(count) entries do not fit into the header")
        }
        var entries: [(name: ArraySlice<UInt8>, folder: UInt64)] = []
        for _ in 0..<count {
            var entry: (name: ArraySlice<UInt8>, folder: UInt64) = ([], 0)
            for column in columns {
                switch (column.content, try readForm(&head, column.form, is64Bit: is64Bit)) {
                case (1, .text(let name)): entry.name = name  // DW_LNCT_path
                case (2, .number(let folder)): entry.folder = folder  // DW_LNCT_directory_index
                case (1, _), (2, _): throw head.malformed("form \(hexText(column.form)) does not fit its content")
                default: break
                }
            }
            entries.append(entry)
        }
        return entries
    }

    private enum FormValue {
        case text(ArraySlice<UInt8>), number(UInt64), other
    }

    /// The forms that a line table may use (DWARF 5 sections 6.2.4.1 and 7.5.6).
    private func readForm(_ head: inout ByteReader, _ form: UInt64, is64Bit: Bool) throws(SymbolError) -> FormValue {
        switch form {
        case 0x08: return .text(try head.text("a name"))  // DW_FORM_string
        case 0x1F, 0x0E:  // DW_FORM_line_strp, DW_FORM_strp
            let offset = try head.offset(is64Bit, "a name's offset")
            let (pool, poolName) = form == 0x1F ? (lineStrings, ".debug_line_str") : (strings, ".debug_str")
            guard offset < UInt64(pool.count) else {
                throw head.malformed("a name is at \(hexText(offset)), behind the end of \(poolName)")
            }
            return .text(pool[(pool.startIndex + Int(offset))...].prefix(4096).prefix { $0 != 0 })
        case 0x0B: return .number(UInt64(try head.integer(UInt8.self, "DW_FORM_data1")))
        case 0x05: return .number(UInt64(try head.integer(UInt16.self, "DW_FORM_data2")))
        case 0x06: return .number(UInt64(try head.integer(UInt32.self, "DW_FORM_data4")))
        case 0x07: return .number(try head.integer(UInt64.self, "DW_FORM_data8"))
        case 0x0F: return .number(try head.unsignedLEB("DW_FORM_udata"))
        case 0x1E: _ = try head.take(16, "DW_FORM_data16")
        case 0x09: _ = try head.take(try head.unsignedLEB("a block's length"), "a block")
        case 0x0A: _ = try head.take(UInt64(try head.integer(UInt8.self, "a block's length")), "a block")
        case 0x03: _ = try head.take(UInt64(try head.integer(UInt16.self, "a block's length")), "a block")
        case 0x04: _ = try head.take(UInt64(try head.integer(UInt32.self, "a block's length")), "a block")
        default: throw head.malformed("form \(hexText(form)) is not one of a line table")
        }
        return .other
    }

    /// The index of a file, each path once.
    private mutating func number(
        _ name: ArraySlice<UInt8>, in folder: ArraySlice<UInt8>, _ reader: ByteReader
    ) throws(SymbolError) -> UInt32 {
        let isWhole = folder.isEmpty || name.first == UInt8(ascii: "/")
        let path = (isWhole ? [] : folder.prefix(4096) + [UInt8(ascii: "/")]) + name.prefix(4096)
        let shown = path.map { $0 < 0x20 || $0 == 0x7F ? UInt8(ascii: "?") : $0 }
        let text = String(decoding: shown, as: UTF8.self)
        fileBytes += path.count
        guard fileBytes <= Self.mostFileBytes else { throw reader.malformed("too many file names") }
        if let known = fileNumbers[text] { return known }
        let index = UInt32(files.count)
        files.append(text)
        fileNumbers[text] = index
        return index
    }

    // MARK: Program

    /// The registers of the line number machine that the rows need (section 6.2.2).
    private struct Registers {
        var address: UInt64 = 0
        var operation: UInt64 = 0
        var file: UInt64 = 1
        var line: UInt64 = 1

        mutating func advance(_ operations: UInt64, _ header: Header) {
            guard header.maximumOperations > 1 else {
                address &+= operations &* header.minimumLength
                return
            }
            let total = operation &+ operations
            address &+= header.minimumLength &* (total / header.maximumOperations)
            operation = total % header.maximumOperations
        }
    }

    private mutating func run(_ unit: inout ByteReader, _ header: Header) throws(SymbolError) {
        var registers = Registers()
        var sequence = rows.count
        while !unit.isAtEnd {
            let opcode = try unit.integer(UInt8.self, "an opcode")
            if opcode >= header.opcodeBase {
                let adjusted = UInt64(opcode - header.opcodeBase)
                registers.advance(adjusted / header.lineRange, header)
                registers.line &+= UInt64(bitPattern: header.lineBase &+ Int64(adjusted % header.lineRange))
                try append(registers, header, unit)
                continue
            }
            switch opcode {
            case 0: try runExtended(&unit, header, &registers, &sequence)
            case 1: try append(registers, header, unit)  // DW_LNS_copy
            case 2: registers.advance(try unit.unsignedLEB("DW_LNS_advance_pc"), header)
            case 3: registers.line &+= UInt64(bitPattern: try unit.signedLEB("DW_LNS_advance_line"))
            case 4: registers.file = try unit.unsignedLEB("DW_LNS_set_file")
            case 8: registers.advance(UInt64(255 - header.opcodeBase) / header.lineRange, header)  // const_add_pc
            case 9:  // DW_LNS_fixed_advance_pc
                registers.address &+= UInt64(try unit.integer(UInt16.self, "DW_LNS_fixed_advance_pc"))
                registers.operation = 0
            default:
                // Column, statement, prologue and what this version does not know: as many LEB128 operands as told.
                let count = header.operandCounts[header.operandCounts.startIndex + Int(opcode) - 1]
                for _ in 0..<count { _ = try unit.unsignedLEB("an operand of opcode \(opcode)") }
            }
        }
        // A sequence without an end has no last address.
        rows.removeSubrange(sequence...)
    }

    private mutating func runExtended(
        _ unit: inout ByteReader, _ header: Header, _ registers: inout Registers, _ sequence: inout Int
    ) throws(SymbolError) {
        let length = try unit.unsignedLEB("an extended opcode's length")
        var operation = try unit.part(length, "an extended opcode")
        guard length > 0 else { return }
        switch try operation.integer(UInt8.self, "an extended opcode") {
        case 1:  // DW_LNE_end_sequence
            try append(registers, header, unit, isEnd: true)
            // Linkers put the code that they leave out at 0 or at the top (DWARF 5 section 2.17.3, tombstones).
            let first = sequence < rows.count ? rows[sequence].address : 0
            if first == 0 || first >= UInt64.max - 1 { rows.removeSubrange(sequence...) }
            sequence = rows.count
            registers = Registers()
        case 2:  // DW_LNE_set_address
            switch operation.remaining {
            case 8: registers.address = try operation.integer(UInt64.self, "DW_LNE_set_address")
            case 4: registers.address = UInt64(try operation.integer(UInt32.self, "DW_LNE_set_address"))
            default: throw operation.malformed("an address of \(operation.remaining) bytes")
            }
            registers.operation = 0
        default: break  // Discriminators and what vendors add.
        }
    }

    private mutating func append(
        _ registers: Registers, _ header: Header, _ unit: ByteReader, isEnd: Bool = false
    ) throws(SymbolError) {
        guard rows.count < LineTable.mostRows else { throw unit.malformed("more than \(LineTable.mostRows) rows") }
        let index = registers.file &- header.firstFile
        let file = index < UInt64(header.files.count) ? header.files[Int(index)] : .max
        rows.append(
            LineTable.Row(
                address: registers.address, file: file, line: UInt32(truncatingIfNeeded: registers.line), isEnd: isEnd))
    }
}

extension ByteReader {
    /// An offset of 4 or 8 bytes, as the DWARF format of the unit has it.
    package mutating func offset(_ is64Bit: Bool, _ what: String) throws(SymbolError) -> UInt64 {
        is64Bit ? try integer(UInt64.self, what) : UInt64(try integer(UInt32.self, what))
    }
}
