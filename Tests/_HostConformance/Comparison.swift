/// How the engine's outcome differs from the host's, in words; empty if it does not.
///
/// With `exactFlags` undefined flags are compared too.
package func differences(_ experiment: Case, host: Outcome, engine: Outcome, exactFlags: Bool = false) -> [String] {
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
    // The kernel replaces the error code of other exceptions by 0.
    if [8, 10, 11, 12, 13, 14, 17].contains(host.vector) {
        // Faults on addresses above user space the kernel reports as protection violations.
        let mask: UInt64 = host.vector == 14 && host.address >= 0x7FFF_FFFF_F000 ? ~1 : .max
        compare("the error code", host.errorCode & mask, engine.errorCode & mask)
    }
    if host.vector == 14 { compare("CR2", host.address, engine.address) }
    let names = [
        "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15",
    ]
    for number in 0..<16 {
        compare(names[number], host.state.registers[number], engine.state.registers[number])
    }
    let hasCompleted = host.state.rip != experiment.state.rip
    let mask = (RFLAGSMask.status | RFLAGSMask.DF) & ~(hasCompleted && !exactFlags ? experiment.undefinedFlags : 0)
    compare("RFLAGS", host.state.flags & mask, engine.state.flags & mask)
    compareFloatingPoint(host, engine, compare)
    compareMemory(host.changes, engine.changes, &found)
    return found
}

private func compareFloatingPoint(
    _ host: Outcome, _ engine: Outcome, _ compare: (_ name: String, _ host: UInt64, _ engine: UInt64) -> Void
) {
    func field(_ name: String, _ offset: Int, _ bytes: Int) {
        compare(name, host.state.field(offset, bytes: bytes), engine.state.field(offset, bytes: bytes))
    }
    guard host.state.fx != engine.state.fx else { return }
    field("the x87 control word", MachineState.controlWord, 2)
    field("the x87 status word", MachineState.statusWord, 2)
    field("the x87 tags", MachineState.tags, 1)
    field("MXCSR", MachineState.mxcsr, 4)
    for position in 0..<8 {
        field("the significand of ST(\(position))", MachineState.stack + position * 16, 8)
        field("the exponent of ST(\(position))", MachineState.stack + position * 16 + 8, 2)
    }
    for position in 0..<16 {
        field("the low half of XMM\(position)", MachineState.xmm + position * 16, 8)
        field("the high half of XMM\(position)", MachineState.xmm + position * 16 + 8, 8)
    }
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
