import Testing
import VirtualMachine

/// Looking up addresses and names.
@Suite struct SymbolTableTests {
    private func file(_ text: String, named name: String = "map") throws -> SymbolFile {
        try SymbolFile(map: Array(text.utf8), named: name)
    }

    @Test func addressesHaveTheNearestNameBefore() throws {
        var table = SymbolTable()
        table.add(
            try file(
                """
                0000000000401000 T main
                0000000000401040 t helper
                0000000000401100 D value

                """))
        #expect(table.text(of: 0x400FFF) == nil)
        #expect(table.text(of: 0x401000) == "main")
        #expect(table.text(of: 0x40103F) == "main+0x3f")
        #expect(table.text(of: 0x401040) == "helper")
        #expect(table.text(of: 0x401100) == "value")
        #expect(table.position(of: 0x401044)?.symbol.kind == .code)
        #expect(
            table.position(of: 0x401104)?.symbol
                == Symbol(
                    name: "value", address: 0x401100, kind: .data, source: "map"))
    }

    @Test func aSymbolWithoutSizeReachesToTheNextOrOnePage() throws {
        var table = SymbolTable()
        table.add(try file("00401000 T low\nffffffff80001000 T high\n"))
        #expect(table.text(of: 0x401FFF) == "low+0xfff")
        #expect(table.text(of: 0x402000) == nil)
        #expect(table.text(of: 0xFFFF_FFFF_8000_0FFF) == nil)
        #expect(table.text(of: .max) == nil)
    }

    @Test func aSizeThatCoversTheAddressBeatsANearerLabelThatEnded() throws {
        var table = SymbolTable()
        table.add(try file("1000 0100 T outer\n1010 0004 t inner\n1200 0010 T next\n"))
        #expect(table.text(of: 0x1012) == "inner+2")
        #expect(table.text(of: 0x1014) == "outer+0x14")
        #expect(table.text(of: 0x1180) == "inner+0x170")
    }

    @Test func namesAreFoundExactlyAndByPrefix() throws {
        var table = SymbolTable()
        table.add(try file("1000 T do_sys_open\n2000 T do_sys_openat2\n3000 t do_sys_open\n4000 T do_idle\n5000 T x\n"))
        #expect(table.symbols(named: "do_sys_open").map(\.address) == [0x1000, 0x3000])
        #expect(table.symbols(named: "do_sys").isEmpty)
        #expect(table.names(withPrefix: "do_") == ["do_idle", "do_sys_open", "do_sys_openat2"])
        #expect(table.names(withPrefix: "do_", limit: 2) == ["do_idle", "do_sys_open"])
        #expect(table.names(withPrefix: "do_", limit: -1).isEmpty)
        #expect(table.names(withPrefix: "y").isEmpty)
        #expect(table.names(withPrefix: "").count == 4)
    }

    @Test func theTextFormIsReadBack() throws {
        var table = SymbolTable()
        table.add(try file("1000 T start\n2000 T a+b\n"), slide: 0x100)
        for address: UInt64 in [0x1100, 0x1112, 0x2100, 0x2101] {
            #expect(table.address(of: table.text(of: address) ?? "") == address)
        }
        #expect(table.address(of: "start+18") == 0x1112)
        #expect(table.address(of: "start+0xzz") == nil)
        #expect(table.address(of: "start+") == nil)
        #expect(table.address(of: "nothing") == nil)
        #expect(table.address(of: "+1") == nil)
    }

    @Test func eachSourceHasItsSlide() throws {
        var table = SymbolTable()
        table.add(
            try file("ffffffff81000000 T _text\nffffffff81001000 T f\nffffffff83000000 B _end\n"), slide: 0x1C0_0000)
        table.add(try file("401000 T f\n", named: "program"), slide: 0x5555_0000_0000)
        #expect(table.text(of: 0xFFFF_FFFF_82C0_1004) == "f+4")
        #expect(table.text(of: 0x5555_0040_1008) == "f+8")
        #expect(Set(table.symbols(named: "f").map(\.address)) == [0xFFFF_FFFF_82C0_1000, 0x5555_0040_1000])
        #expect(table.placements.map(\.space) == [.kernel, .user])
    }

    @Test func theSpaceDecidesBetweenSources() throws {
        var table = SymbolTable()
        table.add(try file("1000 T kernelName\n", named: "k"), space: .kernel)
        table.add(try file("1000 T userName\n", named: "u"), space: .user)
        #expect(table.text(of: 0x1002, in: .user) == "userName+2")
        #expect(table.text(of: 0x1002, in: .kernel) == "kernelName+2")
        #expect(table.text(of: 0x1002) == "kernelName+2")
    }

    @Test func addingASourceAgainReplacesIt() throws {
        var table = SymbolTable(labels: [("start", 0x1000)])
        #expect(table.text(of: 0x1001) == "start+1")
        table.add(try file("2000 T other\n", named: "labels"))
        #expect(table.text(of: 0x1001) == nil)
        #expect(table.count == 1)
        let removed = [table.remove(source: "labels"), table.remove(source: "labels")]
        #expect(removed == [true, false])
        #expect(table.count == 0)
    }

    @Test func perCPUOffsetsOfAKernelNameNoAddress() throws {
        var table = SymbolTable()
        table.add(
            try file(
                """
                0000000000000000 D __per_cpu_start
                0000000000000000 A fixed_percpu_data
                000000000001fb80 A pcpu_hot
                ffffffff81000000 T _text
                ffffffff81000040 T secondary_startup_64
                ffffffff83800000 B _end

                """))
        #expect(table.text(of: 0) == nil)
        #expect(table.text(of: 0x1FB84) == nil)
        #expect(table.symbols(named: "pcpu_hot").map(\.address) == [0x1FB80])
        // A Linux image reaches from _text to _end, whatever lies between its symbols.
        #expect(table.text(of: 0xFFFF_FFFF_837F_FFFF) == "secondary_startup_64+0x27fffbf")
    }

    @Test func twoHundredThousandSymbolsAreFoundLikeByLinearSearch() throws {
        var builder = SymbolFileBuilder(name: "many")
        var addresses: [UInt64] = []
        var address: UInt64 = 0xFFFF_FFFF_8100_0000
        var random = SystemRandomNumberGenerator()
        for index in 0..<200_000 {
            addresses.append(address)
            try builder.add("function_\(index)".utf8, at: address, kind: .code)
            address += UInt64.random(in: 1...200, using: &random)
        }
        var table = SymbolTable()
        table.add(try builder.finish())
        for _ in 0..<2000 {
            let index = Int.random(in: 0..<199_999, using: &random)
            let wanted = UInt64.random(in: addresses[index]..<addresses[index + 1], using: &random)
            #expect(table.position(of: wanted)?.symbol.name == "function_\(index)")
            #expect(table.symbols(named: "function_\(index)").map(\.address) == [addresses[index]])
        }
        #expect(
            table.names(withPrefix: "function_19999", limit: 3) == [
                "function_19999", "function_199990", "function_199991",
            ])
    }
}
