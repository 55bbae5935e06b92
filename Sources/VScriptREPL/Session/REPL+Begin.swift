import FoundationEssentials
import VScriptSyntax

extension REPL {
    /// Runs the user's init file and the script that a session begins with.
    ///
    /// - Parameters:
    ///   - file: The script.
    ///   - environment: Where the init file is sought; empty for none.
    package func begin(with file: SourceFile?, environment: [String: String]) {
        let folder =
            environment["XDG_CONFIG_HOME"].flatMap { $0.isEmpty ? nil : $0 }
            ?? environment["HOME"].map { $0 + "/.config" }
        if let path = folder.map({ $0 + "/vscript/init.vscript" }),
            let data = FileManager.default.contents(atPath: path)
        {
            do throws(CommandFailure) {
                try source(String(decoding: data, as: UTF8.self), named: path)
            } catch {
                output(.failure(error))
            }
        }
        if let file { run(file) }
    }
}
