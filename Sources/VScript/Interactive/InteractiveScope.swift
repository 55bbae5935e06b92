import VScriptSyntax
import VirtualMachine

/// A scope in which one text after another is run, as at a prompt: what one declares, the next can use.
///
/// Every top-level name lies in a box that outlives its text. A name may be declared again; functions that used the
/// old one keep it.
package final class InteractiveScope {
    package let session: Session
    /// The names, each by its last declaration.
    private var globals: [String: Global] = [:]
    /// The names in the order of their first declaration.
    private var order: [String] = []
    /// Conditions by their text, which are compiled once for the names there are.
    private var compiled: [String: (code: ProgramCode, names: Int)] = [:]
    private var generation = 0

    /// A declared name with the box of its value.
    private final class Global {
        let binding: Binding
        let box: KeptCell
        /// The text that declared it, with the comment before it.
        let source: (text: String, documentation: String?)?

        init(_ binding: Binding, _ box: KeptCell, source: (text: String, documentation: String?)?) {
            self.binding = binding
            self.box = box
            self.source = source
        }
    }

    package init(_ session: Session) {
        self.session = session
        (session.maker as? GuestMaker)?.refusesAtOnce = true
    }

    private var heap: Heap { session.interpreter.heap }
    private var modules: ModuleNames { ModuleNames(searchPath: session.interface.searchPath) }

    // MARK: - Running

    /// What a text came to.
    package struct Outcome {
        /// The value of its last statement, if that is an expression.
        package var value: InteractiveValue?
        package var warnings: [Diagnostic]
    }

    /// Runs a text.
    ///
    /// - Parameters:
    ///   - file: The text.
    ///   - event: The guest and event that `$rax` and `event` mean; without one they are errors.
    /// - Returns: Its value.
    /// - Throws: All reports against it.
    package func run(
        _ file: SourceFile, at event: (guest: Guest, event: GuestEvent)? = nil
    ) throws(CompilationError) -> Outcome {
        var bindings = globals.values.map { ($0.binding, $0.box) }
        if let predefined = try predefined(event) { bindings.append(predefined) }
        let program = try InteractiveProgram(file, globals: bindings.map(\.0), modules: modules)
        let result = session.interpreter.run(program.code, boxes: bindings.map(\.1.cell))
        // Also what stood before an error stays.
        for (name, box) in result.names where box.kind == .box && !box.box.pointee.value.isUnset {
            guard let binding = program.names.first(where: { $0.name == name }) else { continue }
            binding.isReady = true
            declare(Global(binding, KeptCell(box, in: heap), source: program.sources[name]))
        }
        switch result.value {
        case .success(let cell):
            guard program.hasValue, cell.kind != .unset else { return Outcome(value: nil, warnings: program.warnings) }
            let value = InteractiveValue(cell, in: heap)
            if cell.kind != .nil { remember(cell) }
            return Outcome(value: cell.kind == .nil ? nil : value, warnings: program.warnings)
        case .failure(let error): throw CompilationError(diagnostics: program.warnings + [Self.report(error)])
        }
    }

    /// Evaluates a condition at an event; throws the reports against it.
    package func holds(
        _ file: SourceFile, at event: GuestEvent, in guest: Guest
    ) throws(CompilationError) -> Bool {
        var bindings = order.compactMap { globals[$0] }.map { ($0.binding, $0.box) }
        if let predefined = try predefined((guest, event)) { bindings.append(predefined) }
        let code: ProgramCode
        if let known = compiled[file.text], known.names == generation {
            code = known.code
        } else {
            code = try InteractiveProgram(file, globals: bindings.map(\.0), modules: modules).code
            compiled[file.text] = (code, generation)
        }
        switch session.interpreter.run(code, boxes: bindings.map(\.1.cell)).value {
        case .success(let cell):
            guard cell.kind == .bool else {
                throw CompilationError(diagnostics: [
                    Diagnostic(
                        ScriptCode.notBool, "a condition is `true` or `false`, not \(heap.typeName(cell))",
                        at: SourceSpan(file, 0..<file.bytes.count))
                ])
            }
            return cell.bool
        case .failure(let error): throw CompilationError(diagnostics: [Self.report(error)])
        }
    }

    /// What a handler, device or timer of a guest has thrown while something else than a text ran it; told once.
    package func takeFailure(of guest: Guest) -> Diagnostic? {
        objects.first { $0.guest === guest }?.takeFailure().map(Self.report)
    }

    private static func report(_ error: any Error) -> Diagnostic {
        switch error {
        case Interruption.fault(let fault): fault.report
        case let failure as HostFailure: Diagnostic(failure.code, failure.message, notes: failure.notes)
        case _: Diagnostic(ScriptCode.uncaught, "\(error)")
        }
    }

    /// The variable `event`, whose processor `$rax` belongs to.
    private func predefined(
        _ event: (guest: Guest, event: GuestEvent)?
    ) throws(CompilationError) -> (Binding, KeptCell)? {
        guard let event, let object = objects.first(where: { $0.guest === event.guest }) else { return nil }
        let place = SourceSpan(SourceFile("", named: "<host>"), 0..<0)
        let binding = Binding(name: "event", kind: .predefined, span: place, isReady: true)
        binding.isCaptured = true
        binding.isAssigned = true
        do throws(HostFailure) {
            let cell = try heap.cell(.object(EventObject(event.event, guest: object, handler: nil)))
            let kept = KeptCell(cell, in: heap)
            return (binding, KeptCell(try heap.box(kept.cell), in: heap))
        } catch {
            throw CompilationError(diagnostics: [Diagnostic(error.code, error.message, notes: error.notes)])
        }
    }

    // MARK: - Names

    private func declare(_ global: Global) {
        let name = global.binding.name
        if globals[name] == nil { order.append(name) }
        globals[name] = global
        generation += 1
    }

    /// Makes `_` the last result and `__` the one before.
    private func remember(_ cell: Cell) {
        let kept = KeptCell(cell, in: heap)
        if let last = globals["_"] { define("__", last.box.cell.box.pointee.value) }
        define("_", kept.cell)
    }

    private func define(_ name: String, _ cell: Cell) {
        if let known = globals[name], known.box.cell.kind == .box {
            known.box.cell.box.pointee.value = cell
            return
        }
        let place = SourceSpan(SourceFile("", named: "<host>"), 0..<0)
        let binding = Binding(name: name, kind: .constant, span: place, isReady: true)
        binding.isCaptured = true
        binding.isAssigned = true
        // Without room for it there is no last result.
        guard let box = try? heap.box(cell) else { return }
        declare(Global(binding, KeptCell(box, in: heap), source: nil))
    }

    /// Names that a text may use, with one line about each: the declared, then those that every script has.
    package var names: [(name: String, summary: String)] {
        order.map { name in (name, globals[name].map(summary) ?? "") }
            + Prelude.functions.map { ($0.signature.name, $0.summary) }
    }

    private func summary(_ global: Global) -> String {
        let documentation = global.source?.documentation?.split(separator: "\n").first.map(String.init)
        let value = global.box.cell.box.pointee.value
        return documentation ?? String(heap.source(value).prefix(60))
    }

    /// The guests, in the order of their declaration, with the names of their hypervisors.
    package var guests: [(name: String, guest: Guest, hypervisor: String?)] {
        objects.map { ($0.name, $0.guest, $0.hypervisor?.name) }
    }

    private var objects: [GuestObject] { (session.maker as? GuestMaker)?.guests ?? [] }

    // MARK: - Looking

    /// The members of what a path of names leads to, with one line about each; properties are read, nothing is called.
    package func members(of path: [String]) -> [(name: String, summary: String)] {
        guard let value = value(of: path) else { return [] }
        return MemberSummaries.of(value)
    }

    /// What there is to read about a name or a path of names.
    package func documentation(of path: [String]) -> String? {
        guard let last = path.last else { return nil }
        if path.count == 1 {
            if let global = globals[last] {
                let value = global.box.cell.box.pointee.value
                return ([global.source?.documentation, "\(last) is \(heap.typeName(value)): \(heap.source(value))"])
                    .compactMap { $0 }.joined(separator: "\n")
            }
            if let builtin = Prelude.functions.first(where: { $0.signature.name == last }) {
                return "\(builtin.signature.text)\n  \(builtin.summary)"
            }
            return Schema.standard.kinds[last].map(Self.documentation)
        }
        let members = members(of: Array(path.dropLast()))
        return members.first { $0.name == last }.map { "\(path.joined(separator: "."))\n  \($0.summary)" }
    }

    private static func documentation(_ kind: KindSchema) -> String {
        let width = kind.properties.map(\.name.count).max() ?? 0
        return
            (["\(kind.name)  \(kind.summary)"]
            + kind.properties.map { property in
                "  \(property.name)\(String(repeating: " ", count: width - property.name.count))  \(property.summary)"
            }).joined(separator: "\n")
    }

    /// The text that declared a name.
    package func source(of name: String) -> String? { globals[name]?.source?.text }

    private func value(of path: [String]) -> ScriptValue? {
        guard let first = path.first, let global = globals[first] else { return nil }
        var value = heap.value(global.box.cell.box.pointee.value)
        for name in path.dropFirst() {
            switch value {
            case .object(let object):
                guard let next = try? object.member(name) else { return nil }
                value = next
            case .nil, .bool, .int, .float, .duration, .string, .symbol, .bytes, .range, .regex, .list, .map,
                .function:
                return nil
            }
        }
        return value
    }
}

