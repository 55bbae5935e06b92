import VScriptSyntax

extension Session {
    /// A module, loaded when it is first imported.
    func module(_ reference: ModuleReference, from span: SourceSpan) throws -> ScriptValue {
        switch reference {
        case .standard(let name):
            if let path = ModuleNames.path(of: name, in: interface.searchPath, files) {
                return try load(path, from: span) { try read(path, from: span) }
            }
            if let module = StandardModules.scripted.first(where: { $0.name == name }) {
                return try load(module.file.name, from: span) { try module.compile() }
            }
            return try native(name)
        case .path(let text):
            let path = HostFile.path(text, besides: span.file.name)
            return try load(path, from: span) { try read(path, from: span) }
        }
    }

    /// A module of Swift.
    private func native(_ name: String) throws -> ScriptValue {
        if let module = modules[name] { return module }
        let object: ModuleObject
        if name == StandardModules.preludeName {
            let heap = interpreter.heap
            let functions = Prelude.index.mapValues { index in
                ScriptValue.function(Function(KeptCell(Cell(.builtin, UInt64(index)), in: heap)))
            }
            object = ModuleObject(name, functions)
        } else {
            let all = StandardModules.native + StandardModules.primitives
            guard let module = all.first(where: { $0.name == name }) else {
                throw HostFailure(.unknownModule, "there is no module `\(name)`")
            }
            object = module.object
        }
        modules[name] = .object(object)
        return .object(object)
    }

    /// Reads and checks the script of a module.
    private func read(_ path: String, from span: SourceSpan) throws -> Program {
        let bytes: [UInt8]
        do throws(HostFailure) {
            bytes = try HostFile.read(path, files)
        } catch {
            throw HostFailure(.moduleFailure, error.message)
        }
        do throws(CompilationError) {
            return try Program(SourceFile(bytes: bytes, named: path), for: interface)
        } catch {
            var report = error.diagnostics.first { $0.severity == .error } ?? error.diagnostics[0]
            report.labels.append(Diagnostic.Label(span, "imported here"))
            throw Interruption.fault(Fault(report))
        }
    }

    /// Runs the script of a module, unless it has been run, and gives what it exports.
    private func load(_ name: String, from span: SourceSpan, _ program: () throws -> Program) throws -> ScriptValue {
        if let module = modules[name] { return module }
        if loading.contains(name) {
            throw HostFailure(
                .moduleFailure, "`\(name)` imports itself",
                notes: [(loading + [name]).joined(separator: " imports ")])
        }
        loading.append(name)
        defer { loading.removeLast() }
        var values: [String: ScriptValue] = [:]
        for (name, cell) in try interpreter.run(try program().code, isModule: true).names where !cell.isUnset {
            values[name] = interpreter.heap.value(cell)
        }
        let module = ScriptValue.object(ModuleObject(name, values))
        modules[name] = module
        return module
    }
}
