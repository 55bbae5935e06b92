/// A PS/2 keyboard: its commands and replies, and the scan codes that it is told to send.
///
/// IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller" and "Keyboards".
package struct PS2Keyboard: Codable, Equatable, Sendable {
    private enum Reply {
        static let acknowledge: UInt8 = 0xFA
        static let resend: UInt8 = 0xFE
        static let echo: UInt8 = 0xEE
        static let testPassed: UInt8 = 0xAA
    }

    /// The command whose argument comes next.
    package var awaitedArgument: UInt8?
    package var scanCodeSet: UInt8 = 2
    package var isScanning = true
    package var indicators: UInt8 = 0
    package var typematic: UInt8 = 0x2B
    package var lastReply: UInt8 = 0

    /// Makes a keyboard after power-on.
    package init() {}

    /// Takes a byte from the controller and gives the reply.
    package mutating func receive(_ byte: UInt8) -> [UInt8] {
        let reply = awaitedArgument.map { takeArgument(byte, of: $0) } ?? takeCommand(byte)
        lastReply = reply.last ?? lastReply
        return reply
    }

    private mutating func takeArgument(_ byte: UInt8, of command: UInt8) -> [UInt8] {
        awaitedArgument = nil
        // A command instead of the argument ends the one before.
        guard byte < 0xED else { return takeCommand(byte) }
        switch command {
        case 0xED: indicators = byte & 7
        case 0xF3: typematic = byte & 0x7F
        case 0xF0:
            if byte == 0 { return [Reply.acknowledge, scanCodeSet] }
            guard byte <= 3 else { return [Reply.resend] }
            scanCodeSet = byte
        default: break
        }
        return [Reply.acknowledge]
    }

    private mutating func takeCommand(_ command: UInt8) -> [UInt8] {
        switch command {
        case 0xED, 0xF0, 0xF3: awaitedArgument = command
        case 0xEE: return [Reply.echo]
        // An MF2 keyboard.
        case 0xF2: return [Reply.acknowledge, 0xAB, 0x83]
        case 0xF4: isScanning = true
        case 0xF5, 0xF6:
            self = PS2Keyboard()
            isScanning = command == 0xF6
        // Key types of scan code set 3, which are accepted and have no effect on the other sets.
        case 0xF7...0xFA: break
        case 0xFE: return [lastReply]
        case 0xFF:
            self = PS2Keyboard()
            return [Reply.acknowledge, Reply.testPassed]
        default: return [Reply.resend]
        }
        return [Reply.acknowledge]
    }
}

/// A PS/2 mouse with three buttons: its commands and replies.
package struct PS2Mouse: Codable, Equatable, Sendable {
    private static let acknowledge: UInt8 = 0xFA

    package var awaitedArgument: UInt8?
    package var resolution: UInt8 = 2
    package var sampleRate: UInt8 = 100
    package var isScaled = false
    package var isReporting = false
    package var isRemote = false
    package var isWrapping = false

    /// Makes a mouse after power-on.
    package init() {}

    /// Takes a byte from the controller and gives the reply.
    package mutating func receive(_ byte: UInt8) -> [UInt8] {
        if isWrapping, byte != 0xEC, byte != 0xFF { return [byte] }
        if let command = awaitedArgument {
            awaitedArgument = nil
            if command == 0xE8 { resolution = byte & 3 } else { sampleRate = byte }
            return [Self.acknowledge]
        }
        switch byte {
        case 0xE6, 0xE7: isScaled = byte == 0xE7
        case 0xE8, 0xF3: awaitedArgument = byte
        case 0xE9:
            let status: UInt8 = (isRemote ? 0x40 : 0) | (isReporting ? 0x20 : 0) | (isScaled ? 0x10 : 0)
            return [Self.acknowledge, status, resolution, sampleRate]
        case 0xEA: isRemote = false
        // Nothing has moved.
        case 0xEB: return [Self.acknowledge, 0x08, 0, 0]
        case 0xEC: isWrapping = false
        case 0xEE: isWrapping = true
        case 0xF0: isRemote = true
        case 0xF2: return [Self.acknowledge, 0x00]
        case 0xF4: isReporting = true
        case 0xF5: isReporting = false
        case 0xF6: self = PS2Mouse()
        case 0xFF:
            self = PS2Mouse()
            return [Self.acknowledge, 0xAA, 0x00]
        default: return [0xFE]
        }
        return [Self.acknowledge]
    }
}
