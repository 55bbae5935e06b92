import VScriptSyntax
import VirtualMachine
import X86
import X86Engine

// What scripts see of a guest's processor and memory.

/// A processor: registers and flags by name, and what they lead to.
final class CPUObject: HostObject {
    private let owner: GuestObject
    var view: CPUView { owner.guest.cpu }

    init(_ owner: GuestObject) { self.owner = owner }

    var typeName: String { "a processor" }
    var text: String { "<cpu of \(owner.name)>" }
    var memberNames: [String] { Self.table.names + Self.registers }

    func isSame(as other: any HostObject) -> Bool { (other as? CPUObject)?.owner === owner }

    func member(_ name: String) throws -> ScriptValue? {
        if let found = try Self.table.get(name, of: self) { return found }
        if let flag = view.flag(name) { return .bool(flag) }
        return view[name].map { .integer($0) }
    }

    func setMember(_ name: String, to value: ScriptValue) throws -> Bool {
        switch value {
        case .bool(let flag):
            if view[name] != nil { throw HostFailure(.wrongType, "the register `\(name)` takes an int, not a bool") }
            return view.setFlag(name, flag)
        case .int(let number):
            guard view[name] != nil else {
                guard view.flag(name) != nil else { return false }
                throw HostFailure(.wrongType, "the flag `\(name)` takes `true` or `false`, not an int")
            }
            do throws(RegisterError) {
                // Negative numbers are their bit pattern, in registers of 64 bits.
                try view.write(name, number < 0 ? UInt64(truncatingIfNeeded: number) : UInt64(clamping: number))
            } catch {
                throw HostFailure(.outOfRange, error.description)
            }
            return true
        case .nil, .float, .duration, .string, .symbol, .bytes, .range, .regex, .list, .map, .function, .object:
            throw HostFailure(.wrongType, "a register takes an int and a flag a bool, not \(value.typeName)")
        }
    }

    /// The names that suggestions draw on.
    private static let registers = [
        "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
        "eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "esp", "rip", "rflags", "cs", "ss", "ds", "es", "fs", "gs",
        "cr0", "cr2", "cr3", "cr4", "efer", "gdtr", "idtr", "tr", "ldtr", "IF", "ZF", "CF", "SF", "OF", "DF", "TF",
        "AC",
        "PE", "PG", "LMA",
    ]

