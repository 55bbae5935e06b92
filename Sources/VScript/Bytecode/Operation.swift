import VScriptSyntax

/// What an instruction does.
///
/// `R[n]` is a register of the call, `K[n]` a constant, `U[n]` a variable of the closure. `A` has 8 bits, `B` 16 and
/// `C` 32 with a sign; a jump goes to the instruction after this one plus `C`.
enum Operation: UInt8, CaseIterable {
    // MARK: Values
    /// R[A] = nil
    case loadNil
    /// R[A] = no value
    case loadUnset
    /// R[A] = B ≠ 0
    case loadBool
    /// R[A] = C
    case loadInt
    /// R[A] = K[C]
    case loadConstant
    /// R[A] = the function that is running
    case loadCurrent
    /// R[A] = R[B]
    case move
    /// R[A] = U[B]
    case getVariable
    /// R[A] = the content of the box U[B], whose name is K[C]
    case getSharedVariable
    /// the content of the box U[B], whose name is K[C], = R[A]
    case setSharedVariable
    /// R[A] = a new box that holds R[B]
    case makeBox
    /// R[A] = the content of the box R[B], whose name is K[C]
    case getBox
    /// the content of the box R[B] = R[A]
    case setBox

    // MARK: Operators, in the order of `BinaryOperator`: R[A] = R[B] op R[C]
    case shiftLeft, shiftRight, wrappingShiftLeft
    case multiply, divide, remainder, bitAnd, wrappingMultiply
    case add, subtract, bitOr, bitXor, wrappingAdd, wrappingSubtract
    case closedRange, halfOpenRange, countedRange
    case coalesce
    case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual
    case contains
    case and, or

    // MARK: Operators with a constant: R[A] = R[B] op C
    case addInt, subtractInt, multiplyInt, divideInt, remainderInt, bitAndInt, shiftLeftInt, shiftRightInt

    // MARK: R[A] = op R[B]
    case negate, complement, not

    // MARK: Jumps
    case jump
    /// Backwards, for which fuel is paid.
    case loop
    /// If R[A] is false or true; it must be a bool.
    case jumpIfFalse, jumpIfTrue
    /// Backwards if R[A] is true.
    case loopIfTrue
    /// If R[A] is false, true or not nil, whatever else it may be.
    case jumpIfExactlyFalse, jumpIfExactlyTrue, jumpIfNotNil
    /// If the parameter R[A] was passed.
    case jumpIfSet
    /// Unless R[A] op R[B].
    case unlessLess, unlessLessOrEqual, unlessEqual, unlessNotEqual
    /// Unless R[A] op B.
    case unlessLessInt, unlessLessOrEqualInt, unlessGreaterInt, unlessGreaterOrEqualInt, unlessEqualInt
    case unlessNotEqualInt
    /// Backwards if R[A] op R[B].
    case loopIfLess, loopIfLessOrEqual, loopIfNotEqual
    /// Backwards if R[A] op B.
    case loopIfLessInt, loopIfLessOrEqualInt, loopIfGreaterInt, loopIfGreaterOrEqualInt, loopIfNotEqualInt

    // MARK: Loops
    /// Begins `for R[A+2] in R[A]..<R[A+1]`, with `B` = 1 for `...` and 2 for `..+`; jumps if there is nothing.
    case forPrepare
    /// The next number, and backwards; falls through at the end.
    case forLoop
    /// Begins `for` over R[A]: its items as they are now, with the position in R[A+1].
    case iterate
    /// Backwards with the next item in R[A+2], or index and item in R[A+2] and R[A+3] if `B` is 2.
    case iterateNext

    // MARK: Calls
    /// R[A] = R[A](R[A+1] … R[A+B]), at the call site C
    case call
    /// R[A] = the running function called with R[A+1] … R[A+B], at the call site C
    case callCurrent
    /// R[A] = R[A].name(R[A+1] … R[A+B]), with the cache C
    case callMethod
    /// The same for `append` with one argument
    case append
    case `return`
    case returnNil

    // MARK: Members and elements
    /// R[A] = R[B].name, with the cache C
    case getMember
    /// R[B].name = R[A], with the cache C
    case setMember
    /// R[A] = R[B][R[C]]
    case getElement
    /// R[B][R[C]] = R[A]
    case setElement
    /// R[A] = the register K[C] of the processor of the event R[B]
    case getRegister
    /// the register K[C] of the processor of the event R[B] = R[A]
    case setRegister

