import VirtualMachine

// The modules that make boot images.

extension StandardModules {
    static let linux = Module(
        name: "linux", summary: "Linux kernels.",
        functions: [
            Builtin(
                "bzImage(path, initrd?, append?)",
                "A Linux kernel by its boot protocol, or a unified kernel image, whose initrd and command line stand in "
                    + "for those not given."
            ) { _, arguments in
                let (path, initrd, append) = try kernel(arguments)
                return try image(path) { () throws(GuestError) in try .linux(path, initrd: initrd, append: append) }
            },
            Builtin("vmlinux(path, initrd?, append?)", "An ELF kernel by its PVH entry point.") { _, arguments in
                let (path, initrd, append) = try kernel(arguments)
                return try image(path) { () throws(GuestError) in
                    try .pvh(path, initrd: initrd, append: append ?? "")
                }
            },
        ])

    static let multiboot = Module(
        name: "multiboot", summary: "Kernels of the Multiboot specification.",
        functions: [
            Builtin(
                "kernel(path, modules?, append?)",
                "A kernel with a Multiboot 1 header; a module is a path or `[path: …, append: …]`."
            ) { _, arguments in
                let path = try arguments.string(0)
                let modules = try (arguments.value(1) == nil ? [] : arguments.list(1).items).map {
                    try multibootModule($0, arguments)
                }
                let append = try arguments.optionalString(2) ?? ""
                for file in [path] + modules.map(\.path) { try arguments.context.files.check(file) }
                return try image(path) { () throws(GuestError) in
                    try .multiboot(path, modules: modules, append: append)
                }
            }
        ])

    static let flat = Module(
        name: "flat", summary: "Images without a format.",
        functions: [
            Builtin("image(content, at, mode?, entry?)", "Bytes, code or a file that run where they lie.") {
                _, arguments in
                let modes: [String: BootSource.FlatMode] = ["real": .real, "protected": .protected, "long": .long]
                var mode = BootSource.FlatMode.real
                if case .symbol(let name) = arguments.value(2) {
                    guard let found = modes[name] else {
                        throw arguments.wrongType(2, "`.real`, `.protected` or `.long`")
                    }
                    mode = found
                }
                let address = UInt64(try arguments.integer(1, in: 0...Int128(UInt64.max)))
                let entry = try arguments.optionalInteger(3, in: 0...Int128(UInt64.max)).map { UInt64($0) }
                switch arguments.value(0) {
                case .string(let path):
                    try arguments.context.files.check(path)
                    return try image(path) { () throws(GuestError) in
                        try .flat(contentsOf: path, at: address, entry: entry, mode: mode)
                    }
                case .bytes(let bytes):
                    return .object(BootObject(.flat(bytes, at: address, entry: entry, mode: mode), name: "bytes"))
                case .object(let object):
                    guard let code = object as? Assembly else { throw arguments.wrongType(0, "a path, bytes or code") }
                    let bytes = try code.assembled().bytes
                    return .object(BootObject(.flat(bytes, at: address, entry: entry, mode: mode), name: "code"))
                case _: throw arguments.wrongType(0, "a path, bytes or code")
                }
            }
        ])

    /// A path, or a map of a path and the string that goes with it.
    private static func multibootModule(
        _ value: ScriptValue, _ arguments: Arguments
    ) throws(HostFailure) -> BootSource.Module {
        let expected = "a list of paths or of maps `[path: …, append: …]`"
        switch value {
        case .string(let path): return BootSource.Module(path)
        case .map(let map):
            var module: (path: String?, append: String?)
            for (key, value) in map.pairs {
                switch (key, value) {
                case (.string("path"), .string(let path)): module.path = path
                case (.string("append"), .string(let append)): module.append = append
                case _: throw arguments.wrongType(1, expected)
                }
            }
            guard let path = module.path else { throw arguments.wrongType(1, expected) }
            return BootSource.Module(path, append: module.append)
        case _: throw arguments.wrongType(1, expected)
        }
    }

    private static func kernel(_ arguments: Arguments) throws(HostFailure) -> (String, String?, String?) {
        let (path, initrd) = (try arguments.string(0), try arguments.optionalString(1))
        for file in [path] + (initrd.map { [$0] } ?? []) { try arguments.context.files.check(file) }
        return (path, initrd, try arguments.optionalString(2))
    }

    private static func image(_ name: String, _ make: () throws(GuestError) -> BootSource) throws -> ScriptValue {
        do throws(GuestError) {
            return .object(BootObject(try make(), name: name))
        } catch {
            throw HostFailure(.bootFailure, error.description)
        }
    }
}
