import Testing
import VirtualMachine
import _SeededNumbers

/// Finding kallsyms in memory that is laid out as Linux's scripts/kallsyms.c does.
@Suite struct SymbolKernelTests {
    /// Memory with one mapped range.
    private func reader(_ bytes: [UInt8], at base: UInt64) -> GuestMemoryReader {
        GuestMemoryReader { address, count in
            guard address >= base, address - base <= UInt64(bytes.count), count <= bytes.count - Int(address - base)
            else { return nil }
            return Array(bytes[Int(address - base)..<Int(address - base) + count])
        }
    }

    @Test(arguments: KallsymsImage.Layout.allCases)
    func tablesOfEachKernelVersionAreFound(layout: KallsymsImage.Layout) throws {
        let image = KallsymsImage(layout: layout, symbolCount: 1500)
        let base = image.base
        let file = try KernelSymbolFinder(reader(image.bytes, at: base), wordSize: image.wordSize)
            .find(anchors: [base + 0x40])
        #expect(file.count == image.symbols.count)
        for symbol in image.symbols {
            #expect(file.address(of: symbol.name) == symbol.address, "\(symbol.name)")
        }
        var table = SymbolTable()
        table.add(file)
        #expect(table.text(of: base + 0x21) == "kernel_function_1+1")
        #expect(table.symbols(named: "pcpu_hot").first?.kind == (image.hasPerCPU ? .absolute : nil))
        #expect(table.text(of: 0x1FB80) == nil)
    }

