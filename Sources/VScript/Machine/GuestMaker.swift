import VScriptSyntax
import VirtualMachine

/// Makes guests of declarations, and keeps an eye on all that a session has made.
final class GuestMaker: DeclarationMaker {
    /// The guests in the order of their declaration.
    private(set) var guests: [GuestObject] = []
    private var hypervisors: [HypervisorObject] = []
    private var memory: UInt64 = 0
    /// Whether a guest that cannot run is refused when it is declared and not only when it is to run, where a script can
    /// catch it.
    var refusesAtOnce = false

    func make(_ declaration: Declaration, in session: Session) throws -> ScriptValue {
        switch declaration.kind.name {
        case "guest": return try guest(declaration, in: session)
        case "device": return try device(declaration, in: session)
        case "host": return .object(MachineObject(declaration))
        case "hypervisor":
            let hypervisor = try HypervisorObject(declaration)
            hypervisors.append(hypervisor)
            return .object(hypervisor)
        case let name:
            throw HostFailure(
                .notImplemented, "`\(name)` is not implemented", notes: declaration.kind.refusal.map { [$0] } ?? [])
        }
    }

    private func guest(_ declaration: Declaration, in session: Session) throws -> ScriptValue {
        let hypervisor = try hypervisor(of: declaration)
        let refusal = declaration.integer("cpus").flatMap { count in
            count <= 1
                ? nil
                : located(
                    .notImplemented, "a guest with \(count) processors is not implemented: it has one", declaration,
                    "cpus")
        }
        if refusesAtOnce, let refusal { throw refusal }
        let name = declaration.label.isNil ? "guest" : declaration.label.text
        var configuration = GuestConfiguration(name: name, boot: try boot(declaration))
        if let size = declaration.integer("memory") {
            guard let bytes = UInt64(exactly: size) else {
                throw located(.bootFailure, "the memory is too large", declaration, "memory")
            }
            configuration.memory = bytes
        }
        if let cpuid = declaration.properties["cpuid"] {
            do throws(HostFailure) { configuration.cpu = try CPUModelProperty.model(cpuid.value) } catch {
                throw Interruption.fault(Fault(error, at: cpuid.span))
            }
        }
        if let hypervisor {
            configuration.hypervisor = hypervisor.configuration
            if let clock = hypervisor.host?.clock { configuration.cpu.clock = clock }
            do throws(HypervisorConfiguration.Objection) { try configuration.check() } catch {
                throw Interruption.fault(
                    Fault(HostFailure(error, in: hypervisor.configuration), at: declaration.span(of: "cpuid")))
            }
        }
        configuration.seed = UInt64(truncatingIfNeeded: declaration.integer("seed") ?? 0)
        let (total, overflow) = memory.addingReportingOverflow(configuration.memory)
        guard !overflow, total <= session.limits.guestMemory else {
            throw located(
                .guestMemoryLimit, "the guests need more than \(session.limits.guestMemory) bytes of memory",
                declaration, "memory",
                notes: ["the limit is `Limits.guestMemory`"])
        }
        if let host = hypervisor?.host, !host.take(configuration.memory) {
            throw located(
                .impossibleCombination, "the guests on \(host.name) need more than its memory", declaration, "memory",
                notes: ["it has \(host.memory ?? 0) bytes, and \(host.used) of them are taken"])
        }
        let guest: Guest
        do throws(GuestError) {
            guest = try Guest(configuration)
        } catch {
            let isAboutMemory = if case .memory = error { declaration.properties["memory"] != nil } else { false }
            throw located(.bootFailure, error.description, declaration, isAboutMemory ? "memory" : "boot")
        }
        guest.transitions.isRecording = session.recordsTransitions
        memory = total
        try addSymbols(to: guest, declaration, session.files)
        let object = GuestObject(guest, name: name, on: hypervisor, try share(declaration), session: session)
        object.refusal = refusal
        guests.append(object)
        try hypervisor?.add(object)
        for handler in declaration.handlers {
            do {
                try object.install(handler)
            } catch let failure as HostFailure {
                throw Interruption.fault(Fault(failure, at: handler.span))
            }
        }
        for device in declaration.devices {
            do throws(HostFailure) { try object.attach(device) } catch {
                throw Interruption.fault(Fault(error, at: device.header))
            }
        }
        return .object(object)
    }

    /// How a guest is to share its hypervisor's processor.
    private func share(_ declaration: Declaration) throws -> GuestScheduler.Share {
        var share = GuestScheduler.Share()
        for name in ["weight", "cap"] where declaration.properties[name] != nil && declaration.parent == nil {
            throw located(
                .impossibleCombination,
                "a guest on the bare machine has no `\(name)`: it shares its processor with nobody", declaration, name,
                notes: ["declare it `on` a hypervisor"])
        }
        if let weight = declaration.integer("weight") { share.weight = Int(weight) }
        share.cap = declaration.integer("cap").map { Int($0) }
        return share
    }

