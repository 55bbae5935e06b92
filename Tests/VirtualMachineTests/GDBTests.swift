import Testing
import VirtualMachine
import X86

@Suite struct GDBTests {
    private func guest() throws -> Guest {
        let program = try Assembler(mode: .bits64, origin: 0x40_0000).assemble(
            "start: mov eax, 5\nagain: inc eax\nmov [rsp], rax\njmp again")
        let code = PreparedGuest.Code(ring: 3, origin: 0x40_0000, bytes: program.bytes)
        var configuration = GuestConfiguration(boot: BootSource(.prepared(PreparedGuest(.long, code: [code]))))
        configuration.memory = 4 << 20
        return try Guest(configuration)
    }

    private func ask(_ stub: GDBStub, _ packet: String) -> String {
        switch stub.handle(Array(packet.utf8)) {
        case .reply(let bytes), .leave(let bytes): String(decoding: bytes, as: UTF8.self)
        case .noReply: ""
        }
    }

    @Test func packetsAreTakenFromAStreamInAnyPieces() {
        var reader = GDBPacketReader()
        for byte in "+$qC#b4\u{3}$qC#00".utf8 { reader.append([byte]) }
        #expect(reader.next() == .acknowledged)
        #expect(reader.next() == .packet(Array("qC".utf8)))
        #expect(reader.next() == .interrupt)
        #expect(reader.next() == .damaged)
        #expect(reader.next() == nil)
        #expect(String(decoding: GDBPacketReader.framed(Array("OK".utf8)), as: UTF8.self) == "$OK#9a")
        #expect(GDBPacketReader.unescaped(GDBPacketReader.escaped(0...255)) == Array(0...255))
    }

    @Test func aPacketThatWasCutOffIsGivenUpWithTheNext() {
        var reader = GDBPacketReader()
        reader.append("$m0,4$qC#b4".utf8)
        #expect(reader.next() == .packet(Array("qC".utf8)))
        reader.append("$X0,1:\u{3}#".utf8)
        #expect(!reader.holdsInterrupt())
        #expect(reader.holdsInterrupt(and: "00\u{3}".utf8))
        #expect(!reader.holdsInterrupt(and: "00$qC#b4".utf8))
    }

    @Test func oddPacketsAreRefused() throws {
        let stub = GDBStub(try guest())
        for packet in [
            "m+5,4", "m5,-4", "m5", "p-1", "p+1", "Z0,+5,1", "Z2,0,0", "Z2,0,ffffffffffffffff", "G00", "Hg7", "T9",
            "vCont;t", "P0=00", "M0,2:00", "M0,1:0", "X0,5:abc", "c+5", "mffffffffffffffffff,4",
        ] {
            #expect(ask(stub, packet).hasPrefix("E"), "\(packet): \(ask(stub, packet))")
        }
        #expect(ask(stub, "qXfer:features:read:other.xml:0,20") == "E00")
        #expect(ask(stub, "qXfer:features:read:target.xml:ffffffffffffffff,20") == "l")
        #expect(ask(stub, "qXfer:features:read:target.xml:0,ffffffffffffffff").hasPrefix("l<?xml"))
        #expect(ask(stub, "Hg-1") == "OK" && ask(stub, "Hc0") == "OK" && ask(stub, "T1") == "OK")
    }

    @Test func whatGDBWritesIsStillThereOnTheWayBackAndForth() throws {
        let guest = try guest()
        let stub = GDBStub(guest, history: GuestHistory(guest))
        _ = ask(stub, "s")
        #expect(ask(stub, "P0=2a00000000000000") == "OK")
        _ = ask(stub, "s")
        #expect(ask(stub, "p0").hasPrefix("2b"))
        _ = ask(stub, "s")
        _ = ask(stub, "bs")
        #expect(ask(stub, "p0").hasPrefix("2b"))
        _ = ask(stub, "bs")
        #expect(ask(stub, "p0").hasPrefix("2a"))
    }

    @Test func registersStandInTheOrderOfTheDescription() throws {
        let stub = GDBStub(try guest())
        let all = ask(stub, "g")
        #expect(all.count == GDBRegisters.all.reduce(0) { $0 + $1.bits / 4 })
        #expect(ask(stub, "s") == "T05thread:01;")
        #expect(ask(stub, "p0") == "0500000000000000")
        #expect(ask(stub, "p10") == "0500400000000000")
        #expect(ask(stub, "P0=0700000000000000") == "OK")
        #expect(ask(stub, "p0") == "0700000000000000")
        #expect(ask(stub, "pffff") == "E01")
        #expect(ask(stub, "qXfer:features:read:target.xml:0,20").hasPrefix("m<?xml"))
        #expect(ask(stub, "qXfer:memory-map:read::0,fff").contains("memory type=\"ram\""))
    }

