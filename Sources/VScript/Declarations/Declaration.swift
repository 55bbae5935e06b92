import VScriptSyntax

/// What a declaration's body has said, before and after the object it declares exists.
package final class Declaration: HostObject {
    package let kind: KindSchema
    /// The name, number or text it is called by.
    package let label: ScriptValue
    /// What it is declared on.
    package let parent: ScriptValue?
    /// The line that introduces it.
    package let header: SourceSpan
    package internal(set) var properties: [String: (value: ScriptValue, span: SourceSpan)] = [:]
    package internal(set) var code: [Assembly] = []
    package internal(set) var children: [Declaration] = []
    package internal(set) var handlers: [Handler] = []
    /// The labels of the `asm` blocks in the body.
    package internal(set) var labels: [CodeLabel] = []
    /// The declaration in whose body it stands directly.
    package internal(set) weak var enclosing: Declaration?
    /// Devices declared in the body, which wait for the guest.
    var devices: [DeviceObject] = []
    /// The names of the body's variables, and functions that read and set all of them; nil if the kind needs them not.
    private(set) var variables: (names: [String], save: Function, restore: Function)?
    /// Whether it is a part of the declaration it stands in.
    var isNested = false

    init(kind: KindSchema, label: ScriptValue, parent: ScriptValue?, header: SourceSpan) {
        self.kind = kind
        self.label = label
        self.parent = parent
        self.header = header
    }

    /// The property by which the compiler hands in the body's variables; no script can name it.
    static let variablesName = "the variables"

    func remember(_ value: ScriptValue) throws {
        guard case .list(let parts) = value, parts.items.count == 3, case .list(let names) = parts.items[0],
            case .function(let save) = parts.items[1], case .function(let restore) = parts.items[2]
        else { return }
        variables = (names.items.map(\.text), save, restore)
    }

    package var typeName: String { kind.article }
    package var text: String { label.isNil ? "<\(kind.name)>" : "<\(kind.name) \(label.text)>" }
    package var memberNames: [String] { kind.memberNames }

    /// A property that has been given, or an event.
    package func member(_ name: String) throws -> ScriptValue? {
        if let property = properties[name] { return property.value }
        if let event = kind.events.first(where: { $0.name == name }) {
            return .function(EventPattern.maker(event, of: nil))
        }
        guard kind.memberNames.contains(name) else { return nil }
        throw HostFailure(
            .usedBeforeDeclaration,
            "`\(name)` is not there yet: the body of a `\(kind.name)` runs before the \(kind.name) exists")
    }

    // MARK: - Properties for those who make the object

    package func integer(_ name: String) -> Int128? {
        if case .int(let value) = properties[name]?.value { value } else { nil }
    }

    package func symbol(_ name: String) -> String? {
        if case .symbol(let name) = properties[name]?.value { name } else { nil }
    }

    package func object(_ name: String) -> (any HostObject)? {
        if case .object(let object) = properties[name]?.value { object } else { nil }
    }

    package func list(_ name: String) -> [ScriptValue]? {
        if case .list(let list) = properties[name]?.value { list.items } else { nil }
    }

    /// Where a property is given, or else the declaration's first line.
    package func span(of name: String) -> SourceSpan { properties[name]?.span ?? header }
}

/// What a handler or `run(until:)` waits for: an event of some object, narrowed by arguments.
package final class EventPattern: TabledObject {
    /// The event with its parameters.
    package let event: Signature
    /// One value for each parameter; nil where anything fits.
    package let arguments: [ScriptValue?]
    /// The object whose event it is; nil in the body of the declaration that makes it.
    package let source: (any EventSource)?

    init(_ event: Signature, _ arguments: [ScriptValue?], of source: (any EventSource)?) {
        self.event = event
        self.arguments = arguments
        self.source = source
    }

    /// The argument of a parameter.
    package subscript(name: String) -> ScriptValue? {
        event.parameters.firstIndex { $0.name == name }.flatMap { arguments[$0] }
    }

    /// The function that makes filters of an event: `guest.exception`.
    package static func maker(_ event: Signature, of source: (any EventSource)?) -> Function {
        Function(event) { .object(EventPattern(event, $0.values, of: source)) }
    }

    package var typeName: String { "an event" }
    package static let members = MemberTable<EventPattern>()
}

/// An object with events that handlers can be installed for.
package protocol EventSource: HostObject {
    /// Has a handler called for each event that its filter lets through.
    func install(_ handler: Handler) throws
}

