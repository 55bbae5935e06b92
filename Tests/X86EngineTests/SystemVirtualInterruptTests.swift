import Testing
import X86
import X86Engine

private typealias Layout = TestMachine.Layout
private typealias Selectors = TestMachine.Selectors

/// CR4.VME and CR4.PVI, row by row of the manual's tables (SDM volume 2, CLI, STI, PUSHF, POPF and IRET; volume 3 table
/// 21-2 and sections 21.3.2 and 21.4).
@Suite struct SystemVirtualInterruptTests {
    private static let flags: (vif: UInt64, vip: UInt64, both: UInt64) = (1 << 19, 1 << 20, 3 << 19)
    /// Where the 8086 program runs, and the handler that its interrupt vector table names for vector 40H.
    private static let segment: UInt64 = 0x2000
    private static let handler: UInt32 = 0x2300_0010

    /// A machine whose next instruction is the first of `source`, in virtual-8086 mode at 2000:0000 with the stack
    /// 1000:FFF0; `redirected` clears the bits of all vectors in the redirection map.
    private func machine(
        _ source: String, iopl: UInt64, flags: UInt64 = 0, vme: Bool = true, redirected: Bool = true,
        model: ProcessorModel = ProcessorModel(), entered: Bool = true
    ) throws -> TestMachine {
        let machine = try TestMachine(model: model)
        machine.prepare(.protected)
        if vme { machine.state.cr4 |= CR4.VME }
        // The I/O map is moved up by the 32 bytes of the redirection map below it.
        machine.write(UInt16(0x88), at: Layout.tss + 0x66)
        machine.write([UInt8](repeating: redirected ? 0 : 0xFF, count: 32), at: Layout.tss + 0x68)
        machine.write(Self.handler, at: 0x40 * 4)
        machine.setGate(
            0x40,
            Descriptor(
                gate: SystemDescriptorType.interruptGate32, selector: Selectors.code32,
                offset: TestMachine.handler(0x40), descriptorPrivilegeLevel: 3))
        try machine.load(
            """
            push 0x44
            push 0x33
            push 0x22
            push 0x11
            push 0x1000
            push 0xFFF0
            push \(0x2_0202 | iopl << 12 | flags)
            push \(Self.segment)
            push 0
            iretd
            """, at: 0x9000)
        machine.state.rip = 0x9000
        try machine.load(source, at: Self.segment << 4, bits: 16)
        if entered { machine.step(10) }
        return machine
    }

    /// A machine whose next instruction is the first of `source` at CPL 3 in protected or 64-bit mode.
    private func userMachine(
        _ source: String, iopl: UInt64, flags: UInt64 = 0, pvi: Bool = true, ring: UInt8 = 3,
        _ preparation: TestMachine.Preparation = .protected
    ) throws -> TestMachine {
        let machine = try TestMachine()
        machine.prepare(preparation, ring: ring)
        if pvi { machine.state.cr4 |= CR4.PVI }
        machine.state.rflags = 0x202 | iopl << 12 | flags
        try machine.load(source)
        return machine
    }

    private func isRefused(_ machine: TestMachine) -> Bool {
        let before = (machine.state.rip, machine.state.rsp, machine.state.rflags)
        machine.run(2)
        // The frame of #GP(0) in ring 0: error code, RIP, CS, RFLAGS with RF, RSP.
        return machine.state.cpl == 0 && machine.stoppedVector == 13 && machine.stack(0) == 0
            && machine.stack(1) == before.0 && machine.stack(3) & ~(1 << 16) == before.2
            && machine.stack(4) == before.1
    }

    private func flag(_ machine: TestMachine, _ bit: UInt64) -> Bool { machine.state.rflags & bit != 0 }

    // MARK: CLI and STI

    /// A row of the decision tables of CLI and STI.
    struct Row: CustomTestStringConvertible {
        enum Result { case clearsIF, clearsVIF, setsIF, setsVIF, refused }
        var instruction: String
        var iopl: UInt64
        var extended: Bool
        var pending = false
        var result: Result
        var testDescription: String {
            "\(instruction) IOPL \(iopl)\(extended ? " extended" : "")\(pending ? " VIP" : ""): \(result)"
        }
    }

