/// An exception that an instruction raises before it has changed anything.
///
/// SDM vol. 3 chapter 6.
package struct Fault: Error, Equatable, Sendable {
    /// 0...31.
    package var vector: UInt8
    /// Pushed for the vectors that have one.
    package var errorCode: UInt32?
    /// The linear address that CR2 takes (#PF only).
    package var address: UInt64 = 0
    /// True for #DB and the like that are reported after the instruction: RIP pushed is the next one's.
    package var isTrap = false
    /// The bits that DR6 takes (#DB only).
    package var debugStatus: UInt64 = 0
    /// No exception: stands for an exit from the guest (see `Fault.leaving`).
    var leavesGuest = false

    package init(vector: UInt8, errorCode: UInt32? = nil, address: UInt64 = 0) {
        self.vector = vector
        self.errorCode = errorCode
        self.address = address
    }

    package static let divideError = Fault(vector: 0)
    package static let boundRangeExceeded = Fault(vector: 5)
    package static let invalidOpcode = Fault(vector: 6)
    package static let deviceNotAvailable = Fault(vector: 7)
    package static func doubleFault() -> Fault { Fault(vector: 8, errorCode: 0) }
    package static func invalidTSS(_ code: UInt32) -> Fault { Fault(vector: 10, errorCode: code) }
    package static func segmentNotPresent(_ code: UInt32) -> Fault { Fault(vector: 11, errorCode: code) }
    package static func stackFault(_ code: UInt32) -> Fault { Fault(vector: 12, errorCode: code) }
    package static func generalProtection(_ code: UInt32) -> Fault { Fault(vector: 13, errorCode: code) }
    package static func pageFault(_ address: UInt64, _ code: UInt32) -> Fault {
        Fault(vector: 14, errorCode: code, address: address)
    }
    package static let floatingPointError = Fault(vector: 16)
    package static let alignmentCheck = Fault(vector: 17, errorCode: 0)
    package static let simdFloatingPoint = Fault(vector: 19)
    /// #DB as a fault or a trap with the DR6 bits it reports.
    package static func debug(_ status: UInt64, trap: Bool) -> Fault {
        var fault = Fault(vector: 1)
        fault.debugStatus = status
        fault.isTrap = trap
        return fault
    }
}
