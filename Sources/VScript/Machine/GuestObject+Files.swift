import VirtualMachine

extension GuestObject {
    /// What scripts do with a guest outside of the program: snapshots in files, gdb.
    static let outsideMethods: [Builtin<GuestObject>] = [
        Builtin("save(path)", "Writes a snapshot to a file; the old file stays whole until the new one is.") {
            guest, arguments in
            try guest.checkIdle()
            let path = try arguments.string(0)
            let (context, files) = (arguments.context, arguments.context.files)
            do throws(SnapshotFileError) {
                try guest.guest.save(to: path) { body throws(FileReplacementError) in try files.replace(path, body) }
            } catch {
                if context.isInterrupted { throw context.interruption }
                throw HostFailure(.fileFailure, error.description, argument: 0)
            }
            return .nil
        },
        Builtin("load(path)", "Brings the guest to a snapshot in a file, of a guest that was declared like it.") {
            guest, arguments in
            try guest.checkIdle()
            let path = try arguments.string(0)
            let context = arguments.context
            try context.files.reading(path) { descriptor in
                do throws(SnapshotFileError) { try guest.guest.load(from: path, descriptor: descriptor) } catch {
                    if context.isInterrupted { throw context.interruption }
                    throw HostFailure(.fileFailure, error.description, argument: 0)
                }
            }
            try guest.checkFailure()
            return .nil
        },
        Builtin("gdb(port?)", "Serves gdb on a port of this host, 1234 if not told, until it detaches.") {
            guest, arguments in
            try guest.checkIdle()
            let port = try arguments.optionalInteger(0, in: 0...65_535) ?? 1_234
            try guest.serveGDB(UInt16(port), arguments)
            return .nil
        },
    ]
}

extension GuestObject {
    /// Serves one connection of gdb.
    fileprivate func serveGDB(_ port: UInt16, _ arguments: Arguments) throws {
        guard session.limits.network else {
            throw HostFailure(
                .fileFailure, "the script may not open ports of this host", notes: ["the limit is `Limits.network`"])
        }
        let context = arguments.context
        let stub = GDBStub(guest, history: GuestHistory(guest))
        if let monitor = session.gdbMonitor { stub.monitor = { [guest] in monitor(guest, $0) } }
        let server: GDBServer
        do throws(GDBServerError) { server = try GDBServer(stub, port: port) } catch {
            throw HostFailure(.fileFailure, error.description, argument: 0)
        }
        context.write("gdb: target remote localhost:\(server.port)\n")
        try serving { server.serve(connections: 1) { [unowned self] in !context.isInterrupted && !hasFailed } }
        if context.isInterrupted { throw context.interruption }
    }
}
