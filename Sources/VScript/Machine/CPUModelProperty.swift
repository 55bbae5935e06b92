import VirtualMachine

/// The property `cpuid`: a model by its symbol, or a map that begins with one and says what is different.
enum CPUModelProperty {
    static func model(_ value: ScriptValue) throws(HostFailure) -> CPUModel {
        switch value {
        case .symbol(let name): return try preset(name)
        case .map(let map): return try model(map)
        case _: throw HostFailure(.wrongType, "`cpuid` is a model such as `.amd64` or a map, not \(value.typeName)")
        }
    }

    private static func preset(_ name: String) throws(HostFailure) -> CPUModel {
        guard let model = CPUModel(named: name) else {
            throw HostFailure(
                .outOfRange, "there is no processor model `.\(name)`",
                notes: ["there are \(CPUModel.names.map { ".\($0)" }.joined(separator: ", "))"])
        }
        return model
    }

    private static func model(_ map: Map) throws(HostFailure) -> CPUModel {
        var model = CPUModel()
        if case .symbol(let name) = map["model"] { model = try preset(name) }
        for (key, value) in map.pairs {
            switch (key, value) {
            case (.string("model"), .symbol): break
            case (.string("brand"), .string(let text)): model.brand = text
            case (.string("family"), .int(let number)): model.family = try part(number, "family")
            case (.string("number"), .int(let number)): model.number = try part(number, "number")
            case (.string("stepping"), .int(let number)): model.stepping = try part(number, "stepping")
            case (.string("addressBits"), .int(let number)): model.addressBits = Int(clamping: number)
            case (.string("with"), .list(let list)):
                for name in try names(list, "with") { try change(&model, name, true) }
            case (.string("without"), .list(let list)):
                for name in try names(list, "without") { try change(&model, name, false) }
            case (.string("leaves"), .map(let leaves)): try override(&model, leaves)
            case (_, _):
                let known = "model, brand, family, number, stepping, addressBits, with, without, leaves"
                throw HostFailure(
                    .wrongType, "`cpuid` has no `\(key.text)` that is \(value.typeName)", notes: ["it has \(known)"])
            }
        }
        return model
    }

    private static func part(_ number: Int128, _ name: String) throws(HostFailure) -> UInt32 {
        guard let part = UInt32(exactly: number), part <= 0xFFF else {
            throw HostFailure(.outOfRange, "`\(name)` is in 0...0xfff, not \(number)")
        }
        return part
    }

    private static func names(_ list: List, _ property: String) throws(HostFailure) -> [String] {
        var names: [String] = []
        for item in list.items {
            switch item {
            case .symbol(let name), .string(let name): names.append(name)
            case _: throw HostFailure(.wrongType, "`\(property)` is a list of features, not of \(item.typeName)")
            }
        }
        return names
    }

    private static func change(_ model: inout CPUModel, _ feature: String, _ isOn: Bool) throws(HostFailure) {
        do throws(GuestError) { try model.set(feature, isOn) } catch {
            throw HostFailure(.outOfRange, error.description)
        }
    }

    private static func override(_ model: inout CPUModel, _ leaves: Map) throws(HostFailure) {
        for (key, value) in leaves.pairs {
            guard case .int(let number) = key, let leaf = UInt32(exactly: number), case .list(let list) = value else {
                throw HostFailure(.wrongType, "`leaves` maps a leaf to a list of four ints: EAX, EBX, ECX, EDX")
            }
            let words = list.items.compactMap { item -> UInt32? in
                if case .int(let word) = item { UInt32(exactly: word) } else { nil }
            }
            guard words.count == 4, list.items.count == 4 else {
                throw HostFailure(.wrongType, "`leaves` maps a leaf to a list of four ints: EAX, EBX, ECX, EDX")
            }
            model.setLeaf(leaf, eax: words[0], ebx: words[1], ecx: words[2], edx: words[3])
        }
    }
}
