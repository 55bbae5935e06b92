import Testing
import VScript

/// The value of a script's last statement.
func value(_ source: String, limits: Limits = .unlimited) throws -> ScriptValue {
    try Session(limits: limits, files: .all).evaluate(try Program(source, named: "test.vscript"))
}

/// The value of a script's last statement, as a script would write it.
func result(_ source: String) throws -> String { try value(source).source() }

/// What a script prints.
func printed(_ source: String) throws -> String {
    var output = ""
    let session = Session(files: .all)
    session.output = { output += $0 }
    try session.run(Program(source, named: "test.vscript"))
    return output
}

/// The code of the error that ends a script, or of the first report against it; nil if it runs to its end.
func failure(_ source: String, limits: Limits = .unlimited) -> Diagnostic? {
    do {
        let session = Session(limits: limits, files: .all)
        session.output = { _ in }
        try session.run(Program(source, named: "test.vscript"))
        return nil
    } catch let error as CompilationError {
        return error.diagnostics.first { $0.severity == .error }
    } catch let error as ScriptError {
        return error.diagnostic
    } catch {
        return nil
    }
}
