extension AssemblyParser {
    // MARK: - Operands

    mutating func parseOperand() throws(SourceMistake) -> AssemblyOperand {
        let start = current.range.lowerBound
        let modifiers = try parseModifiers()
        let kind: AssemblyOperand.Kind
        if current.kind == .symbol(.leftBracket) {
            kind = .memory(try parseMemory(segment: .none))
        } else if let word, let register = RegisterNames.register(named: word), register.class == .segment,
            next.kind == .symbol(.colon)
        {
            advance()
            advance()
            guard current.kind == .symbol(.leftBracket) else {
                throw SourceMistake(
                    current.range, "an address in brackets is expected after `\(register):`",
                    hint: "[\(register):address]")
            }
            kind = .memory(try parseMemory(segment: register))
        } else {
            let expression = try parseExpression()
            if take(.colon) {
                kind = .farPointer(selector: expression, offset: try parseExpression())
            } else if let register = expression.soleRegister {
                kind = .register(register)
            } else {
                kind = .immediate(expression)
            }
        }
        return AssemblyOperand(kind: kind, modifiers: modifiers, range: start..<previousEnd)
    }

    private mutating func parseModifiers() throws(SourceMistake) -> OperandModifiers {
        var modifiers = OperandModifiers()
        while let word {
            guard let keyword = OperandKeyword(rawValue: word) else {
                try refuseForeignKeyword(word)
                break
            }
            switch keyword {
            case .byte, .word, .dword, .qword, .tword, .oword:
                if modifiers.size != nil { throw SourceMistake(current.range, "the size is given twice") }
                modifiers.size = keyword.size
            case .short: modifiers.distance = .short
            case .near: modifiers.distance = .near
            case .far: modifiers.distance = .far
            case .strict: modifiers.isStrict = true
            case .to: modifiers.isDestination = true
            case .rel, .abs, .nosplit:
                throw SourceMistake(current.range, "`\(word)` belongs between brackets", hint: "[\(word) address]")
            }
            advance()
        }
        return modifiers
    }

    private func refuseForeignKeyword(_ word: String) throws(SourceMistake) {
        switch word {
        case "ptr":
            throw SourceMistake(current.range, "`ptr` is not needed", hint: "write `dword [address]`", replacement: "")
        case "offset" where next.kind != .endOfLine && !Self.continuesExpression(next.kind):
            throw SourceMistake(
                current.range, "`offset` is not needed", hint: "a label without brackets is its address",
                replacement: "")
        case "tbyte":
            throw SourceMistake(
                current.range, "unknown size `tbyte`", hint: "did you mean `tword`?", replacement: "tword")
        case "yword", "zword":
            throw SourceMistake(current.range, "there are no operands of this size")
        default:
            break
        }
    }

    private static func continuesExpression(_ kind: AssemblyToken.Kind) -> Bool {
        switch kind {
        case .symbol(let symbol): symbol != .leftBracket && symbol != .leftParenthesis
        case .endOfLine, .semicolon: true
        case .name, .number, .float, .string, .invalid: false
        }
    }

    private mutating func parseMemory(segment: Register) throws(SourceMistake) -> AssemblyMemory {
        let bracket = current.range
        advance()
        var memory = AssemblyMemory(
            expression: AssemblyExpression(steps: [], range: bracket), segment: segment,
            isRelative: isRelativeByDefault,
            keepsIndex: false)
        while let word {
            if let keyword = OperandKeyword(rawValue: word) {
                switch keyword {
                case .byte, .word, .dword, .qword:
                    memory.displacementSize = keyword.size
                case .rel: (memory.isRelative, memory.isRelativeDemanded) = (true, true)
                case .abs: memory.isRelative = false
                case .nosplit: memory.keepsIndex = true
                case .tword, .oword, .short, .near, .far, .strict, .to:
                    throw SourceMistake(current.range, "`\(word)` cannot stand between brackets")
                }
                advance()
            } else if let size = AssemblyPrefix(rawValue: word)?.addressSize {
                memory.addressSize = size
                advance()
            } else if let register = RegisterNames.register(named: word), next.kind == .symbol(.colon) {
                guard register.class == .segment else {
                    throw SourceMistake(current.range, "`\(word)` is not a segment register")
                }
                guard memory.segment == .none else {
                    throw SourceMistake(current.range, "the segment is given twice")
                }
                memory.segment = register
                advance()
                advance()
            } else {
                break
            }
        }
        if current.kind == .symbol(.rightBracket) { throw SourceMistake(current.range, "address expected") }
        memory.expression = try parseExpression()
        guard take(.rightBracket) else {
            throw SourceMistake(current.range, "`]` expected", hint: "the address began with `[`")
        }
        return memory
    }

    // MARK: - Expressions

    /// Binding strengths as in NASM's manual, section 3.5 "Expressions"; unlike C's, bit operators bind tighter than
    /// comparisons.
    private static func binaryOperator(
        _ symbol: AssemblySymbol
    ) -> (operation: AssemblyExpression.BinaryOperator, strength: Int)? {
        switch symbol {
        case .logicalOr: (.logicalOr, 1)
        case .logicalExclusiveOr: (.logicalExclusiveOr, 2)
        case .logicalAnd: (.logicalAnd, 3)
        case .equal, .singleEqual: (.equal, 4)
        case .notEqual, .unequal: (.notEqual, 4)
        case .less: (.less, 4)
        case .lessOrEqual: (.lessOrEqual, 4)
        case .greater: (.greater, 4)
        case .greaterOrEqual: (.greaterOrEqual, 4)
        case .or: (.or, 5)
        case .exclusiveOr: (.exclusiveOr, 6)
        case .and: (.and, 7)
        case .shiftLeft: (.shiftLeft, 8)
        case .shiftRight: (.shiftRight, 8)
        case .signedShiftRight: (.signedShiftRight, 8)
        case .plus: (.add, 9)
        case .minus: (.subtract, 9)
        case .times: (.multiply, 10)
        case .divide: (.divide, 10)
        case .remainder: (.remainder, 10)
        case .signedRemainder: (.signedRemainder, 10)
        case .comma, .colon, .leftBracket, .rightBracket, .leftParenthesis, .rightParenthesis, .complement, .not,
            .question, .dollar, .doubleDollar:
            nil
        }
    }