    // MARK: Collections and texts
    /// R[A] = [R[B] … R[B+C-1]]
    case makeList
    /// Appends R[B] … R[B+C-1] to the list R[A].
    case extendList
    /// R[A] = [:]
    case makeMap
    /// R[A][R[B]] = R[B+1], in a map literal
    case addEntry
    /// R[A] = a map of the names of the record site C and R[B]…
    case makeRecord
    /// R[A] = a closure of the function C
    case makeClosure
    /// R[A] = the texts of R[B] … R[B+C-1] joined
    case text
    /// R[A] = R[B] written to the format C
    case format

    // MARK: Control
    /// Throws R[A].
    case `throw`
    /// R[A] = whether R[C] fits the pattern R[B]
    case matches
    /// No arm fits R[A].
    case noMatch
    /// The condition R[A] of the expectation C does not hold; R[B] is the message, or unset.
    case failExpectation
    /// R[A] = the module of the import site C
    case importModule

    // MARK: Declarations
    /// R[A] = a declaration of the site C, labelled R[A], on R[A+1]
    case declare
    /// R[A] = the label C of the declaration R[B]
    case declarationLabel
    /// Gives the property of the site C of the declaration R[A] the value R[B].
    case property
    /// Adds the code R[B] to the declaration R[A].
    case contents
    /// R[A] = the object of the declaration R[A], which stands in R[B]
    case finishDeclaration
    /// Runs the test R[A] with the body R[A+1]; R[A] = whether it passed
    case runTest
    /// R[A] = a handler of the event R[A] with the body R[A+1], in the declaration R[A+2], by the site C
    case makeHandler
    /// R[A] = code of the site C, with R[A]… spliced in
    case makeAssembly

    /// The instruction of an operator on two registers.
    init(_ operation: BinaryOperator) {
        self =
            switch operation {
            case .shiftLeft: .shiftLeft
            case .shiftRight: .shiftRight
            case .wrappingShiftLeft: .wrappingShiftLeft
            case .multiply: .multiply
            case .divide: .divide
            case .remainder: .remainder
            case .bitAnd: .bitAnd
            case .wrappingMultiply: .wrappingMultiply
            case .add: .add
            case .subtract: .subtract
            case .bitOr: .bitOr
            case .bitXor: .bitXor
            case .wrappingAdd: .wrappingAdd
            case .wrappingSubtract: .wrappingSubtract
            case .closedRange: .closedRange
            case .halfOpenRange: .halfOpenRange
            case .countedRange: .countedRange
            case .coalesce: .coalesce
            case .equal: .equal
            case .notEqual: .notEqual
            case .less: .less
            case .lessOrEqual: .lessOrEqual
            case .greater: .greater
            case .greaterOrEqual: .greaterOrEqual
            case .contains: .contains
            case .and: .and
            case .or: .or
            }
    }
}

/// An instruction: 8 bits of operation, 8 of `A`, 16 of `B` and 32 of `C`.
struct Instruction {
    var word: UInt64

    @inline(__always)
    init(word: UInt64) { self.word = word }

    init(_ operation: Operation, a: Int = 0, b: Int = 0, c: Int = 0) {
        word =
            UInt64(operation.rawValue) | UInt64(a & 0xFF) << 8 | UInt64(b & 0xFFFF) << 16
            | UInt64(UInt32(truncatingIfNeeded: c)) << 32
    }

    /// The operation; the verifier has checked that there is one.
    @inline(__always) var operation: Operation {
        // SAFETY: `Verifier` refuses words whose lowest byte is no case; the cases are dense from 0.
        unsafeBitCast(UInt8(truncatingIfNeeded: word), to: Operation.self)
    }
    @inline(__always) var a: Int { Int(word >> 8 & 0xFF) }
    @inline(__always) var b: Int { Int(word >> 16 & 0xFFFF) }
    /// `B` with its sign.
    @inline(__always) var signedB: Int { Int(Int16(truncatingIfNeeded: word >> 16)) }
    @inline(__always) var c: Int { Int(Int32(truncatingIfNeeded: word >> 32)) }

    /// The instruction with another `C`.
    func with(c: Int) -> Instruction {
        Instruction(word: word & 0xFFFF_FFFF | UInt64(UInt32(truncatingIfNeeded: c)) << 32)
    }
}
