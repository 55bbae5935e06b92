import VScriptSyntax

// Operators on values that the run loop does not know a short way for.

extension Interpreter {
    func binary(_ operation: Operation, _ left: Cell, _ right: Cell) throws -> Cell {
        guard let operation = BinaryOperator(operation) else { throw malformed() }
        switch operation {
        case .add, .subtract, .multiply, .divide, .remainder: return try arithmetic(operation, left, right)
        case .shiftLeft, .shiftRight, .wrappingShiftLeft:
            guard left.isAnyInt, right.isAnyInt else { throw mismatch(operation, left, right) }
            return try Arithmetic.shift(operation, left.wide, right.wide)
        case .bitAnd, .bitOr, .bitXor, .wrappingAdd, .wrappingSubtract, .wrappingMultiply:
            guard left.isAnyInt, right.isAnyInt else { throw mismatch(operation, left, right) }
            return Arithmetic.pattern(operation, left.bits, right.bits)
        case .closedRange, .halfOpenRange, .countedRange:
            guard left.isAnyInt, right.isAnyInt else { throw mismatch(operation, left, right) }
            let range = try Arithmetic.range(operation, left.wide, right.wide)
            return try heap.range(range.lowerBound, range.upperBound)
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual:
            return .bool(try compare(operation, left, right))
        case .contains: return .bool(try contains(right, left))
        case .coalesce: return left.isNil ? right : left
        case .and, .or:
            guard left.kind == .bool, right.kind == .bool else { throw mismatch(operation, left, right) }
            return .bool(operation == .and ? left.bool && right.bool : left.bool || right.bool)
        }
    }

    func unary(_ operation: UnaryOperator, _ operand: Cell) throws -> Cell {
        switch (operation, operand.kind) {
        case (.negate, .int), (.negate, .unsigned): return try Arithmetic.checked(-operand.wide, "-\(operand.wide)")
        case (.negate, .float): return .float(-operand.double)
        case (.negate, .duration):
            let (result, overflow) = Int64(0).subtractingReportingOverflow(operand.nanoseconds)
            return try Arithmetic.duration(result, overflow)
        case (.complement, .int), (.complement, .unsigned): return .unsigned(~operand.bits)
        case (.not, .bool): return .bool(!operand.bool)
        case (.negate, _), (.complement, _), (.not, _):
            let isNumber = operation == .not && operand.isAnyInt
            throw HostFailure(
                .wrongOperand, "`\(operation.rawValue)` does not take \(heap.typeName(operand))",
                notes: isNumber ? ["compare with `== 0`; `~` turns the bits of an int around"] : [])
        }
    }

    private func arithmetic(_ operation: BinaryOperator, _ left: Cell, _ right: Cell) throws -> Cell {
        switch (left.kind, right.kind) {
        case (.int, .int), (.int, .unsigned), (.unsigned, .int), (.unsigned, .unsigned):
            return try Arithmetic.integers(operation, left.wide, right.wide)
        case (.float, .float): return .float(Arithmetic.floats(operation, left.double, right.double))
        case (.int, .float), (.unsigned, .float):
            return .float(Arithmetic.floats(operation, Double(left.wide), right.double))
        case (.float, .int), (.float, .unsigned):
            return .float(Arithmetic.floats(operation, left.double, Double(right.wide)))
        case (.string, .string) where operation == .add:
            return try withCells(left, right) { try text($0) }
        case (.bytes, .bytes) where operation == .add:
            let count = left.bytes.count + right.bytes.count
            try pay(count / 64)
            let result = try heap.newBytes(count: count)
            result.bytes.update(from: left.bytes.bytes, count: left.bytes.count)
            (result.bytes + left.bytes.count).update(from: right.bytes.bytes, count: right.bytes.count)
            return Cell(.bytes, result)
        case (.list, .list) where operation == .add:
            let (first, second) = (left.list.buffer, right.list.buffer)
            try pay((first.count + second.count) / 8)
            let result = try heap.newList(capacity: first.count + second.count)
            if let items = result.pointee.items {
                if let start = first.baseAddress { items.update(from: start, count: first.count) }
                if let start = second.baseAddress { (items + first.count).update(from: start, count: second.count) }
            }
            result.pointee.count = first.count + second.count
            return Cell(.list, result)
        case _:
            if let result = try Arithmetic.durations(operation, left, right) { return result }
            throw mismatch(operation, left, right)
        }
    }

    private func withCells(
        _ first: Cell, _ second: Cell, _ body: (UnsafeBufferPointer<Cell>) throws -> Cell
    ) throws -> Cell {
        var cells = (first, second)
        return try withUnsafeBytes(of: &cells) { try body($0.assumingMemoryBound(to: Cell.self)) }
    }

    func compare(_ operation: BinaryOperator, _ left: Cell, _ right: Cell) throws -> Bool {
        func decide<Operand: Comparable>(_ left: Operand, _ right: Operand) -> Bool {
            switch operation {
            case .less: left < right
            case .lessOrEqual: left <= right
            case .greater: left > right
            case _: left >= right
            }
        }
        if operation == .equal || operation == .notEqual {
            return try isEqual(left, right) == (operation == .equal)
        }
        switch (left.kind, right.kind) {
        case (.int, .int), (.int, .unsigned), (.unsigned, .int), (.unsigned, .unsigned):
            return decide(left.wide, right.wide)
        case (.float, .float): return decide(left.double, right.double)
        case (.int, .float), (.unsigned, .float): return decide(Double(left.wide), right.double)
        case (.float, .int), (.float, .unsigned): return decide(left.double, Double(right.wide))
        case (.duration, .duration): return decide(left.nanoseconds, right.nanoseconds)
        case (.string, .string):
            try pay(min(left.string.count, right.string.count) / 64)
            switch operation {
            case .less: return Heap.isLess(left.string, right.string)
            case .greater: return Heap.isLess(right.string, left.string)
            case .lessOrEqual: return !Heap.isLess(right.string, left.string)
            case _: return !Heap.isLess(left.string, right.string)
            }
        case _: throw mismatch(operation, left, right)
        }
    }

