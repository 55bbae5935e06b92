/// The registers: SDM volume 3, table "Local APIC Register Address Map", and in x2APIC mode "x2APIC Register Address
/// Space". A register's number is its MSR minus 0x800 and its offset in the page divided by 16.
extension LocalAPIC {
    enum Register: UInt32 {
        case identifier = 0x02
        case version = 0x03
        case taskPriority = 0x08
        case arbitrationPriority = 0x09
        case processorPriority = 0x0A
        case endOfInterrupt = 0x0B
        case remoteRead = 0x0C
        case logicalDestination = 0x0D
        case destinationFormat = 0x0E
        case spuriousVector = 0x0F
        case errorStatus = 0x28
        case interruptCommand = 0x30
        case interruptCommandHigh = 0x31
        case initialCount = 0x38
        case currentCount = 0x39
        case divideConfiguration = 0x3E
        case selfIPI = 0x3F
    }

    /// Version 0x15 with six entries in the local vector table and suppression of EOI broadcasts.
    private static let version: UInt32 = 1 << 24 | 5 << 16 | 0x15

    /// The registers that are tables: the eight each of ISR, TMR and IRR, and the local vector table.
    private func tableRegister(_ number: UInt32) -> UInt32? {
        if let entry = LocalVectorTable.Entry(rawValue: number) { return apic.localVectors[entry] }
        return switch number {
        case 0x10...0x17: apic.inService.register(Int(number - 0x10))
        case 0x18...0x1F: apic.triggerMode.register(Int(number - 0x18))
        case 0x20...0x27: apic.requests.register(Int(number - 0x20))
        default: nil
        }
    }

    func read(_ register: Register) -> UInt32 {
        switch register {
        case .identifier: isX2APIC ? configuration.identifier : configuration.identifier << 24
        case .version: Self.version
        case .taskPriority: UInt32(apic.taskPriority)
        case .processorPriority: UInt32(processorPriority)
        case .logicalDestination: apic.logicalDestination
        case .destinationFormat: apic.destinationFormat
        case .spuriousVector: apic.spuriousVector
        case .errorStatus: apic.errorStatus
        case .interruptCommand: UInt32(truncatingIfNeeded: apic.interruptCommand)
        case .interruptCommandHigh: UInt32(truncatingIfNeeded: apic.interruptCommand >> 32)
        case .initialCount: apic.timer.initialCount
        case .currentCount: currentCount
        case .divideConfiguration: apic.timer.divideConfiguration
        case .arbitrationPriority, .endOfInterrupt, .remoteRead, .selfIPI: 0
        }
    }

    func write(_ value: UInt32, to register: Register) {
        switch register {
        case .taskPriority: apic.taskPriority = UInt8(truncatingIfNeeded: value)
        case .endOfInterrupt: endOfInterrupt()
        case .logicalDestination: apic.logicalDestination = value & 0xFF00_0000
        case .destinationFormat: apic.destinationFormat = value | 0x0FFF_FFFF
        case .spuriousVector: writeSpuriousVector(value)
        case .errorStatus:
            apic.errorStatus = apic.pendingErrors
            apic.pendingErrors = 0
        case .interruptCommand:
            apic.interruptCommand = apic.interruptCommand & ~0xFFFF_FFFF | UInt64(value & 0xC_CFFF)
            sendInterruptCommand()
        case .interruptCommandHigh:
            apic.interruptCommand = apic.interruptCommand & 0xFFFF_FFFF | UInt64(value & 0xFF00_0000) << 32
        case .initialCount: writeInitialCount(value)
        case .divideConfiguration: writeDivideConfiguration(value)
        case .selfIPI:
            sendCommand(.fixed, vector: UInt8(truncatingIfNeeded: value), to: .sender, isLevelTriggered: false)
        case .identifier, .version, .arbitrationPriority, .processorPriority, .remoteRead, .currentCount: break
        }
    }

    private func writeSpuriousVector(_ value: UInt32) {
        // Focus checking (bit 9) does not exist on this model.
        apic.spuriousVector = value & 0x11FF
        guard !isSoftwareEnabled else { return }
        // Software disable masks every local vector.
        for entry in LocalVectorTable.Entry.allCases { write(apic.localVectors[entry], to: entry) }
    }