/// An installed `on event { … }`.
package final class Handler: TabledObject {
    package let filter: EventPattern
    /// Where the handler stands.
    package let span: SourceSpan
    /// What its code does with the event.
    package let use: EventUse
    /// Evaluates the guard and, if it is true, the body.
    private let body: KeptCell
    // SAFETY: the session owns the interpreter, and its handlers are taken out of guests before it goes
    // (`DeclarationMaker.close`); only those who hold an installed handler call it.
    private unowned(unsafe) let interpreter: Interpreter
    /// Takes the handler out; set by the source it was installed in.
    package var remove: (() -> Void)?
    @exclusivity(unchecked) package private(set) var isOff = false

    init(
        _ filter: EventPattern, span: SourceSpan, use: EventUse, body: Cell, in interpreter: Interpreter
    ) {
        self.filter = filter
        self.span = span
        self.use = use
        self.body = KeptCell(body, in: interpreter.heap)
        self.interpreter = interpreter
    }

    /// Calls the handler; what it throws is an error of the script.
    package func callAsFunction(_ event: any HostObject) throws {
        guard !isOff else { return }
        try interpreter.enter(body.cell.closure, with: try interpreter.heap.object(event))
    }

    /// Calls the handler and gives the value of its body, nil if its guard is false.
    package func value(_ event: any HostObject) throws -> ScriptValue {
        guard !isOff else { return .nil }
        return interpreter.heap.value(
            try interpreter.enter(body.cell.closure, with: try interpreter.heap.object(event)))
    }

    /// An object that calls can be given again and again.
    func keep(_ event: any HostObject) throws -> KeptCell {
        KeptCell(try interpreter.heap.object(event), in: interpreter.heap)
    }

    /// Calls the handler with an object that is kept for it.
    func callAsFunction(_ event: KeptCell) throws {
        guard !isOff else { return }
        try interpreter.enter(body.cell.closure, with: event.cell)
    }

    /// Calls a handler that does not look at the event.
    package func callAsFunction() throws {
        guard !isOff else { return }
        try interpreter.enter(body.cell.closure, with: .nil)
    }

    /// Ends the handler for good.
    package func turnOff() {
        guard !isOff else { return }
        isOff = true
        remove?()
    }

    package var typeName: String { "a handler" }
    package static let members = MemberTable<Handler>(
        properties: [Property("isOn", "Whether it is still called.") { .bool(!$0.isOff) }],
        methods: [
            Builtin("off()", "Ends the handler.") { handler, _ in
                handler.turnOff()
                return .nil
            }
        ])
}

/// A label of an `asm` block: a name whose address is known once the guest has been put together.
package final class CodeLabel: TabledObject {
    package let name: String
    package internal(set) var address: UInt64?

    package init(_ name: String) { self.name = name }

    package var typeName: String { "a label" }
    package var text: String { name }
    package static let members = MemberTable<CodeLabel>(
        properties: [
            Property("name", "Its name.") { .string($0.name) },
            Property("address", "Its address.") { label in
                guard let address = label.address else {
                    throw HostFailure(.usedBeforeDeclaration, "`\(label.name)` has no address before the guest exists")
                }
                return .integer(address)
            },
        ])
}

/// The code of an `asm` block with its spliced values.
package final class Assembly: TabledObject {
    /// A stretch of assembler text and where it stands in the script.
    package struct Piece {
        package let text: String
        package let span: SourceSpan
        /// Whether the text is a spliced value, whose span is that of the splice.
        package let isSplice: Bool
    }

    package let pieces: [Piece]
    package let span: SourceSpan
    /// `asm(bits:)`; nil if it follows from where the code is put.
    package let bits: Int?
    /// What `asm(at:)` gives.
    package let origin: UInt64?

    init(pieces: [Piece], span: SourceSpan, bits: Int?, origin: UInt64?) {
        self.pieces = pieces
        self.span = span
        self.bits = bits
        self.origin = origin
    }

    /// The whole text, as the assembler reads it.
    package var source: String { pieces.map(\.text).joined() }

    /// Where a byte of `source` stands in the script.
    package func span(at offset: Int, count: Int = 1) -> SourceSpan {
        var start = 0
        for piece in pieces {
            let length = piece.text.utf8.count
            if offset < start + length || piece.span == pieces.last?.span {
                guard !piece.isSplice else { return piece.span }
                let first = min(piece.span.start + max(offset - start, 0), piece.span.end)
                return SourceSpan(piece.span.file, first..<min(first + count, piece.span.end))
            }
            start += length
        }
        return span
    }

    package var typeName: String { "code" }
    package static let members = MemberTable<Assembly>(
        properties: [
            Property("source", "The text with its spliced values.") { .string($0.source) },
            Property("bytes", "The assembled bytes, for `at:` and `bits:`, or address 0 and 64 bits.") {
                .bytes(try $0.assembled().bytes)
            },
            Property("labels", "The addresses of its labels.") { code in
                .named(
                    try code.assembled().labels.sorted { ($0.value, $0.key) < ($1.value, $1.key) }
                        .map { ($0.key, .integer($0.value)) })
            },
        ],
        methods: [
            Builtin("disassemble()", "The instructions that its bytes are, each with address, bytes and text.") {
                code, arguments in
                try arguments.context.pay(try code.assembled().bytes.count)
                return .object(try code.disassembled())
            }
        ])
}

/// Something that has gone wrong in an object: the script may look at it, or else it is told when the script or test ends.
package protocol UnnoticedFailure: AnyObject {
    /// Whether the script has looked at it, or it has been told.
    var isNoticed: Bool { get set }
    var report: Diagnostic { get }
}

/// What makes the objects that declarations declare.
package protocol DeclarationMaker: AnyObject {
    /// The object of a declaration whose body has run; nested kinds come as its children.
    func make(_ declaration: Declaration, in session: Session) throws -> ScriptValue
    /// What a failed expectation tells about the objects made.
    var notes: [String] { get }
    /// What has gone wrong in objects without the script looking at it.
    var unnoticedFailures: [any UnnoticedFailure] { get }
    /// Lets go of what the objects hold of the session.
    func close()
}
