import Foundation
import VScript
import VScriptSyntax

/// A script's text with what messages call it.
struct Source {
    let file: SourceFile
    /// What it is checked against.
    var interface = HostInterface.none

    /// Commands of the language's design that do not exist yet.
    private static let missingCommands: Set<String> = ["lsp", "dap"]

    init(_ file: SourceFile) { self.file = file }

    init(text: String) { file = SourceFile(text, named: "-e") }

    /// The same script, with modules from the folders of the command line.
    func importing(_ modules: ModuleOptions) -> Source {
        var source = self
        source.interface = modules.interface
        return source
    }

    /// Reads a script; `-` is the standard input.
    init(path: String) throws(FileFailure) {
        if path == "-" {
            file = SourceFile(bytes: Array(FileHandle.standardInput.readDataToEndOfFile()), named: "<stdin>")
            return
        }
        var isDirectory: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
        if isDirectory.boolValue { throw FileFailure(path: path, reason: "is a directory, not a script") }
        if !exists, Self.missingCommands.contains(path) {
            throw FileFailure(path: path, reason: "this version has no such command, and there is no such file")
        }
        // Pipes are read too, as a shell's `<(…)` gives them.
        guard let handle = FileHandle(forReadingAtPath: path), let data = try? handle.readToEnd() ?? Data() else {
            throw FileFailure(path: path, reason: exists ? "cannot be read" : "no such file")
        }
        file = SourceFile(bytes: Array(data), named: path)
    }

    /// The script's form, right or wrong.
    var tree: SyntaxTree { parse(file) }

    /// Replaces what the file holds.
    func write(_ text: String) throws(FileFailure) {
        do {
            try Data(text.utf8).write(to: URL(fileURLWithPath: file.name), options: .atomic)
        } catch {
            throw FileFailure(path: file.name, reason: "cannot be written")
        }
    }

    /// Checks the script and tells its reports; nil if one of them is an error.
    func compile(_ reporter: Reporter) -> Program? {
        do throws(CompilationError) {
            let program = try Program(file, for: interface)
            program.diagnostics.forEach(reporter.report)
            return program
        } catch {
            error.diagnostics.forEach(reporter.report)
            return nil
        }
    }

    /// Runs the script.
    func run(_ arguments: [String], _ reporter: Reporter) -> ExitCode {
        guard let program = compile(reporter) else { return .usage }
        let session = Session(files: .all)
        session.environment = ScriptEnvironment(arguments: arguments, terminal: HostTerminal())
        session.output = reporter.output
        session.onEmit = reporter.onEmit
        session.interface = interface
        let interrupt = InterruptKey(session.stopSignal)
        defer { interrupt.release() }
        do throws(ScriptError) {
            try session.run(program)
            return interrupt.wasPressed ? .interrupted : session.exitCode
        } catch {
            if interrupt.wasPressed { return .interrupted }
            reporter.report(error.diagnostic)
            return error.exitCode
        }
    }
}

extension Sequence<String> {
    /// Does something with each script; one that cannot be read is told and makes the exit code `usage`.
    func eachScript(_ reporter: Reporter, _ body: (Source) throws(FileFailure) -> ExitCode) -> ExitCode {
        var status = ExitCode.success
        for path in self {
            do throws(FileFailure) {
                let code = try body(Source(path: path))
                status = code.rawValue > status.rawValue ? code : status
            } catch {
                reporter.report(error)
                status = .usage
            }
        }
        return status
    }
}
