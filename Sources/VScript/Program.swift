public import VScriptSyntax

/// A report about a script, as the compiler and the run-time make them.
public typealias Diagnostic = VScriptSyntax.Diagnostic

/// A script that has been read and checked; it can be run in any number of sessions.
public struct Program: Sendable {
    /// Warnings; a script with errors makes no program.
    public let diagnostics: [Diagnostic]
    let code: ProgramCode

    /// Reads and checks a script.
    ///
    /// - Parameters:
    ///   - source: The text.
    ///   - name: What messages call it: its path, to which imports are relative.
    ///   - interface: What it may name beyond the language: a session's `interface`.
    /// - Throws: All reports, if one of them is an error.
    public init(
        _ source: String, named name: String = "<script>", for interface: HostInterface = .none
    ) throws(CompilationError) {
        try self.init(SourceFile(source, named: name), for: interface)
    }

    /// Reads and checks a script whose bytes come from a file.
    public init(_ file: SourceFile, for interface: HostInterface = .none) throws(CompilationError) {
        try self.init(file, for: interface, modules: ModuleNames(searchPath: interface.searchPath))
    }

    /// Reads and checks a script that may import these modules.
    init(_ file: SourceFile, for interface: HostInterface, modules: ModuleNames) throws(CompilationError) {
        let tree = parse(file)
        guard tree.isValid else { throw CompilationError(diagnostics: tree.diagnostics) }
        let result = Resolver.resolve(
            tree.program, schema: Schema.standard.adding(interface.kinds),
            prelude: Set(Prelude.functions.map(\.signature.name)).union(interface.names),
            modules: modules)
        var reports = tree.diagnostics + result.diagnostics
        var code: ProgramCode?
        if reports.allSatisfy({ $0.severity != .error }) {
            let generated = Generator.generate(result.body, names: result.names, in: file)
            reports += generated.diagnostics
            code = generated.code
        }
        let diagnostics = reports.enumerated().sorted {
            let (left, right) = ($0.element.span?.start ?? 0, $1.element.span?.start ?? 0)
            return left == right ? $0.offset < $1.offset : left < right
        }.map(\.element)
        guard let code, diagnostics.allSatisfy({ $0.severity != .error }) else {
            throw CompilationError(diagnostics: diagnostics)
        }
        self.diagnostics = diagnostics
        self.code = code
    }
}

/// Why a script cannot be run: the reports, errors and warnings, in the order of the text.
public struct CompilationError: Error {
    /// The reports; at least one is an error.
    public let diagnostics: [Diagnostic]
}

/// How a script ended when an error did it, or what a host function fails with.
public struct ScriptError: Error {
    /// The error with its place, and the calls that led to it.
    public let diagnostic: Diagnostic

    init(diagnostic: Diagnostic) { self.diagnostic = diagnostic }

    /// An error of a host function, which a script can catch.
    public init(_ message: String) { diagnostic = Diagnostic(ScriptCode.uncaught, message) }

    /// What went wrong, in one line.
    public var message: String { diagnostic.message }

    /// What a command that ran the script exits with.
    public var exitCode: ExitCode {
        if diagnostic.code == ScriptCode.guestCrashed.id { return .guestCrashed }
        if diagnostic.code == ScriptCode.interrupted.id { return .interrupted }
        return diagnostic.code.hasPrefix("V09") ? .limit : .failure
    }
}

/// What the command exits with.
public enum ExitCode: Int32, Sendable {
    /// The script ran to its end.
    case success = 0
    /// An expectation or a test failed, or an error was not caught.
    case failure = 1
    /// The command line or the script is malformed.
    case usage = 2
    /// A limit was reached.
    case limit = 3
    /// A guest crashed and the script did not look at how.
    case guestCrashed = 4
    /// The user interrupted the script.
    case interrupted = 130
}

