import PCDevices
import VirtualMachine
import X86
import X86Engine

/// `info tlb`, `info devices`: what the engine and the machine hold.
enum MachineTables {
    /// The lines of the soft TLB in runs of pages with equal rights.
    static func translations(_ target: DebuggedGuest) -> Table {
        var table = Table([
            Table.Column("context", width: 10), Table.Column("from", width: 18), Table.Column("to", width: 18),
            Table.Column("physical", width: 12), Table.Column("cached for"),
        ])
        let processor = target.guest.monitor?.machine ?? target.guest.processor
        for run in processor.cachedTranslations.prefix(2_000) {
            let rights =
                (run.isReadable ? ["read"] : []) + (run.isWritable ? ["write"] : [])
                + (run.isExecutable ? ["execute"] : [])
            table.rows.append([
                Table.Cell(run.context), Table.Cell(number: run.linear, Numbers.hex(run.linear)),
                Table.Cell(number: run.last, Numbers.hex(run.last)),
                Table.Cell(number: run.physical, Numbers.hex(run.physical)), Table.Cell(rights.joined(separator: " ")),
            ])
        }
        return table
    }

    /// Who answers at ports and addresses.
    static func devices(_ target: DebuggedGuest) -> Table {
        var table = Table([
            Table.Column("device", width: 22), Table.Column("space"), Table.Column("from", width: 12),
            Table.Column("to", width: 12), Table.Column("interrupt"),
        ])
        let pc = target.guest.platform.pc
        func row(_ name: String, _ space: String, _ from: UInt64, _ to: UInt64) {
            let scripted = target.guest.devices.first { $0.name == name }
            table.rows.append([
                Table.Cell(name, .symbol), Table.Cell(space), Table.Cell(number: from, Numbers.hex(from)),
                Table.Cell(number: to, Numbers.hex(to)),
                Table.Cell(
                    scripted?.irq.map { "\($0)" + (scripted?.isRaised ?? false ? " raised" : "") } ?? ""),
            ])
        }
        for range in pc.ports.claimedRanges {
            let name = pc.ports.device(at: range.lowerBound).map(deviceName) ?? ""
            row(name, "port", UInt64(range.lowerBound.rawValue), UInt64(range.upperBound.rawValue))
        }
        for range in pc.memory.claimedRanges {
            let name = pc.memory.device(at: range.lowerBound).map(deviceName) ?? ""
            row(name, "memory", range.lowerBound.rawValue, range.upperBound.rawValue)
        }
        if let page = pc.localAPICPage(of: 0)?.rawValue { row("LocalAPIC", "memory", page, page | 0xFFF) }
        return table
    }

    /// Who answers at a port.
    static func device(atPort port: UInt16, of target: DebuggedGuest) -> String? {
        target.guest.platform.pc.ports.device(at: PortAddress(port)).map(deviceName)
    }

    /// A scripted device by its own name, a chip by its type's.
    private static func deviceName(_ device: AnyObject) -> String {
        if let scripted = device as? any NamedDevice { return scripted.deviceName }
        let type = String("\(type(of: device))".prefix { $0 != "<" })
        return usualNames[type] ?? type
    }

    /// Chips that are better known by another name.
    private static let usualNames = ["DebugConsole": "debugcon"]
}
