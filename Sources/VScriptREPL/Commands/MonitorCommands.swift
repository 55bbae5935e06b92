import VirtualMachine

/// The commands that look at a guest's monitor.
enum MonitorCommands {
    static let all: [Command] = [
        Command(
            "vmcs", ["[FIELD …]"], "Shows fields of the virtual-machine control structure, decoded.",
            method: "guest.cpu.vmcs", group: .look, argument: .word(ControlStructureView.names(.vmcs))
        ) { repl, invocation throws(CommandFailure) in
            try repl.showControlStructure(.vmcs, invocation.words, invocation)
        },
        Command(
            "vmcb", ["[FIELD …]"], "Shows fields of the virtual machine control block, decoded.",
            method: "guest.cpu.vmcb", group: .look, argument: .word(ControlStructureView.names(.vmcb))
        ) { repl, invocation throws(CommandFailure) in
            try repl.showControlStructure(.vmcb, invocation.words, invocation)
        },
        Command(
            "translation", ["[LOCATION]"],
            "Shows the kernel's code beside its translation; what is marked + counts as none of its instructions.",
            method: "guest.translation(address)",
            group: .look, argument: .location
        ) { repl, invocation throws(CommandFailure) in
            try repl.showTranslation(invocation)
        },
    ]
}

extension REPL {
    func showControlStructure(
        _ kind: ControlStructure.Kind, _ names: [String], _ invocation: Invocation
    ) throws(CommandFailure) {
        let table = try ControlStructureView(guest: try guest(), kind: kind).table(names)
        guard invocation.format == nil else { return try show(table, invocation) }
        output(.lines(ControlStructureView.lines(table)))
    }

    func showTranslation(_ invocation: Invocation) throws(CommandFailure) {
        let target = try guest()
        guard target.guest.configuration.technique == .translate else {
            throw CommandFailure(
                "the code of `\(target.name)` is not translated", notes: ["guests under `.translate` are"])
        }
        let place = invocation.arguments.isEmpty ? target.guest.cpu.rip : try location(invocation.arguments, in: target)
        guard let translation = target.guest.translation(at: place) else {
            throw CommandFailure("there is no translation of \(Numbers.hex(place)) yet")
        }
        var table = Table([
            Table.Column("address", width: 18), Table.Column("guest", width: 26), Table.Column("machine", width: 10),
            Table.Column(""), Table.Column("translation"),
        ])
        let view = PlaceView(guest: target)
        for row in translation.rows {
            for (index, instruction) in row.translated.enumerated() {
                let source = index == 0 ? row.source : nil
                table.rows.append([
                    Table.Cell(source.map { view.text($0.address) } ?? "", .address),
                    Table.Cell(index == 0 ? row.source?.text ?? "(stubs)" : ""),
                    Table.Cell(number: instruction.code.address, Numbers.hex(instruction.code.address)),
                    Table.Cell(instruction.isHidden ? "+" : ""), Table.Cell(instruction.code.text),
                ])
            }
        }
        try show(table, invocation)
    }
}
