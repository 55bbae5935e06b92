import VScript
import VScriptSyntax
import VirtualMachine

/// The scope of a session of the language.
package final class SessionScope: ScriptScope {
    private let scope: InteractiveScope
    package var focus: ScopedGuest?

    package init(_ session: Session) { scope = InteractiveScope(session) }

    package func evaluate(_ source: SourceFile) -> Evaluation {
        do throws(CompilationError) {
            let event = focus.map { ($0.guest, $0.guest.presentEvent) }
            let outcome = try scope.run(source, at: event)
            return .value(outcome.value.map(Self.result), outcome.warnings)
        } catch {
            return .failed(error.diagnostics)
        }
    }

    package func holds(_ condition: SourceFile, at event: GuestEvent, in guest: Guest) -> ConditionResult {
        do throws(CompilationError) {
            return .holds(try scope.holds(condition, at: event, in: guest))
        } catch {
            return .failed(error.diagnostics)
        }
    }

    package func takeFailure(of guest: Guest) -> Diagnostic? { scope.takeFailure(of: guest) }

    private static func result(_ value: InteractiveValue) -> ResultValue {
        ResultValue(
            text: value.source, plain: value.text, type: value.typeName, json: value.json, integer: value.integer,
            table: value.rows.map(table))
    }

    /// A list of maps as a table whose columns are their keys.
    private static func table(_ rows: [[(key: String, text: String)]]) -> Table {
        var keys: [String] = []
        for row in rows { for cell in row where !keys.contains(cell.key) { keys.append(cell.key) } }
        return Table(
            keys.map { Table.Column($0) },
            rows: rows.map { row in keys.map { key in Table.Cell(row.first { $0.key == key }?.text ?? "") } })
    }

    package var names: [(name: String, summary: String)] { scope.names }
    package func members(of path: [String]) -> [(name: String, summary: String)] { scope.members(of: path) }
    package func documentation(of path: [String]) -> String? { scope.documentation(of: path) }
    package func source(of name: String) -> String? { scope.source(of: name) }

    package var guests: [ScopedGuest] {
        scope.guests.map { name, guest, hypervisor in
            ScopedGuest(name: name, guest: guest, summary: Self.summary(guest.configuration.hypervisor, hypervisor))
        }
    }

    /// `.bare`, or `on vt (.vmx, .nested)`.
    private static func summary(_ configuration: HypervisorConfiguration, _ name: String?) -> String {
        let technique = ".\(configuration.technique.rawValue)"
        guard let name else { return technique }
        let paging = configuration.effectivePaging.map { ", .\($0.rawValue)" } ?? ""
        return "on \(name) (\(technique)\(paging))"
    }

    package var interrupt: @Sendable () -> Void {
        let signal = scope.session.stopSignal
        return { signal.set() }
    }
    package var isWanted: @Sendable () -> Bool {
        let signal = scope.session.stopSignal
        return { !signal.isSet }
    }
    package var isInterrupted: Bool { scope.session.stopSignal.isSet }
    package func clearInterrupt() { scope.session.stopSignal.clear() }
}