    @Test func tablesBeforeTheAnchorAndBehindHolesAreFound() throws {
        let image = KallsymsImage(layout: .linux61, symbolCount: 600)
        // Code of the anchor is mapped, the page behind it is not, and the tables follow.
        let base = image.base
        let whole = reader(image.bytes, at: base)
        let holed = GuestMemoryReader { address, count in
            let hole = base + 0x1000..<base + 0x2000
            return address < hole.upperBound && address + UInt64(count) > hole.lowerBound
                ? nil : whole.bytes(at: address, count: count)
        }
        #expect(try KernelSymbolFinder(holed).find(anchors: [base + 0x40]).count == image.symbols.count)
        #expect(
            throws: SymbolError.memory("no kallsyms tables of a Linux kernel in memory around 0x1000")
        ) { try KernelSymbolFinder(whole).find(anchors: [0x1000]) }
        #expect(throws: SymbolError.memory("no kernel is running yet that symbols could be looked for in")) {
            try KernelSymbolFinder(whole).find(anchors: [])
        }
    }

    @Test func noDamageToTheTablesIsATrap() {
        var random = SeededNumbers(3)
        for layout in KallsymsImage.Layout.allCases {
            let image = KallsymsImage(layout: layout, symbolCount: 300)
            for _ in 0..<15 {
                var bytes = image.bytes
                for _ in 0..<Int.random(in: 1...8, using: &random) {
                    let place = Int.random(in: image.tablesStart..<bytes.count, using: &random)
                    bytes[place] = random.interestingByte()
                }
                let finder = KernelSymbolFinder(reader(bytes, at: image.base), wordSize: image.wordSize)
                if let file = try? finder.find(anchors: [image.base + 0x40]) {
                    #expect(file.count <= image.symbols.count)
                }
            }
        }
    }

    /// An executable without section headers, whose segments are what a stripped vmlinux has: code and tables at their
    /// linked addresses, behind a segment at 0 as the per-CPU area's.
    private func strippedKernel(_ image: KallsymsImage) -> [UInt8] {
        let wide = image.wordSize == 8
        var file = FileBuilder(size: 0x1000 + image.bytes.count)
        file.bytes.replaceSubrange(0x1000..., with: image.bytes)
        file.set(0, text: "\u{7F}ELF")
        file.set(4, UInt8(wide ? 2 : 1))
        file.set(5, UInt8(1))
        file.set(16, UInt16(2))
        file.set(18, UInt16(wide ? 62 : 3))
        let headers = wide ? 64 : 52
        file.set(wide ? 32 : 28, UInt32(headers))
        file.set(wide ? 54 : 42, UInt16(wide ? 56 : 32))
        file.set(wide ? 56 : 44, UInt16(2))
        for (index, segment) in [
            (address: UInt64(0), offset: 0, size: 0x800),
            (address: image.base, offset: 0x1000, size: image.bytes.count),
        ].enumerated() {
            let header = headers + index * (wide ? 56 : 32)
            file.set(header, UInt32(1))
            if wide {
                file.set(header + 8, UInt64(segment.offset))
                file.set(header + 16, segment.address)
                file.set(header + 32, UInt64(segment.size))
                file.set(header + 40, UInt64(segment.size))
            } else {
                file.set(header + 4, UInt32(segment.offset))
                file.set(header + 8, UInt32(segment.address))
                file.set(header + 16, UInt32(segment.size))
                file.set(header + 20, UInt32(segment.size))
            }
        }
        return file.bytes
    }

    @Test(arguments: KallsymsImage.Layout.allCases)
    func aStrippedKernelFileHasTheSymbolsOfItsSegments(layout: KallsymsImage.Layout) throws {
        let image = KallsymsImage(layout: layout, symbolCount: 600)
        let bytes = strippedKernel(image)
        let file = try SymbolFile(BootFile(name: "vmlinux", bytes: bytes))
        #expect(file.name == "vmlinux" && file.count == image.symbols.count)
        for symbol in image.symbols { #expect(file.address(of: symbol.name) == symbol.address, "\(symbol.name)") }
    }

    @Test func aStrippedFileThatIsNoKernelSaysWhatWasLookedFor() {
        var bytes = strippedKernel(KallsymsImage(layout: .linux61, symbolCount: 300))
        bytes.replaceSubrange(0x3000..., with: [UInt8](repeating: 0, count: bytes.count - 0x3000))
        #expect(
            throws: SymbolError.file(
                "program: no symbols: none in .symtab, .dynsym and .debug_line, and no kallsyms of a Linux kernel in its "
                    + "segments; the file may be stripped")
        ) { try SymbolFile(BootFile(name: "program", bytes: bytes)) }
    }

    @Test func noDamageToAStrippedKernelIsATrap() {
        var random = SeededNumbers(9)
        let whole = strippedKernel(KallsymsImage(layout: .linux61, symbolCount: 300))
        for _ in 0..<60 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...5, using: &random) {
                // Half of them in the headers, where addresses and sizes are.
                let end = Bool.random(using: &random) ? 0xC0 : bytes.count
                bytes[Int.random(in: 4..<end, using: &random)] = random.interestingByte()
            }
            if let file = try? SymbolFile(BootFile(name: "vmlinux", bytes: bytes)) { #expect(file.count < 1000) }
        }
    }

    @Test func memoryFullOfDigitsIsNoTable() {
        let digits: [UInt8] = (0..<20).map { $0 % 2 == 0 ? 0x30 + UInt8($0 / 2) : 0 }
        let bytes = Array(repeatElement(digits, count: 2000).joined())
        for base: UInt64 in [0xFFFF_FFFF_8100_0000, 0 &- UInt64(bytes.count), 0] {
            #expect(throws: SymbolError.self) {
                try KernelSymbolFinder(reader(bytes, at: base)).find(anchors: [base])
            }
        }
    }
}

/// An image with code and the tables of kallsyms.
struct KallsymsImage {
    enum Layout: CaseIterable {
        /// Whole addresses and markers of 8 bytes.
        case linux44
        /// Offsets with absolute per-CPU symbols.
        case linux61
        /// With the order by name behind the markers.
        case linux62
        case linux64
        /// Unsigned offsets, no absolute per-CPU symbols.
        case linux615
        /// A 32-bit kernel.
        case linux61x32
    }

    let symbols: [(name: String, letter: Character, address: UInt64)]
    let base: UInt64
    let wordSize: Int
    let hasPerCPU: Bool
    let tablesStart: Int
    let bytes: [UInt8]

