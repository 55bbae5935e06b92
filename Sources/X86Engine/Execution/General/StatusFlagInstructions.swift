import X86

extension Processor {
    /// CLC, STC and CMC.
    func setCarry(_ carry: Bool) { state.setCarryAndOverflow(carry, state.pointee.OF) }

    /// CLD and STD.
    func setDirection(_ backward: Bool) {
        if backward { state.pointee.systemFlags |= RFLAGS.DF } else { state.pointee.systemFlags &= ~RFLAGS.DF }
    }

    /// LAHF.
    func loadFlags() { setGeneral(.ah, state.pointee.statusFlags & 0xD5 | RFLAGS.fixed) }

    /// SAHF.
    func storeFlags() { state.pointee.setStatusFlags(general(.ah), mask: 0xD5) }
}
