import VScriptSyntax

/// A script as bytecode: immutable, and the same for every session that runs it.
final class ProgramCode: Sendable {
    let file: SourceFile
    /// The functions; the first is the script itself.
    let functions: [FunctionCode]
    let constants: [Literal]
    let caches: [MemberSite]
    let calls: [CallSite]
    let records: [[String]]
    let formats: [FormatSpecification]
    let expectations: [ExpectationSite]
    let imports: [ModuleReference]
    let declarations: [DeclarationSite]
    let properties: [String]
    let handlers: [HandlerSite]
    let assemblies: [AssemblySite]
    /// The top-level names and the registers their values lie in when the script has ended.
    let names: [ExportedName]

    /// Whether it reads what guests record of their transitions and leaves it to them when to, as far as its names tell.
    var readsTransitions: Bool {
        let names = Set(caches.map(\.name))
        return names.contains("transitions") && !names.isDisjoint(with: ["rows", "save"])
            && !names.contains("isRecording")
    }

    init(
        file: SourceFile, functions: [FunctionCode], constants: [Literal], caches: [MemberSite], calls: [CallSite],
        records: [[String]], formats: [FormatSpecification], expectations: [ExpectationSite],
        imports: [ModuleReference], declarations: [DeclarationSite], properties: [String], handlers: [HandlerSite],
        assemblies: [AssemblySite], names: [ExportedName]
    ) {
        self.file = file
        self.functions = functions
        self.constants = constants
        self.caches = caches
        self.calls = calls
        self.records = records
        self.formats = formats
        self.expectations = expectations
        self.imports = imports
        self.declarations = declarations
        self.properties = properties
        self.handlers = handlers
        self.assemblies = assemblies
        self.names = names
    }

    /// The same tables with other functions.
    func with(_ functions: [FunctionCode]) -> ProgramCode {
        ProgramCode(
            file: file, functions: functions, constants: constants, caches: caches, calls: calls, records: records,
            formats: formats, expectations: expectations, imports: imports, declarations: declarations,
            properties: properties, handlers: handlers, assemblies: assemblies, names: names)
    }

    /// What the code counts for in a session's heap.
    var size: Int {
        functions.reduce(0) { $0 + $1.code.count * 8 + 64 } + constants.count * 16 + caches.count * 32
    }
}

/// A stretch of the script's text that an instruction belongs to.
struct Place: Sendable, Equatable {
    var start: Int32
    var end: Int32

    init(_ span: SourceSpan) {
        start = Int32(clamping: span.start)
        end = Int32(clamping: span.end)
    }

    func span(in file: SourceFile) -> SourceSpan { SourceSpan(file, Int(start)..<Int(end)) }
}

/// The code of a function, handler or test, or of the script itself.
struct FunctionCode: Sendable {
    var signature: Signature
    /// How many registers a call has; at most 255.
    var registers: Int
    var code: [UInt64]
    /// Where each instruction stands.
    var places: [Place]
    /// Where the operator of an instruction stands, for fixes.
    var operators: [Int: Place]
    /// What a closure takes from the function it is made in.
    var captures: [Capture]
    /// The code that errors are caught in, inner ones first.
    var handlers: [Catch]

    /// A variable that a closure takes along.
    enum Capture: Sendable {
        case register(Int)
        /// One of the enclosing function's own.
        case variable(Int)
        /// The enclosing function itself.
        case current
    }

    /// `try { … } catch`: where errors in a range of instructions go, and the register they are put in.
    struct Catch: Sendable {
        var range: Range<Int>
        var target: Int
        var register: Int
    }
}

/// A value that stands in the script itself.
enum Literal: Sendable {
    case `nil`
    case bool(Bool)
    case int(Int128)
    case float(Double)
    case duration(Int64)
    case string(String)
    /// A string of which there is one per session: a member's or variable's name.
    case name(String)
    case symbol(String)
    case bytes([UInt8])
    case regex(RegularExpression)
    /// A function of the prelude, by its index.
    case builtin(Int)
    /// The box of a host's value, by its name.
    case global(String)

    var value: ScriptValue {
        switch self {
        case .nil: .nil
        case .bool(let value): .bool(value)
        case .int(let value): .int(value)
        case .float(let value): .float(value)
        case .duration(let value): .duration(value)
        case .string(let value), .name(let value): .string(value)
        case .symbol(let value): .symbol(value)
        case .bytes(let value): .bytes(value)
        case .regex(let value): .regex(value)
        case .builtin, .global: .nil
        }
    }
}

/// A place where a member is read, set or called.
struct MemberSite: Sendable {
    let name: String
    /// The call that the member is for; nil if it is not called.
    let call: Int?
}

/// A place where a function is called.
struct CallSite: Sendable {
    /// A label for each argument, or none at all.
    let labels: [String?]
    let places: [Place]
}

/// `expect`: where its parts stand and in which registers their values are.
struct ExpectationSite: Sendable {
    let place: Place
    let captures: [Capture]

    /// A part, and where it is.
    struct Capture: Sendable {
        let place: Place
        let register: Int
        /// A register that holds no value if the part was not evaluated with what is around it.
        let condition: Int?
    }
}

/// A declaration that is the same each time its code runs.
struct DeclarationSite: Sendable {
    let kind: KindSchema
    let labels: [String]
    let header: Place
    let hasParent: Bool
    /// Whether it stands in the body of another one.
    let isNested: Bool
}

/// What the code of a handler does with its event, which decides how much must be made for it.
package enum EventUse: Sendable {
    /// It does not look at it.
    case nothing
    /// It looks at registers, which are the processor's.
    case registers
    /// It looks at it while it runs.
    case looks
    /// It may keep it for longer.
    case kept
}

/// `on event { … }`.
struct HandlerSite: Sendable {
    let place: Place
    let filter: Place
    /// Whether it stands directly in a declaration's body.
    let isNested: Bool
    let use: EventUse
}

/// `asm { … }`: stretches of text and spliced values in turn, then the arguments.
struct AssemblySite: Sendable {
    enum Segment: Sendable {
        case text(Place)
        case splice(Place)
    }

    let segments: [Segment]
    let call: CallSite
}

/// A name that importing scripts see.
struct ExportedName: Sendable {
    let name: String
    let register: Int
    /// Whether the register holds a box.
    let isShared: Bool
}

/// What `import` names.
enum ModuleReference: Sendable {
    case standard(String)
    /// A path, relative to the importing file.
    case path(String)
}
