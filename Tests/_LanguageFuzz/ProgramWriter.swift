import VScript
import _SeededNumbers

/// Writes programs that call every builtin and member, and use every operator, with whatever values there are.
struct ProgramWriter {
    var numbers: SeededNumbers

    /// A program whose every statement may fail, and none of whose failures ends it.
    mutating func program() -> String {
        var lines = [ValuePool.preamble, "var last = nil"]
        for _ in 0..<(3 + numbers.below(12)) {
            let expression = expression()
            switch numbers.below(8) {
            case 0: lines.append("try { last = \(expression) } catch e { last = e.message }")
            case 1:
                lines.append("try { for x in \(expression) { last = x; if \(simple()) == x { break } } } catch { nil }")
            case 2: lines.append("try { print(\"\\(\(simple()):\(format()))\") } catch { nil }")
            case 3: lines.append("try { list[\(value())] = \(value()) } catch { nil }")
            case 4: lines.append("try { map[\(value())] = \(value()) } catch { nil }")
            case 5:
                let arms = "case \(pattern()) => 1; case \(pattern()) if \(simple()) == last => 2; else => 3"
                lines.append("try { match \(simple()) { \(arms) } } catch { nil }")
            case _: lines.append("try { \(expression) } catch e { string(e) }")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private mutating func value() -> String { numbers.pick(ValuePool.values) }

    /// A value that can stand before a brace or a colon.
    private mutating func simple() -> String { "(\(value()))" }

    private mutating func pattern() -> String {
        numbers.pick(["0", "1...9", "\"a\"", ".GP", "nil", "last", "-1", "hex\"90\""])
    }

    private mutating func format() -> String { numbers.pick(Self.formats) }

    private static let formats = [
        "", "#x", "08b", ",", ".2f", "+d", ">20", "<5", "^9", "e", "#018x", "s", "99999999d", ".999f", "é<4", "c", "%",
    ]

    private mutating func expression() -> String {
        switch numbers.below(10) {
        case 0: "\(simple()) \(numbers.pick(Self.operators)) \(simple())"
        case 1: "\(simple())[\(value())]"
        case 2: "\(numbers.pick(["-", "~", "!"]))\(simple())"
        case 3: call(numbers.pick(Catalogue.builtins).signature, receiver: nil)
        case 4:
            // A member of another type than the value's, mostly.
            "\(simple()).\(member(numbers.pick(Catalogue.types)))"
        case _:
            member()
        }
    }

    private static let operators = [
        "+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", "&+", "&-", "&*", "&<<", "==", "!=", "<", "<=", ">", ">=",
        "in",
        "...", "..<", "..+", "??", "&&", "||",
    ]

    private mutating func member() -> String {
        let section = numbers.pick(Catalogue.types)
        guard let receivers = ValuePool.receivers[section.name] else { return "nil" }
        return "\(numbers.pick(receivers)).\(member(section))"
    }

    private mutating func member(_ section: Catalogue.Section) -> String {
        guard !section.entries.isEmpty else { return "count" }
        let signature = numbers.pick(section.entries).signature
        return signature.contains("(") ? call(signature, receiver: section.name) : signature
    }

    /// A call that mostly passes as many arguments as there are parameters.
    private mutating func call(_ signature: String, receiver: String?) -> String {
        let parts = signature.split(separator: "(", maxSplits: 1)
        let parameters = parts.count > 1 ? parts[1].dropLast().split(separator: ",") : []
        var arguments: [String] = []
        for parameter in parameters {
            var name = parameter.drop { $0 == " " }
            let isRest = name.hasSuffix("...")
            let isOptional = name.hasSuffix("?")
            if isRest { name = name.dropLast(3) }
            if isOptional { name = name.dropLast() }
            if isOptional, numbers.chance(1, in: 2) { continue }
            for _ in 0..<(isRest ? numbers.below(4) : 1) {
                arguments.append(isOptional ? "\(name): \(value())" : value())
            }
        }
        if numbers.chance(1, in: 20) { arguments.append(value()) }
        if numbers.chance(1, in: 20), !arguments.isEmpty { arguments.removeLast() }
        return "\(parts.first ?? "print")(\(arguments.joined(separator: ", ")))"
    }
}