    @Test func pointsStopWithTheirReasonsOnceForEachPass() throws {
        let guest = try guest()
        let stub = GDBStub(guest)
        #expect(ask(stub, "Z1,400005,1") == "OK")
        #expect(ask(stub, "c") == "T05hwbreak:;thread:01;")
        #expect(guest.instructions == 1)
        #expect(ask(stub, "c") == "T05hwbreak:;thread:01;")
        #expect(guest.instructions == 4)
        #expect(ask(stub, "z1,400005,1") == "OK")
        let rsp = String(guest.cpu["rsp"] ?? 0, radix: 16)
        #expect(ask(stub, "Z2,\(rsp),8") == "OK")
        #expect(ask(stub, "c") == "T05watch:\(rsp);thread:01;")
        #expect(ask(stub, "m400000,5") == "b805000000")
        #expect(ask(stub, "m0,4") == "E0e")
        #expect(ask(stub, "M\(rsp),2:abcd") == "OK")
        #expect(ask(stub, "m\(rsp),2") == "abcd")
        #expect(ask(stub, "Z9,0,1") == "" && ask(stub, "Z2,0,0") == "E01")
    }

    @Test func ofManyPointsTheOneThatIsMetStopsAndThoseTakenBackDoNot() throws {
        let stub = GDBStub(try guest())
        for index in 0..<5_000 { #expect(ask(stub, "Z1,\(String(0x50_0000 + index, radix: 16)),1") == "OK") }
        #expect(ask(stub, "Z1,400005,1") == "OK" && ask(stub, "Z1,400005,1") == "OK")
        #expect(ask(stub, "Z2,7ff0,8") == "OK")
        #expect(ask(stub, "c") == "T05hwbreak:;thread:01;")
        #expect(ask(stub, "z1,400005,1") == "OK" && ask(stub, "z1,400005,1") == "OK")
        for index in 0..<5_000 { #expect(ask(stub, "z1,\(String(0x50_0000 + index, radix: 16)),1") == "OK") }
        #expect(ask(stub, "c") == "T05watch:7ff0;thread:01;")
        #expect(ask(stub, "z2,7ff0,8") == "OK" && ask(stub, "Z0,400005,1") == "OK")
        #expect(ask(stub, "c") == "T05swbreak:;thread:01;")
    }

    @Test func moreThanEnoughPointsAreRefused() throws {
        let stub = GDBStub(try guest())
        let answers = (0...0x1_0000).map { ask(stub, "Z0,\(String(0x50_0000 + $0, radix: 16)),1") }
        #expect(answers.dropLast().allSatisfy { $0 == "OK" } && answers.last == "E1c")
    }

    @Test func backwardsItMeetsTheSamePointsAndTheBeginning() throws {
        let guest = try guest()
        let stub = GDBStub(guest, history: GuestHistory(guest))
        #expect(ask(stub, "qSupported").contains("ReverseContinue+"))
        for _ in 0..<8 { _ = ask(stub, "s") }
        #expect(ask(stub, "bs") == "T05thread:01;")
        #expect(guest.instructions == 7)
        #expect(ask(stub, "Z0,400005,1") == "OK")
        #expect(ask(stub, "bc") == "T05swbreak:;thread:01;")
        #expect(guest.instructions == 4 && guest.cpu.rip == 0x40_0005)
        #expect(ask(stub, "bc") == "T05swbreak:;thread:01;")
        #expect(guest.instructions == 1)
        #expect(ask(stub, "bc") == "T05replaylog:begin;thread:01;")
        #expect(ask(stub, "bs") == "T05replaylog:begin;thread:01;")
        #expect(guest.instructions == 0)
    }

    @Test func whateverComesIsAnswered() throws {
        let guest = try guest()
        let stub = GDBStub(guest, history: GuestHistory(guest))
        // The guest runs for ever: whoever continues it wants to stop it.
        var generator = SystemRandomNumberGenerator()
        let kinds = Array("?gGpPmMXZzHTDqQvsbx!".utf8)
        for _ in 0..<3_000 {
            var packet = [kinds.randomElement(using: &generator) ?? 0]
            packet += (0..<Int.random(in: 0...12, using: &generator)).map { _ in
                Array("0123456789abcdef,:;=f\u{0}".utf8).randomElement(using: &generator) ?? 0
            }
            _ = Checkpoint.whileTrue({ false }) { stub.handle(packet) }
        }
        #expect(ask(stub, "qC") == "QC01")
    }
}
