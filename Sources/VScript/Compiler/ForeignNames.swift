/// What other languages call things of this one.
enum ForeignNames {
    /// Names that only need another spelling.
    static let replacements = [
        "null": "nil", "NULL": "nil", "None": "nil", "undefined": "nil", "nullptr": "nil", "True": "true",
        "False": "false", "TRUE": "true", "FALSE": "false", "printf": "print", "println": "print", "puts": "print",
        "echo": "print", "this": "self", "str": "string", "tostring": "string", "tonumber": "int",
    ]

    /// Names of what is written in another way, and how.
    static let hints = [
        "range": "a range is written `0..<n`", "len": "the length is `.count`", "sizeof": "the length is `.count`",
        "require": "a module is made known by `import`", "include": "a module is made known by `import`",
        "assert": "write `expect condition`", "pairs": "write `for key, value in map`",
        "ipairs": "write `for item in list`", "switch": "write `match value { case 1 => … }`",
        "pass": "an empty block is written `{ }`", "repeat": "write `while condition { … }`",
        "until": "write `while !condition { … }`", "unless": "write `if !condition { … }`",
        "elif": "write `else if`", "raise": "write `throw value`", "lambda": "write `fn(x) { … }`",
    ]

    /// Declarations of other languages, and what takes their place.
    static let kindHints = [
        "class": "there are no classes: a function makes a map, `fn make() { [name: \"a\", count: 0] }`",
        "struct": "a record is a map: `[name: \"a\", count: 0]`", "enum": "choices are symbols, such as `.running`",
        "union": "a record is a map: `[name: \"a\", count: 0]`",
        "namespace": "a module is a file: `import \"a.vscript\" as a`",
        "module": "a module is a file: `import \"a.vscript\" as a`", "loop": "write `while true { … }`",
        "unless": "write `if !condition { … }`", "until": "write `while !condition { … }`",
        "foreach": "write `for item in list { … }`", "repeat": "write `while condition { … }`",
        "vm": "a machine is declared by `guest`", "machine": "a machine is declared by `guest`",
        "cpu": "a guest has its processor, `guest.cpu`",
    ]

    /// What other languages call members, with what this one has instead; the first that a type has is meant.
    static let members = [
        "length": ["count"], "len": ["count"], "size": ["count"], "Length": ["count"], "push": ["append"],
        "push_back": ["append"], "add": ["append"], "unshift": ["insert"], "prepend": ["insert"],
        "toUpperCase": ["uppercased"],
        "upper": ["uppercased"], "toupper": ["uppercased"], "toLowerCase": ["lowercased"], "lower": ["lowercased"],
        "tolower": ["lowercased"], "strip": ["trimmed"], "trim": ["trimmed"], "startsWith": ["hasPrefix"],
        "startswith": ["hasPrefix"], "starts_with": ["hasPrefix"], "endsWith": ["hasSuffix"], "endswith": ["hasSuffix"],
        "ends_with": ["hasSuffix"], "find": ["indexOf"], "index": ["indexOf"], "indexof": ["indexOf"],
        "includes": ["contains", "has"], "contains": ["has"], "containsKey": ["has"], "contains_key": ["has"],
        "has_key": ["has"], "hasKey": ["has"], "has": ["contains"], "forEach": ["each"], "foreach": ["each"],
        "sort": ["sorted"], "removeLast": ["pop"], "popleft": ["remove"], "shift": ["remove"],
        "extend": ["append"], "match": ["matches"], "reverse": ["reversed"], "joined": ["join"], "fold": ["reduce"],
        "some": ["any"],
        "every": ["all"], "utf8": ["bytes"], "encode": ["bytes"], "decode": ["text"], "chars": ["codePoints"],
        "replaceAll": ["replace"], "gsub": ["replace"], "delete": ["remove"], "removeAt": ["remove"],
        "entries": ["keys"],
        "items": ["keys"], "popcount": ["setBits"], "round": ["rounded"], "is_empty": ["isEmpty"], "empty": ["isEmpty"],
        "registers": ["register"], "memory": ["mem"], "regs": ["register"],
    ]

    /// What is done otherwise than by a member, and how.
    static let memberHints = [
        "substring": "write `text[from..<to]`", "substr": "write `text[from..<to]`",
        "slice": "write `value[from..<to]`",
        "sub": "write `text[from..<to]`", "toString": "write `string(value)`", "to_s": "write `string(value)`",
        "format": "write `\"\\(value:08x)\"`", "copy": "a slice `list[0..<list.count]` is a new list",
    ]

    /// What a member that a type does not have may have been meant for, among those that it has.
    static func hint(for name: String, among names: [String]) -> String? {
        if let meant = members[name]?.first(where: names.contains) { return "it is called `\(meant)` here" }
        return memberHints[name]
    }
}
