import VirtualMachine

/// A VMCS or VMCB as scripts read it.
final class ControlStructureObject: HostObject {
    private let owner: GuestObject
    private let kind: ControlStructure.Kind

    private init(_ kind: ControlStructure.Kind, of owner: GuestObject) {
        self.kind = kind
        self.owner = owner
    }

    /// The current one of a guest's processor.
    static func value(_ kind: ControlStructure.Kind, of owner: GuestObject) throws(HostFailure) -> ScriptValue {
        let object = ControlStructureObject(kind, of: owner)
        _ = try object.structure()
        return .object(object)
    }

    /// The structure, which may have become another one since the object was made.
    private func structure() throws(HostFailure) -> ControlStructure {
        if let structure = owner.guest.cpu.controlStructure(kind) { return structure }
        let technique = owner.guest.configuration.technique
        let note =
            switch kind {
            case .vmcs: "guests under `.vmx` have one, and guests that execute VMPTRLD"
            case .vmcb: "guests under `.svm` have one as soon as they run, and guests that execute VMRUN"
            }
        throw HostFailure(
            .wrongOperand,
            "the processor of `\(owner.name)`, which runs under `.\(technique.rawValue)`, has no current "
                + kind.rawValue.uppercased(), notes: [note])
    }

    var typeName: String { "a \(kind.rawValue.uppercased())" }
    var text: String { "<\(kind.rawValue.uppercased()) of \(owner.name)>" }
    var memberNames: [String] { Self.table.names + kind.fields.map(\.name) }

    func isSame(as other: any HostObject) -> Bool {
        guard let other = other as? ControlStructureObject else { return false }
        return other.owner === owner && other.kind == kind
    }

    func member(_ name: String) throws -> ScriptValue? {
        if let field = kind.field(name) { return .integer(try structure()[field]) }
        return try Self.table.get(name, of: self)
    }

    func element(_ key: ScriptValue) throws -> ScriptValue? {
        switch key {
        case .string(let name), .symbol(let name):
            return .integer(try structure()[try field(kind.field(name), "`\(name)`")])
        case .int(let number):
            return .integer(
                try structure()[try field(UInt32(exactly: number).flatMap { kind.field($0) }, "\(number)")])
        case .nil, .bool, .float, .duration, .bytes, .range, .regex, .list, .map, .function, .object:
            throw HostFailure(.wrongType, "a field is chosen by its name or number, not by \(key.typeName)")
        }
    }

    private func field(
        _ found: ControlStructure.Field?, _ text: String
    ) throws(HostFailure) -> ControlStructure.Field {
        guard let found else { throw HostFailure(.unknownName, "\(typeName) has no field \(text)") }
        return found
    }

    static let table = MemberTable<ControlStructureObject>(properties: [
        Property("address", "Where it lies in the physical memory of the machine that runs the guest.") {
            .integer(try $0.structure().address)
        },
        Property("fields", "All fields, by name.") { object in
            let structure = try object.structure()
            return .named(object.kind.fields.map { ($0.name, .integer(structure[$0])) })
        },
    ])
}
