import VScriptSyntax
public import VirtualMachine

extension Session {
    /// A guest that scripts have declared, for the engine's own API; the latest if several have the name.
    ///
    /// - Parameter name: The name in its declaration.
    /// - Returns: The machine, which the session keeps alive.
    /// - Throws: A report if no script of the session has declared such a guest.
    public func guest(_ name: String) throws(ScriptError) -> Guest {
        let guests = (maker as? GuestMaker)?.guests ?? []
        if let object = guests.last(where: { $0.name == name }) {
            if let refusal = object.refusal { throw Self.scriptError(refusal) }
            return object.guest
        }
        let guess = Suggestion.closest(to: name, in: guests.map(\.name)).map { "did you mean `\($0)`?" }
        throw ScriptError(
            diagnostic: Diagnostic(
                ScriptCode.unknownName, "no script has declared a guest `\(name)`", notes: guess.map { [$0] } ?? []))
    }
}
