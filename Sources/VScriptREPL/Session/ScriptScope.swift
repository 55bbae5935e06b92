import VScript
import VScriptSyntax
import VirtualMachine

/// What the REPL uses of the language: a scope in which one text after another is evaluated.
package protocol ScriptScope: AnyObject {
    /// Evaluates a text; what it declares stays.
    func evaluate(_ source: SourceFile) -> Evaluation
    /// Evaluates a condition while a guest stands at an event.
    func holds(_ condition: SourceFile, at event: GuestEvent, in guest: Guest) -> ConditionResult
    /// What a handler, device or timer of a guest has failed with while a command ran it; told once.
    func takeFailure(of guest: Guest) -> Diagnostic?
    /// The names that a text may use, with one line about each.
    var names: [(name: String, summary: String)] { get }
    /// The members of what a path of names (`demo.cpu`) leads to, with one line about each; nothing is called.
    func members(of path: [String]) -> [(name: String, summary: String)]
    /// What documentation there is on a name or a path of names.
    func documentation(of path: [String]) -> String?
    /// The text that declared a name.
    func source(of name: String) -> String?
    /// The guests so far, in the order of their declaration.
    var guests: [ScopedGuest] { get }
    /// The guest whose registers `$rax` and the like mean.
    var focus: ScopedGuest? { get set }
    /// Asks whatever runs to stop; callable from any thread.
    var interrupt: @Sendable () -> Void { get }
    /// Whether `interrupt` has been called since `clearInterrupt`.
    var isInterrupted: Bool { get }
    /// The same from any thread.
    var isWanted: @Sendable () -> Bool { get }
    func clearInterrupt()
}

/// A guest and what it is called.
package struct ScopedGuest {
    package var name: String
    package var guest: Guest
    /// How it is declared, in a few words: `.bare`, `on vt (.vmx, .nested)`.
    package var summary: String

    package init(name: String, guest: Guest, summary: String) {
        self.name = name
        self.guest = guest
        self.summary = summary
    }
}

/// What a text came to.
package enum Evaluation {
    /// The value of the last statement, nil if it was none worth showing, and warnings.
    case value(ResultValue?, [Diagnostic])
    /// Errors.
    case failed([Diagnostic])
}

/// What a breakpoint's condition came to.
package enum ConditionResult {
    case holds(Bool)
    case failed([Diagnostic])
}

/// A value as the REPL shows it.
package struct ResultValue {
    /// The value as a script would write it.
    package var text: String
    /// The value without quotes if it is a string.
    package var plain: String
    /// The name of its type, with an article.
    package var type: String
    /// The value as JSON; nil for what has none.
    package var json: JSON?
    /// The value if it is an int.
    package var integer: Int128?
    /// The value if it is a list of maps.
    package var table: Table?

    package init(text: String, plain: String, type: String, json: JSON?, integer: Int128?, table: Table? = nil) {
        self.text = text
        self.plain = plain
        self.type = type
        self.json = json
        self.integer = integer
        self.table = table
    }
}
