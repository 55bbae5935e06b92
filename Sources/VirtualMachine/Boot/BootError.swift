/// Why a guest cannot be started from what it was given; each case names the file, the field and the numbers.
package enum BootError: Error, Equatable, Sendable {
    // MARK: Files

    /// The file cannot be read; the reason is the operating system's.
    case unreadable(file: String, reason: String)
    case isDirectory(file: String)
    case empty(file: String)
    /// A structure ends behind the end of the file.
    case truncated(file: String, what: String, offset: UInt64, size: UInt64, fileSize: UInt64)
    /// The bytes at an offset are not what the format demands.
    case notFormat(file: String, format: String, field: String, found: String, expected: String)
    /// A field holds a value that the format allows but that cannot be used.
    case unsupported(file: String, field: String, value: UInt64, why: String)

    // MARK: Placing in memory

    /// The guest's memory is smaller than what has to be put into it.
    case memoryTooSmall(what: String, needed: UInt64, available: UInt64)
    /// A range must lie at fixed addresses that are not free RAM.
    case notInMemory(file: String, what: String, address: UInt64, size: UInt64, memory: UInt64)
    /// The kernel's preferred place is not free and it cannot run elsewhere.
    case notRelocatable(file: String, preferredAddress: UInt64, initSize: UInt64, memory: UInt64)
    /// Two ranges share addresses.
    case overlap(what: String, address: UInt64, other: String, otherAddress: UInt64)
    case commandLineTooLong(length: Int, limit: Int, file: String)
    /// The text has a byte that the guest would take for its end.
    case commandLineHasNUL

    // MARK: Machine and prepared environments

    case memorySize(UInt64, why: String)
    /// The environment lacks what was asked for.
    case environment(String, why: String)
    /// A paravirtual guest cannot start from what does not speak its hypervisor's interface.
    case notParavirtual(what: String, interface: String)
    /// A gate or an address of a prepared environment is out of its range.
    case outOfRange(what: String, value: UInt64, allowed: String)
}

extension BootError {
    /// Whether another amount of memory would mend it.
    var isAboutMemory: Bool {
        switch self {
        case .memoryTooSmall, .memorySize, .notInMemory, .notRelocatable: true
        case .unreadable, .isDirectory, .empty, .truncated, .notFormat, .unsupported, .overlap, .commandLineTooLong,
            .commandLineHasNUL, .environment, .outOfRange, .notParavirtual:
            false
        }
    }
}

extension BootError: CustomStringConvertible {
    /// One line, without a period at its end.
    package var description: String {
        switch self {
        case .notParavirtual(let what, let interface):
            "\(what) does not say that it speaks the interface .\(interface) of its hypervisor: .paravirtual runs flat images "
                + "with the interface's header"
        case .unreadable(let file, let reason): "\(file): \(reason)"
        case .isDirectory(let file): "\(file): is a directory, not a file"
        case .empty(let file): "\(file): the file is empty"
        case .truncated(let file, let what, let offset, let size, let fileSize):
            """
            \(file): truncated: \(what) of \(size) bytes at offset \(hex(offset)) ends behind the file's \
            \(fileSize) bytes
            """
        case .notFormat(let file, let format, let field, let found, let expected):
            "\(file): not \(format): \(field) is \(found), not \(expected)"
        case .unsupported(let file, let field, let value, let why): "\(file): \(field) is \(hex(value)): \(why)"
        case .memoryTooSmall(let what, let needed, let available):
            "memory is too small for \(what): \(bytes(needed)) needed, \(bytes(available)) free for it"
        case .notInMemory(let file, let what, let address, let size, let memory):
            "\(file): \(what) needs \(bytes(size)) at \(hex(address)), which is not free in \(bytes(memory)) of memory"
        case .notRelocatable(let file, let preferredAddress, let initSize, let memory):
            """
            \(file): init_size \(bytes(initSize)) at pref_address \(hex(preferredAddress)) is not free in \
            \(bytes(memory)) of memory, and relocatable_kernel is 0
            """
        case .overlap(let what, let address, let other, let otherAddress):
            "\(what) at \(hex(address)) overlaps \(other) at \(hex(otherAddress))"
        case .commandLineTooLong(let length, let limit, let file):
            "the command line has \(length) bytes; \(file) takes at most \(limit)"
        case .commandLineHasNUL: "the command line contains a NUL byte"
        case .memorySize(let size, let why): "a memory of \(bytes(size)) \(why)"
        case .environment(let environment, let why): "\(environment): \(why)"
        case .outOfRange(let what, let value, let allowed): "\(what) \(hex(value)) is not in \(allowed)"
        }
    }

    private func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

    /// A size in the largest unit that divides it.
    private func bytes(_ size: UInt64) -> String {
        for (unit, name) in [(UInt64(1) << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
        where size >= unit && size % unit == 0 {
            return "\(size / unit) \(name)"
        }
        return "\(size) bytes"
    }
}
