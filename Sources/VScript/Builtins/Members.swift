import VScriptSyntax

/// What `value.name`, `value[key]`, `for` and `match` do with values of each type.
enum Members {
    /// A member; nil if the value has none of the name.
    static func get(_ name: String, of value: Value) throws -> Value? {
        switch value {
        case .nil: nil
        case .bool: nil
        case .int(let number): try NumberMembers.integer.get(name, of: number)
        case .float(let number): try NumberMembers.float.get(name, of: number)
        case .duration(let time): try NumberMembers.duration.get(name, of: time)
        case .string(let text): try StringMembers.string.get(name, of: text)
        case .symbol(let symbol): try StringMembers.symbol.get(name, of: symbol)
        case .bytes(let bytes): try StringMembers.bytes.get(name, of: bytes)
        case .range(let range): try CollectionMembers.range.get(name, of: range)
        case .regex(let regex): try StringMembers.regex.get(name, of: regex)
        case .list(let list): try CollectionMembers.list.get(name, of: list)
        case .map(let map): try map.get(.string(name)) ?? CollectionMembers.map.get(name, of: map)
        case .function(let function): try CollectionMembers.function.get(name, of: function)
        case .object(let object): try object.member(name)
        }
    }

    /// The names `get` knows, for suggestions.
    static func names(of value: Value) -> [String] {
        switch value {
        case .nil, .bool: []
        case .int: NumberMembers.integer.names
        case .float: NumberMembers.float.names
        case .duration: NumberMembers.duration.names
        case .string: StringMembers.string.names
        case .symbol: StringMembers.symbol.names
        case .bytes: StringMembers.bytes.names
        case .range: CollectionMembers.range.names
        case .regex: StringMembers.regex.names
        case .list: CollectionMembers.list.names
        case .map(let map):
            map.pairs.compactMap { pair in
                if case .string(let name) = pair.key { name } else { nil }
            } + CollectionMembers.map.names
        case .function: CollectionMembers.function.names
        case .object(let object): object.memberNames
        }
    }

    /// Sets a member of a map or an object.
    static func set(_ name: String, to new: Value, of value: Value) throws {
        switch value {
        case .map(let map):
            if map.isFrozen { throw frozen(value) }
            map.set(.string(name), new)
        case .object(let object):
            if try object.setMember(name, to: new) { return }
            guard try object.member(name) != nil else {
                let guess = Suggestion.closest(to: name, in: object.memberNames)
                throw HostFailure(
                    .unknownName, "\(object.typeName) has no member `\(name)`",
                    notes: guess.map { ["did you mean `\($0)`?"] } ?? [])
            }
            throw HostFailure(.assignmentToConstant, "`\(name)` of \(object.typeName) cannot be set")
        case .nil, .bool, .int, .float, .duration, .string, .symbol, .bytes, .range, .regex, .list, .function:
            throw HostFailure(.assignmentToConstant, "members of \(value.typeName) cannot be set")
        }
    }

    static func frozen(_ value: Value) -> HostFailure {
        HostFailure(.frozen, "\(value.typeName) of a module that has loaded does not change")
    }

    // MARK: - Elements

    static func element(_ key: Value, of value: Value) throws -> Value {
        switch (value, key) {
        case (.list(let list), .int(let index)): return list.items[try position(index, list.items.count)]
        case (.list(let list), .range(let range)):
            return .items(Array(list.items[try positions(range, list.items.count)]))
        case (.bytes(let bytes), .int(let index)): return .integer(bytes[try position(index, bytes.count)])
        case (.bytes(let bytes), .range(let range)): return .bytes(Array(bytes[try positions(range, bytes.count)]))
        case (.string(let text), .int(let index)):
            let scalars = Array(text.unicodeScalars)
            return .string(String(scalars[try position(index, scalars.count)]))
        case (.string(let text), .range(let range)):
            let scalars = Array(text.unicodeScalars)
            return .string(String(String.UnicodeScalarView(scalars[try positions(range, scalars.count)])))
        case (.map(let map), _): return map.get(key) ?? .nil
        case (.object(let object), _):
            guard let found = try object.element(key) else {
                throw HostFailure(.wrongOperand, "\(object.typeName) has no elements")
            }
            return found
        case (.list, _), (.bytes, _), (.string, _):
            throw HostFailure(.wrongType, "an index is an int or a range, not \(key.typeName)")
        case (.nil, _), (.bool, _), (.int, _), (.float, _), (.duration, _), (.symbol, _), (.range, _), (.regex, _),
            (.function, _):
            throw HostFailure(.wrongOperand, "\(value.typeName) has no elements")
        }
    }

