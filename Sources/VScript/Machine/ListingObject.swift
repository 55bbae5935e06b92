import VirtualMachine

/// Rows that scripts look at one by one or show as lines: disassembly, a backtrace, a page walk.
final class ListingObject: HostObject {
    private let rows: [ScriptValue]
    private let lines: [String]
    /// What it says besides its rows.
    private let extra: [(name: String, value: ScriptValue)]

    init(_ rows: [ScriptValue], lines: [String], extra: [(name: String, value: ScriptValue)] = []) {
        self.rows = rows
        self.lines = lines
        self.extra = extra
    }

    var typeName: String { "a listing" }
    var text: String { lines.joined(separator: "\n") }
    var memberNames: [String] { Self.table.names + extra.map(\.name) }

    func member(_ name: String) throws -> ScriptValue? {
        if let found = extra.first(where: { $0.name == name }) { return found.value }
        return try Self.table.get(name, of: self)
    }

    func element(_ key: ScriptValue) throws -> ScriptValue? {
        guard case .int(let number) = key, let index = Int(exactly: number) else {
            throw HostFailure(.wrongType, "a row is chosen by its number, not by \(key.typeName)")
        }
        guard rows.indices.contains(index) else {
            throw HostFailure(.outOfRange, "there is no row \(index): it has \(rows.count)")
        }
        return rows[index]
    }

    static let table = MemberTable<ListingObject>(
        properties: [
            Property("count", "How many rows it has.") { .integer($0.rows.count) },
            Property("rows", "The rows as a list of maps.") { .items($0.rows) },
            Property("lines", "The rows as texts.") { .items($0.lines.map(ScriptValue.string)) },
        ],
        methods: [
            Builtin("show()", "Writes the rows, a line for each.") { listing, arguments in
                for line in listing.lines { arguments.context.write(line + "\n") }
                return .nil
            }
        ])
}

extension ListingObject {
    /// Instructions: address, nearest name, bytes, text.
    convenience init(_ instructions: [DisassembledInstruction], of guest: GuestObject? = nil) {
        func place(_ address: UInt64) -> String { guest?.place(address) ?? hexadecimal(address) }
        self.init(
            instructions.map {
                .named([
                    "address": .integer($0.address), "place": .string(place($0.address)),
                    "bytes": .bytes($0.bytes), "text": .string($0.text),
                ])
            },
            lines: instructions.map { instruction in
                let bytes = instruction.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
                let place = place(instruction.address)
                let address = hexadecimal(instruction.address)
                return "\(address)\(place == address ? "" : " \(place)")".padded(to: 40)
                    + bytes.joined(separator: " ").padded(to: 32) + instruction.text
            })
    }

    /// Kernel code beside its translation: the guest's instruction, and what stands for it; what is marked with `+` counts
    /// as none of the guest's.
    convenience init(_ translation: Translation, of guest: GuestObject) {
        func code(_ code: DisassembledInstruction) -> ScriptValue {
            .named(["address": .integer(code.address), "bytes": .bytes(code.bytes), "text": .string(code.text)])
        }
        var lines: [String] = []
        for row in translation.rows {
            let source = row.source.map { "\(guest.place($0.address))".padded(to: 30) + $0.text } ?? "(stubs)"
            for (index, instruction) in row.translated.enumerated() {
                lines.append(
                    (index == 0 ? source : "").padded(to: 64)
                        + "\(hexadecimal(instruction.code.address)) \(instruction.isHidden ? "+" : " ") "
                        + instruction.code.text)
            }
            if row.translated.isEmpty { lines.append(source) }
        }
        self.init(
            translation.rows.map { row in
                .named([
                    "source": row.source.map(code) ?? .nil,
                    "translated": .items(
                        row.translated.map {
                            .named([
                                "address": .integer($0.code.address), "bytes": .bytes($0.code.bytes),
                                "text": .string($0.code.text), "isHidden": .bool($0.isHidden),
                            ])
                        }),
                ])
            }, lines: lines)
    }

    /// Functions that have not returned, the innermost first.
    convenience init(_ frames: [BacktraceFrame]) {
        self.init(
            frames.map { frame in
                .named([
                    "address": .integer(frame.address),
                    "place": frame.position.map { .string($0.description) } ?? .nil,
                    "location": frame.location.map { .string($0.description) } ?? .nil,
                    "stack": .integer(frame.stackPointer), "ring": .integer(frame.ring),
                    "method": .symbol(frame.method.rawValue), "isGuess": .bool(frame.isGuess),
                ])
            }, lines: frames.enumerated().map { "#\($0.offset)".padded(to: 4) + $0.element.description })
    }

    /// The paging-structure entries of a translation, with its verdict.
    convenience init(_ walk: PageWalk) {
        self.init(
            walk.steps.map {
                .named([
                    "name": .string($0.name), "level": .integer($0.level), "address": .integer($0.address),
                    "entry": .integer($0.entry), "flags": .items($0.flags.map(ScriptValue.symbol)),
                ])
            }, lines: walk.description.split(separator: "\n").map(String.init),
            extra: [
                ("linear", .integer(walk.linear)), ("physical", walk.physical.map { .integer($0) } ?? .nil),
                ("verdict", .string(walk.verdict)),
            ])
    }
}

extension String {
    /// The text with blanks behind it up to a width, and one at least.
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(1, width - count)) }
}