    init(layout: Layout, symbolCount: Int) {
        wordSize = layout == .linux61x32 ? 4 : 8
        base = wordSize == 4 ? 0xC100_0000 : 0xFFFF_FFFF_8100_0000
        hasPerCPU = ![.linux615, .linux61x32].contains(layout)
        let (base, word, hasPerCPU) = (base, wordSize, hasPerCPU)
        var symbols: [(name: String, letter: Character, address: UInt64)] =
            hasPerCPU ? [("fixed_percpu_data", "A", 0), ("pcpu_hot", "A", 0x1FB80)] : []
        for index in 0..<symbolCount {
            symbols.append(("kernel_function_\(index)", index % 3 == 0 ? "T" : "t", base + UInt64(index) * 0x20))
        }
        // A name of more than 127 tokens, which takes two bytes for its length from 6.1 on.
        let long =
            layout == .linux44 ? "short" : String((0..<300).map { Character(UnicodeScalar(UInt8(65 + $0 % 26))) })
        symbols.append((long, "D", base + 0x20_0000))
        symbols.append(("_end", "B", base + 0x30_0000))
        self.symbols = symbols

        // The digits and letters stand for themselves; the other bytes for pairs and longer texts.
        var texts: [[UInt8]] = (0..<256).map { [UInt8($0)] }
        for code in 0..<32 { texts[code] = Array("x\(code)".utf8) }
        for code in 128..<256 { texts[code] = [] }
        texts[0] = Array("kernel_".utf8)
        texts[200] = Array("function_".utf8)
        texts[255] = Array("_percpu".utf8)
        texts[0x7F] = []

        func compress(_ name: String) -> [UInt8] {
            var rest = Array(name.utf8)[...]
            var codes: [UInt8] = []
            while !rest.isEmpty {
                let code = [0, 200, 255].first { rest.starts(with: texts[$0]) }
                codes.append(UInt8(code ?? Int(rest.first ?? 0)))
                rest = rest.dropFirst(code.map { texts[$0].count } ?? 1)
            }
            return codes
        }
        var names: [UInt8] = []
        var markers: [UInt64] = []
        for (index, symbol) in symbols.enumerated() {
            if index % 256 == 0 { markers.append(UInt64(names.count)) }
            let codes = compress(String(symbol.letter) + symbol.name)
            if codes.count > 0x7F {
                names += [UInt8(codes.count & 0x7F | 0x80), UInt8(codes.count >> 7)]
            } else {
                names.append(UInt8(codes.count))
            }
            names += codes
        }

        var image = [UInt8](repeating: 0x90, count: 0x2000)
        func align() { while image.count % word != 0 { image.append(0) } }
        func pointer(_ value: UInt64) {
            if word == 8 {
                image.append(littleEndian: value)
            } else {
                image.append(littleEndian: UInt32(truncatingIfNeeded: value))
            }
        }
        tablesStart = image.count
        let relativeBase = symbols.first { !hasPerCPU || $0.letter != "A" }?.address ?? base
        func writeAddresses() {
            align()
            for symbol in symbols {
                switch layout {
                case .linux44: pointer(symbol.address)
                case .linux615, .linux61x32: image.append(littleEndian: UInt32(symbol.address - relativeBase))
                case .linux61, .linux62, .linux64:
                    let offset =
                        symbol.letter == "A"
                        ? Int64(symbol.address) : -1 - Int64(symbol.address - relativeBase)
                    image.append(littleEndian: Int32(offset))
                }
            }
            align()
            if layout != .linux44 { pointer(relativeBase) }
        }
        func writeNames() {
            align()
            pointer(UInt64(symbols.count))
            image += names
            align()
            for marker in markers {
                if layout == .linux44 { pointer(marker) } else { image.append(littleEndian: UInt32(marker)) }
            }
            align()
        }
        func writeTokens() {
            align()
            var offsets: [UInt16] = []
            let start = image.count
            for text in texts {
                offsets.append(UInt16(image.count - start))
                image += text + [0]
            }
            align()
            for offset in offsets { image.append(littleEndian: offset) }
            align()
        }
        func writeOrder() {
            for index in symbols.indices {
                image += [UInt8(index >> 16), UInt8(index >> 8 & 0xFF), UInt8(index & 0xFF)]
            }
            align()
        }
        switch layout {
        case .linux44, .linux61, .linux61x32:
            writeAddresses()
            writeNames()
            writeTokens()
        case .linux62:
            writeAddresses()
            writeNames()
            writeOrder()
            writeTokens()
        case .linux64, .linux615:
            writeNames()
            writeTokens()
            writeAddresses()
            writeOrder()
        }
        image += [UInt8](repeating: 0xCC, count: 0x1000)
        bytes = image
    }
}