    /// How much there is to look at in a value, in bytes; what is nested is not counted.
    func size(_ cell: Cell) -> Int {
        switch cell.kind {
        case .string: cell.string.count
        case .bytes: cell.bytes.count
        case .list: cell.list.pointee.count * 8
        case .map: cell.map.pointee.used * 16
        case .nil, .bool, .int, .unsigned, .float, .duration, .symbol, .unset, .range, .closure, .boundMethod, .box,
            .object, .regex, .hostFunction, .builtin:
            0
        }
    }

    /// Orders two values of one type, for sorting.
    func isLess(_ left: Cell, _ right: Cell) throws -> Bool { try compare(.less, left, right) }

    private func contains(_ collection: Cell, _ item: Cell) throws -> Bool {
        try pay(size(collection) / 64)
        switch collection.kind {
        case .list: return try collection.list.buffer.contains { try isEqual($0, item) }
        case .map: return collection.map.find(item) != nil
        case .range where item.isAnyInt:
            return collection.range.pointee.lower <= item.wide && item.wide < collection.range.pointee.upper
        case .string where item.isString: return collection.string.firstOffset(of: item.string, from: 0) != nil
        case .bytes where item.isAnyInt: return collection.bytes.buffer.contains { Int128($0) == item.wide }
        case .nil, .bool, .int, .unsigned, .float, .duration, .symbol, .unset, .range, .string, .bytes, .closure,
            .boundMethod, .box, .object, .regex, .hostFunction, .builtin:
            throw mismatch(.contains, item, collection)
        }
    }

    func mismatch(_ operation: BinaryOperator, _ left: Cell, _ right: Cell) -> HostFailure {
        HostFailure(
            .wrongOperand,
            "`\(operation.rawValue)` does not take \(heap.typeName(left)) and \(heap.typeName(right))",
            notes: hint(operation, left, right).map { [$0] } ?? [])
    }

    private func hint(_ operation: BinaryOperator, _ left: Cell, _ right: Cell) -> String? {
        if operation == .add, left.isString || right.isString {
            return "to put a value into a text, write `\"… \\(value)\"`"
        }
        if operation == .remainder, left.isString { return "a value is put into a text as `\"\\(value)\"`" }
        if operation == .multiply, left.isString, right.isAnyInt { return "write `text.repeated(count)`" }
        if operation == .multiply, left.kind == .list, right.isAnyInt {
            return "write `(0..<count).map(fn(i) { value })`"
        }
        if left.kind == .duration && right.isAnyInt || left.isAnyInt && right.kind == .duration {
            let number = left.isAnyInt ? left : right
            return "a time has a unit, as in `\(heap.text(number)) s` or `\(heap.text(number)) ms`"
        }
        guard left.isAnyInt, operation == .and || operation == .or else { return nil }
        let bits = operation == .and ? "&" : "|"
        return
            "bits are combined with `\(bits)`, as in `flags \(bits) mask != 0`; `\(operation.rawValue)` joins conditions"
    }
}

extension UnsafeMutablePointer<StringBlock> {
    /// Where a text first occurs at or after an offset, in bytes.
    func firstOffset(of part: UnsafeMutablePointer<StringBlock>, from start: Int) -> Int? {
        let (count, length) = (self.count, part.count)
        guard length > 0 else { return start <= count ? start : nil }
        guard length <= count else { return nil }
        if length > 32 { return Self.search(buffer, for: part.buffer, from: start) }
        let first = part.bytes[0]
        var offset = start
        while offset <= count - length {
            if bytes[offset] == first, equalBytes(bytes + offset, part.bytes, length) { return offset }
            offset += 1
        }
        return nil
    }

    /// A search whose time grows with both texts, however they repeat themselves (Knuth, Morris and Pratt).
    private static func search(
        _ text: UnsafeBufferPointer<UInt8>, for part: UnsafeBufferPointer<UInt8>, from start: Int
    ) -> Int? {
        var borders = [Int](repeating: 0, count: part.count)
        var length = 0
        for index in 1..<part.count {
            while length > 0, part[index] != part[length] { length = borders[length - 1] }
            if part[index] == part[length] { length += 1 }
            borders[index] = length
        }
        var matched = 0
        for index in start..<max(text.count, start) {
            while matched > 0, text[index] != part[matched] { matched = borders[matched - 1] }
            if text[index] == part[matched] { matched += 1 }
            if matched == part.count { return index - matched + 1 }
        }
        return nil
    }
}

extension BinaryOperator {
    private static let all = allCases

    /// The operator of an instruction on two registers; nil if it is another.
    init?(_ operation: Operation) {
        let index = Int(operation.rawValue) - Int(Operation.shiftLeft.rawValue)
        guard Self.all.indices.contains(index) else { return nil }
        self = Self.all[index]
    }
}
