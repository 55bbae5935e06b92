/// One statement of assembly source: what stands between line ends and semicolons, labels being statements of their own.
struct AssemblyStatement {
    indirect enum Kind {
        /// A label: index of the symbol.
        case label(Int)
        /// A name with its value (`equ`): index of the symbol.
        case constant(Int, AssemblyExpression)
        case instruction(AssemblyInstruction)
        /// `db` and the like: the bytes of an item, and the items.
        case data(unit: Int, items: [AssemblyDataItem])
        /// `resb` and the like: the bytes of an item, and how many.
        case reserve(unit: Int, count: AssemblyExpression)
        /// `align` and `alignb`: the boundary, and what fills the gap (an instruction or data of one byte).
        case align(AssemblyExpression, fill: Kind)
        case origin(AssemblyExpression)
    }

    var kind: Kind
    /// The count of `times`.
    var count: AssemblyExpression?
    /// From the first character, label excluded, to the last.
    var range: Range<Int>
    var mode: CodeMode
}

/// An item of `db dw dd dq dt`.
enum AssemblyDataItem {
    case expression(AssemblyExpression)
    case string([UInt8])
    /// A floating-point number as written, with its sign.
    case float(String, Range<Int>)
    /// `?`: zeros.
    case uninitialized
}

/// An instruction as written.
struct AssemblyInstruction {
    /// Nil if only prefixes are written.
    var mnemonic: Mnemonic?
    var mnemonicRange: Range<Int>
    var prefixes: RequestedPrefixes
    var operands: [AssemblyOperand]
}

extension AssemblyInstruction {
    /// True if the bytes depend neither on symbols nor on the address.
    var isFixed: Bool {
        operands.allSatisfy { operand in
            switch operand.kind {
            case .register: true
            case .immediate(let expression): expression.isLiteral && !canBeRelative
            case .memory(let memory): memory.expression.isLiteral && !memory.isRelativeDemanded
            case .farPointer(let selector, let offset): selector.isLiteral && offset.isLiteral
            }
        }
    }

    private var canBeRelative: Bool {
        mnemonic?.candidates.contains { $0.definition.operands.contains { $0.shape.place == .relative } } ?? false
    }
}

/// An operand as written.
struct AssemblyOperand {
    enum Kind {
        case register(Register)
        case immediate(AssemblyExpression)
        case memory(AssemblyMemory)
        case farPointer(selector: AssemblyExpression, offset: AssemblyExpression)
    }

    var kind: Kind
    var modifiers: OperandModifiers
    var range: Range<Int>
}

/// What stands between brackets.
struct AssemblyMemory {
    var expression: AssemblyExpression
    /// `none` if no segment is written.
    var segment: Register
    /// The width in bits written before the address: of the displacement, or in 16- and 32-bit code of the address.
    var displacementSize: Int?
    /// The width in bits of the address, if `a16`, `a32` or `a64` is written.
    var addressSize: Int?
    /// True for `rel`, or by `default rel`.
    var isRelative: Bool
    /// True if `rel` is written.
    var isRelativeDemanded = false
    /// True for `nosplit`: `[rax*2]` is not to become `[rax+rax]`.
    var keepsIndex: Bool
}

/// A name that stands for a number or an address.
struct AssemblySymbolEntry {
    enum Definition {
        /// Used, but not defined.
        case missing
        case label
        case constant
        /// An address outside the source.
        case external(Int64)
    }

    var name: String
    var definition: Definition = .missing
    /// Where it is defined, or else used first.
    var range: Range<Int>
    /// Index of the defining statement: what stands before it must not use the symbol to count.
    var statement: Int
}

/// The names of one source.
struct AssemblySymbols {
    private(set) var entries: [AssemblySymbolEntry] = []
    private var indices: [String: Int] = [:]

    /// The index of the symbol, which is made if there is none.
    mutating func index(of name: String, usedAt range: Range<Int>) -> Int {
        if let index = indices[name] { return index }
        indices[name] = entries.count
        entries.append(AssemblySymbolEntry(name: name, range: range, statement: .max))
        return entries.count - 1
    }

    /// Defines the symbol; a second definition is a mistake.
    mutating func define(
        _ name: String, as definition: AssemblySymbolEntry.Definition, at range: Range<Int>, statement: Int
    ) throws(SourceMistake) -> Int {
        let index = index(of: name, usedAt: range)
        switch entries[index].definition {
        case .missing: break
        case .label, .constant: throw SourceMistake(range, "`\(name)` is already defined")
        case .external: throw SourceMistake(range, "`\(name)` is already defined elsewhere")
        }
        entries[index].definition = definition
        entries[index].range = range
        entries[index].statement = statement
        return index
    }
}
