import Foundation
import VScript
import VScriptREPL
import VScriptSyntax
import VirtualMachine

/// Serves a script's guest to gdb until Ctrl-C.
enum GDBSession {
    static func run(
        _ file: SourceFile, arguments: [String], guest name: String?, port: UInt16, modules: ModuleOptions
    ) -> Int32 {
        let session = Session(files: .all)
        session.interface = modules.interface
        session.environment = ScriptEnvironment(arguments: arguments)
        let scope = SessionScope(session)
        var failed = false
        let renderer = TextRenderer(colours: false)
        let repl = REPL(scope: scope) { output in
            if case .diagnostic = output { failed = true }
            say(renderer.text(output), to: FileHandle.standardError)
        }
        session.output = { say($0, to: FileHandle.standardOutput) }
        let interrupt = InterruptKey(session.stopSignal)
        defer { interrupt.release() }
        repl.begin(with: file, environment: [:])
        if failed { return ExitCode.usage.rawValue }
        guard let guest = repl.guests.last(where: { name == nil || $0.name == name }) else {
            say(name.map { "there is no guest `\($0)`\n" } ?? "the script declares no guest\n", to: .standardError)
            return ExitCode.usage.rawValue
        }
        repl.focus(guest)
        let stub = repl.gdbStub(for: guest)
        do throws(GDBServerError) {
            let server = try GDBServer(stub, port: port)
            say("gdb: target remote localhost:\(server.port)\n", to: .standardError)
            let isWanted = scope.isWanted
            Checkpoint.whileTrue(isWanted) { server.serve(while: isWanted) }
            return interrupt.wasPressed ? ExitCode.interrupted.rawValue : 0
        } catch {
            say("\(error)\n", to: .standardError)
            return ExitCode.usage.rawValue
        }
    }

    private static func say(_ text: String, to file: FileHandle) { try? file.write(contentsOf: Data(text.utf8)) }
}
