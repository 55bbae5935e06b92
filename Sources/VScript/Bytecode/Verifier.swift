import VScriptSyntax

/// Makes sure that bytecode stays in its own registers and tables, whoever has made it.
///
/// Every program is verified before it runs. What a register holds is not proved: instructions look at the tags of the
/// values they take. So all that is left to check is that operands lie in range, that jumps lead to instructions of the
/// function, and that no function runs past its end.
struct Verifier {
    /// What is wrong, and where.
    struct Failure: Error, Equatable {
        let function: Int
        let instruction: Int
        let reason: String
    }

    private let program: ProgramCode
    private let index: Int
    private let function: FunctionCode

    /// Checks all functions of a program.
    static func verify(_ program: ProgramCode) throws(Failure) {
        guard !program.functions.isEmpty else { throw Failure(function: 0, instruction: 0, reason: "no function") }
        for index in program.functions.indices {
            try Verifier(program: program, index: index, function: program.functions[index]).verify()
        }
        let registers = program.functions[0].registers
        guard program.names.allSatisfy({ 0..<registers ~= $0.register }) else {
            throw Failure(function: 0, instruction: 0, reason: "a name's register")
        }
    }

    private func failure(_ position: Int, _ reason: String) -> Failure {
        Failure(function: index, instruction: position, reason: reason)
    }

    private func verify() throws(Failure) {
        guard 1...256 ~= function.registers, function.signature.parameters.count < function.registers else {
            throw failure(0, "registers")
        }
        guard function.places.count == function.code.count else { throw failure(0, "places") }
        for position in function.code.indices { try verify(position) }
        guard let last = function.code.last.map(Instruction.init(word:)), last.operation.endsFlow else {
            throw failure(function.code.count, "the end")
        }
        for handler in function.handlers {
            guard function.code.indices.contains(handler.target), 0..<function.registers ~= handler.register,
                handler.range.lowerBound >= 0, handler.range.upperBound <= handler.target
            else { throw failure(handler.target, "a handler") }
        }
        for expectation in program.expectations where index == 0 {
            guard expectation.captures.allSatisfy({ 0..<256 ~= $0.register && 0..<256 ~= ($0.condition ?? 0) }) else {
                throw failure(0, "a part of an expectation")
            }
        }
    }

    private func verify(_ position: Int) throws(Failure) {
        let word = function.code[position]
        guard Int(UInt8(truncatingIfNeeded: word)) < Operation.allCases.count else {
            throw failure(position, "an operation")
        }
        let i = Instruction(word: word)
        func registers(_ first: Int, _ count: Int = 1) throws(Failure) {
            guard count >= 0, first >= 0, first + count <= function.registers else {
                throw failure(position, "a register")
            }
        }
        func entry(_ index: Int, of count: Int, _ table: String) throws(Failure) {
            guard 0..<count ~= index else { throw failure(position, table) }
        }
        // Only instructions that pay fuel lead back.
        func jump(back isBack: Bool = false) throws(Failure) {
            guard function.code.indices.contains(position + 1 + i.c), isBack || i.c >= 0 else {
                throw failure(position, "a jump")
            }
        }
        switch i.operation {
        case .loadNil, .loadUnset, .loadBool, .loadInt, .loadCurrent, .return, .throw, .noMatch: try registers(i.a)
        case .returnNil: break
        case .loadConstant:
            try registers(i.a)
            try entry(i.c, of: program.constants.count, "a constant")
        case .move, .makeBox, .setBox, .negate, .complement, .not, .addInt, .subtractInt, .multiplyInt, .divideInt,
            .remainderInt, .bitAndInt, .contents, .finishDeclaration:
            try registers(i.a)
            try registers(i.b)
        case .shiftLeftInt, .shiftRightInt:
            try registers(i.a)
            try registers(i.b)
            guard 0...63 ~= i.c else { throw failure(position, "a shift") }
        case .getVariable, .setSharedVariable, .getSharedVariable:
            try registers(i.a)
            try entry(i.b, of: function.captures.count, "a variable")
            if i.operation != .getVariable { try name(i.c, position) }
        case .getBox, .getRegister, .setRegister:
            try registers(i.a)
            try registers(i.b)
            try name(i.c, position)
        case .shiftLeft, .shiftRight, .wrappingShiftLeft, .multiply, .divide, .remainder, .bitAnd, .wrappingMultiply,
            .add, .subtract, .bitOr, .bitXor, .wrappingAdd, .wrappingSubtract, .closedRange, .halfOpenRange,
            .countedRange, .coalesce, .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .contains,
            .and, .or, .getElement, .setElement, .matches:
            try registers(i.a)
            try registers(i.b)
            try registers(i.c)
        case .jump: try jump()
        case .loop: try jump(back: true)
        case .jumpIfFalse, .jumpIfTrue, .jumpIfExactlyFalse, .jumpIfExactlyTrue, .jumpIfNotNil, .jumpIfSet,
            .unlessLessInt, .unlessLessOrEqualInt, .unlessGreaterInt, .unlessGreaterOrEqualInt, .unlessEqualInt,
            .unlessNotEqualInt:
            try registers(i.a)
            try jump()
        case .loopIfTrue, .loopIfLessInt, .loopIfLessOrEqualInt, .loopIfGreaterInt, .loopIfGreaterOrEqualInt,
            .loopIfNotEqualInt:
            try registers(i.a)
            try jump(back: true)
        case .unlessLess, .unlessLessOrEqual, .unlessEqual, .unlessNotEqual:
            try registers(i.a)
            try registers(i.b)
            try jump()
        case .loopIfLess, .loopIfLessOrEqual, .loopIfNotEqual:
            try registers(i.a)
            try registers(i.b)
            try jump(back: true)
        case .forPrepare:
            try registers(i.a, 3)
            try jump()
        case .forLoop:
            try registers(i.a, 3)
            try jump(back: true)
        case .iterate: try registers(i.a, 2)
        case .iterateNext:
            guard 1...2 ~= i.b else { throw failure(position, "loop variables") }
            try registers(i.a, 2 + i.b)
            try jump(back: true)
        case .call, .callCurrent:
            try registers(i.a, 1 + i.b & 0xFF)
            try entry(i.c, of: program.calls.count, "a call site")
        case .callMethod, .append:
            try registers(i.a, 1 + i.b & 0xFF)
            if i.operation == .append, i.b != 1 { throw failure(position, "arguments") }
            try entry(i.c, of: program.caches.count, "a cache")
            guard let call = program.caches[i.c].call, program.calls.indices.contains(call) else {
                throw failure(position, "a call site")
            }
        case .getMember, .setMember:
            try registers(i.a)
            try registers(i.b)
            try entry(i.c, of: program.caches.count, "a cache")
        case .makeList, .extendList, .text:
            try registers(i.a)
            try registers(i.b, i.c)
        case .makeMap: try registers(i.a)
        case .addEntry:
            try registers(i.a)
            try registers(i.b, 2)
        case .makeRecord:
            try registers(i.a)
            try entry(i.c, of: program.records.count, "a record")
            try registers(i.b, program.records[i.c].count)
        case .makeClosure:
            try registers(i.a)
            try closure(i.c, position)
        case .format:
            try registers(i.a)
            try registers(i.b)
            try entry(i.c, of: program.formats.count, "a format")
        case .failExpectation:
            try registers(i.a)
            try registers(i.b)
            try entry(i.c, of: program.expectations.count, "an expectation")
        case .importModule:
            try registers(i.a)
            try entry(i.c, of: program.imports.count, "an import")
        case .declare:
            try registers(i.a, 2)
            try entry(i.c, of: program.declarations.count, "a declaration")
        case .declarationLabel:
            try registers(i.a)
            try registers(i.b)
        case .property:
            try registers(i.a)
            try registers(i.b)
            try entry(i.c, of: program.properties.count, "a property")
        case .runTest: try registers(i.a, 2)
        case .makeHandler:
            try registers(i.a, 3)
            try entry(i.c, of: program.handlers.count, "a handler")
        case .makeAssembly:
            try entry(i.c, of: program.assemblies.count, "assembly")
            let site = program.assemblies[i.c]
            let splices = site.segments.count { if case .splice = $0 { true } else { false } }
            try registers(i.a, max(splices + site.call.places.count, 1))
        }
    }

