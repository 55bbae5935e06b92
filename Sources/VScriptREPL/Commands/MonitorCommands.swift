import Hypervisors
import VirtualMachine

/// The commands that look at a guest's monitor.
enum MonitorCommands {
    static let all: [Command] = [
        Command(
            "vmcs", ["[FIELD …]"], "Shows fields of the virtual-machine control structure, decoded.",
            method: "guest.cpu.vmcs", group: .look, argument: .word(VMCSView.names)
        ) { repl, invocation throws(CommandFailure) in
            try repl.showVMCS(invocation.words, invocation)
        },
        Command(
            "translation", ["[LOCATION]"],
            "Shows the guest's code beside what the binary translator has made of it.", method: "guest.stats",
            group: .look, argument: .location
        ) { repl, invocation throws(CommandFailure) in
            try repl.showTranslation(invocation)
        },
    ]
}

extension REPL {
    func showVMCS(_ names: [String], _ invocation: Invocation) throws(CommandFailure) {
        let table = try VMCSView(guest: try guest()).table(names)
        guard invocation.format == nil else { return try show(table, invocation) }
        output(.lines(VMCSView.lines(table)))
    }

    func showTranslation(_ invocation: Invocation) throws(CommandFailure) {
        let target = try guest()
        guard let monitor = target.guest.monitor as? SoftwareMonitor, target.guest.configuration.technique == .translate
        else {
            throw CommandFailure(
                "the code of `\(target.name)` is not translated", notes: ["guests under `.translate` are"])
        }
        let place = invocation.arguments.isEmpty ? target.guest.cpu.rip : try location(invocation.arguments, in: target)
        guard let block = monitor.translatedBlock(at: place) else {
            throw CommandFailure("there is no translation of \(Numbers.hex(place)) yet")
        }
        var table = Table([
            Table.Column("address", width: 18), Table.Column("guest", width: 30), Table.Column("machine", width: 18),
            Table.Column("translation"),
        ])
        let view = PlaceView(guest: target)
        for part in block {
            let original = target.decode(at: part.rip)
            let translated = target.decode(bytes: part.code, at: part.machine)
            for (index, line) in translated.enumerated() {
                let first = index == 0
                table.rows.append([
                    first ? Table.Cell(view.text(part.rip), .address) : "",
                    first ? Table.Cell(original?.text ?? "") : "",
                    Table.Cell(number: line.address, Numbers.hex(line.address)), Table.Cell(line.text),
                ])
            }
        }
        try show(table, invocation)
    }
}