    private func write(_ value: UInt32, to entry: LocalVectorTable.Entry) {
        var value = value & entry.writableBits
        if !isSoftwareEnabled { value |= LocalVectorTable.masked }
        if entry == .lint0 { value |= apic.localVectors.lint0 & LocalVectorTable.remoteIRR }
        if entry == .timer { return writeTimerEntry(value) }
        apic.localVectors[entry] = value
        if entry == .lint0 { raiseLevelLINT0() }
    }

    // MARK: Interrupt commands

    /// SDM volume 3, "Interrupt Command Register (ICR)".
    private func sendInterruptCommand() {
        let command = apic.interruptCommand
        guard let mode = DeliveryMode(rawValue: UInt8(truncatingIfNeeded: command >> 8 & 7)), mode != .external else {
            return
        }
        let isAssert = command & (1 << 14) != 0
        let isLevelTriggered = command & (1 << 15) != 0
        // INIT level de-assert only synchronized the arbitration IDs of early models.
        if mode == .initialize, isLevelTriggered, !isAssert { return }
        let destination: InterruptMessage.Destination
        switch command >> 18 & 3 {
        case 1: destination = .sender
        case 2: destination = .all
        case 3: destination = .allButSender
        default:
            let target = UInt32(truncatingIfNeeded: isX2APIC ? command >> 32 : command >> 56)
            if target == (isX2APIC ? .max : 0xFF) {
                destination = .all
            } else {
                destination = command & (1 << 11) != 0 ? .logical(target) : .physical(target)
            }
        }
        // IPIs are edge-triggered but for INIT, whatever the trigger bit says.
        sendCommand(mode, vector: UInt8(truncatingIfNeeded: command), to: destination, isLevelTriggered: false)
    }

    private func sendCommand(
        _ mode: DeliveryMode, vector: UInt8, to destination: InterruptMessage.Destination, isLevelTriggered: Bool
    ) {
        if mode == .fixed || mode == .lowestPriority, vector < 16 { return report(ErrorStatus.sendIllegalVector) }
        bus?.send(
            InterruptMessage(mode, vector: vector, to: destination, isLevelTriggered: isLevelTriggered), from: self)
    }

    // MARK: The register page

    /// The page of the registers in xAPIC mode; nil in other modes.
    package var page: MemoryAddress? {
        isEnabled && !isX2APIC ? MemoryAddress(apic.base & ~0xFFF) : nil
    }

    /// Reads at an offset of the page; registers are the first four bytes of each sixteen.
    package func readPage(_ offset: UInt64, width: AccessWidth) -> UInt64 {
        let number = UInt32(truncatingIfNeeded: offset >> 4 & 0xFF)
        let byte = offset & 0xF
        guard byte < 4 else { return 0 }
        var value: UInt32 = 0
        if let vectors = tableRegister(number) {
            value = vectors
        } else if let register = Register(rawValue: number), register != .selfIPI {
            value = read(register)
        } else {
            report(ErrorStatus.illegalRegisterAddress)
        }
        return UInt64(value) >> (byte * 8) & width.allOnes
    }

    /// Writes at an offset of the page; only whole registers can be written.
    package func writePage(_ value: UInt64, to offset: UInt64, width: AccessWidth) {
        guard offset & 0xF == 0, width == .dword || width == .qword else { return }
        let number = UInt32(truncatingIfNeeded: offset >> 4 & 0xFF)
        if let entry = LocalVectorTable.Entry(rawValue: number) {
            write(UInt32(truncatingIfNeeded: value), to: entry)
        } else if let register = Register(rawValue: number), register != .selfIPI {
            write(UInt32(truncatingIfNeeded: value), to: register)
        } else if tableRegister(number) == nil {
            report(ErrorStatus.illegalRegisterAddress)
        }
    }
}