    static let rows: [Row] =
        [0, 1, 2].flatMap { (iopl: UInt64) -> [Row] in
            [
                Row(instruction: "cli", iopl: iopl, extended: true, result: .clearsVIF),
                Row(instruction: "cli", iopl: iopl, extended: true, pending: true, result: .clearsVIF),
                Row(instruction: "cli", iopl: iopl, extended: false, result: .refused),
                Row(instruction: "sti", iopl: iopl, extended: true, result: .setsVIF),
                Row(instruction: "sti", iopl: iopl, extended: true, pending: true, result: .refused),
                Row(instruction: "sti", iopl: iopl, extended: false, result: .refused),
            ]
        }
        + [false, true].flatMap { extended in
            [
                Row(instruction: "cli", iopl: 3, extended: extended, result: .clearsIF),
                Row(instruction: "cli", iopl: 3, extended: extended, pending: true, result: .clearsIF),
                Row(instruction: "sti", iopl: 3, extended: extended, result: .setsIF),
                Row(instruction: "sti", iopl: 3, extended: extended, pending: true, result: .setsIF),
            ]
        }

    private func check(_ row: Row, _ machine: TestMachine) {
        switch row.result {
        case .refused: return #expect(isRefused(machine))
        case .clearsIF, .clearsVIF, .setsIF, .setsVIF: break
        }
        let before = machine.state.rflags
        machine.step()
        let interrupts: UInt64 = 1 << 9
        let expected =
            switch row.result {
            case .clearsIF: before & ~interrupts
            case .setsIF: before | interrupts
            case .clearsVIF: before & ~Self.flags.vif
            case .setsVIF: before | Self.flags.vif
            case .refused: before
            }
        #expect(machine.state.rflags == expected)
    }

    @Test(arguments: rows) func virtual8086ModeTakesVIFWithVME(_ row: Row) throws {
        var flags = row.pending ? Self.flags.vip : 0
        if row.instruction == "cli" && !row.pending { flags |= Self.flags.vif }
        let machine = try machine(row.instruction, iopl: row.iopl, flags: flags, vme: row.extended)
        if row.result == .setsIF { machine.state.rflags &= ~(1 << 9) }
        check(row, machine)
    }

    @Test(arguments: rows, [TestMachine.Preparation.protected, .long])
    func ring3TakesVIFWithPVI(_ row: Row, _ preparation: TestMachine.Preparation) throws {
        var flags = row.pending ? Self.flags.vip : 0
        if row.instruction == "cli" && !row.pending { flags |= Self.flags.vif }
        let machine = try userMachine(row.instruction, iopl: row.iopl, flags: flags, pvi: row.extended, preparation)
        if row.result == .setsIF { machine.state.rflags &= ~(1 << 9) }
        check(row, machine)
    }

    @Test func eachExtensionIsForItsModeOnly() throws {
        let virtual8086 = try machine("sti", iopl: 0, vme: false)
        virtual8086.state.cr4 |= CR4.PVI
        #expect(isRefused(virtual8086))
        let user = try userMachine("sti", iopl: 0, pvi: false)
        user.state.cr4 |= CR4.VME
        #expect(isRefused(user))
        // PVI is for ring 3: ring 1 faults, ring 0 has IF.
        let inner = try userMachine("sti", iopl: 0, ring: 0)
        inner.state.rflags = 2
        inner.step()
        #expect(inner.state.IF && !flag(inner, Self.flags.vif))
    }

    @Test func settingVIFHoldsNoInterruptBack() throws {
        let machine = try userMachine("sti\nnop", iopl: 0)
        machine.interrupt(0x30)
        machine.state.rflags &= ~(1 << 9)
        machine.step()
        machine.state.rflags |= 1 << 9
        machine.step()
        #expect(machine.state.cpl == 0 && machine.state.rip == TestMachine.handler(0x30))
    }

    // MARK: PUSHF, POPF and IRET of 8086 programs

