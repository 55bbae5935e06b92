import VirtualMachine

extension REPL {
    /// What answers gdb for a guest: it goes backwards by the guest's history, and `monitor` carries out commands.
    package func gdbStub(for target: DebuggedGuest) -> GDBStub {
        let stub = GDBStub(target.guest, history: target.history)
        stub.monitor = { [unowned self, unowned target] in monitor(target.guest, $0) }
        return stub
    }

    /// Carries out a line for gdb and gives what it says.
    package func monitor(_ guest: Guest, _ line: String) -> String {
        var text = ""
        let usual = output
        let renderer = TextRenderer(colours: false)
        output = { text += renderer.text($0) }
        defer { output = usual }
        adoptGuests()
        if let target = guests.first(where: { $0.guest === guest }) { focus(target) }
        _ = handle(line)
        return text
    }

    /// Serves a guest to gdb until it detaches.
    func serveGDB(_ target: DebuggedGuest, port: UInt16) throws(CommandFailure) {
        let server: GDBServer
        do throws(GDBServerError) { server = try GDBServer(gdbStub(for: target), port: port) } catch {
            throw CommandFailure(error.description)
        }
        output(.text("gdb: target remote localhost:\(server.port)"))
        server.serve(connections: 1) { [self] in !scope.isInterrupted }
        tellFailure(of: target)
        target.stopped(target.guest.standing)
        output(.lines([PlaceView(guest: target).current()]))
    }
}
