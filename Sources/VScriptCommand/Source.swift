import Foundation
import VScript
import VScriptSyntax

/// A script's text with what messages call it.
struct Source {
    private let file: SourceFile

    init(text: String) { file = SourceFile(text, named: "-e") }

    /// Reads a script; a file that cannot be read ends the program with exit code 2.
    init(path: String) throws {
        var isDirectory: ObjCBool = false
        if FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), isDirectory.boolValue {
            throw Failure(message: "\(path): is a directory, not a script")
        }
        guard let data = FileManager.default.contents(atPath: path) else {
            let reason = FileManager.default.fileExists(atPath: path) ? "cannot be read" : "no such file"
            throw Failure(message: "\(path): \(reason)")
        }
        file = SourceFile(bytes: Array(data), named: path)
    }

    /// Rewrites the file with every safe fix applied, and gives how many there were.
    func fix() throws -> Int {
        let (text, applied) = Diagnostic.fixing(file)
        if !applied.isEmpty {
            do {
                try Data(text.utf8).write(to: URL(fileURLWithPath: file.name), options: .atomic)
            } catch {
                throw Failure(message: "\(file.name): cannot be written")
            }
        }
        return applied.count
    }

    /// Checks the script and prints its reports; nil if one of them is an error.
    func compile() -> Program? {
        do throws(CompilationError) {
            let program = try Program(file)
            for diagnostic in program.diagnostics { report(diagnostic.rendered()) }
            return program
        } catch {
            for diagnostic in error.diagnostics { report(diagnostic.rendered()) }
            return nil
        }
    }

    /// Runs the script and gives the exit code.
    func run(_ arguments: [String]) -> Int32 {
        guard let program = compile() else { return ExitCode.usage.rawValue }
        let session = Session()
        session.environment = ScriptEnvironment(arguments: arguments)
        // Line by line also into pipes, so that whoever reads sees what happens when it happens.
        session.output = { text in
            FileHandle.standardOutput.write(Data(text.utf8))
        }
        let interrupt = InterruptKey(session.stopSignal)
        defer { interrupt.release() }
        do throws(ScriptError) {
            try session.run(program)
            return interrupt.wasPressed ? ExitCode.interrupted.rawValue : session.exitCode.rawValue
        } catch {
            if interrupt.wasPressed { return ExitCode.interrupted.rawValue }
            report(error.diagnostic.rendered())
            return error.exitCode.rawValue
        }
    }

    private func report(_ text: String) {
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }
}

/// A message that ends the command with exit code 2.
struct Failure: Error, CustomStringConvertible {
    var message: String
    var description: String { message }
}

/// Turns Ctrl-C into a request to stop; a second one ends the program.
final class InterruptKey {
    private let source: any DispatchSourceSignal
    private let signal: StopSignal

    init(_ signal: StopSignal) {
        self.signal = signal
        Foundation.signal(SIGINT, SIG_IGN)
        source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        source.setEventHandler {
            if signal.isSet { _exit(ExitCode.interrupted.rawValue) }
            signal.set()
        }
        source.resume()
    }

    var wasPressed: Bool { signal.isSet }

    func release() { source.cancel() }
}