    @Test(arguments: [UInt64(0), 1, 2], [false, true]) func pushfShowsVIFAsIF(iopl: UInt64, vif: Bool) throws {
        let machine = try machine("pushf", iopl: iopl, flags: (vif ? Self.flags.vif : 0) | 1)
        machine.step()
        #expect(machine.state.rsp & 0xFFFF == 0xFFEE)
        #expect(machine.read(0x1_FFEE, as: UInt16.self) == 0x3003 | (vif ? 0x200 : 0))
        #expect(flag(machine, 1 << 9) && flag(machine, Self.flags.vif) == vif)
    }

    @Test(arguments: ["pushfd", "popfd", "iretd"]) func the32BitFormsHaveNoVIF(code: String) throws {
        for iopl in [UInt64(0), 1, 2] {
            let machine = try machine(code, iopl: iopl)
            #expect(isRefused(machine))
        }
    }

    @Test(arguments: ["pushf", "popf", "iret"]) func withoutVMETheyAreForTheMonitor(code: String) throws {
        for iopl in [UInt64(0), 1, 2] {
            let machine = try machine(code, iopl: iopl, vme: false)
            #expect(isRefused(machine))
        }
    }

    /// What POPF and IRET do with the FLAGS on the stack: 0 is IF, VIF is bit 19.
    @Test(arguments: ["popf", "iret"], [UInt64(0), 1, 2])
    func poppedIFGoesToVIF(code: String, iopl: UInt64) throws {
        func popped(_ image: UInt16, flags: UInt64) throws -> TestMachine {
            let machine = try machine(code, iopl: iopl, flags: flags)
            machine.write(image, at: 0x1_FFF0 + (code == "iret" ? 4 : 0))
            machine.write([UInt8]([0x20, 0x00, 0x00, 0x20]), at: code == "iret" ? 0x1_FFF0 : 0x1_FFF8)
            return machine
        }
        // IF = 1 sets VIF; IOPL, IF and VIP stay, everything else of the low half is taken.
        let sets = try popped(0x7ED5 & ~0x100, flags: 0)
        sets.step()
        #expect(sets.state.rflags == 0x2_0000 | Self.flags.vif | 0x4ED7 & ~0x100 | 0x200 | iopl << 12)
        #expect(sets.state.rsp & 0xFFFF == (code == "iret" ? 0xFFF6 : 0xFFF2))
        if code == "iret" { #expect(sets.state.rip == 0x20) }
        // IF = 0 clears VIF, also while VIP is set.
        let clears = try popped(0, flags: Self.flags.vif)
        clears.step()
        #expect(clears.state.rflags == 0x2_0202 | iopl << 12)
        let keeps = try popped(0, flags: Self.flags.vip)
        keeps.step()
        #expect(keeps.state.rflags == 0x2_0202 | Self.flags.vip | iopl << 12)
        // VIP and IF, and TF, are the monitor's.
        #expect(isRefused(try popped(0x200, flags: Self.flags.vip)))
        #expect(isRefused(try popped(0x100, flags: 0)))
    }

    @Test(arguments: [false, true]) func withIOPL3TheyHaveIF(vme: Bool) throws {
        let push = try machine("pushf", iopl: 3, flags: Self.flags.vif, vme: vme)
        push.step()
        #expect(push.read(0x1_FFEE, as: UInt16.self) == 0x3202)
        let pop = try machine("popf", iopl: 3, flags: Self.flags.vif, vme: vme)
        pop.write(UInt16(0x0CD5), at: 0x1_FFF0)
        pop.step()
        #expect(pop.state.rflags == 0x2_3CD7 | Self.flags.vif)
        let wide = try machine("popfd", iopl: 3, flags: Self.flags.vif, vme: vme)
        wide.write(UInt32(0x3D_0000), at: 0x1_FFF0)
        wide.step()
        // AC and ID; not VM, VIF, VIP, IOPL; RF is cleared.
        #expect(wide.state.rflags == 0x26_3002 | Self.flags.vif)
    }

    @Test func popfOfProtectedModeKnowsNoVIF() throws {
        for iopl in [UInt64(0), 2] {
            let machine = try userMachine("push \(0x3F_7FD7 & ~0x100)\npopfd\npushfd", iopl: iopl)
            machine.step(2)
            #expect(machine.state.rflags & (Self.flags.both | 1 << 9 | 3 << 12) == 1 << 9 | iopl << 12)
            machine.state.rflags |= Self.flags.vif
            machine.step()
            // PUSHF shows all but VM and RF as they are.
            #expect(machine.stack(0) & Self.flags.both == Self.flags.vif && machine.stack(0) & 1 << 9 != 0)
        }
    }

    // MARK: INT n (table 21-2)

    /// Methods 1 to 6.
    struct Method: CustomTestStringConvertible {
        var number: Int
        var vme: Bool
        var iopl: UInt64
        var redirected: Bool
        var testDescription: String { "method \(number) VME \(vme) IOPL \(iopl) redirected \(redirected)" }
    }

    static let methods: [Method] = [false, true].flatMap { redirected -> [Method] in
        [Method(number: 1, vme: false, iopl: 3, redirected: redirected)]
            + [0, 1, 2].map { Method(number: 2, vme: false, iopl: $0, redirected: redirected) }
            + [0, 1, 2].map { Method(number: redirected ? 6 : 3, vme: true, iopl: $0, redirected: redirected) }
            + [Method(number: redirected ? 5 : 4, vme: true, iopl: 3, redirected: redirected)]
    }

    @Test(arguments: methods, [false, true]) func softwareInterruptTakesItsMethod(_ method: Method, vif: Bool) throws {
        let flags = vif ? Self.flags.vif : 0
        let machine = try machine(
            "int 0x40", iopl: method.iopl, flags: flags, vme: method.vme, redirected: method.redirected)
        let before = machine.state.rflags
        switch method.number {
        case 1, 4:
            machine.step()
            #expect(machine.state.cpl == 0 && machine.state.rip == TestMachine.handler(0x40))
            #expect(machine.state.rsp == Layout.stack0 - 36)
            #expect((0..<9).map { machine.stack($0) } == [2, 0x2000, before, 0xFFF0, 0x1000, 0x11, 0x22, 0x33, 0x44])
            #expect(machine.state.ds.isUnusable && machine.state.gs.isUnusable)
            #expect(!machine.state.VM && !machine.state.IF && flag(machine, Self.flags.vif) == vif)
        case 2, 3: #expect(isRefused(machine))
        default:
            machine.step()
            #expect(machine.state.VM && machine.state.cpl == 3)
            #expect(
                machine.state.cs.selector == 0x2300 && machine.state.cs.base == 0x2_3000 && machine.state.rip == 0x10)
            #expect(machine.state.rsp & 0xFFFF == 0xFFEA)
            let frame = (0..<3).map { machine.read(0x1_FFEA + 2 * $0, as: UInt16.self) }
            let hasVIF = method.number == 6
            let pushed = hasVIF ? 0x3002 | (vif ? 0x200 : 0) : UInt16(truncatingIfNeeded: before)
            #expect(frame == [2, 0x2000, pushed])
            #expect(machine.state.rflags == before & ~(hasVIF ? Self.flags.vif : 1 << 9))
        }
    }

