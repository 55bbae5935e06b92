import VScriptSyntax

/// Everything that scripts can name, as its tables describe it: for help, completion and documentation.
package enum Catalogue {
    /// A property or function.
    package struct Entry: Sendable {
        /// Its name, of a function with its parameters: `wait(pattern, within?)`.
        package let signature: String
        package let summary: String
        /// Whether a script can assign to it.
        package let isSettable: Bool
    }

    /// The members of a type or module.
    package struct Section: Sendable {
        package let name: String
        package let summary: String
        package let entries: [Entry]

        init(_ name: String, _ summary: String, _ entries: [Entry]) {
            self.name = name
            self.summary = summary
            self.entries = entries
        }
    }

    /// The functions that every script has.
    package static let builtins = Prelude.functions.map(Entry.init)

    /// The modules of the library.
    package static let modules =
        (StandardModules.native.map { Section($0.name, $0.summary, $0.functions.map(Entry.init)) }
        + StandardModules.scripted.map(Section.init)).sorted { $0.name < $1.name }

    /// The types of values, then those of objects.
    package static let types: [Section] = [
        Section("int", "A whole number from -2⁶³ to 2⁶⁴ - 1.", NumberMembers.integer.entries),
        Section("float", "A number of 64 bits with a fraction, as IEEE 754 has it.", NumberMembers.float.entries),
        Section("duration", "A time in whole nanoseconds, such as `10 us`.", NumberMembers.duration.entries),
        Section("string", "A text of Unicode; it does not change.", StringMembers.string.entries),
        Section("symbol", "A name for a choice, such as `.vmx`.", StringMembers.symbol.entries),
        Section(
            "bytes", "A sequence of bytes, such as `hex\"90 cc\"`; it does not change.", StringMembers.bytes.entries),
        Section("regex", "A pattern such as `re\"^a+$\"`, matched in linear time.", StringMembers.regex.entries),
        Section("range", "Whole numbers from one to another, such as `0..<4`.", CollectionMembers.range.entries),
        Section("list", "Values in order, such as `[1, 2]`.", CollectionMembers.list.entries),
        Section(
            "map", "Values by key, such as `[name: \"vm\"]`; a key is a member too.", CollectionMembers.map.entries),
        Section("function", "What `fn` makes.", CollectionMembers.function.entries),
        Section("host", "What `host` declares.", MachineObject.members.entries),
        Section("hypervisor", "What guests run on.", HypervisorObject.members.entries),
        Section("guest", "A machine; its events are members too.", GuestObject.members.entries),
        Section(
            "cpu", "A processor; registers such as `rax` and flags such as `IF` are members too.",
            CPUObject.table.entries),
        Section(
            "control structure",
            "What `cpu.vmcs` and `cpu.vmcb` are; fields are members by name (<doc:ControlStructures>), and elements by "
                + "number.",
            ControlStructureObject.table.entries),
        Section(
            "memory", "Memory of a guest; `mem[address]` is a byte, `mem[range]` bytes.", MemoryObject.table.entries),
        Section("console", "What a guest writes and reads.", ConsoleObject.table.entries),
        Section("transitions", "The changes of privilege of a guest.", TransitionsObject.table.entries),
        Section("stop", "Why a guest stopped running.", StopObject.table.entries),
        Section("event", "What a handler is told, and how it answers.", EventObject.table.entries),
        Section("device", "Hardware that a script models.", DeviceObject.table.entries),
        Section("device event", "What a handler of a device is told.", DeviceEventObject.members.entries),
        Section("snapshot", "What `guest.snapshot()` keeps.", SnapshotObject.members.entries),
        Section("timer", "What `guest.after` makes.", TimerObject.members.entries),
        Section("listing", "Rows of a table, such as a backtrace.", ListingObject.table.entries),
        Section("handler", "What `on` makes.", Handler.members.entries),
        Section("assembly", "What `asm` makes outside of rings.", Assembly.members.entries),
        Section("label", "A place in the code of a ring.", CodeLabel.members.entries),
        Section("image", "What a guest boots, as a module made it.", BootObject.members.entries),
    ]
}

extension Catalogue.Section {
    /// What a module written in vscript tells about itself: the comment at its start, and those before its names.
    fileprivate init(_ module: ScriptedModule) {
        let tree = parse(module.file)
        var natives: [String: [Builtin<Void>]] = [:]
        for statement in tree.program.statements {
            guard case .import(let syntax) = statement, let name = syntax.name else { continue }
            let path = syntax.module.map(\.text).joined(separator: ".")
            natives[name.text] = StandardModules.primitives.first { $0.name == path }?.functions
        }
        let entries = tree.program.statements.compactMap { Catalogue.Entry($0, natives: natives) }
        let summary = module.file.text.split(separator: "\n", omittingEmptySubsequences: false)
            .prefix { $0.hasPrefix("///") }.map { String($0.dropFirst(3)).trimmed }.joined(separator: " ")
        self.init(module.name, summary, entries)
    }
}

extension Catalogue.Entry {
    /// A name that a module declares; nil for statements that declare none and for private names.
    fileprivate init?(_ statement: StatementSyntax, natives: [String: [Builtin<Void>]]) {
        let name: String
        var parameters: String?
        let documentation: String?
        switch statement {
        case .function(let syntax):
            name = syntax.name?.text ?? "_"
            parameters = syntax.parameters.map { ($0.name?.text ?? "") + ($0.defaultValue == nil ? "" : "?") }
                .joined(separator: ", ")
            documentation = syntax.documentation
        case .binding(let syntax):
            name = syntax.name?.text ?? "_"
            documentation = syntax.documentation
            // A primitive under a name of the module's.
            if case .member(let member) = syntax.value, case .name(let base) = member.base,
                let builtin = natives[base.text]?.first(where: { $0.signature.name == member.name.text })
            {
                parameters = String(builtin.signature.text.dropFirst(builtin.signature.name.count + 1).dropLast())
            }
        case .import, .declaration, .return, .throw, .break, .continue, .expect, .for, .while, .property, .assignment,
            .expression:
            return nil
        }
        guard !name.hasPrefix("_") else { return nil }
        self.init(
            signature: parameters.map { "\(name)(\($0))" } ?? name,
            summary: (documentation ?? "").replacing("\n", with: " "), isSettable: false)
    }

    fileprivate init<Receiver>(_ builtin: Builtin<Receiver>) {
        self.init(signature: builtin.signature.text, summary: builtin.summary, isSettable: false)
    }

    fileprivate init<Receiver>(_ property: Property<Receiver>) {
        self.init(signature: property.name, summary: property.summary, isSettable: property.set != nil)
    }
}

extension MemberTable {
    /// Properties, then methods, by name.
    var entries: [Catalogue.Entry] {
        properties.values.map(Catalogue.Entry.init).sorted { $0.signature < $1.signature }
            + methods.values.map(Catalogue.Entry.init).sorted { $0.signature < $1.signature }
    }
}
