/// What a paravirtual guest and its hypervisor have agreed on, as a value: which calls there are, how they are made and
/// what their results mean.
///
/// Dispatch, records of transitions and the documentation for those who write guests follow from it. `native` is the
/// project's own; others (Xen, KVM, Hyper-V, VMware) are further values.
public struct HypercallInterface: Sendable {
    /// An argument of a call.
    public struct Parameter: Sendable {
        /// How wide it is.
        public enum Width: Sendable {
            /// A register of the kernel's: 64 or 32 bits.
            case word
            /// 64 bits: one register of a 64-bit kernel, two of a 32-bit one, the low half first.
            case quadword
        }

        /// Its name in the documentation.
        public var name: String
        /// How wide it is.
        public var width: Width

        init(_ name: String, _ width: Width = .word) {
            self.name = name
            self.width = width
        }
    }

    /// What a call returns.
    public enum Result: Sendable {
        /// Zero.
        case none
        /// A word; the text says what it is.
        case word(String)
        /// 64 bits; a 32-bit kernel has the high half in EDX.
        case quadword(String)
        /// The call does not come back to the place behind it.
        case elsewhere
    }

    /// One call.
    public struct Call: Sendable {
        /// The number that calls it.
        public var number: UInt64
        /// Its name in the interface.
        public var name: String
        /// Its arguments in the order of the registers.
        public var parameters: [Parameter]
        /// What it returns if it does not fail.
        public var result: Result
        /// What it does, for those who write guests.
        public var summary: String
        package var operation: Operation
    }

    /// One way to fail.
    public struct FailureCode: Sendable {
        /// What the call returns, as a two's complement number.
        public var code: Int64
        /// Its name in the interface.
        public var name: String
        /// When it happens.
        public var summary: String
        package var failure: Failure
    }

    /// What a monitor can do for a guest, whatever the interface calls it.
    package enum Operation: Sendable {
        case version, consoleWrite, consoleRead
        case setTraps, setSystemCall, setStack, setEvents, returnFromTrap
        case setBase, setUserBase, pin, unpin, updateEntry, updateEntries, updateMapping, flush
        case setDescriptorTable, updateDescriptor, setSegmentBase
        case bind, close, send, unmask, setTimer, block, now
        case portRead, portWrite, writeCallPage, shutdown
    }

    /// Why a call is refused, whatever number the interface gives it.
    package enum Failure: Error, Equatable, Sendable {
        case noSuchCall, invalid, busy, inaccessible, notPermitted, exhausted
    }

    /// Its name, as `abi:` has it.
    public var name: String
    /// The version of it that is spoken.
    public var version: UInt32
    /// Twelve characters by which an image says that it speaks it, and CPUID that the hypervisor does.
    public var signature: String
    /// The vector of the interrupt instruction that calls.
    public var vector: UInt8
    /// The registers of the arguments, as 64-bit kernels name them.
    public var argumentRegisters: [String]
    /// The calls by number, without a gap.
    public var calls: [Call]
    /// What results mean that are failures.
    public var failures: [FailureCode]

    /// The call with a number; nil if there is none.
    public func call(_ number: UInt64) -> Call? {
        number < UInt64(calls.count) ? calls[Int(number)] : nil
    }

    /// The call with a name; nil if there is none.
    public func call(named name: String) -> Call? { calls.first { $0.name == name } }

    /// The failure that a result is; nil if it is none.
    public func failure(_ result: UInt64) -> FailureCode? {
        failures.first {
            UInt64(bitPattern: $0.code) == result || UInt64(UInt32(truncatingIfNeeded: $0.code)) == result
        }
    }

    /// The number that stands for a failure.
    package func code(of failure: Failure) -> Int64 { failures.first { $0.failure == failure }?.code ?? -1 }

    /// The interfaces that there are.
    public static let all = [native]
}

extension HypercallInterface {
    /// Where an image says that it speaks an interface: 16 bytes, aligned to 8, within its first 4 KiB.
    ///
    /// The signature comes first, then the version as a little-endian doubleword.
    public static let headerLimit = 4096

    /// The bytes by which an image says that it speaks the interface.
    public var header: [UInt8] {
        Array(signature.utf8) + (0..<4).map { UInt8(truncatingIfNeeded: version >> ($0 * 8)) }
    }

    /// Whether an image speaks the interface.
    public func isSpoken(by image: [UInt8]) -> Bool {
        let header = header
        let end = min(image.count, Self.headerLimit) - header.count
        guard end >= 0 else { return false }
        return stride(from: 0, through: end, by: 8).contains { image[$0..<$0 + header.count].elementsEqual(header) }
    }
}
