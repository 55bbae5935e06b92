/// How the engine's outcome differs from the host's, in words; empty if it does not.
///
/// With `exactFlags` undefined flags are compared too.
package func compareOutcomes(_ experiment: Case, host: Outcome, engine: Outcome, exactFlags: Bool = false) -> [String] {
    var found: [String] = []
    func compare(_ name: String, _ host: UInt64, _ engine: UInt64) {
        if host != engine { found.append("\(name) is \(hex(engine)), not \(hex(host))") }
    }
    if host.vector != engine.vector {
        let name = engine.vector == .max ? "no exception" : "exception \(engine.vector)"
        found.append("\(name), not \(host.vector)")
    }
    compare("RIP", host.state.rip, engine.state.rip)
    guard host.vector == engine.vector, host.state.rip == engine.state.rip else { return found }
    if let expected = host.time, let time = engine.time { compare("the count of guest time", expected, time) }
    if host.vector == 14 {
        // Faults on addresses above user space the kernel reports as protection violations.
        let mask: UInt64 = host.address >= 0x7FFF_FFFF_F000 ? ~1 : .max
        if !experiment.latitude.anyPageFault {
            compare("the error code", host.errorCode & mask, engine.errorCode & mask)
            let addresses: UInt64 = experiment.latitude.addressInPage ? ~0xFFF : .max
            compare("CR2", host.address & addresses, engine.address & addresses)
        }
    } else if [8, 10, 11, 12, 13, 17].contains(host.vector) {
        // Of other exceptions the kernel reports no error code.
        compare("the error code", host.errorCode, engine.errorCode)
    }
    let names = [
        "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15",
    ]
    // Compatibility mode has eight registers of 32 bits.
    let isWide = experiment.mode == .bits64
    for number in 0..<(isWide ? 16 : 8) {
        let mask: UInt64 = isWide ? .max : 0xFFFF_FFFF
        compare(names[number], host.state.registers[number] & mask, engine.state.registers[number] & mask)
    }
    let hasCompleted = host.state.rip != experiment.state.rip
    let mask = (RFLAGSMask.status | RFLAGSMask.DF) & ~(hasCompleted && !exactFlags ? experiment.latitude.flags : 0)
    compare("RFLAGS", host.state.flags & mask, engine.state.flags & mask)
    if hasCompleted || !experiment.latitude.entersMMX {
        compareFloatingPoint(experiment.latitude, host, engine, compare)
    }
    if !hasCompleted && experiment.latitude.writesBeforeFault { return found }
    let ignored = experiment.latitude.ignoredWords
    compareMemory(
        host.changes.filter { !ignored.contains($0.address) }, engine.changes.filter { !ignored.contains($0.address) },
        &found)
    return found
}

private func compareFloatingPoint(
    _ latitude: Latitude, _ host: Outcome, _ engine: Outcome,
    _ compare: (_ name: String, _ host: UInt64, _ engine: UInt64) -> Void
) {
    func field(_ name: String, _ offset: Int, _ bytes: Int) {
        compare(name, host.state.field(offset, bytes: bytes), engine.state.field(offset, bytes: bytes))
    }
    guard host.state.fx != engine.state.fx else { return }
    field("the x87 control word", MachineState.controlWord, 2)
    let status = (
        host.state.field(MachineState.statusWord, bytes: 2), engine.state.field(MachineState.statusWord, bytes: 2)
    )
    compare("the x87 status word", status.0 & ~latitude.x87Status, status.1 & ~latitude.x87Status)
    field("the x87 tags", MachineState.tags, 1)
    field("MXCSR", MachineState.mxcsr, 4)
    for position in 0..<8 {
        if position < 2 && latitude.ulps > 0 && areClose(host.state, engine.state, position, latitude.ulps) { continue }
        field("the significand of ST(\(position))", MachineState.stack + position * 16, 8)
        field("the exponent of ST(\(position))", MachineState.stack + position * 16 + 8, 2)
    }
    for position in 0..<16 {
        field("the low half of XMM\(position)", MachineState.xmm + position * 16, 8)
        field("the high half of XMM\(position)", MachineState.xmm + position * 16 + 8, 8)
    }
}

/// Whether ST(`position`) is at most `ulps` units in the last place apart.
private func areClose(_ a: MachineState, _ b: MachineState, _ position: Int, _ ulps: UInt64) -> Bool {
    let offset = MachineState.stack + position * 16
    let exponents = (a.field(offset + 8, bytes: 2), b.field(offset + 8, bytes: 2))
    let significands = (a.field(offset, bytes: 8), b.field(offset, bytes: 8))
    guard exponents.0 != exponents.1 else {
        return min(significands.0 &- significands.1, significands.1 &- significands.0) <= ulps
    }
    // Across a power of two the significand jumps from all ones to the top bit.
    let (low, high) = exponents.0 < exponents.1 ? (significands.0, significands.1) : (significands.1, significands.0)
    return exponents.0 ^ exponents.1 < 0x8000 && high &- (1 << 63) <= ulps && 0 &- low <= 2 * ulps
}

private func compareMemory(_ host: [MemoryWord], _ engine: [MemoryWord], _ found: inout [String]) {
    guard host != engine else { return }
    let hostWords = Dictionary(uniqueKeysWithValues: host.map { ($0.address, $0.value) })
    let engineWords = Dictionary(uniqueKeysWithValues: engine.map { ($0.address, $0.value) })
    for address in Set(hostWords.keys).union(engineWords.keys).sorted().prefix(4)
    where hostWords[address] != engineWords[address] {
        let hostText = hostWords[address].map(hex) ?? "unchanged"
        let engineText = engineWords[address].map(hex) ?? "unchanged"
        found.append("memory at \(hex(address)) is \(engineText), not \(hostText)")
    }
    if found.isEmpty { found.append("memory differs") }
}

/// Hexadecimal, upper case, without padding.
package func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16, uppercase: true) }
