import VScriptSyntax
import VirtualMachine

/// The machine that everything runs on, as a script declares it with `host`.
final class MachineObject: TabledObject {
    let name: String
    let processors: Int
    /// In bytes; nil without limit.
    let memory: UInt64?
    /// The rate of the time-stamp counters in Hz; nil for the model's own.
    let clock: UInt64?
    /// What the guests on it have of its memory.
    private(set) var used: UInt64 = 0
    fileprivate(set) var hypervisors: [HypervisorObject] = []

    init(_ declaration: Declaration) {
        name = declaration.label.isNil ? "host" : declaration.label.text
        processors = Int(declaration.integer("cpus") ?? 1)
        memory = declaration.integer("memory").map { UInt64(clamping: $0) }
        clock = declaration.integer("clock").map { UInt64(clamping: $0) }
    }

    /// Takes memory for a guest; false if there is not so much left.
    func take(_ bytes: UInt64) -> Bool {
        let (sum, overflow) = used.addingReportingOverflow(bytes)
        guard !overflow, sum <= memory ?? .max else { return false }
        used = sum
        return true
    }

    /// Takes back the memory of a guest that has gone to another host.
    func giveBack(_ bytes: UInt64) { used -= min(bytes, used) }

    var typeName: String { "a host" }
    var text: String { "<host \(name)>" }

    static let members = MemberTable<MachineObject>(properties: [
        Property("name", "What it was declared as.") { .string($0.name) },
        Property("cpus", "How many processors it has.") { .integer($0.processors) },
        Property("memory", "Its memory in bytes, or nil if it has no limit.") { host in
            host.memory.map { .integer($0) } ?? .nil
        },
        Property("used", "The bytes of its memory that guests have.") { .integer($0.used) },
        Property("clock", "The rate of its time-stamp counters in Hz.") { .integer($0.clock ?? 1_000_000_000) },
        Property("hypervisors", "The hypervisors on it.") { .items($0.hypervisors.map { .object($0) }) },
    ])
}

/// A monitor that guests run on, as a script declares it with `hypervisor`.
final class HypervisorObject: TabledObject {
    let name: String
    let configuration: HypervisorConfiguration
    let host: MachineObject?
    private(set) var guests: [GuestObject] = []
    /// Divides the processor among the guests.
    let scheduler: GuestScheduler

    init(_ declaration: Declaration) throws {
        name = declaration.label.isNil ? "hypervisor" : declaration.label.text
        host = try Self.host(of: declaration)
        var configuration = HypervisorConfiguration(
            declaration.symbol("technique").flatMap(Technique.init(rawValue:)) ?? .bare,
            paging: declaration.symbol("paging").flatMap(Paging.init(rawValue:)))
        if let abi = declaration.symbol("abi"), (abi == "none") == (configuration.technique == .paravirtual) {
            let text =
                abi == "none"
                ? "paravirtual guests need an interface to call their hypervisor by"
                : "the interface .\(abi) is for the technique .paravirtual: other guests do not know that they have a "
                    + "hypervisor"
            throw Interruption.fault(
                Fault(HostFailure(.impossibleCombination, text), at: declaration.span(of: "abi")))
        }
        if declaration.integer("type") == 2 { configuration.place = .hosted }
        if let cost = declaration.properties["cost"] {
            do throws(HostFailure) { configuration.costs = try Self.costs(cost.value) } catch {
                throw Interruption.fault(Fault(error, at: cost.span))
            }
        }
        do throws(HypervisorConfiguration.Objection) { try configuration.check() } catch {
            throw Interruption.fault(
                Fault(HostFailure(error, in: configuration), at: declaration.span(of: "\(error.part)")))
        }
        self.configuration = configuration
        scheduler = try Self.scheduler(declaration)
        host?.hypervisors.append(self)
    }

    /// What a hypervisor is declared on; nil for a machine that nothing is said about.
    private static func host(of declaration: Declaration) throws -> MachineObject? {
        guard let parent = declaration.parent else { return nil }
        guard case .object(let object) = parent, let host = object as? MachineObject else {
            let isNested = if case .object(let object) = parent { object is GuestObject } else { false }
            let failure =
                isNested
                ? HostFailure(
                    .notImplemented, "a hypervisor in a guest is not implemented",
                    notes: ["the code of a guest with `cpuid: .intel64VMX` can itself be a hypervisor"])
                : HostFailure(.wrongType, "a hypervisor runs on a host, not on \(parent.typeName)")
            throw Interruption.fault(Fault(failure, at: declaration.header))
        }
        return host
    }

    private static func scheduler(_ declaration: Declaration) throws -> GuestScheduler {
        guard let slice = declaration.properties["slice"], case .duration(let time) = slice.value else {
            return GuestScheduler()
        }
        guard time > 0 else {
            throw Interruption.fault(
                Fault(HostFailure(.outOfRange, "a time slice is longer than nothing"), at: slice.span))
        }
        return GuestScheduler(timeSlice: UInt64(time))
    }