    static let table = MemberTable<CPUObject>(
        properties: [
            Property("ring", "The current privilege level.") { .integer($0.view.ring) },
            Property("mode", "The operating mode.") { .string($0.view.mode) },
            Property("at", "Where it is: the nearest label before RIP, or the address.") {
                .string($0.owner.place($0.view.rip))
            },
            Property("mem", "Memory by linear address, as the current privilege level sees it.") {
                .object(MemoryObject($0.owner, isVirtual: true))
            },
            Property("vmcs", "The VMCS of a guest under `.vmx`, or of one that is a hypervisor itself.") {
                try ControlStructureObject.value(.vmcs, of: $0.owner)
            },
            Property("vmcb", "The VMCB of a guest under `.svm`, or of one that is a hypervisor itself.") {
                try ControlStructureObject.value(.vmcb, of: $0.owner)
            },
        ],
        methods: [
            Builtin("disassemble(count?, at?)", "The next instructions, each with address, bytes and text.") {
                cpu, arguments in
                let count = Int(try arguments.optionalInteger(0, in: 1...1_000) ?? 1)
                let start = try arguments.optionalInteger(1, in: 0...Int128(UInt64.max)).map { UInt64($0) }
                return .object(ListingObject(cpu.view.disassemble(count, from: start), of: cpu.owner))
            },
            Builtin("walk(address)", "Every paging-structure entry on the way to an address, and what a read gives.") {
                cpu, arguments in
                let address = UInt64(try arguments.integer(0, in: 0...Int128(UInt64.max)))
                return .object(ListingObject(cpu.view.walk(address)))
            },
            Builtin("backtrace(limit?)", "The functions that have not returned yet, the innermost first.") {
                cpu, arguments in
                let limit = Int(try arguments.optionalInteger(0, in: 1...1_000) ?? 64)
                return .object(ListingObject(cpu.view.backtrace(limit: limit)))
            },
            Builtin("register(name)", "A register by its name, such as `rax` or `cr3`.") { cpu, arguments in
                let name: String
                switch arguments.value(0) {
                case .string(let text), .symbol(let text): name = text
                case _: throw arguments.wrongType(0, "a register's name")
                }
                guard let value = cpu.view[name] else {
                    let guess = Suggestion.closest(to: name, in: registers).map { "; did you mean `\($0)`?" } ?? ""
                    throw HostFailure(.unknownName, "there is no register `\(name)`\(guess)", argument: 0)
                }
                return .integer(value)
            },
            Builtin("msr(index)", "A model-specific register, nil if the model has none of that index.") {
                cpu, arguments in
                let index = UInt32(try arguments.integer(0, in: 0...Int128(UInt32.max)))
                return cpu.view.modelSpecificRegister(index).map { .integer($0) } ?? .nil
            },
            Builtin("segment(name)", "A segment register with its hidden part.") { cpu, arguments in
                let name: String
                switch arguments.value(0) {
                case .string(let text), .symbol(let text): name = text
                case _: throw arguments.wrongType(0, "a segment register such as `.cs`")
                }
                guard let segment = cpu.view.segment(name) else {
                    throw HostFailure(.unknownName, "there is no segment register `\(name)`", argument: 0)
                }
                return .named([
                    "selector": .integer(segment.selector), "base": .integer(segment.base),
                    "limit": .integer(segment.limit), "attributes": .integer(segment.attributes),
                    "type": .integer(segment.type), "dpl": .integer(segment.privilegeLevel),
                    "isPresent": .bool(segment.isPresent), "isLong": .bool(segment.isLong),
                    "isWide": .bool(segment.isWide), "isUnusable": .bool(segment.isUnusable),
                ])
            },
        ])
}

extension GuestObject {
    /// An address with the nearest name before it: `start+0xa`.
    func place(_ address: UInt64) -> String { guest.symbolTable.text(of: address) ?? hexadecimal(address) }
}

/// A guest's memory, by physical or by linear address.
final class MemoryObject: HostObject {
    private let owner: GuestObject
    private let isVirtual: Bool

    init(_ owner: GuestObject, isVirtual: Bool) {
        self.owner = owner
        self.isVirtual = isVirtual
    }

    var typeName: String { "memory" }
    var memberNames: [String] { Self.table.names }

    func member(_ name: String) throws -> ScriptValue? { try Self.table.get(name, of: self) }

    func element(_ key: ScriptValue) throws -> ScriptValue? {
        switch key {
        case .int(let number): .integer(try read(try address(number), 1)[0])
        case .range(let range): .bytes(try read(try address(range.lowerBound), try Self.count(range)))
        case _: throw HostFailure(.wrongType, "memory is read by an address or a range, not \(key.typeName)")
        }
    }

    func setElement(_ key: ScriptValue, to value: ScriptValue) throws -> Bool {
        let bytes: [UInt8]
        switch value {
        case .bytes(let value): bytes = value
        case .string(let text): bytes = Array(text.utf8)
        case .int(let number):
            guard let byte = UInt8(exactly: number) else { throw HostFailure(.outOfRange, "\(number) is not a byte") }
            bytes = [byte]
        case _: throw HostFailure(.wrongType, "memory takes bytes, a string or a byte, not \(value.typeName)")
        }
        switch key {
        case .int(let number): try write(bytes, to: try address(number))
        case .range(let range):
            guard try Self.count(range) == bytes.count else {
                throw HostFailure(.outOfRange, "the range has \(range.count) bytes and the value \(bytes.count)")
            }
            try write(bytes, to: try address(range.lowerBound))
        case _: throw HostFailure(.wrongType, "memory is written by an address or a range, not \(key.typeName)")
        }
        return true
    }

