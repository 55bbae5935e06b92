// Looking at memory as the guest's paging structures show it, without changing anything.

/// What a page walk has found.
package struct PageWalkResult: Equatable, Sendable {
    /// The entries read, from the top.
    package var steps: [WalkStep]
    /// The physical address, nil if the access would fault.
    package var physical: UInt64?
    /// What the access would raise.
    package var fault: Fault?
}

extension Processor {
    /// Walks the paging structures for an access of the current privilege level; sets no accessed or dirty flag.
    package func walk(_ linear: UInt64, _ kind: AccessKind) -> PageWalkResult {
        var steps: [WalkStep] = []
        do throws(Fault) {
            let found = try translate(linear, kind, .current, touch: false, steps: &steps)
            return PageWalkResult(steps: steps, physical: found.physical, fault: nil)
        } catch {
            return PageWalkResult(steps: steps, physical: nil, fault: error)
        }
    }

    /// Writes CR0, CR2, CR3 or CR4 with the checks of MOV at CPL 0.
    package func assignControlRegister(_ number: Int, _ value: UInt64) throws(Fault) {
        switch number {
        case 0: try setCR0(value)
        case 2: state.pointee.cr2 = value
        case 3: try setCR3(value)
        default: try setCR4(value)
        }
        leaveBlockAfterThisInstruction()
    }

    /// Writes DR0...DR3, DR6 or DR7; bits that are fixed stay so.
    package func assignDebugRegister(_ number: Int, _ value: UInt64) {
        switch number {
        case 0: state.pointee.dr0 = value
        case 1: state.pointee.dr1 = value
        case 2: state.pointee.dr2 = value
        case 3: state.pointee.dr3 = value
        case 6: state.pointee.dr6 = value & DR6.writable | DR6.fixed
        default: state.pointee.dr7 = value & DR7.writable | DR7.fixed
        }
        debugRegistersChanged()
    }

    /// How many blocks of code were decoded since the start.
    package var decodedBlocks: Int { blocks.decoded }

    /// The width of the current code segment: 16, 32 or 64.
    package var codeBits: Int { Int(state.pointee.mode.code) }
}
