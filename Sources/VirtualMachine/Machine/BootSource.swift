/// What a guest starts from.
public struct BootSource: Sendable {
    package enum Kind: Sendable {
        case linux(BootFile, initrd: BootFile?, commandLine: String)
        case pvh(BootFile, initrd: BootFile?, commandLine: String)
        case multiboot(BootFile, modules: [MultibootKernel.Module], commandLine: String)
        case flat(FlatImage)
        case prepared(PreparedGuest)
    }

    package var kind: Kind

    package init(_ kind: Kind) { self.kind = kind }

    /// A Linux bzImage by the 64-bit or the 32-bit boot protocol (Linux: Documentation/arch/x86/boot.rst), or a unified
    /// kernel image (UAPI.5) with one in its section `.linux`.
    ///
    /// Without `initrd` or `append`, a unified kernel image's sections `.ucode` and `.initrd`, or `.cmdline`, take their
    /// place; what is given counts alone. Throws `GuestError` if a file cannot be read or is no such image.
    public static func linux(
        _ path: String, initrd: String? = nil, append: String? = nil
    ) throws(GuestError) -> BootSource {
        let kernel = try file(path)
        let initrd = try initrd.map(file)
        guard UnifiedKernelImage.isImage(kernel) else {
            return BootSource(.linux(kernel, initrd: initrd, commandLine: append ?? ""))
        }
        do throws(BootError) {
            let image = try UnifiedKernelImage(kernel)
            return BootSource(
                .linux(
                    image.kernel, initrd: initrd ?? image.initrd, commandLine: append ?? image.commandLine ?? ""))
        } catch {
            throw .boot(error.description)
        }
    }

    /// An ELF kernel with a PVH entry note, such as Linux's vmlinux (Xen: misc/pvh).
    ///
    /// Throws `GuestError` if a file cannot be read.
    public static func pvh(_ path: String, initrd: String? = nil, append: String = "") throws(GuestError) -> BootSource
    {
        BootSource(.pvh(try file(path), initrd: try initrd.map(file), commandLine: append))
    }

    /// A file that a Multiboot kernel finds in memory beside itself.
    public struct Module: ExpressibleByStringLiteral, Sendable {
        /// The file.
        public var path: String
        /// The string that goes with it; nil for the path.
        public var append: String?

        /// A file and its string.
        public init(_ path: String, append: String? = nil) {
            self.path = path
            self.append = append
        }

        /// A file whose string is its path.
        public init(stringLiteral path: String) { self.init(path) }
    }

    /// A kernel with a Multiboot 1 header, ELF or a.out-kludge (Multiboot Specification 0.6.96).
    ///
    /// The kernel's command line is `append` alone, as GRUB 2 has it; Multiboot does not say whether a path stands
    /// before it.
    ///
    /// Throws `GuestError` if a file cannot be read.
    public static func multiboot(
        _ path: String, modules: [Module] = [], append: String = ""
    ) throws(GuestError) -> BootSource {
        var loaded: [MultibootKernel.Module] = []
        for module in modules {
            loaded.append(
                MultibootKernel.Module(try file(module.path), commandLine: module.append ?? module.path))
        }
        return BootSource(.multiboot(try file(path), modules: loaded, commandLine: append))
    }

    /// How a flat image begins.
    public enum FlatMode: Sendable {
        case real, protected, long
    }

    /// Bytes that run where they lie.
    public static func flat(
        _ bytes: [UInt8], named name: String = "image", at address: UInt64, entry: UInt64? = nil, mode: FlatMode
    ) -> BootSource {
        let imageMode: FlatImage.Mode =
            switch mode {
            case .real: .real
            case .protected: .protected
            case .long: .long
            }
        return BootSource(
            .flat(FlatImage(BootFile(name: name, bytes: bytes), at: address, entry: entry, mode: imageMode)))
    }

    /// A flat image read from a file.
    ///
    /// Throws `GuestError` if the file cannot be read.
    public static func flat(
        contentsOf path: String, at address: UInt64, entry: UInt64? = nil, mode: FlatMode
    ) throws(GuestError) -> BootSource {
        flat(try file(path).bytes, named: path, at: address, entry: entry, mode: mode)
    }

    private static func file(_ path: String) throws(GuestError) -> BootFile {
        do throws(BootError) { return try BootFile(path: path) } catch { throw .boot(error.description) }
    }

    /// Loads everything into an empty memory of a size.
    func image(memory: PhysicalMemoryMap) throws(BootError) -> BootImage {
        switch kind {
        case .linux(let kernel, let initrd, let commandLine):
            try LinuxKernel(kernel).load(
                initrd: initrd, commandLine: commandLine, memory: memory, rsdp: ACPITables.address)
        case .pvh(let kernel, let initrd, let commandLine):
            try PVHKernel(kernel).load(
                initrd: initrd, commandLine: commandLine, memory: memory, rsdp: ACPITables.address)
        case .multiboot(let kernel, let modules, let commandLine):
            try MultibootKernel(kernel).load(modules: modules, commandLine: commandLine, memory: memory)
        case .flat(let image): try image.load(memory: memory)
        case .prepared(let guest): try guest.load(memory: memory)
        }
    }
}

/// Why a guest cannot be made.
public enum GuestError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A file or what it holds does not fit; the text names file, field and numbers.
    case boot(String)
    /// The memory is no size that a machine can have, or is too small for what has to be put into it.
    case memory(String)
    /// A property has a value that is not possible.
    case configuration(String)

    /// One line, without a period at its end.
    public var description: String {
        switch self {
        case .boot(let text), .memory(let text), .configuration(let text): text
        }
    }
}