    private func address(_ number: Int128) throws(HostFailure) -> UInt64 {
        guard let address = UInt64(exactly: number) else {
            throw HostFailure(.outOfRange, "\(number) is not an address")
        }
        return address
    }

    private static func count(_ range: Range<Int128>) throws(HostFailure) -> Int {
        let count = range.upperBound - range.lowerBound
        guard count <= 1 << 30 else { throw HostFailure(.outOfRange, "at most 1 GiB is read or written at once") }
        return Int(count)
    }

    private func read(_ address: UInt64, _ count: Int) throws(HostFailure) -> [UInt8] {
        if isVirtual {
            if let bytes = owner.guest.cpu.read(address, count: count) { return bytes }
        } else {
            let (end, overflow) = address.addingReportingOverflow(UInt64(count))
            if !overflow, end <= 1 << 52 {
                var bytes = [UInt8](repeating: 0, count: count)
                if bytes.withUnsafeMutableBytes({ owner.guest.memory.read(address, into: $0) }) { return bytes }
            }
        }
        throw unmapped(address, count)
    }

    private func write(_ bytes: [UInt8], to address: UInt64) throws(HostFailure) {
        let isWritten =
            isVirtual
            ? owner.guest.cpu.write(address, bytes) : bytes.withUnsafeBytes { owner.guest.memory.write(address, $0) }
        if !isWritten { throw unmapped(address, bytes.count) }
    }

    private func unmapped(_ address: UInt64, _ count: Int) -> HostFailure {
        HostFailure(
            .outOfRange,
            "there is no \(isVirtual ? "mapped " : "")memory at \(hexadecimal(address))"
                + (count > 1 ? " for \(count) bytes" : ""))
    }

    private func number(_ arguments: Arguments, _ width: Int) throws(HostFailure) -> ScriptValue {
        let bytes = try read(try address(try arguments.integer(0)), width)
        return .int(bytes.enumerated().reduce(0) { $0 | Int128($1.element) << ($1.offset * 8) })
    }

    /// The longest text that is read without a count.
    private static let textLimit = 1 << 16

    static let table = MemberTable<MemoryObject>(methods: [
        Builtin("u8(at)", "The byte at an address.") { try $0.number($1, 1) },
        Builtin("u16(at)", "Two bytes, the least significant first.") { try $0.number($1, 2) },
        Builtin("u32(at)", "Four bytes, the least significant first.") { try $0.number($1, 4) },
        Builtin("u64(at)", "Eight bytes, the least significant first.") { try $0.number($1, 8) },
        Builtin("bytes(at, count)", "Bytes from an address on.") { memory, arguments in
            .bytes(
                try memory.read(
                    try memory.address(try arguments.integer(0)), Int(try arguments.integer(1, in: 0...1 << 30))))
        },
        Builtin("write(at, content)", "Writes bytes or a text from an address on.") { memory, arguments in
            try memory.write(try arguments.bytes(1), to: try memory.address(try arguments.integer(0)))
            return .nil
        },
        Builtin("string(at, count?)", "The text at an address: so many bytes, or up to a zero.") { memory, arguments in
            let start = try memory.address(try arguments.integer(0))
            if let count = try arguments.optionalInteger(1, in: 0...1 << 30) {
                return .string(String(decoding: try memory.read(start, Int(count)), as: UTF8.self))
            }
            var bytes: [UInt8] = []
            while bytes.count < textLimit, let byte = try memory.read(start &+ UInt64(bytes.count), 1).first, byte != 0
            {
                bytes.append(byte)
            }
            return .string(String(decoding: bytes, as: UTF8.self))
        },
    ])
}
