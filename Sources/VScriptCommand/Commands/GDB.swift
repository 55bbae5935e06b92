import ArgumentParser
import Foundation
import VScript
import VScriptREPL
import VirtualMachine

/// `vscript gdb [--port N] FILE`.
struct GDB: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs a script and serves its guest to gdb.",
        discussion: """
            In gdb: `target remote localhost:PORT`. `monitor` carries out the REPL's commands. The port is open on the \
            loopback interface only, to everybody on this host.
            """)

    @Option(help: ArgumentHelp("The port; 0 lets the system choose.", valueName: "number"))
    var port: UInt16 = 1234

    @Option(help: ArgumentHelp("Which guest, if there are several.", valueName: "name"))
    var guest: String?

    @OptionGroup var modules: ModuleOptions

    @Argument(help: ArgumentHelp("The script that declares the guest.", valueName: "file"))
    var file: String

    @Argument(help: ArgumentHelp("What the script finds in the module `args`.", valueName: "arguments"))
    var arguments: [String] = []

    func run() throws {
        let source = try Source(path: file)
        throw ArgumentParser.ExitCode(
            GDBSession.run(source.file, arguments: arguments, guest: guest, port: port, modules: modules))
    }
}
