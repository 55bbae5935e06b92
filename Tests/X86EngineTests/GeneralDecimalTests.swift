import Testing
import X86
import X86Engine

/// Decimal arithmetic: what the adjustments are for (SDM volume 1 sections 7.3.8).
@Suite struct GeneralDecimalTests {
    private func machine(_ source: String) throws -> TestMachine {
        let machine = try TestMachine()
        machine.prepare(.protected)
        try machine.load(source + "\nhlt")
        return machine
    }

    /// Runs the machine's code again from its start.
    private func run(_ machine: TestMachine, ax: UInt64, bl: UInt64) {
        machine.state.activity = .active
        machine.state.rip = TestMachine.Layout.code
        machine.state.rax = ax
        machine.state.rbx = bl
        machine.state.rflags = RFLAGS.fixed
        machine.run()
    }

    private func packed(_ number: Int) -> UInt64 { UInt64((number / 10) << 4 | number % 10) }

    @Test func packedSumsAndDifferencesAreDecimal() throws {
        let adding = try machine("add al, bl\ndaa")
        let subtracting = try machine("sub al, bl\ndas")
        for a in 0..<100 {
            for b in 0..<100 {
                run(adding, ax: packed(a), bl: packed(b))
                #expect(adding.state.rax & 0xFF == packed((a + b) % 100))
                #expect((adding.state.rflags & RFLAGS.CF != 0) == (a + b > 99))
                run(subtracting, ax: packed(a), bl: packed(b))
                #expect(subtracting.state.rax & 0xFF == packed((a - b + 100) % 100))
                #expect((subtracting.state.rflags & RFLAGS.CF != 0) == (a < b))
            }
        }
    }

    @Test func unpackedDigitsCarryIntoAH() throws {
        let adding = try machine("add al, bl\naaa")
        let subtracting = try machine("sub al, bl\naas")
        for a in 0..<10 {
            for b in 0..<10 {
                run(adding, ax: 0x500 | UInt64(a), bl: UInt64(b))
                #expect(adding.state.rax == UInt64(5 + (a + b) / 10) << 8 | UInt64((a + b) % 10))
                #expect((adding.state.rflags & RFLAGS.CF != 0) == (a + b > 9))
                run(subtracting, ax: 0x500 | UInt64(a), bl: UInt64(b))
                #expect(subtracting.state.rax == UInt64(a < b ? 4 : 5) << 8 | UInt64((a - b + 10) % 10))
                #expect((subtracting.state.rflags & RFLAGS.CF != 0) == (a < b))
            }
        }
    }

    @Test func productsAreSplitAndDividendsJoined() throws {
        let multiplying = try machine("mul bl\naam")
        let dividing = try machine("aad\ndiv bl")
        for a in 0..<10 {
            for b in 0..<10 {
                run(multiplying, ax: UInt64(a), bl: UInt64(b))
                #expect(multiplying.state.rax == UInt64(a * b / 10) << 8 | UInt64(a * b % 10))
                run(dividing, ax: UInt64(a) << 8 | UInt64(b), bl: 7)
                let number = a * 10 + b
                #expect(dividing.state.rax == UInt64(number % 7) << 8 | UInt64(number / 7))
            }
        }
    }

    @Test func aamByZeroIsADivideError() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        #expect(try machine.runToHalt("aam 0") == 0)
    }
}
