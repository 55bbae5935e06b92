import VirtualMachine

/// The commands that take a guest out of the session: into files, and to gdb.
enum GuestFileCommands {
    static let all: [Command] = [
        Command(
            "save", ["FILE"], "Writes a snapshot of the guest to a file.", method: "guest.save(path)", group: .session,
            argument: .file
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            let path = try repl.path(invocation)
            do throws(SnapshotFileError) { try target.guest.save(to: path) } catch {
                throw CommandFailure(error.description)
            }
            repl.record.translate("\(target.name).save(\(JSONText.string(path)))")
            repl.output(.text("saved at instruction \(Numbers.grouped(target.guest.instructions))"))
        },
        Command(
            "load", ["FILE"], "Brings the guest to a snapshot in a file.", method: "guest.load(path)", group: .session,
            argument: .file
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            let path = try repl.path(invocation)
            do throws(SnapshotFileError) { try target.guest.load(from: path) } catch {
                throw CommandFailure(error.description)
            }
            repl.changed(target)
            target.stopped(target.guest.standing)
            repl.continuation = Continuation()
            repl.record.translate("\(target.name).load(\(JSONText.string(path)))")
            repl.output(.lines([PlaceView(guest: target).current()]))
        },
        Command(
            "gdb", ["[PORT]"], "Serves the guest to gdb on a port of this host, 1234 if not told, until it detaches.",
            method: "guest.gdb(port)", group: .session
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            var port: UInt16 = 1_234
            if !invocation.arguments.isEmpty {
                guard let number = Numbers.parse(invocation.arguments), let chosen = UInt16(exactly: number) else {
                    throw CommandFailure("`\(invocation.arguments)` is not a port from 0 to 65535")
                }
                port = chosen
            }
            repl.record.translate("\(target.name).gdb(\(port))")
            try repl.serveGDB(target, port: port)
        },
    ]
}
