extension SymbolFile {
    /// Reads a file of symbols: an ELF file, or text as `nm`, System.map and /proc/kallsyms have it.
    ///
    /// Throws `SymbolError.file` if the file cannot be read or holds no symbols.
    public init(path: String) throws(SymbolError) {
        let file = try Self.inFile { () throws(BootError) in try BootFile(path: path) }
        try self.init(file)
    }

    /// Reads a file that is in memory already.
    package init(_ file: BootFile) throws(SymbolError) {
        if ELFFile.isELF(file) {
            try self.init(elf: try Self.inFile { () throws(BootError) in try ELFFile(file) })
        } else {
            try self.init(map: file.bytes, named: file.name)
        }
    }

    /// Reads lines of an address in hexadecimal, a letter and a name (POSIX `nm`, System.map, /proc/kallsyms).
    ///
    /// A size between address and letter (`nm -S`) is taken; lines of undefined symbols and empty lines are left out.
    /// Throws at the first line that is anything else, with its number.
    package init(map text: [UInt8], named name: String) throws(SymbolError) {
        var builder = SymbolFileBuilder(name: name)
        var number = 0
        var hasAddress = false
        for line in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            number += 1
            let fields = line.split(
                maxSplits: 4, whereSeparator: { $0 == UInt8(ascii: " ") || $0 == 0x09 || $0 == 0x0D })
            if fields.isEmpty || Self.isUndefined(fields[0]) { continue }
            func malformed(_ why: String) -> SymbolError {
                .file("\(name): line \(number): \(why): `\(Self.excerpt(line))`")
            }
            guard let address = Self.hexadecimal(fields[0]) else {
                throw malformed("not an address in hexadecimal, a letter and a name")
            }
            var rest = fields.dropFirst()
            var size: UInt64 = 0
            if rest.count >= 3, let first = rest.first, first.count > 1, let value = Self.hexadecimal(first) {
                size = value
                rest = rest.dropFirst()
            }
            guard let letters = rest.first, letters.count == 1, let letter = letters.first, rest.count >= 2 else {
                throw malformed("no letter and name behind the address")
            }
            // A demangled name has spaces; the kernel puts a module's name behind a tab.
            let symbol = line[rest[rest.startIndex + 1].startIndex...].prefix { $0 != 0x09 && $0 != 0x0D }
            guard let kind = Self.kind(letter) else { continue }
            hasAddress = hasAddress || address != 0
            try builder.add(symbol, at: address, size: size, kind: kind)
        }
        guard builder.count > 0 else { throw .file("\(name): no symbols in \(number) lines") }
        guard hasAddress else {
            throw .file("\(name): all addresses are 0; Linux shows them to root with kernel.kptr_restrict 0 or 1")
        }
        self = try builder.finish()
    }

    /// What a letter of `nm` stands for; nil for undefined symbols and debugging records.
    package static func kind(_ letter: UInt8) -> Symbol.Kind? {
        switch letter | 0x20 {
        case UInt8(ascii: "t"), UInt8(ascii: "w"), UInt8(ascii: "i"): .code
        case UInt8(ascii: "a"): .absolute
        case UInt8(ascii: "u"): letter == UInt8(ascii: "u") ? .data : nil
        case UInt8(ascii: "n"), UInt8(ascii: "-"), UInt8(ascii: "?"): nil
        default: .data
        }
    }

    /// `nm` leaves the address of an undefined symbol out.
    private static func isUndefined(_ field: ArraySlice<UInt8>) -> Bool {
        field.elementsEqual("U".utf8) || field.elementsEqual("w".utf8) || field.elementsEqual("v".utf8)
    }

    private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> UInt64? {
        guard (1...16).contains(digits.count) else { return nil }
        var value: UInt64 = 0
        for digit in digits {
            switch digit {
            case 0x30...0x39: value = value << 4 | UInt64(digit - 0x30)
            case 0x41...0x46, 0x61...0x66: value = value << 4 | UInt64((digit | 0x20) - 0x57)
            default: return nil
            }
        }
        return value
    }

    /// The beginning of a line for a message.
    private static func excerpt(_ line: ArraySlice<UInt8>) -> String {
        let shown = line.prefix(40).map { $0 < 0x20 || $0 >= 0x7F ? UInt8(ascii: "?") : $0 }
        return String(decoding: shown, as: UTF8.self) + (line.count > 40 ? "…" : "")
    }
}
