/// A function that has not returned yet, or an interrupted one.
public struct BacktraceFrame: Equatable, Sendable {
    /// How the frame was found, from the surest to a guess.
    public enum Method: String, Sendable {
        /// Where the processor is.
        case registers
        /// The kernel's ORC table says where the caller is.
        case orc
        /// By the chain of frame pointers.
        case framePointer
        /// A return address that lies on the stack, found by looking through it: a guess.
        case scan
    }

    /// The instruction that was interrupted, or the one behind the call.
    public var address: UInt64
    /// The linear address of the frame's stack top.
    public var stackPointer: UInt64
    /// The privilege level.
    public var ring: Int
    /// How it was found.
    public var method: Method
    /// Whether an exception, an interrupt or a system call came in here, so that `address` is to be executed next.
    public var isInterrupted: Bool
    /// The function; for a call counted from the calling instruction, which may be the last of its function.
    public var position: SymbolPosition?
    /// The source line of the instruction or of the call.
    public var location: SourceLocation?

    /// Whether the frame is only likely.
    public var isGuess: Bool { method == .scan }

    /// `0xffffffff81000010 name+0x10 at file:line`, with `?` before the name of a guess.
    public var description: String {
        let name = position.map { (isGuess ? " ? " : " ") + $0.description } ?? ""
        return hexText(address) + name + (location.map { " at \($0)" } ?? "")
    }
}

/// What a backtrace begins with.
public struct BacktraceRegisters: Equatable, Sendable {
    /// RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15, by their numbers.
    public var general: [UInt64]
    /// The instruction pointer.
    public var instructionPointer: UInt64
    /// The privilege level.
    public var ring: Int
    /// The size of a stack word: 2, 4 or 8 bytes.
    public var wordSize: Int
    /// The base of the code segment.
    public var codeBase: UInt64
    /// The base of the stack segment.
    public var stackBase: UInt64

    /// Makes registers of a flat address space; missing ones of the sixteen are 0.
    public init(
        general: [UInt64], instructionPointer: UInt64, ring: Int, wordSize: Int = 8, codeBase: UInt64 = 0,
        stackBase: UInt64 = 0
    ) {
        self.general = Array(general.prefix(16)) + [UInt64](repeating: 0, count: max(0, 16 - general.count))
        self.instructionPointer = instructionPointer
        self.ring = ring
        self.wordSize = [2, 4].contains(wordSize) ? wordSize : 8
        self.codeBase = codeBase
        self.stackBase = stackBase
    }
}

/// The frames from where the processor is outwards, at most `limit`.
///
/// In a Linux kernel with an ORC table that `symbols` knows, calls and the frames of exceptions, interrupts and system
/// calls are followed exactly, into the program that was interrupted. Elsewhere the chain of frame pointers is followed
/// as long as its return addresses are in functions, and then the stack is searched for return addresses.
public func backtrace(
    _ registers: BacktraceRegisters, memory: GuestMemoryReader, symbols: SymbolTable, limit: Int = 64
) -> [BacktraceFrame] {
    var unwinder = Unwinder(registers, memory: memory, symbols: symbols)
    var frames: [BacktraceFrame] = []
    while frames.count < limit {
        frames.append(unwinder.frame)
        guard unwinder.step() else { break }
    }
    return limit > 0 ? frames : []
}