/// What a script may use up.
public struct Limits: Sendable {
    /// Calls, turns of loops and calls of handlers cost one each; builtins cost one for 64 bytes or for an element.
    public var fuel: UInt64
    /// Bytes of memory for strings, collections, functions and code.
    public var heap: Int
    /// Calls inside each other.
    public var depth: Int
    /// Instructions of all guests together.
    public var guestInstructions: UInt64
    /// Guest time of all runs together.
    public var guestTime: Duration?
    /// Bytes of memory for all guests together.
    public var guestMemory: UInt64
    /// How long a run may take, as a safety net: unlike the others it stops scripts at different places.
    public var wallClock: Duration?
    /// Whether ports of this host may be opened (`guest.gdb`).
    public var network: Bool
    /// Whether the clock of this host may be read (`guest.hostTime`).
    public var clock: Bool

    /// Limits for a script of one's own.
    public static let unlimited = Limits()
    /// Limits for a script of a stranger's.
    public static let untrusted = Limits(
        fuel: 100_000_000, heap: 64 << 20, depth: 200, guestInstructions: 10_000_000_000, guestTime: .seconds(600),
        guestMemory: 1 << 30, wallClock: .seconds(30), network: false, clock: false)

    /// Limits one by one.
    public init(
        fuel: UInt64 = .max, heap: Int = 1 << 30, depth: Int = 1_000, guestInstructions: UInt64 = .max,
        guestTime: Duration? = nil, guestMemory: UInt64 = 8 << 30, wallClock: Duration? = nil,
        network: Bool = true, clock: Bool = true
    ) {
        self.fuel = fuel
        self.heap = heap
        self.depth = depth
        self.guestInstructions = guestInstructions
        self.guestTime = guestTime
        self.guestMemory = guestMemory
        self.wallClock = wallClock
        self.network = network
        self.clock = clock
    }
}

/// What `vscript explain` says about a code such as `V0401`: the rule, a script that breaks it, and the same one mended.
///
/// - Parameter code: The code; the letter may be small.
/// - Returns: The text, or nil if there is no such code.
public func explanation(of code: String) -> String? {
    let id = code.uppercased()
    return SyntaxCode(rawValue: id)?.explanation ?? ScriptCode(rawValue: id)?.explanation
}

extension Diagnostic {
    /// What `vscript fix` makes of a script: its text after every safe fix of its reports, and of those that only then
    /// can be made.
    ///
    /// - Parameter file: The script, valid or not.
    /// - Returns: The new text, and the reports whose fixes were applied.
    public static func fixing(_ file: SourceFile) -> (text: String, applied: [Diagnostic]) {
        var current = file
        var applied: [Diagnostic] = []
        // A fix that brings back its own mistake does not go on for ever.
        for _ in 0..<fixingPasses {
            let mended = reports(on: current).filter { $0.fixes.contains(where: \.isSafe) }
            if mended.isEmpty { break }
            applied += mended
            current = SourceFile(Fix.applySafe(from: mended, to: current), named: file.name)
        }
        return (current.text, applied)
    }

    private static let fixingPasses = 8

    private static func reports(on file: SourceFile) -> [Diagnostic] {
        do throws(CompilationError) {
            return try Program(file).diagnostics
        } catch {
            return error.diagnostics
        }
    }
}

extension Program {
    /// The program with other instructions, for tests of the verifier: one array of words for each function.
    package func replacingInstructions(_ change: (inout [[UInt64]]) -> Void) -> Program {
        var words = code.functions.map(\.code)
        change(&words)
        var functions = code.functions
        for index in functions.indices where index < words.count { functions[index].code = words[index] }
        return Program(diagnostics: diagnostics, code: code.with(functions))
    }

    private init(diagnostics: [Diagnostic], code: ProgramCode) {
        self.diagnostics = diagnostics
        self.code = code
    }

    /// Whether the verifier lets the program run.
    package var isVerified: Bool {
        do throws(Verifier.Failure) {
            try Verifier.verify(code)
            return true
        } catch {
            return false
        }
    }
}