    @Test func redirectionClearsTF() throws {
        let machine = try machine("int 0x40", iopl: 0)
        machine.write([UInt8](repeating: 0x90, count: 4), at: 0x2_3010)
        machine.state.rflags |= 1 << 8
        machine.run(1)
        #expect(machine.state.rip == 0x10 && machine.state.VM && !machine.state.TF)
        #expect(machine.read(0x1_FFEE, as: UInt16.self) & 0x100 != 0)
    }

    @Test func eachVectorHasItsBit() throws {
        let machine = try machine("int 0x40", iopl: 0, redirected: false)
        machine.write(UInt8(0xFE), at: Layout.tss + 0x68 + 0x40 / 8)
        machine.step()
        #expect(machine.state.VM && machine.state.cs.selector == 0x2300)
        let other = try self.machine("int 0x41", iopl: 0, redirected: false)
        other.write(UInt8(0xFE), at: Layout.tss + 0x68 + 0x40 / 8)
        #expect(isRefused(other))
    }

    @Test func onlyINTnIsRedirected() throws {
        for code in ["int3", "into"] {
            let machine = try machine(code, iopl: 0)
            machine.state.rflags |= 1 << 11
            for vector in [UInt8(3), 4] {
                machine.setGate(
                    vector,
                    Descriptor(
                        gate: SystemDescriptorType.interruptGate32, selector: Selectors.code32,
                        offset: TestMachine.handler(vector), descriptorPrivilegeLevel: 3))
            }
            machine.step()
            #expect(machine.state.cpl == 0 && !machine.state.VM, "\(code)")
        }
        let machine = try machine("nop", iopl: 0)
        machine.interrupt(0x40)
        machine.step()
        #expect(machine.state.cpl == 0 && machine.state.rip == TestMachine.handler(0x40))
    }