/// The registers as MSRs, and the MSRs that choose the mode.
extension LocalAPIC {
    private static let apicBase: UInt32 = 0x1B
    private static let timestampDeadlineMSR: UInt32 = 0x6E0
    private static let x2APICRange: ClosedRange<UInt32> = 0x800...0x8FF

    /// Reads an MSR; nil if it is not there in the present mode, which is a #GP.
    package func readMSR(_ index: UInt32) -> UInt64? {
        switch index {
        case Self.apicBase: return apic.base
        case Self.timestampDeadlineMSR: return timestampDeadline
        default: break
        }
        guard isX2APIC, Self.x2APICRange.contains(index) else { return nil }
        let number = index - Self.x2APICRange.lowerBound
        if let vectors = tableRegister(number) { return UInt64(vectors) }
        guard let register = Register(rawValue: number) else { return nil }
        switch register {
        case .interruptCommand: return apic.interruptCommand
        case .endOfInterrupt, .selfIPI, .arbitrationPriority, .remoteRead, .destinationFormat,
            .interruptCommandHigh:
            return nil
        case .identifier, .version, .taskPriority, .processorPriority, .logicalDestination, .spuriousVector,
            .errorStatus, .initialCount, .currentCount, .divideConfiguration:
            return UInt64(read(register))
        }
    }

    /// Writes an MSR; false, with nothing changed, if that is a #GP.
    package func writeMSR(_ value: UInt64, to index: UInt32) -> Bool {
        switch index {
        case Self.apicBase: return writeBase(value)
        case Self.timestampDeadlineMSR:
            writeTimestampDeadline(value)
            return true
        default: break
        }
        guard isX2APIC, Self.x2APICRange.contains(index) else { return false }
        let number = index - Self.x2APICRange.lowerBound
        if let entry = LocalVectorTable.Entry(rawValue: number) {
            // Delivery status and remote IRR are read-only, not reserved.
            guard value & ~UInt64(entry.writableBits | entry.readOnlyBits) == 0 else { return false }
            write(UInt32(truncatingIfNeeded: value), to: entry)
            return true
        }
        guard let register = Register(rawValue: number),
            let writable = Self.x2APICWritableBits(register), value & ~writable == 0
        else { return false }
        if register == .interruptCommand {
            apic.interruptCommand = value
            sendInterruptCommand()
        } else {
            write(UInt32(truncatingIfNeeded: value), to: register)
        }
        return true
    }

    /// The bits that may be one in a write in x2APIC mode; nil for registers that cannot be written.
    private static func x2APICWritableBits(_ register: Register) -> UInt64? {
        switch register {
        case .taskPriority, .selfIPI: 0xFF
        case .endOfInterrupt, .errorStatus: 0
        case .spuriousVector: 0x11FF
        case .interruptCommand: 0xFFFF_FFFF_000C_CFFF
        case .initialCount: 0xFFFF_FFFF
        case .divideConfiguration: 0xB
        case .identifier, .version, .arbitrationPriority, .processorPriority, .remoteRead, .logicalDestination,
            .destinationFormat, .interruptCommandHigh, .currentCount:
            nil
        }
    }

    /// SDM volume 3, "Local APIC Status and Location" and figure "Local x2APIC State Transitions".
    private func writeBase(_ value: UInt64) -> Bool {
        let addressMask = (UInt64(1) << UInt64(min(max(configuration.physicalAddressBits, 32), 52))) - 1
        let modeBits = Base.enabled | (configuration.supportsX2APIC ? Base.extended : 0)
        guard value & ~(addressMask & ~0xFFF | modeBits | Base.bootstrap) == 0 else { return false }
        let wasEnabled = isEnabled
        let wasX2APIC = isX2APIC
        let enables = value & Base.enabled != 0
        let extends = value & Base.extended != 0
        if extends, !enables || !wasEnabled { return false }
        if wasX2APIC, enables, !extends { return false }
        apic.base = value & ~Base.bootstrap | (apic.base & Base.bootstrap)
        if wasEnabled, !enables {
            initialize()
        } else if extends, !wasX2APIC {
            apic.logicalDestination = x2APICLogicalID
            apic.interruptCommand &= 0xFFFF_FFFF
        }
        return true
    }
}
