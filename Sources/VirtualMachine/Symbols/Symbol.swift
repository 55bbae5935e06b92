/// A name for an address.
public struct Symbol: Equatable, Sendable {
    /// What lies at the address.
    public enum Kind: UInt8, Sendable {
        case code, data
        /// Nothing is known about it: a label, or a symbol without a type.
        case label
        /// A number, not an address that the processor uses; such as an offset into a per-CPU area.
        case absolute
    }

    /// The name, with control characters replaced by `?`.
    public var name: String
    /// The address where it runs, that is with the slide of its file.
    public var address: UInt64
    /// The size in bytes; 0 if unknown.
    public var size: UInt64
    /// What lies there.
    public var kind: Kind
    /// The name of the file, or of the other source, that it is from.
    public var source: String

    /// Makes a symbol.
    public init(name: String, address: UInt64, size: UInt64 = 0, kind: Kind = .label, source: String = "") {
        self.name = name
        self.address = address
        self.size = size
        self.kind = kind
        self.source = source
    }
}

/// Where in a symbol an address is.
public struct SymbolPosition: Equatable, Sendable, CustomStringConvertible {
    /// The symbol at or before the address.
    public var symbol: Symbol
    /// The distance from its start in bytes.
    public var offset: UInt64

    /// Makes a position.
    public init(symbol: Symbol, offset: UInt64) {
        self.symbol = symbol
        self.offset = offset
    }

    /// `name`; behind its start `name+2`, and from 10 on `name+0x12`.
    public var description: String {
        if offset == 0 { return symbol.name }
        return symbol.name + "+" + (offset < 10 ? String(offset) : hexText(offset))
    }
}

/// A line of a source file.
public struct SourceLocation: Hashable, Sendable, CustomStringConvertible {
    /// The path as the compiler recorded it.
    public var file: String
    /// The line, from 1; 0 if the code belongs to no line.
    public var line: UInt32

    /// Makes a location.
    public init(file: String, line: UInt32) {
        self.file = file
        self.line = line
    }

    /// `file:line`.
    public var description: String { "\(file):\(line)" }
}

/// Why symbols cannot be had.
public enum SymbolError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A file cannot be used; the text names file, field and numbers.
    case file(String)
    /// The guest's memory does not hold what was looked for.
    case memory(String)
    /// The task was cancelled.
    case interrupted

    /// One line, without a period at its end.
    public var description: String {
        switch self {
        case .file(let text), .memory(let text): text
        case .interrupted: Interrupted.text
        }
    }
}
