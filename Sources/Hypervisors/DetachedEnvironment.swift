import X86Engine

/// The buses of the machine as code finds them that a monitor runs there: nothing is within its reach, because every
/// access to a device comes to the monitor first.
class DetachedEnvironment: ProcessorEnvironment {
    func readPort(_ port: UInt16, width: Int) -> UInt32 { .max }
    func writePort(_ port: UInt16, _ value: UInt32, width: Int) {}
    func readDevice(_ physical: UInt64, width: Int) -> UInt64 { .max }
    func writeDevice(_ physical: UInt64, _ value: UInt64, width: Int) {}
    func readModelSpecificRegister(_ index: UInt32) -> UInt64? { nil }
    func writeModelSpecificRegister(_ index: UInt32, _ value: UInt64) -> Bool { false }
    var taskPriority: UInt8 {
        get { 0 }
        set { _ = newValue }
    }
    func acknowledgeInterrupt() -> UInt8? { nil }
    func intercept(_ event: ProcessorEvent) -> EventVerdict { .proceed }
}