    static func setElement(_ key: Value, to new: Value, of value: Value) throws {
        switch (value, key) {
        case (.list(let list), .int(let index)):
            if list.isFrozen { throw frozen(value) }
            list.items[try position(index, list.items.count)] = new
        case (.map(let map), _):
            if map.isFrozen { throw frozen(value) }
            guard Map.canBeKey(key) else { throw HostFailure(.wrongType, "\(key.typeName) cannot be a key") }
            map.set(key, new)
        case (.object(let object), _):
            guard try object.setElement(key, to: new) else {
                throw HostFailure(.wrongOperand, "elements of \(object.typeName) cannot be set")
            }
        case (.list, _): throw HostFailure(.wrongType, "an index is an int, not \(key.typeName)")
        case (.nil, _), (.bool, _), (.int, _), (.float, _), (.duration, _), (.string, _), (.symbol, _), (.bytes, _),
            (.range, _), (.regex, _), (.function, _):
            throw HostFailure(.wrongOperand, "elements of \(value.typeName) cannot be set")
        }
    }

    private static func position(_ index: Int128, _ count: Int) throws(HostFailure) -> Int {
        guard index >= 0, index < Int128(count) else {
            throw HostFailure(
                .outOfRange, "index \(index) is outside",
                notes: [count == 0 ? "there are no elements" : "there are \(count), from 0 to \(count - 1)"])
        }
        return Int(index)
    }

    private static func positions(_ range: Range<Int128>, _ count: Int) throws(HostFailure) -> Range<Int> {
        guard range.lowerBound >= 0, range.upperBound <= Int128(count) else {
            throw HostFailure(
                .outOfRange, "the range \(range.lowerBound)..<\(range.upperBound) is outside",
                notes: ["there are \(count) elements"])
        }
        return Int(range.lowerBound)..<Int(range.upperBound)
    }

    // MARK: - Matching and iteration

    /// Whether a value fits a pattern: is equal, lies in a range, or is matched by a regular expression.
    static func matches(_ pattern: Value, _ value: Value) -> Bool {
        switch (pattern, value) {
        case (.range(let range), .int(let number)): range.contains(number)
        case (.regex(let regex), .string(let text)): regex.firstMatch(in: text.unicodeScalars.map(\.value)) != nil
        case _: pattern.isEqual(to: value)
        }
    }

    /// What `for` runs over; a list is taken as it is at the start.
    struct Items {
        private enum Source {
            case values([Value])
            case pairs([(key: Value, value: Value)])
            case range(Range<Int128>)
        }

        private let source: Source
        private var position = 0

        init?(_ value: Value) {
            switch value {
            case .list(let list): source = .values(list.items)
            case .map(let map): source = .pairs(map.pairs)
            case .range(let range): source = .range(range)
            case .string(let text): source = .values(text.unicodeScalars.map { .string(String($0)) })
            case .bytes(let bytes): source = .values(bytes.map { .integer($0) })
            case .nil, .bool, .int, .float, .duration, .symbol, .regex, .function, .object: return nil
            }
        }

        /// The next item; with two variables its index or key comes first.
        mutating func next(pairs: Bool) -> (Value, Value)? {
            defer { position += 1 }
            switch source {
            case .values(let values):
                guard position < values.count else { return nil }
                return pairs ? (.integer(position), values[position]) : (values[position], .nil)
            case .pairs(let entries):
                return position < entries.count ? (entries[position].key, entries[position].value) : nil
            case .range(let range):
                let value = range.lowerBound + Int128(position)
                guard value < range.upperBound else { return nil }
                return pairs ? (.integer(position), .int(value)) : (.int(value), .nil)
            }
        }
    }
}
