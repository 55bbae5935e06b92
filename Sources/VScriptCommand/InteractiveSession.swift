import CReadline
import Foundation
import Synchronization
import VScript
import VScriptREPL
import VScriptSyntax
import VirtualMachine

/// A session at the terminal or in a pipe: an editor, the REPL, and where its words go.
final class InteractiveSession {
    private let repl: REPL
    private let editor: any LineEditor
    private let history: History
    private let terminal: TerminalInput?
    private let interrupt: SessionInterrupt

    /// Runs a session to its end.
    ///
    /// - Parameters:
    ///   - file: A script to begin with.
    ///   - arguments: What scripts find in the module `args`.
    ///   - json: Whether requests and answers are JSON.
    ///   - modules: Where `import` looks.
    /// - Returns: The exit code.
    static func run(_ file: SourceFile?, arguments: [String], json: Bool, modules: ModuleOptions) -> Int32 {
        guard let wake = WakePipe() else { return ExitCode.failure.rawValue }
        let session = Session(files: .all)
        session.interface = modules.interface
        session.environment = ScriptEnvironment(arguments: arguments, terminal: json ? nil : HostTerminal())
        let scope = SessionScope(session)
        let repl = REPL(scope: scope) { _ in }
        session.output = { [unowned repl] in repl.output(.printed($0)) }
        session.gdbMonitor = { [unowned repl] in repl.monitor($0, $1) }
        let interrupt = SessionInterrupt(wake: wake, scope: scope.interrupt)
        guard !json else {
            runJSON(repl, file, scope.interrupt)
            return 0
        }
        let interactive = InteractiveSession(repl, wake, interrupt)
        repl.begin(with: file, environment: ProcessInfo.processInfo.environment)
        interactive.loop()
        return 0
    }

    private static func runJSON(_ repl: REPL, _ file: SourceFile?, _ interrupt: @escaping @Sendable () -> Void) {
        // An object is written whole, or those after it could not be read.
        let json = JSONSession(repl) { line in Checkpoint.unconditionally { write(line + "\n") } }
        repl.begin(with: file, environment: [:])
        json.begin()
        let requests = RequestQueue(interrupt: interrupt)
        while let request = requests.next() {
            if !json.answer(request.text, isInterrupted: { requests.isInterrupted(request.number) }) { break }
        }
    }

    /// The surroundings choose the editor.
    private init(_ repl: REPL, _ wake: WakePipe, _ interrupt: SessionInterrupt) {
        self.repl = repl
        self.interrupt = interrupt
        let environment = ProcessInfo.processInfo.environment
        let isTerminal = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1
        let isDumb = ["", "dumb"].contains(environment["TERM"] ?? "")
        let colours = isTerminal && !isDumb && (environment["NO_COLOR"] ?? "").isEmpty
        let renderer = TextRenderer(colours: colours)
        terminal = isTerminal ? TerminalInput(keepsKeys: !isDumb) : nil
        history = History(path: isTerminal ? History.defaultPath(environment: environment) : nil)
        if isTerminal && !isDumb {
            editor = ReadlineEditor(wake: wake, colours: colours)
        } else {
            editor = PlainLineEditor(wake: wake, prompt: isTerminal ? { Self.write($0) } : nil)
        }
        repl.output = { [unowned repl] output in
            let text = renderer.text(output)
            Self.write(text)
            repl.log?.write(renderer.colours ? TextRenderer(colours: false).text(output) : text)
        }
        if isTerminal { repl.terminal = HostTerminal() }
        if isTerminal && !isDumb {
            repl.progress = { [editor] line in
                let width = max((editor.columns ?? 80) - 1, 10)
                Self.write("\r\u{1B}[K" + (line.map { $0.cut(to: width) } ?? ""))
            }
        }
        editor.delegate = repl
        for entry in history.entries { editor.remember(entry) }
    }

    /// Reads lines until the user leaves.
    private func loop() {
        defer { terminal?.restore() }
        if terminal != nil { repl.output(.lines(repl.banner)) }
        while true {
            interrupt.isEditing = true
            repl.clearInterrupt()
            let input = editor.read(prompt: repl.prompt)
            interrupt.endEditing()
            switch input {
            case .end:
                if terminal != nil { Self.write("\n") }
                return
            case .interrupted:
                if editor is PlainLineEditor { Self.write("\n") }
            case .line(let line):
                if terminal != nil, history.add(line) { editor.remember(line) }
                let goesOn =
                    terminal.map { $0.whileRunning(interrupt: interrupt.signal) { repl.handle(line) } }
                    ?? repl.handle(line)
                if !goesOn { return }
            }
        }
    }

    /// How much of a text is written before anybody may lose patience with it, and then at once.
    private static let part = 4096

    /// Writes a text; of a long one the rest is left out once it is interrupted.
    private static func write(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            HostTerminal.write(rest.prefix(part), to: STDOUT_FILENO)
            rest = rest.dropFirst(part)
            guard rest.isEmpty || Checkpoint.isPassed else {
                return HostTerminal.write(Array("\n… \(Interrupted.text)\n".utf8)[...], to: STDOUT_FILENO)
            }
        }
    }
}

/// What Ctrl-C does: clears the line being typed, or stops what runs.
///
/// A handler of the signal itself: a source of Dispatch is installed some time after it was asked for, and loses the
/// key that comes before. There is one session in a process.
final class SessionInterrupt {
    private let state: State

    /// What the handler reads; it only stores and writes to a pipe, as handlers may.
    private final class State: Sendable {
        let isEditing = Atomic<Bool>(false)
        let wake: WakePipe
        let interrupt: @Sendable () -> Void

        init(wake: WakePipe, interrupt: @escaping @Sendable () -> Void) {
            self.wake = wake
            self.interrupt = interrupt
        }
    }

    // SAFETY: set before the handler is installed, cleared after it is removed.
    private nonisolated(unsafe) static var current: State?

    init(wake: WakePipe, scope interrupt: @escaping @Sendable () -> Void) {
        state = State(wake: wake, interrupt: interrupt)
        Self.current = state
        Foundation.signal(SIGINT) { _ in
            guard let state = SessionInterrupt.current else { return }
            let error = errno
            if state.isEditing.load(ordering: .relaxed) {
                state.wake.wake()
            } else {
                state.interrupt()
                creadline_note_interrupt()
            }
            errno = error
        }
    }

    var isEditing: Bool {
        get { state.isEditing.load(ordering: .relaxed) }
        set { state.isEditing.store(newValue, ordering: .relaxed) }
    }

    /// From now on the signal interrupts what runs; so does one that came too late for the line.
    func endEditing() {
        isEditing = false
        if state.wake.drain() { signal() }
    }

    /// Interrupts what runs, as the signal does.
    func signal() { state.interrupt() }

    deinit {
        Foundation.signal(SIGINT, SIG_DFL)
        Self.current = nil
    }
}