    /// What a guest is declared on; nil for a bare machine.
    private func hypervisor(of declaration: Declaration) throws -> HypervisorObject? {
        guard let parent = declaration.parent else { return nil }
        guard case .object(let object) = parent, let hypervisor = object as? HypervisorObject else {
            throw Interruption.fault(
                Fault(
                    HostFailure(
                        .wrongType, "a guest runs on a hypervisor, not on \(parent.typeName)",
                        notes: ["without `on` it runs on the bare machine"]), at: declaration.header))
        }
        return hypervisor
    }

    /// Makes a device, and puts it into its guest as soon as there is one.
    private func device(_ declaration: Declaration, in session: Session) throws -> ScriptValue {
        let device = try DeviceObject(declaration, session: session)
        switch declaration.parent {
        case .object(let object):
            guard let guest = object as? GuestObject else { break }
            do throws(HostFailure) { try guest.attach(device) } catch {
                throw Interruption.fault(Fault(error, at: declaration.header))
            }
            return .object(device)
        case nil:
            guard let guest = declaration.enclosing, guest.kind.name == "guest" else { break }
            guest.devices.append(device)
            return .object(device)
        case .some: break
        }
        throw Interruption.fault(
            Fault(
                HostFailure(
                    .wrongType, "a device belongs to a guest",
                    notes: ["declare it in the body of a guest, or `on` one"]), at: declaration.header))
    }

    private func addSymbols(to guest: Guest, _ declaration: Declaration, _ files: Files) throws {
        for file in declaration.list("symbols") ?? [] {
            guard case .string(let path) = file else {
                throw located(
                    .wrongType, "`symbols` is a list of files, not of \(file.typeName)", declaration, "symbols")
            }
            do throws(HostFailure) { try files.check(path) } catch {
                throw located(.fileFailure, error.message, declaration, "symbols")
            }
            do throws(SymbolError) { try guest.addSymbols(contentsOf: path) } catch {
                throw located(.fileFailure, error.description, declaration, "symbols")
            }
        }
    }

    private func boot(_ declaration: Declaration) throws -> BootSource {
        let rings = declaration.children.filter { $0.kind.name == "ring" }
        if let image = declaration.object("boot") as? BootObject {
            if let ring = rings.first {
                throw Interruption.fault(
                    Fault(
                        Diagnostic(
                            ScriptCode.misplacedDeclaration, "a guest that boots a kernel has no code of its own",
                            at: ring.header,
                            related: [
                                Diagnostic.Label(
                                    declaration.span(of: "boot"), "rings belong to `.real`, `.protected` and `.long`")
                            ])))
            }
            return image.source
        }
        guard let symbol = declaration.symbol("boot"), let environment = PreparedLayout.Environment(rawValue: symbol)
        else {
            throw located(.missingProperty, "a guest needs `boot`", declaration, "boot")
        }
        return BootSource(.prepared(try RingAssembler(environment).prepare(rings)))
    }

    /// A failure whose place is that of a property.
    private func located(
        _ code: ScriptCode, _ message: String, _ declaration: Declaration, _ property: String, notes: [String] = []
    ) -> Interruption {
        .fault(Fault(HostFailure(code, message, notes: notes), at: declaration.span(of: property)))
    }

    // MARK: - What became of the guests

    var notes: [String] {
        guard let guest = guests.last(where: { $0.lastStop != nil }), let stop = guest.lastStop else { return [] }
        let tail = guest.guest.console.tail(5).trimmed
        return ["\(guest.name) stopped: \(stop.summary)"] + (tail.isEmpty ? [] : ["its console ends with:\n\(tail)"])
    }

    var unnoticedFailures: [any UnnoticedFailure] {
        guests.compactMap { guest in
            guard let stop = guest.lastStop, stop.stop.reason == .crashed, !stop.isNoticed else { return nil }
            return stop
        }
    }

    func close() {
        for hypervisor in hypervisors { hypervisor.close() }
        for guest in guests { guest.close() }
    }
}

/// What a guest boots from, made by a module such as `linux`.
final class BootObject: TabledObject {
    let source: BootSource
    private let name: String

    init(_ source: BootSource, name: String) {
        self.source = source
        self.name = name
    }

    var typeName: String { "a boot image" }
    var text: String { "<boot image \(name)>" }
    static let members = MemberTable<BootObject>(properties: [
        Property("name", "The file it was made from.") { .string($0.name) }
    ])
}
