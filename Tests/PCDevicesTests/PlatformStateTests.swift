import PCDevices
import Testing
import _SeededNumbers

/// Any state, read back without knowing its type.
private indirect enum Tree: Codable, Equatable {
    case null
    case boolean(Bool)
    case unsigned(UInt64)
    case signed(Int64)
    case string(String)
    case list([Tree])
    case map([String: Tree])

    init(from decoder: any Decoder) throws {
        if let map = try? decoder.singleValueContainer().decode([String: Tree].self) {
            self = .map(map)
            return
        }
        if let list = try? decoder.singleValueContainer().decode([Tree].self) {
            self = .list(list)
            return
        }
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .boolean(value)
        } else if let value = try? container.decode(UInt64.self) {
            self = .unsigned(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .signed(value)
        } else {
            self = .string(try container.decode(String.self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .boolean(let value): try container.encode(value)
        case .unsigned(let value): try container.encode(value)
        case .signed(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .list(let values): try container.encode(values)
        case .map(let entries): try container.encode(entries)
        }
    }

    /// The number of values at the ends of the branches.
    var leafCount: Int {
        switch self {
        case .null, .boolean, .unsigned, .signed, .string: 1
        case .list(let values): values.reduce(0) { $0 + $1.leafCount }
        case .map(let entries): entries.values.reduce(0) { $0 + $1.leafCount }
        }
    }

    /// A copy with the leaf of a number replaced.
    func changing(_ leaf: inout Int, _ change: (Tree) -> Tree) -> Tree {
        switch self {
        case .null, .boolean, .unsigned, .signed, .string:
            defer { leaf -= 1 }
            return leaf == 0 ? change(self) : self
        case .list(let values): return .list(values.map { $0.changing(&leaf, change) })
        case .map(let entries):
            var changed: [String: Tree] = [:]
            for key in entries.keys.sorted() { changed[key] = entries[key]?.changing(&leaf, change) }
            return .map(changed)
        }
    }
}

/// A machine that has been used, at a time when every timer is armed.
private func busyMachine() throws -> PersonalComputer {
    var configuration = PersonalComputer.Configuration()
    configuration.processorCount = 2
    configuration.serialTiming = .baudRate
    let pc = try PersonalComputer(configuration)
    pc.clock.now = 1_234_567
    for (port, value): (PortAddress, UInt32) in [
        (0x21, 0xB8), (0xA1, 0x8E), (0x43, 0x34), (0x40, 0x9C), (0x40, 0x2E), (0x43, 0x00), (0x70, 0x0B),
        (0x71, 0x72), (0x3FB, 0x83), (0x3F8, 0x0C), (0x3F9, 0x00), (0x3FB, 0x03), (0x3FA, 0xC7), (0x3FC, 0x0B),
        (0x3F9, 0x0F), (0x3F8, 0x41), (0x3F8, 0x42), (0x61, 0x03), (0x80, 0x77), (0x602, 0x01), (0x603, 0x01),
    ] { pc.writePort(value, to: port, width: .byte) }
    for (address, value): (MemoryAddress, UInt64) in [
        (0xFEE0_03E0, 0x0B), (0xFEE0_0320, 0x2_0040), (0xFEE0_0380, 10_000), (0xFEC0_0000, 0x18),
        (0xFEC0_0010, 0x44), (0xFED0_0010, 1), (0xFED0_0100, 20 << 9 | 0x4C), (0xFED0_0108, 700_000),
        (0xFED0_0108, 12_345), (0xFEE0_0310, 1 << 24), (0xFEE0_0300, 0x4500), (0xFEE0_0300, 0x4608),
    ] { pc.writeMemory(value, to: address, width: .dword, processor: 0) }
    pc.sendSerialInput(Array("input".utf8), at: 1_300_000)
    pc.sendKeyboardInput([0x1C, 0x1D])
    pc.writePort(5, to: 0xF4, width: .dword)
    return pc
}

/// Goes from deadline to deadline, as a halted machine does, and takes what is signalled.
private func trace(_ pc: PersonalComputer, steps: Int) -> [String] {
    (0..<steps).map { _ in
        pc.clock.now = pc.clock.nextDeadline
        pc.clock.fireDue()
        let vector = pc.acknowledgeInterrupt(0)
        if pc.masterPIC.state.inService != 0 { pc.writePort(0x20, to: 0x20, width: .byte) }
        pc.writeMemory(0, to: 0xFEE0_00B0, width: .dword, processor: 0)
        _ = pc.readPort(0x3F8, width: .byte)
        return "\(pc.clock.now) \(vector.map(Int.init) ?? -1) \(pc.signals(to: 0).rawValue)"
    }
}

@Suite struct PlatformStateTests {
    @Test func restoredMachineGoesOnAsTheOriginal() throws {
        let original = try busyMachine()
        let bytes = try original.encodedState()
        let restored = try PersonalComputer(original.configuration)
        restored.clock.now = original.clock.now
        try restored.restore(StateDecoder.decode(PersonalComputer.State.self, from: bytes))
        #expect(try restored.encodedState() == bytes)
        #expect(restored.clock.nextDeadline == original.clock.nextDeadline)
        let expected = trace(original, steps: 400)
        #expect(trace(restored, steps: 400) == expected)
        #expect(Set(expected.map { $0.split(separator: " ")[1] }).count > 2, "several interrupts took part")
        #expect(try restored.encodedState() == original.encodedState())
    }

    @Test func equalInputsGiveEqualStates() throws {
        let first = try busyMachine()
        let second = try busyMachine()
        #expect(trace(first, steps: 300) == trace(second, steps: 300))
        #expect(try first.encodedState() == second.encodedState())
    }

    @Test func lookingAtTheStateChangesNothing() throws {
        let watched = try busyMachine()
        let alone = try busyMachine()
        for _ in 0..<50 {
            _ = trace(watched, steps: 1)
            _ = trace(alone, steps: 1)
            _ = watched.state
            // Time that passes without an event leaves no mark.
            let now = watched.clock.now
            watched.clock.now += (watched.clock.nextDeadline - now) / 2
            watched.clock.fireDue()
            _ = watched.intervalTimer.speakerOutput
            _ = watched.signals(to: 0)
        }
        #expect(watched.state == alone.state)
        #expect(try watched.stateHash() == alone.stateHash())
        alone.writePort(1, to: 0x80, width: .byte)
        #expect(try watched.stateHash() != alone.stateHash())
    }

    @Test func eachFieldOfTheStateChangesItsBytes() throws {
        let bytes = try busyMachine().encodedState()
        let tree = try StateDecoder.decode(Tree.self, from: bytes)
        #expect(try StateEncoder.encode(tree) == bytes)
        var changed = 0
        for leaf in 0..<tree.leafCount {
            var place = leaf
            let other = tree.changing(&place) { value in
                switch value {
                case .null: .unsigned(1)
                case .boolean(let flag): .boolean(!flag)
                case .unsigned(let number): .unsigned(number ^ 1)
                case .signed(let number): .signed(number ^ 1)
                case .string(let text): .string(text + "x")
                case .list, .map: value
                }
            }
            // Where the changed value cannot be in a state at all, the decoder says so.
            guard
                let state = try? StateDecoder.decode(
                    PersonalComputer.State.self, from: StateEncoder.encode(other))
            else { continue }
            changed += 1
            #expect(try StateEncoder.encode(state) != bytes, "leaf \(leaf)")
        }
        #expect(changed > 900)
    }

    @Test func stateOfAnotherMachineIsRefused() throws {
        let state = try busyMachine().state
        #expect(throws: PersonalComputer.RestoreError.differentMachine) {
            try PersonalComputer().restore(state)
        }
    }

    @Test func damagedStatesDoNotTrap() throws {
        let original = try busyMachine()
        let tree = try StateDecoder.decode(Tree.self, from: original.encodedState())
        var generator = SeededNumbers(42)
        for _ in 0..<300 {
            var damaged = tree
            for _ in 0..<8 {
                var leaf = Int(generator.next() % UInt64(tree.leafCount))
                let value = generator.next() >> (generator.next() % 64)
                damaged = damaged.changing(&leaf) { old in
                    if case .unsigned = old { .unsigned(value) } else { old }
                }
            }
            guard
                let state = try? StateDecoder.decode(
                    PersonalComputer.State.self, from: StateEncoder.encode(damaged))
            else { continue }
            let pc = try PersonalComputer(original.configuration)
            pc.clock.now = original.clock.now
            try pc.restore(state)
            for _ in 0..<20 {
                pc.clock.now = min(pc.clock.nextDeadline, pc.clock.now &+ 1_000_000)
                pc.clock.fireDue()
                _ = pc.acknowledgeInterrupt(0)
                for port in knownPorts { _ = pc.readPort(PortAddress(port), width: .byte) }
            }
        }
    }

    private var knownPorts: [UInt16] {
        [0x20, 0x21, 0xA0, 0xA1, 0x40, 0x41, 0x42, 0x60, 0x61, 0x64, 0x71, 0x73, 0x80, 0x92, 0x511, 0x600, 0x604]
            + (0x3F8...0x3FF) + (0xCF8...0xCFF) + (0x608...0x60B)
    }

    @Test(arguments: 0..<8)
    func randomGuestsDoNoHarm(_ seed: Int) throws {
        var configuration = PersonalComputer.Configuration()
        configuration.processorCount = 2
        configuration.serialTiming = seed & 1 == 0 ? .baudRate : .instantaneous
        var digests: [[UInt8]] = []
        for _ in 0..<2 {
            let pc = try PersonalComputer(configuration)
            var generator = SeededNumbers(UInt64(seed))
            for _ in 0..<4_000 { randomAccess(pc, &generator) }
            digests.append(try pc.encodedState())
        }
        #expect(digests[0] == digests[1])
    }

    private func randomAccess(_ pc: PersonalComputer, _ generator: inout SeededNumbers) {
        let widths = AccessWidth.allCases
        let width = widths[Int(generator.next() & 3)]
        let portWidth = width == .qword ? .byte : width
        let value = generator.next() >> (generator.next() & 63)
        let port = PortAddress(
            knownPorts[Int(generator.next() % UInt64(knownPorts.count))] &+ UInt16(generator.next() & 1))
        let bases: [UInt64] = [0xFEE0_0000, 0xFEC0_0000, 0xFED0_0000, 0xFED0_0100]
        let offset = generator.next() & 7 == 0 ? generator.next() & 0xFFF : generator.next() & 0x3F0
        let address = MemoryAddress(bases[Int(generator.next() & 3)] + offset)
        let processor = Int(generator.next() & 1)
        switch generator.next() % 12 {
        case 0, 1, 2: pc.writePort(UInt32(truncatingIfNeeded: value), to: port, width: portWidth)
        case 3: _ = pc.readPort(port, width: portWidth)
        case 4, 5, 6: pc.writeMemory(value, to: address, width: width, processor: processor)
        case 7: _ = pc.readMemory(address, width: width, processor: processor)
        case 8:
            let index = UInt32([0x1B, 0x6E0, 0x80B, 0x830, 0x832, 0x838, 0x83F][Int(generator.next() % 7)])
            _ = pc.writeMSR(index == 0x1B ? value & 0xC00 | 0xFEE0_0000 : value, to: index, processor: processor)
        case 9: _ = pc.acknowledgeInterrupt(processor)
        case 10:
            pc.sendSerialInput([UInt8(truncatingIfNeeded: value)], at: pc.clock.now &+ value & 0xFFFF)
            pc.sendKeyboardInput([UInt8(truncatingIfNeeded: value)])
            while pc.takeRequest() != nil {}
        default:
            pc.clock.now &+= generator.next() & 0x7FF
            pc.clock.fireDue()
        }
    }
}
