import X86
import X86Engine

/// The processor of a guest as one looks at it between instructions.
public struct CPUView {
    let guest: Guest

    private var state: UnsafeMutablePointer<ProcessorState> { guest.processor.state }

    /// The current privilege level.
    public var ring: Int { Int(state.pointee.cpl) }
    /// The instruction pointer.
    public var rip: UInt64 { state.pointee.rip }
    /// The flags.
    public var rflags: UInt64 { state.pointee.rflags }

    /// `real`, `virtual-8086`, `protected 16`, `protected 32`, `compatibility` or `64-bit`.
    public var mode: String {
        let s = state.pointee
        if s.cr0 & CR0.PE == 0 { return "real" }
        if s.VM { return "virtual-8086" }
        if s.efer & EFER.LMA != 0 { return s.cs.isLong ? "64-bit" : "compatibility" }
        return s.cs.isDefault32 ? "protected 32" : "protected 16"
    }

    /// Reads a register by the manuals' name (`rax`, `eip`, `cr3`, `cs`, `gdtr`, `efer`, …); nil for an unknown name.
    public subscript(name: String) -> UInt64? {
        RegisterNames.read(name.lowercased(), state)
    }

    /// Reads a flag of RFLAGS or a mode bit (`IF`, `ZF`, `PG`, `LMA`, …); nil for an unknown name.
    public func flag(_ name: String) -> Bool? { RegisterNames.flag(name, state) }

    /// Writes a general register, RIP or RFLAGS by name; false for names that cannot be written.
    @discardableResult
    public func set(_ name: String, _ value: UInt64) -> Bool {
        guard RegisterNames.write(name.lowercased(), value, state) else { return false }
        guest.effects?.note(.register(name, value))
        guest.processor.updateMode()
        return true
    }

    /// Sets or clears a status or control flag of RFLAGS by name; false for an unknown name.
    @discardableResult
    public func setFlag(_ name: String, _ value: Bool) -> Bool {
        guard let bit = RegisterNames.flagBits[name] else { return false }
        guest.effects?.note(.flag(name, value))
        let old = state.pointee.rflags
        state.pointee.rflags = value ? old | bit : old & ~bit
        guest.processor.updateMode()
        return true
    }

    /// Reads linear memory as the current privilege level sees it; nil where it is not mapped.
    ///
    /// Changes nothing.
    public func read(_ linear: UInt64, count: Int) -> [UInt8]? {
        guard count >= 0, count <= 1 << 30 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        var address = linear
        while bytes.count < count {
            guard let physical = guest.processor.inspect(address) else { return nil }
            let part = min(count - bytes.count, Int(0x1000 &- (address & 0xFFF)))
            var buffer = [UInt8](repeating: 0, count: part)
            guard buffer.withUnsafeMutableBytes({ guest.memory.read(physical, into: $0) }) else { return nil }
            bytes += buffer
            address = address &+ UInt64(part)
        }
        return bytes
    }

    /// Writes linear memory where it is mapped; false, with nothing written, where it is not.
    @discardableResult
    public func write(_ linear: UInt64, _ bytes: [UInt8]) -> Bool {
        var parts: [(UInt64, Range<Int>)] = []
        var done = 0
        while done < bytes.count {
            let address = linear &+ UInt64(done)
            guard let physical = guest.processor.inspect(address) else { return false }
            let part = min(bytes.count - done, Int(0x1000 &- (address & 0xFFF)))
            parts.append((physical, done..<done + part))
            done += part
        }
        for (physical, range) in parts {
            guard bytes[range].withUnsafeBytes({ guest.memory.write(physical, $0) }) else { return false }
        }
        return true
    }
}
