// The layout of `asm { … }`: labels in one column, instructions in another.

extension ScriptFormatter {
    /// Writes an `asm` block.
    ///
    /// Labels stand at the block's margin. Instructions share a column: the author's, if there is one that leaves
    /// room for the labels, otherwise the first that does.
    mutating func assembly(_ node: SyntaxNode, after gap: Gap) {
        var gap = gap
        var opening: SyntaxToken?
        var pieces: [SyntaxNode.Element] = []
        for element in node.elements {
            switch element {
            case .node(let child) where child.kind == .argumentList: write(child, after: within(spaced: false))
            case .token(let token) where token.kind == .leftBrace:
                opening = token
                write(token, after: Gap(lineBreak: .never, indent: indentOfToken[node.tokenRange.lowerBound]))
            case .token(let token) where token.kind == .rightBrace:
                if let opening { body(pieces, from: opening, to: token, owner: node) }
                write(token, after: Gap(isSpaced: false, lineBreak: .never, indent: 0))
            case .token(let token) where opening == nil: write(token, after: gap)
            case .token, .node: pieces.append(element)
            }
            gap = within(spaced: true)
        }
    }

    private mutating func body(
        _ pieces: [SyntaxNode.Element], from opening: SyntaxToken, to closing: SyntaxToken, owner: SyntaxNode
    ) {
        var lines = lines(of: pieces)
        let isBroken = tree.file.line(at: opening.span.start) != tree.file.line(at: closing.span.start)
        guard isBroken, lines.contains(where: { !$0.isBlank }) else {
            for line in lines { line.text.isEmpty ? () : write(" \(line.text)") }
            return write(" ")
        }
        let base = indentOfToken[owner.tokenRange.lowerBound]
        let layout = AssemblyColumns(lines)
        // A remark behind the brace stays there.
        if let first = lines.first, first.isComment {
            trail(spaces: first.commentGap, sourceColumn: first.commentColumn)
            write(first.comment)
            lines.removeFirst()
        }
        var isAtStart = true
        var blank = false
        for line in lines {
            guard !line.isBlank else {
                blank = !isAtStart
                continue
            }
            let isIndented = line.label.isEmpty && layout.isAtCode(line)
            startLine(blank: blank, indent: base + Self.step + (isIndented ? layout.codeColumn : 0))
            write(line.label)
            if !line.code.isEmpty {
                let start = base + Self.step + layout.codeColumn
                if !line.label.isEmpty { write(String(repeating: " ", count: max(start - column, 1))) }
                write(line.code)
            }
            if !line.comment.isEmpty {
                if !line.isComment { trail(spaces: line.commentGap, sourceColumn: line.commentColumn) }
                write(line.comment)
            }
            blank = false
            isAtStart = false
        }
        startLine(blank: false, indent: base)
    }

    /// The lines of raw text, with what is spliced in laid out.
    private mutating func lines(of pieces: [SyntaxNode.Element]) -> [AssemblyLine] {
        var lines: [AssemblyLine] = []
        var units: [AssemblyUnit] = []
        func finish() {
            lines.append(AssemblyLine(units, column: sourceColumn))
            units = []
        }
        for piece in pieces {
            switch piece {
            case .node(let splice):
                let text = captured { $0.interpolation(splice) }
                units.append(.splice(text, splice.span.start))
            case .token(let token):
                for offset in token.span.range {
                    let byte = tree.file.bytes[offset]
                    if byte == 0x0A { finish() } else { units.append(.byte(byte, offset)) }
                }
            }
        }
        finish()
        return lines
    }
}

/// A byte of raw text or a spliced value, with its place in the source.
private enum AssemblyUnit {
    case byte(UInt8, Int)
    case splice(String, Int)

    var byte: UInt8? { if case .byte(let byte, _) = self { byte } else { nil } }

    var offset: Int {
        switch self {
        case .byte(_, let offset), .splice(_, let offset): offset
        }
    }

    var isSpace: Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }
}

/// One line of an `asm` block, taken apart.
private struct AssemblyLine {
    /// The label with its colon.
    private(set) var label = ""
    /// Instructions and directives, with single spaces outside of quotes.
    private(set) var code = ""
    /// The remark with its `//`.
    private(set) var comment = ""
    /// Columns in the source.
    private(set) var startColumn = 0
    private(set) var codeColumn = 0
    private(set) var commentColumn = 0
    /// How many spaces precede the remark.
    private(set) var commentGap = 0

    var isBlank: Bool { label.isEmpty && code.isEmpty && comment.isEmpty }
    var isComment: Bool { label.isEmpty && code.isEmpty && !comment.isEmpty }
    /// The parts with one space between.
    var text: String { [label, code, comment].filter { !$0.isEmpty }.joined(separator: " ") }

