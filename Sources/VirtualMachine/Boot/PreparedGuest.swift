/// Hand-written code for the rings of a prepared environment, and what leads from ring to ring.
package struct PreparedGuest: Equatable, Sendable {
    /// Assembled code and data of one ring.
    package struct Code: Equatable, Sendable {
        /// 0...3; `.real` has only ring 0.
        package var ring: UInt8
        /// The linear address of the first byte; `PreparedLayout.codeOrigin(ring:)` unless the code says otherwise.
        package var origin: UInt64
        package var bytes: [UInt8]
        /// Names of linear addresses.
        ///
        /// A label `start` is where the guest begins, if its ring is the one to begin with.
        package var labels: [BootSymbol]
        /// Where the lines of its source begin, in the order of their addresses.
        package var lines: [SourceLine]

        package init(
            ring: UInt8, origin: UInt64, bytes: [UInt8], labels: [BootSymbol] = [], lines: [SourceLine] = []
        ) {
            self.ring = ring
            self.origin = origin
            self.bytes = bytes
            self.labels = labels
            self.lines = lines
        }

        /// The lines, and where the last one ends.
        var boundedLines: [SourceLine] {
            guard let last = lines.last else { return [] }
            return lines + [SourceLine(address: origin &+ UInt64(bytes.count), source: last.source, number: 0)]
        }
    }

    /// A way into a ring.
    package struct Gate: Equatable, Sendable {
        package enum Kind: Equatable, Sendable {
            case interrupt
            case trap
            /// `.protected` only: the handler runs in a task of its own.
            case task
            /// A call gate; `parameters` doublewords are copied to the new stack, in `.long` none.
            case call(parameters: UInt8)
        }

        package var kind: Kind
        /// The vector 0...255; for a call gate its selector, `PreparedLayout.callGateSelectors`, RPL ignored.
        package var number: UInt16
        /// The ring in which the handler runs.
        package var ring: UInt8
        /// The handler's linear address.
        package var handler: UInt64
        /// The least privileged ring that may use the gate by an instruction, 0...3.
        package var privilege: UInt8
        /// `.long`: the number of the interrupt stack, 1...7, or 0 for the usual one.
        package var interruptStack: UInt8

        package init(
            _ kind: Kind, number: UInt16, ring: UInt8, handler: UInt64, privilege: UInt8 = 0, interruptStack: UInt8 = 0
        ) {
            self.kind = kind
            self.number = number
            self.ring = ring
            self.handler = handler
            self.privilege = privilege
            self.interruptStack = interruptStack
        }
    }

    package var environment: PreparedLayout.Environment
    package var code: [Code]
    package var gates: [Gate]
    /// `.long`: what IA32_LSTAR holds; without it SYSCALL is off (#UD).
    package var syscallEntry: UInt64?
    /// Stacks elsewhere than the layout has them: the address above the first byte pushed, by ring.
    package var stackTops: [UInt8: UInt64]

    package init(
        _ environment: PreparedLayout.Environment, code: [Code], gates: [Gate] = [], syscallEntry: UInt64? = nil,
        stackTops: [UInt8: UInt64] = [:]
    ) {
        self.environment = environment
        self.code = code
        self.gates = gates
        self.syscallEntry = syscallEntry
        self.stackTops = stackTops
    }

    /// Lays everything out; the guest begins in its least privileged ring, with interrupts on only in ring 3.
    ///
    /// A vector without a gate has a gate that is not present, so it raises #NP with the vector in its error code; if
    /// vector 11 has none either, that becomes a double fault, and without a handler for that a shutdown. In `.real`
    /// such a vector halts, see `PreparedLayout.unhandledVector(at:)`.
    package func load(memory: PhysicalMemoryMap) throws(BootError) -> BootImage {
        for block in code {
            guard !block.bytes.isEmpty else { throw refusal("the code of ring \(block.ring) is empty") }
            guard environment.layout.codeOrigin(ring: block.ring) != nil else {
                throw refusal("there is no ring \(block.ring) in this environment")
            }
        }
        for gate in gates { try check(gate) }
        guard let first = code.max(by: { $0.ring < $1.ring })?.ring else { throw refusal("no ring has any code") }
        let blocks = code.filter { $0.ring == first }
        let start = blocks.flatMap(\.labels).first { $0.name == "start" }?.address ?? blocks.first?.origin ?? 0
        return switch environment {
        case .real: try loadRealMode(start: start)
        case .protected, .long: try loadProtectedMode(ring: first, start: start, memory: memory)
        }
    }

    func refusal(_ why: String) -> BootError { .environment(".\(environment.rawValue)", why: why) }

    /// The address above the first byte that a ring pushes.
    func stackTop(ring: UInt8) -> UInt64 {
        stackTops[ring] ?? environment.layout.rings[Int(ring)].stack.upperBound
    }

    /// Checks what does not depend on other gates.
    private func check(_ gate: Gate) throws(BootError) {
        let name = "gate \(hexText(gate.number))"
        guard environment.layout.codeOrigin(ring: gate.ring) != nil else {
            throw refusal("\(name): there is no ring \(gate.ring) in this environment")
        }
        guard gate.privilege <= 3 else {
            throw .outOfRange(what: "\(name): dpl", value: UInt64(gate.privilege), allowed: "0...3")
        }
        guard gate.interruptStack == 0 || environment == .long else {
            throw refusal("\(name): only .long has interrupt stacks (ist)")
        }
        guard gate.interruptStack <= 7 else {
            throw .outOfRange(what: "\(name): ist", value: UInt64(gate.interruptStack), allowed: "0...7")
        }
        let highest: UInt64
        switch environment {
        case .real: highest = 0xFFFF
        case .protected: highest = 0xFFFF_FFFF
        case .long: highest = .max
        }
        guard gate.handler <= highest, isCanonical(gate.handler) else {
            throw .outOfRange(what: "\(name): the handler", value: gate.handler, allowed: "the environment's addresses")
        }
        switch gate.kind {
        case .interrupt, .trap: try checkVector(gate, name)
        case .task:
            try checkVector(gate, name)
            guard environment == .protected else { throw refusal("\(name): only .protected has task gates") }
        case .call(let parameters):
            guard environment != .real else { throw refusal("\(name): real-address mode has no call gates") }
            guard parameters <= 31 else {
                throw .outOfRange(what: "\(name): parameters", value: UInt64(parameters), allowed: "0...31")
            }
            guard parameters == 0 || environment == .protected else {
                throw refusal("\(name): call gates of 64-bit mode copy no parameters")
            }
            let allowed = PreparedLayout.callGateSelectors
            let last = allowed.upperBound - (environment == .long ? 8 : 0)
            guard (allowed.lowerBound...last).contains(gate.number & ~7) else {
                throw .outOfRange(
                    what: "\(name): the selector", value: UInt64(gate.number),
                    allowed: "\(hexText(allowed.lowerBound))...\(hexText(last))")
            }
        }
    }

    private func checkVector(_ gate: Gate, _ name: String) throws(BootError) {
        guard gate.number <= 255 else {
            throw .outOfRange(what: "\(name): the vector", value: UInt64(gate.number), allowed: "0...0xff")
        }
        guard environment != .real || gate.privilege == 0 && gate.kind == .interrupt else {
            throw refusal("\(name): real-address mode has neither dpl nor trap gates")
        }
    }

    private func isCanonical(_ address: UInt64) -> Bool {
        let signExtended = (Int64(bitPattern: address) << 16) >> 16
        return address == UInt64(bitPattern: signExtended)
    }

    /// Checks that no two gates have the same number, and code blocks do not overlap.
    func checkDistinct(slotSize: UInt16) throws(BootError) {
        for (index, gate) in gates.enumerated() {
            for other in gates[..<index] {
                let collides: Bool
                switch (gate.kind, other.kind) {
                case (.call, .call):
                    let (a, b) = (gate.number & ~7, other.number & ~7)
                    collides = max(a, b) - min(a, b) < slotSize
                case (.call, _), (_, .call): collides = false
                case (.interrupt, _), (.trap, _), (.task, _): collides = gate.number == other.number
                }
                if collides {
                    throw refusal("gates \(hexText(other.number)) and \(hexText(gate.number)) overlap")
                }
            }
        }
        for (index, block) in code.enumerated() {
            let (end, overflow) = block.origin.addingReportingOverflow(UInt64(block.bytes.count))
            guard !overflow else {
                throw .outOfRange(
                    what: "the origin of ring \(block.ring)'s code", value: block.origin,
                    allowed: "addresses below 2^64 - \(block.bytes.count)")
            }
            for other in code[..<index]
            where (block.origin..<end).overlaps(other.origin..<other.origin + UInt64(other.bytes.count)) {
                throw .overlap(
                    what: "code of ring \(block.ring)", address: block.origin,
                    other: "code of ring \(other.ring)", otherAddress: other.origin)
            }
        }
    }
}

