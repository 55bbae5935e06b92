import Hypervisors
import Testing
import VirtualMachine
import X86

/// A guest goes from one technique to another and does what it would have done.
@Suite struct MoveTests {
    private static let places: [HypervisorConfiguration] = [
        .init(.vmx), .init(.translate), .init(.bare), .init(.vmx, paging: .shadow), .init(.trapAndEmulate),
        .init(.bare),
        .init(.vmx, paging: .nested), .init(.translate),
    ]

    @Test(arguments: RandomProgram.Mode.allCases, [1, 2, 3, 4] as [UInt64])
    func movedGuestsDoWhatTheyWouldHaveDone(mode: RandomProgram.Mode, seed: UInt64) throws {
        var program = RandomProgram(mode, seed: seed)
        let boot = try program.bootSource()
        let (bare, moved) = (try Way.bare(boot, memory: 4 << 20), try Way.bare(boot, memory: 4 << 20))
        for (position, place) in Self.places.enumerated() where place.technique != .trapAndEmulate {
            try moved.move(to: place)
            #expect(moved.configuration.hypervisor == place)
            #expect((moved.monitor == nil) == (place.technique == .bare))
            let slice = 150 + UInt64(position) * 37
            #expect(bare.advance(slice).reason == moved.advance(slice).reason)
            try #require(bare.digest == moved.digest, "after \(bare.instructions) instructions, \(place)")
        }
        #expect(bare.transitions.count(cause: "exception") == moved.transitions.count(cause: "exception"))
    }

    @Test func machinesThatCannotCarryATechniqueRefuse() throws {
        let boot = BootSource.flat([0xEB, 0xFE], at: 0x10_0000, mode: .long)
        let guest = try Way.translate.guest(boot, .amd64)
        guest.step(10)
        let digest = guest.digest
        #expect(throws: GuestError.self) { try guest.move(to: .init(.vmx)) }
        #expect(guest.configuration.technique == .translate && guest.monitor?.technique == .translate)
        #expect(guest.digest == digest)
        #expect(guest.step(10).reason == .instructions)
    }

    @Test func handlersAndCountersGoAlong() throws {
        let boot = try BootSource.prepared(
            .long,
            """
            start:
                in al, 0x80
                inc ebx
                jmp start
            """)
        let guest = try Way(technique: .vmx).guest(boot)
        var seen = 0
        _ = guest.on(EventFilter(.io)) { _ in
            seen += 1
            return .proceed
        }
        guest.step(30)
        let before = seen
        #expect(before >= 9)
        try guest.move(to: .init(.translate))
        guest.step(30)
        #expect(seen == before + 10)
        try guest.move(to: .init())
        guest.step(30)
        #expect(seen == before + 20)
    }
}