    /// A constant that is read as a name.
    private func name(_ index: Int, _ position: Int) throws(Failure) {
        guard program.constants.indices.contains(index), case .name = program.constants[index] else {
            throw failure(position, "a name")
        }
    }

    /// A function whose closure is made here: what it takes along has to be here.
    private func closure(_ index: Int, _ position: Int) throws(Failure) {
        guard program.functions.indices.contains(index), index > 0 else { throw failure(position, "a function") }
        for capture in program.functions[index].captures {
            let isThere =
                switch capture {
                case .register(let register): 0..<function.registers ~= register
                case .variable(let variable): function.captures.indices.contains(variable)
                case .current: true
                }
            guard isThere else { throw failure(position, "a captured variable") }
        }
    }
}

extension Operation {
    /// Whether the instruction after it is not reached from it.
    var endsFlow: Bool {
        switch self {
        case .return, .returnNil, .throw, .noMatch, .jump, .loop: true
        case .loadNil, .loadUnset, .loadBool, .loadInt, .loadConstant, .loadCurrent, .move, .getVariable,
            .getSharedVariable, .setSharedVariable, .makeBox, .getBox, .setBox, .shiftLeft, .shiftRight,
            .wrappingShiftLeft, .multiply, .divide, .remainder, .bitAnd, .wrappingMultiply, .add, .subtract, .bitOr,
            .bitXor, .wrappingAdd, .wrappingSubtract, .closedRange, .halfOpenRange, .countedRange, .coalesce, .equal,
            .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .contains, .and, .or, .addInt, .subtractInt,
            .multiplyInt, .divideInt, .remainderInt, .bitAndInt, .shiftLeftInt, .shiftRightInt, .negate, .complement,
            .not, .jumpIfFalse, .jumpIfTrue, .loopIfTrue, .jumpIfExactlyFalse, .jumpIfExactlyTrue, .jumpIfNotNil,
            .jumpIfSet, .unlessLess, .unlessLessOrEqual, .unlessEqual, .unlessNotEqual, .unlessLessInt,
            .unlessLessOrEqualInt, .unlessGreaterInt, .unlessGreaterOrEqualInt, .unlessEqualInt, .unlessNotEqualInt,
            .loopIfLess, .loopIfLessOrEqual, .loopIfNotEqual, .loopIfLessInt, .loopIfLessOrEqualInt, .loopIfGreaterInt,
            .loopIfGreaterOrEqualInt, .loopIfNotEqualInt, .forPrepare, .forLoop, .iterate, .iterateNext, .call,
            .callCurrent,
            .callMethod, .append, .getMember, .setMember, .getElement, .setElement, .getRegister, .setRegister,
            .makeList,
            .extendList, .makeMap, .addEntry, .makeRecord, .makeClosure, .text, .format, .matches, .failExpectation,
            .importModule, .declare, .declarationLabel, .property, .contents, .finishDeclaration, .runTest,
            .makeHandler, .makeAssembly:
            false
        }
    }
}
