import VScriptSyntax

/// The modules that are part of the library.
///
/// Those that make boot images are of Swift; the others are written in vscript (`stdlib`), over primitives of Swift.
enum StandardModules {
    /// A module of Swift.
    struct Module: Sendable {
        let name: String
        let summary: String
        let functions: [Builtin<Void>]

        /// The module as scripts hold it.
        var object: ModuleObject {
            let values = functions.map { builtin in
                (builtin.signature.name, ScriptValue.function(builtin.function))
            }
            return ModuleObject(name, Dictionary(values) { $1 })
        }
    }

    /// Modules of Swift that every script may import.
    static let native: [Module] = [linux, multiboot, flat]

    /// Modules of Swift that only modules of the library import: what the language cannot express.
    static let primitives: [Module] = [hostArguments, hostFile, hostJSON, hostMath, hostRegex]

    /// The module of the functions that every script has, for modules that have functions of the same names.
    static let preludeName = "host.prelude"

    /// The modules that are written in vscript.
    static let scripted: [ScriptedModule] = EmbeddedModules.sources.map { ScriptedModule($0.name, $0.text) }

    /// What scripts may import.
    static let names = Set(native.map(\.name) + EmbeddedModules.sources.map(\.name))
}

/// A module of the library that is written in vscript.
struct ScriptedModule: Sendable {
    let name: String
    let file: SourceFile

    /// What the names of the library's files begin with.
    static let filePrefix = "stdlib:"

    init(_ name: String, _ text: String) {
        self.name = name
        file = SourceFile(text, named: Self.filePrefix + name)
    }

    /// Whether a file is part of the library: errors in it are told where a script has called it.
    static func contains(_ file: SourceFile) -> Bool { file.name.hasPrefix(filePrefix) }

    /// The module's code.
    func compile() throws(CompilationError) -> Program {
        let primitives = StandardModules.primitives.map(\.name) + [StandardModules.preludeName]
        return try Program(file, for: .none, modules: ModuleNames(StandardModules.names.union(primitives)))
    }
}

/// The texts of the library's modules, for tests and tools.
package enum StandardLibrary {
    /// The text of each module that is written in vscript, by its name.
    package static let texts = Dictionary(EmbeddedModules.sources.map { ($0.name, $0.text) }) { $1 }
}

/// The modules that a script may import by name.
struct ModuleNames {
    /// Those of the library.
    let library: Set<String>
    /// Directories whose scripts are modules too; they come first.
    let searchPath: [String]

    init(_ library: Set<String> = StandardModules.names, searchPath: [String] = []) {
        self.library = library
        self.searchPath = searchPath
    }

    func contains(_ name: String) -> Bool {
        library.contains(name) || Self.path(of: name, in: searchPath, .all) != nil
    }

    /// The file of a module in the first of the directories that holds it.
    static func path(of name: String, in directories: [String], _ files: Files) -> String? {
        let file = name.replacing(".", with: "/") + ".vscript"
        return directories.lazy.map { $0.hasSuffix("/") ? $0 + file : "\($0)/\(file)" }
            .first { HostFile.exists($0, files) }
    }
}