    /// A cost model by its name, or of cycles by item.
    private static func costs(_ value: ScriptValue) throws(HostFailure) -> CostModel {
        switch value {
        case .symbol(let name):
            if let model = CostModel(named: name) { return model }
        case .map(let map):
            var model = CostModel(name: "own", sources: [], cycles: [:])
            for (key, value) in map.pairs {
                guard case .string(let name) = key, let item = CostModel.Item(rawValue: name) else {
                    let items = CostModel.Item.allCases.map(\.rawValue)
                    let guess = Suggestion.closest(to: key.text, in: items).map { "; did you mean `\($0)`?" } ?? ""
                    throw HostFailure(
                        .outOfRange, "`cost` has no `\(key.text)`\(guess)",
                        notes: ["it has \(items.joined(separator: ", "))"])
                }
                guard case .int(let number) = value, let cycles = UInt64(exactly: number), cycles <= 1 << 40 else {
                    throw HostFailure(.wrongType, "`\(name)` costs a number of cycles up to 2⁴⁰, not \(value.text)")
                }
                model.cycles[item] = cycles
            }
            return model
        case _: break
        }
        throw HostFailure(.wrongType, "`cost` is a model such as `.prescott` or a map of cycles")
    }

    /// A guest was declared on it, or has come from another.
    func add(_ guest: GuestObject) throws(HostFailure) {
        do throws(GuestError) { try scheduler.add(guest.guest, guest.share) } catch {
            throw HostFailure(.wrongOperand, error.description)
        }
        guests.append(guest)
    }

    /// A guest has gone to another.
    func remove(_ guest: GuestObject) {
        scheduler.remove(guest.guest)
        guests.removeAll { $0 === guest }
    }

    /// The share of a guest has changed.
    func setShare(of guest: GuestObject) throws(HostFailure) {
        do throws(GuestError) { try scheduler.setShare(guest.share, of: guest.guest) } catch {
            throw HostFailure(.wrongOperand, error.description)
        }
    }

    /// Lets go of what refers back to it.
    func close() {
        for guest in guests { scheduler.remove(guest.guest) }
        guests = []
        host?.hypervisors = []
    }

    var typeName: String { "a hypervisor" }
    var text: String { "<hypervisor \(name)>" }

    static let members = MemberTable<HypervisorObject>(
        properties: [
            Property("name", "What it was declared as.") { .string($0.name) },
            Property("technique", "How it keeps control of the processor.") {
                .symbol($0.configuration.technique.rawValue)
            },
            Property("abi", "What its guests can detect and call, or nil.") { hypervisor in
                let configuration = hypervisor.configuration
                return configuration.technique == .paravirtual ? .symbol(configuration.interface.name) : .nil
            },
            Property("calls", "The numbers of the calls that its guests can make, by name, or nil.") { hypervisor in
                let configuration = hypervisor.configuration
                guard configuration.technique == .paravirtual else { return .nil }
                return .named(configuration.interface.calls.map { ($0.name, .integer($0.number)) })
            },
            Property("paging", "How it keeps control of memory, or nil if it does not.") { hypervisor in
                hypervisor.configuration.effectivePaging.map { .symbol($0.rawValue) } ?? .nil
            },
            Property("type", "1 on the machine itself, 2 in an operating system of the host's.") {
                .integer($0.configuration.place.rawValue)
            },
            Property("cost", "What transitions are said to cost: the model's name, its sources, and cycles by item.") {
                hypervisor in
                let costs = hypervisor.configuration.costs
                return .named([
                    "name": .string(costs.name), "sources": .items(costs.sources.map(ScriptValue.string)),
                    "cycles": .named(
                        CostModel.Item.allCases.compactMap { item in
                            costs.cycles[item].map { (item.rawValue, .integer($0)) }
                        }),
                ])
            },
            Property("host", "What it was declared on, or nil.") { hypervisor in
                hypervisor.host.map { .object($0) } ?? .nil
            },
            Property("guests", "The guests on it.") { .items($0.guests.map { .object($0) }) },
            Property("slice", "The longest turn of a guest in `run`, in guest time.") { .time($0.scheduler.timeSlice) },
            Property("elapsed", "How long its processor has been there in `run`, idle time included.") {
                .time($0.scheduler.elapsed)
            },
        ], methods: runMethods)
}

extension HostFailure {
    /// What does not go together in a declaration.
    init(_ objection: HypervisorConfiguration.Objection, in configuration: HypervisorConfiguration) {
        let notes: [String] =
            switch objection.part {
            case .paging:
                configuration.technique.pagings.isEmpty
                    ? ["leave `paging:` out"]
                    : ["it has \(configuration.technique.pagings.map { ".\($0.rawValue)" }.joined(separator: ", "))"]
            case .model: ["`cpuid:` chooses the guest's processor: .intel64 or .amd64"]
            }
        self.init(.impossibleCombination, objection.text, notes: notes)
    }
}