    @Test func mapOutsideTheTSSRefuses() throws {
        for (limit, map) in [(UInt32(0x66), UInt16(0x88)), (0x6F, 0x88), (0x20FF, 0xFFFF), (0x20FF, 0)] {
            let machine = try machine("int 0x40", iopl: 0)
            machine.state.tr.limit = limit
            machine.write(map, at: Layout.tss + 0x66)
            #expect(isRefused(machine), "\(limit) \(map)")
        }
        let machine = try machine("int 0x40", iopl: 0)
        // A 16-bit TSS has no maps.
        machine.state.tr.attributes = 0x83
        machine.write(UInt16(Layout.stack0), at: Layout.tss + TSS16.stacks)
        machine.write(Selectors.data, at: Layout.tss + TSS16.stacks + 2)
        #expect(isRefused(machine))
    }

    // MARK: VIF and VIP at the beginning of an instruction

    @Test func instructionFaultsWhileAnInterruptIsPending() throws {
        for iopl in UInt64(0)...3 {
            for vme in [false, true] {
                let machine = try machine(
                    "nop", iopl: iopl, flags: Self.flags.both, vme: vme, entered: false)
                // Nine pushes and IRET come before.
                machine.step(10)
                #expect(machine.state.VM && machine.state.rip == 0)
                guard vme && iopl < 3 else {
                    machine.step()
                    #expect(machine.state.VM && machine.state.rip == 1)
                    continue
                }
                #expect(isRefused(machine))
            }
        }
    }

    @Test(arguments: [TestMachine.Preparation.protected, .long])
    func ring3FaultsWhileAnInterruptIsPending(_ preparation: TestMachine.Preparation) throws {
        #expect(isRefused(try userMachine("nop", iopl: 0, flags: Self.flags.both, preparation)))
        for (iopl, pvi, flags) in [
            (UInt64(3), true, Self.flags.both), (0, false, Self.flags.both), (0, true, Self.flags.vif),
            (0, true, Self.flags.vip),
        ] {
            let machine = try userMachine("nop", iopl: iopl, flags: flags, pvi: pvi, preparation)
            machine.step()
            #expect(machine.state.cpl == 3 && machine.state.rip == Layout.code + 1)
        }
        // At other levels the two are never looked at.
        let inner = try userMachine("nop", iopl: 0, flags: Self.flags.both, ring: 0, preparation)
        inner.step()
        #expect(inner.state.rip == Layout.code + 1)
    }

    // MARK: Availability

    @Test func modelsOfRealProcessorsHaveIt() throws {
        for model in [ProcessorModel.intel32, .intel64, .intel64VMX, .amd64, .amd64SVM] {
            #expect(model.features.contains(.vme))
            #expect(model.writableCR4 & 3 == 3)
            try model.check()
        }
        var without = ProcessorModel()
        without.features.remove(.vme)
        let machine = try TestMachine(model: without)
        machine.prepare(.protected)
        #expect(try machine.runToHalt("mov eax, 1\nmov cr4, eax") == 13)
    }
}
