import Testing
import VScriptREPL
import VScriptSyntax
import VirtualMachine
import X86

/// A scope without a language: names for completion, guests, and what a test says texts come to.
final class FixtureScope: ScriptScope {
    var guests: [ScopedGuest]
    var focus: ScopedGuest?
    var isInterrupted = false
    var names: [(name: String, summary: String)] = []
    var evaluated: [String] = []
    /// What conditions come to.
    var condition: (GuestEvent) -> Bool = { _ in true }

    init(_ guests: [ScopedGuest] = []) { self.guests = guests }

    func evaluate(_ source: SourceFile) -> Evaluation {
        evaluated.append(source.text)
        guard let number = Int128(source.text) else { return .value(nil, []) }
        return .value(
            ResultValue(
                text: source.text, plain: source.text, type: "an int", json: .integer(number), integer: number), [])
    }

    func holds(_ source: SourceFile, at event: GuestEvent, in guest: Guest) -> ConditionResult {
        .holds(condition(event))
    }

    func takeFailure(of guest: Guest) -> Diagnostic? { nil }
    func members(of path: [String]) -> [(name: String, summary: String)] { [] }
    func documentation(of path: [String]) -> String? { nil }
    func source(of name: String) -> String? { nil }
    var interrupt: @Sendable () -> Void { {} }
    var isWanted: @Sendable () -> Bool { { true } }
    func clearInterrupt() {}
}

/// The guest of the documentation's transcript: ring 3 asks ring 0 for sums by SYSCALL and through a gate.
enum Lab {
    static let kernel = """
        add:    lea rax, [rdi + rsi]
                sysretq
        addInt: lea rax, [rdi + rsi]
                iretq
        """
    static let program = """
        start:  mov edi, 40
                mov esi, 2
                syscall
                mov edi, eax
                int 0x80
                hlt
        """

    static func guest(
        kernel: String = kernel, program: String = program, technique: Technique = .bare
    ) throws -> Guest {
        let layout = PreparedLayout.long
        let ring0 = try code(kernel, ring: 0, origin: #require(layout.codeOrigin(ring: 0)))
        let ring3 = try code(program, ring: 3, origin: #require(layout.codeOrigin(ring: 3)))
        let handler = ring0.labels.first { $0.name == "addInt" }?.address ?? ring0.origin
        let prepared = PreparedGuest(
            .long, code: [ring0, ring3],
            gates: [PreparedGuest.Gate(.interrupt, number: 0x80, ring: 0, handler: handler, privilege: 3)],
            syscallEntry: ring0.labels.first { $0.name == "add" }?.address)
        var configuration = GuestConfiguration(name: "demo", boot: BootSource(.prepared(prepared)))
        configuration.memory = 4 << 20
        configuration.technique = technique
        return try Guest(configuration)
    }

    private static func code(_ source: String, ring: UInt8, origin: UInt64) throws -> PreparedGuest.Code {
        let program = try Assembler(mode: .bits64, origin: origin).assemble(source)
        return PreparedGuest.Code(
            ring: ring, origin: origin, bytes: program.bytes,
            labels: program.labels.map { BootSymbol(name: $0.key, address: $0.value) })
    }
}

/// A session whose words are gathered.
final class TestSession {
    let scope: FixtureScope
    let repl: REPL
    private(set) var outputs: [Output] = []

    init(_ guest: Guest? = nil) {
        scope = FixtureScope(guest.map { [ScopedGuest(name: "demo", guest: $0, summary: ".bare")] } ?? [])
        repl = REPL(scope: scope) { _ in }
        repl.output = { [unowned self] in outputs.append($0) }
    }

    /// Carries out lines and gives what was said, with prompts and lines as a terminal would show them.
    func transcript(_ lines: [String]) -> String {
        var text = ""
        for line in lines {
            text += repl.prompt.plain + line + "\n"
            text += say(line)
        }
        return text
    }

    /// What a line makes the REPL say.
    @discardableResult
    func say(_ line: String) -> String {
        outputs = []
        _ = repl.handle(line)
        return outputs.map(TextRenderer(colours: false).text).joined()
    }
}
