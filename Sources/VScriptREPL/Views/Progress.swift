import VirtualMachine

/// The line that shows how a long run is getting on.
enum Progress {
    static func line(_ target: DebuggedGuest, since start: UInt64, startTime: UInt64, elapsed: Duration) -> String {
        let guest = target.guest
        let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
        let rate = seconds > 0 ? Double(guest.instructions &- start) / seconds / 1e6 : 0
        let tail = guest.console.tail(1).filter { !$0.isNewline && $0 >= " " }
        return "\(target.name)  \(Numbers.time(guest.time))  \(Int(rate)) MIPS  r\(guest.cpu.ring)  \(tail)"
    }
}
