import VScriptSyntax

/// The members of lists, maps, ranges and functions.
enum CollectionMembers {
    static let list = MemberTable<List>(
        properties: [
            Property("count", "How many items there are.") { .integer($0.items.count) },
            Property("isEmpty", "Whether there are none.") { .bool($0.items.isEmpty) },
            Property("first", "The first item, or nil.") { $0.items.first ?? .nil },
            Property("last", "The last item, or nil.") { $0.items.last ?? .nil },
            Property("reversed", "The items, last first.") { .items($0.items.reversed()) },
            Property("sum", "The items added up.") { list in
                try list.items.dropFirst().reduce(list.items.first ?? .int(0)) { try Arithmetic.apply(.add, $0, $1) }
            },
            Property("min", "The least item, or nil.") { list in try extreme(list, .less) },
            Property("max", "The greatest item, or nil.") { list in try extreme(list, .greater) },
        ],
        methods: [
            Builtin("append(item)", "Adds an item at the end.") { list, arguments in
                try changeable(list).items.append(arguments.values[0] ?? .nil)
                return .nil
            },
            Builtin("insert(item, at)", "Adds an item before a position.") { list, arguments in
                let position = try arguments.integer(1, in: 0...Int128(list.items.count))
                try changeable(list).items.insert(arguments.values[0] ?? .nil, at: Int(position))
                return .nil
            },
            Builtin("remove(at)", "Takes an item out and gives it back.") { list, arguments in
                guard !list.items.isEmpty else { throw HostFailure(.outOfRange, "the list is empty") }
                let position = try arguments.integer(0, in: 0...Int128(list.items.count - 1))
                return try changeable(list).items.remove(at: Int(position))
            },
            Builtin("pop()", "Takes the last item out and gives it back, or nil.") { list, _ in
                try changeable(list).items.popLast() ?? .nil
            },
            Builtin("clear()", "Takes all items out.") { list, _ in
                try changeable(list).items.removeAll()
                return .nil
            },
            Builtin("contains(item)", "Whether an item is there.") { list, arguments in
                let item = arguments.values[0] ?? .nil
                return .bool(list.items.contains { $0.isEqual(to: item) })
            },
            Builtin("indexOf(item)", "Where an item first is, or nil.") { list, arguments in
                let item = arguments.values[0] ?? .nil
                return list.items.firstIndex { $0.isEqual(to: item) }.map { .integer($0) } ?? .nil
            },
            Builtin("map(function)", "What a function makes of each item.") { list, arguments in
                let function = try arguments.function(0)
                return .items(try list.items.map { try arguments.context.call(function, [$0]) })
            },
            Builtin("filter(function)", "The items for which a function is true.") { list, arguments in
                let function = try arguments.function(0)
                return .items(try list.items.filter { try holds(function, $0, arguments) })
            },
            Builtin("each(function)", "Calls a function with each item.") { list, arguments in
                let function = try arguments.function(0)
                for item in list.items { _ = try arguments.context.call(function, [item]) }
                return .nil
            },
            Builtin("any(function)", "Whether a function is true for one item.") { list, arguments in
                let function = try arguments.function(0)
                return .bool(try list.items.contains { try holds(function, $0, arguments) })
            },
            Builtin("all(function)", "Whether a function is true for every item.") { list, arguments in
                let function = try arguments.function(0)
                return .bool(try list.items.allSatisfy { try holds(function, $0, arguments) })
            },
            Builtin("reduce(start, function)", "Combines the items, from the first to the last.") { list, arguments in
                let function = try arguments.function(1)
                return try list.items.reduce(arguments.values[0] ?? .nil) {
                    try arguments.context.call(function, [$0, $1])
                }
            },
            Builtin("sorted(by?)", "The items in ascending order, or in that of what a function makes of them.") {
                list, arguments in
                guard arguments.value(0) != nil else { return .items(try list.items.sorted(by: Arithmetic.isLess)) }
                let function = try arguments.function(0)
                let keyed = try list.items.map { (key: try arguments.context.call(function, [$0]), item: $0) }
                return .items(try keyed.sorted { try Arithmetic.isLess($0.key, $1.key) }.map(\.item))
            },
            Builtin("join(separator?)", "The items as one text.") { list, arguments in
                .string(list.items.map(\.text).joined(separator: try arguments.optionalString(0) ?? ""))
            },
        ])

    static let map = MemberTable<Map>(
        properties: [
            Property("count", "How many entries there are.") { .integer($0.count) },
            Property("isEmpty", "Whether there are none.") { .bool($0.count == 0) },
            Property("keys", "The keys in order.") { .items($0.pairs.map(\.key)) },
            Property("values", "The values in order.") { .items($0.pairs.map(\.value)) },
        ],
        methods: [
            Builtin("get(key, otherwise?)", "The value of a key, or another value without it.") { map, arguments in
                map.get(arguments.values[0] ?? .nil) ?? arguments.value(1) ?? .nil
            },
            Builtin("has(key)", "Whether there is an entry with a key.") { .bool($0.get($1.values[0] ?? .nil) != nil) },
            Builtin("remove(key)", "Takes an entry out and gives its value, or nil.") { map, arguments in
                if map.isFrozen { throw Members.frozen(.map(map)) }
                return map.remove(arguments.values[0] ?? .nil) ?? .nil
            },
        ])

    static let range = MemberTable<Range<Int128>>(
        properties: [
            Property("count", "How many numbers it has.") { .int($0.upperBound - $0.lowerBound) },
            Property("isEmpty", "Whether it has none.") { .bool($0.isEmpty) },
            Property("first", "The first number, or nil.") { $0.isEmpty ? .nil : .int($0.lowerBound) },
            Property("last", "The last number, or nil.") { $0.isEmpty ? .nil : .int($0.upperBound - 1) },
        ],
        methods: [
            Builtin("contains(number)", "Whether a number lies in it.") { .bool($0.contains(try $1.integer(0))) },
            Builtin("map(function)", "What a function makes of each number, as a list.") { range, arguments in
                let function = try arguments.function(0)
                return .items(try items(range).map { try arguments.context.call(function, [$0]) })
            },
            Builtin("list()", "The numbers as a list.") { range, _ in .items(try items(range)) },
        ])

    static let function = MemberTable<Function>(
        properties: [Property("name", "The name it was declared with.") { .string($0.name) }])

    private static func items(_ range: Range<Int128>) throws(HostFailure) -> [Value] {
        guard range.upperBound - range.lowerBound <= 1 << 24 else {
            throw HostFailure(.outOfRange, "the range has more than 16 Mi numbers")
        }
        return (0..<Int(range.upperBound - range.lowerBound)).map { .int(range.lowerBound + Int128($0)) }
    }

    private static func changeable(_ list: List) throws(HostFailure) -> List {
        if list.isFrozen { throw Members.frozen(.list(list)) }
        return list
    }

    private static func extreme(_ list: List, _ order: BinaryOperator) throws -> Value {
        try list.items.dropFirst().reduce(list.items.first ?? .nil) { best, item in
            guard case .bool(true) = try Arithmetic.apply(order, item, best) else { return best }
            return item
        }
    }

    private static func holds(_ function: Function, _ item: Value, _ arguments: Arguments) throws -> Bool {
        let result = try arguments.context.call(function, [item])
        guard case .bool(let value) = result else {
            throw HostFailure(.notBool, "the function must give `true` or `false`, not \(result.typeName)", argument: 0)
        }
        return value
    }
}