    mutating func parseExpression() throws(SourceMistake) -> AssemblyExpression {
        let start = current.range.lowerBound
        var steps: [AssemblyExpression.Step] = []
        try parseConditional(into: &steps)
        return AssemblyExpression(steps: steps, range: start..<previousEnd)
    }

    private mutating func enter() throws(SourceMistake) {
        depth += 1
        if depth > 200 { throw SourceMistake(current.range, "this expression is nested too deeply") }
    }

    private mutating func parseConditional(into steps: inout [AssemblyExpression.Step]) throws(SourceMistake) {
        try enter()
        let start = current.range.lowerBound
        try parseBinary(strength: 1, into: &steps)
        if take(.question) {
            try parseConditional(into: &steps)
            try expect(.colon, "between the two values")
            try parseConditional(into: &steps)
            steps.append(.init(node: .conditional, range: start..<previousEnd))
        }
        depth -= 1
    }

    private mutating func parseBinary(
        strength: Int, into steps: inout [AssemblyExpression.Step]
    ) throws(SourceMistake) {
        try enter()
        let start = current.range.lowerBound
        try parseUnary(into: &steps)
        while case .symbol(let symbol) = current.kind, let found = Self.binaryOperator(symbol),
            found.strength >= strength
        {
            advance()
            try parseBinary(strength: found.strength + 1, into: &steps)
            steps.append(.init(node: .binary(found.operation), range: start..<previousEnd))
        }
        depth -= 1
    }

    private mutating func parseUnary(into steps: inout [AssemblyExpression.Step]) throws(SourceMistake) {
        var operators: [(AssemblyExpression.UnaryOperator, Int)] = []
        scan: while case .symbol(let symbol) = current.kind {
            let start = current.range.lowerBound
            switch symbol {
            case .minus: operators.append((.negate, start))
            case .complement: operators.append((.complement, start))
            case .not: operators.append((.not, start))
            case .plus: break
            case .comma, .colon, .leftBracket, .rightBracket, .leftParenthesis, .rightParenthesis, .times, .divide,
                .remainder, .signedRemainder, .shiftLeft, .shiftRight, .signedShiftRight, .and, .or, .exclusiveOr,
                .logicalAnd, .logicalOr, .logicalExclusiveOr, .equal, .singleEqual, .notEqual, .unequal, .less,
                .lessOrEqual, .greater, .greaterOrEqual, .question, .dollar, .doubleDollar:
                break scan
            }
            advance()
        }
        try parsePrimary(into: &steps)
        for (operation, start) in operators.reversed() {
            steps.append(.init(node: .unary(operation), range: start..<previousEnd))
        }
    }

    private mutating func parsePrimary(into steps: inout [AssemblyExpression.Step]) throws(SourceMistake) {
        let range = current.range
        let node: AssemblyExpression.Node
        switch current.kind {
        case .number(let number): node = .number(Int64(bitPattern: number))
        case .string(let bytes): node = .number(try Self.characterConstant(bytes, at: range))
        case .name(let name): node = try nameNode(name, at: range)
        case .symbol(.dollar): node = .here
        case .symbol(.doubleDollar): node = .start
        case .symbol(.leftParenthesis):
            advance()
            try parseConditional(into: &steps)
            guard take(.rightParenthesis) else {
                throw SourceMistake(current.range, "`)` expected", hint: "a parenthesis is still open")
            }
            return
        case .float:
            throw SourceMistake(range, "a floating-point number can only stand in `dd`, `dq` and `dt`")
        case .symbol(.remainder):
            throw SourceMistake(range, "there is no preprocessor: `%` needs a number before it")
        case .symbol, .invalid, .endOfLine, .semicolon:
            throw SourceMistake(range, "operand or number expected")
        }
        advance()
        steps.append(.init(node: node, range: range))
    }

    private static func characterConstant(_ bytes: [UInt8], at range: Range<Int>) throws(SourceMistake) -> Int64 {
        guard bytes.count <= 8 else {
            throw SourceMistake(range, "a number holds at most 8 characters, not \(bytes.count)")
        }
        var value: UInt64 = 0
        for byte in bytes.reversed() { value = value << 8 | UInt64(byte) }
        return Int64(bitPattern: value)
    }

    private mutating func nameNode(
        _ name: String, at range: Range<Int>
    ) throws(SourceMistake) -> AssemblyExpression.Node {
        let lower = name.lowercased()
        if let register = RegisterNames.register(named: lower) { return .register(register) }
        if let keyword = OperandKeyword(rawValue: lower) {
            throw SourceMistake(range, "`\(keyword.rawValue)` cannot stand here")
        }
        switch lower {
        case "seg", "wrt":
            throw SourceMistake(range, "there are no sections, so `\(lower)` has no meaning")
        case "st":
            throw SourceMistake(range, "x87 registers are `st0` … `st7`", replacement: "st0")
        case "rip", "eip", "ip":
            throw SourceMistake(range, "`\(lower)` cannot be named", hint: "[rel label] is relative to the instruction")
        default:
            return .symbol(symbols.index(of: qualified(name), usedAt: range))
        }
    }
}