/// A value as a prompt shows it.
package struct InteractiveValue {
    /// The value as a script would write it.
    package let source: String
    /// The value as `print` writes it.
    package let text: String
    /// The name of its type, with an article.
    package let typeName: String
    /// The value as JSON; nil for what has none.
    package let json: JSON?
    /// The value if it is an int.
    package let integer: Int128?
    /// The rows of a list of maps: keys and texts.
    package let rows: [[(key: String, text: String)]]?

    init(_ cell: Cell, in heap: Heap) {
        source = heap.source(cell)
        let value = heap.value(cell)
        text = value.text
        typeName = value.typeName
        json = try? Value(cell, in: heap).json()
        integer = if case .int(let number) = value { number } else { nil }
        rows = Self.rows(cell, in: heap)
    }

    private static func rows(_ cell: Cell, in heap: Heap) -> [[(key: String, text: String)]]? {
        guard cell.kind == .list, !cell.list.buffer.isEmpty else { return nil }
        var rows: [[(key: String, text: String)]] = []
        for item in cell.list.buffer {
            guard item.kind == .map else { return nil }
            var row: [(key: String, text: String)] = []
            for position in 0..<item.map.pointee.used {
                guard let (key, value) = heap.entry(at: position, of: item.map) else { continue }
                row.append((heap.value(key).text, heap.value(value).text))
            }
            rows.append(row)
        }
        return rows
    }
}

/// What completion says about the members of values.
enum MemberSummaries {
    static func of(_ value: ScriptValue) -> [(name: String, summary: String)] {
        guard case .object(let object) = value else { return [] }
        let summaries = (object as? any TabledObject).map { table($0) } ?? [:]
        return object.memberNames.sorted().map { ($0, summaries[$0] ?? "") }
    }

    private static func table<Object: TabledObject>(_ object: Object) -> [String: String] {
        var summaries = Object.members.properties.mapValues(\.summary)
        for (name, method) in Object.members.methods { summaries[name] = "\(method.signature.text)  \(method.summary)" }
        return summaries
    }
}