    init(_ units: [AssemblyUnit], column: (Int) -> Int) {
        guard var position = units.firstIndex(where: { !$0.isSpace }) else { return }
        startColumn = column(units[position].offset)
        if let end = Self.labelEnd(units, from: position) {
            label = Self.text(units[position..<end])
            position = units[end...].firstIndex { !$0.isSpace } ?? units.count
        }
        let codeEnd = Self.commentStart(units, from: position)
        code = Self.collapsed(units[position..<codeEnd])
        if !code.isEmpty { codeColumn = column(units[position].offset) }
        guard codeEnd < units.count else { return }
        comment = Self.text(units[codeEnd...].trimmedAtEnd)
        commentColumn = column(units[codeEnd].offset)
        commentGap = units[..<codeEnd].reversed().prefix(while: \.isSpace).count
    }

    /// The end of a label that begins at a position, with its colon; nil if none does.
    private static func labelEnd(_ units: [AssemblyUnit], from start: Int) -> Int? {
        var end = start
        while end < units.count, let byte = units[end].byte, byte.isIdentifierPart || byte == UInt8(ascii: ".") {
            end += 1
        }
        guard end > start, end < units.count, units[end].byte == UInt8(ascii: ":"), units[start].byte?.isDigit == false
        else { return nil }
        return end + 1
    }

    /// Where the remark of a line begins, or its end.
    private static func commentStart(_ units: [AssemblyUnit], from start: Int) -> Int {
        var quotes = AssemblyQuotes()
        for index in start..<units.count {
            let isQuoted = quotes.covers(units, index)
            if !isQuoted, units[index].byte == UInt8(ascii: "/"), index + 1 < units.count,
                units[index + 1].byte == UInt8(ascii: "/")
            {
                return index
            }
        }
        return units.count
    }

    /// Text with runs of white space outside of quotes made one space, and `;` set like a comma.
    private static func collapsed(_ units: ArraySlice<AssemblyUnit>) -> String {
        let units = Array(units.trimmedAtEnd)
        var quotes = AssemblyQuotes()
        var result: [AssemblyUnit] = []
        var isAfterSpace = false
        for (index, unit) in units.enumerated() {
            let isQuoted = quotes.covers(units, index)
            if unit.isSpace, !isQuoted {
                isAfterSpace = true
                continue
            }
            let isSeparator = unit.byte == UInt8(ascii: ";") && !isQuoted
            if isAfterSpace, !isSeparator, !result.isEmpty { result.append(.byte(0x20, unit.offset)) }
            result.append(unit)
            isAfterSpace = isSeparator
        }
        return text(result[...])
    }

    private static func text(_ units: ArraySlice<AssemblyUnit>) -> String {
        var bytes: [UInt8] = []
        for unit in units {
            switch unit {
            case .byte(let byte, _): bytes.append(byte)
            case .splice(let text, _): bytes += text.utf8
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Tells what is inside quotes, in one pass over a line.
private struct AssemblyQuotes {
    /// Whether a double quote is open.
    private var isOpen = false
    /// The unit up to which everything is quoted, whatever it is.
    private var coveredEnd = 0

    /// Whether a unit is part of a quoted text, its quotes included.
    mutating func covers(_ units: [AssemblyUnit], _ index: Int) -> Bool {
        if index < coveredEnd { return true }
        let byte = units[index].byte
        if isOpen {
            if byte == UInt8(ascii: "\\") { coveredEnd = index + 2 }
            if byte == UInt8(ascii: "\"") { isOpen = false }
            return true
        }
        if byte == UInt8(ascii: "\"") {
            isOpen = true
        } else if byte == UInt8(ascii: "'") {
            // A character constant is short; any other apostrophe stands alone.
            let end = units[(index + 1)...].prefix(8).firstIndex { $0.byte == UInt8(ascii: "'") }
            coveredEnd = (end ?? index) + 1
        } else {
            return false
        }
        return true
    }
}

extension ArraySlice<AssemblyUnit> {
    fileprivate var trimmedAtEnd: ArraySlice {
        var rest = self
        while rest.last?.isSpace == true { rest.removeLast() }
        return rest
    }
}

/// Where the instructions of a block begin, relative to its margin.
private struct AssemblyColumns {
    private(set) var codeColumn = 0
    /// The source's column that is the margin now.
    private var margin = 0
    /// The source's column of the instructions, relative to its margin; nil if they have no common one.
    private var sourceCode: Int?

    init(_ lines: [AssemblyLine]) {
        // The first line follows the brace, so its columns tell nothing.
        let placed = lines.dropFirst().filter { !$0.isBlank && !$0.isComment }
        margin = placed.map(\.startColumn).min() ?? 0
        let columns = Set(placed.filter { !$0.code.isEmpty }.map(\.codeColumn))
        if columns.count == 1, let column = columns.first { sourceCode = column - margin }
        let labelled = lines.filter { !$0.label.isEmpty }
        let widest = labelled.filter { !$0.code.isEmpty }.map(\.label.unicodeScalars.count).max()
        if let widest {
            codeColumn = max(sourceCode ?? 0, widest + 1)
        } else if !labelled.isEmpty {
            codeColumn = sourceCode.map { $0 == 0 ? ScriptFormatter.step : $0 } ?? ScriptFormatter.step
        }
    }

    /// Whether a line without a label begins in the instructions' column; remarks may stand at the margin.
    func isAtCode(_ line: AssemblyLine) -> Bool {
        !line.isComment || line.commentColumn > margin && line.commentColumn - margin >= sourceCode ?? 0
    }
}
