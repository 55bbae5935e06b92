import X86

extension Processor {
    /// The fault of an instruction that this processor model does not have.
    func unavailable(_ instruction: inout Instruction) -> Fault? { nil }
    var codeBreakpointsEnabled: Bool { state.pointee.dr7 & 0xFF != 0 }
    func codeBreakpointFault() -> Fault? { nil }
    func pendingDebugTrap() -> Fault? { nil }
    func takeNMI() {}
    func takeInterrupt() {}
    /// Whether fast accesses to a linear page must be withheld because a data breakpoint lies in it.
    func isWatched(linearPage: UInt64) -> Bool { false }
    /// Called for every data access that did not take the fast path.
    func noteDataAccess(_ linear: UInt64, _ width: Int, write: Bool) {}
    func moveSystemRegister(_ instruction: borrowing Instruction) throws(Fault) { throw .invalidOpcode }
    func popSegment(_ instruction: borrowing Instruction) throws(Fault) { throw .invalidOpcode }
    func checkPortAccess(port: UInt16, width: Int) throws(Fault) { throw .generalProtection(0) }
    func portRead(_ port: UInt16, width: Int) throws(Fault) -> UInt64 { throw .generalProtection(0) }
    func portWrite(_ port: UInt16, _ value: UInt64, width: Int) throws(Fault) { throw .generalProtection(0) }
}
extension Instruction { var loadsResumeFlag: Bool { operation == .iret } }
enum DR6 { static let BS: UInt64 = 1 << 14 }
extension Processor {
    package var faultChain: [FaultRecord] { [] }
    package func initialize() {}
    package func startUp(vector: UInt8) {}
    package func transitionCount(from: UInt8?, to: UInt8?, impossible: Bool) -> UInt64 { 0 }
}
package struct FaultRecord: CustomStringConvertible { package var description: String { "" } }