extension PreparedGuest {
    /// Interrupt vectors, stubs for the vectors without a handler, and code.
    private func loadRealMode(start: UInt64) throws(BootError) -> BootImage {
        guard syscallEntry == nil else { throw refusal("SYSCALL needs .long") }
        try checkDistinct(slotSize: 8)
        let layout = environment.layout.rings[0]
        var vectors: [UInt8] = []
        var stubs: [UInt8] = []
        for vector in UInt64(0)..<256 {
            // Real-mode vectors: offset, then segment (SDM volume 3, section 21.1.4).
            let handler = gates.first { UInt64($0.number) == vector }?.handler
            let stub = PreparedLayout.realModeStubs + vector * PreparedLayout.realModeStubSize
            vectors.append(littleEndian: UInt32(truncatingIfNeeded: handler ?? stub))
            stubs += [0xF4, 0xEB, 0xFD, 0x90]  // hlt; jmp back to it; nop
        }
        var image = BootImage(
            contents: [
                MemoryContents(address: 0, bytes: vectors),
                MemoryContents(address: PreparedLayout.realModeStubs, bytes: stubs),
            ],
            state: InitialState(), symbols: code.flatMap(\.labels), lines: code.flatMap(\.boundedLines))
        let top = stackTop(ring: 0)
        guard top <= 0x1_0000, top >= 2 else {
            throw .outOfRange(what: "the stack", value: top, allowed: "2...0x10000")
        }
        let allowed = PreparedLayout.realModeStubs + 256 * PreparedLayout.realModeStubSize..<layout.code.upperBound
        for block in code {
            let range = block.origin..<block.origin + UInt64(block.bytes.count)
            guard range.clamped(to: allowed) == range else {
                throw .outOfRange(
                    what: "the code's end", value: range.upperBound,
                    allowed: "the code's \(hexText(allowed.lowerBound))..<\(hexText(allowed.upperBound))")
            }
            image.contents.append(MemoryContents(address: block.origin, bytes: block.bytes))
        }
        image.state.rip = start & 0xFFFF
        image.state.rsp = top & 0xFFFF
        return image
    }
}
