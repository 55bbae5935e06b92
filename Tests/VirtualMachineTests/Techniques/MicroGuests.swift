import Testing
import VirtualMachine
import X86

/// A small guest that goes through modes, or does with them what kernels hardly do.
struct MicroGuest: Sendable, CustomTestStringConvertible {
    var name: String
    var mode: BootSource.FlatMode
    var source: String
    /// What it writes to port E9h, by the manuals.
    var output: String

    var testDescription: String { name }

    func bootSource() throws -> BootSource {
        let origin: UInt64 = mode == .real ? 0x7C00 : 0x10_0000
        let bits: CodeMode =
            switch mode {
            case .real: .bits16
            case .protected: .bits32
            case .long: .bits64
            }
        return .flat(try Assembler(mode: bits, origin: origin).assemble(source).bytes, at: origin, mode: mode)
    }

    static let all = [
        tour, bigReal, realInterrupts, addressLine, smallProtected, addressSpaces, tablesBecomeData, windowOfPages,
        devicesInStrings, apicOverMemory, virtual8086, framesInProtectedMode, framesInLongMode, virtualInterrupts,
        steps, nonMaskableInterrupts,
    ]

    /// Writes a letter to port E9h.
    static func put(_ letter: String) -> String { "mov al, \(Array(letter.utf8)[0])\nout 0xe9, al\n" }
}

@Suite struct MicroGuestTests {
    /// In steps that cut everything, and in long ones.
    @Test(arguments: MicroGuest.all, Way.placed)
    func microGuestsLeaveTheSameState(guest: MicroGuest, place: Way.Placed) throws {
        let boot = try guest.bootSource()
        for slices in [[UInt64](repeating: 1, count: 200) + [3_000_000], [977, 10_000, 10_000, 3_000_000]] {
            let bare = try Way.bare(boot, place.model, memory: 4 << 20)
            let other = try place.way.guest(boot, place.model, memory: 4 << 20)
            try expectSame(bare, other, slices: slices, "\(guest.name)")
            #expect(String(decoding: bare.console.debugOutput, as: UTF8.self) == guest.output)
        }
    }
}
