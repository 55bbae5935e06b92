import VScriptSyntax

/// What other languages call things of this one.
enum ForeignNames {
    /// Names that only need another spelling.
    static let replacements = [
        "null": "nil", "NULL": "nil", "None": "nil", "undefined": "nil", "nullptr": "nil", "True": "true",
        "False": "false", "TRUE": "true", "FALSE": "false", "printf": "print", "println": "print", "puts": "print",
        "echo": "print", "parseInt": "int", "parseFloat": "float", "String": "string", "this": "self", "str": "string",
        "tostring": "string", "tonumber": "int",
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
        "enumerate": "write `for index, item in list`", "pcall": "write `try { … } catch error { … }`",
        "xpcall": "write `try { … } catch error { … }`", "error": "write `throw value`", "abs": "write `number.abs`",
        "sum": "write `list.sum`", "sorted": "write `list.sorted()`", "reversed": "write `list.reversed`",
        "map": "write `list.map(fn(x) { … })`", "filter": "write `list.filter(fn(x) { … })`",
        "any": "write `list.any(fn(x) { … })`", "all": "write `list.all(fn(x) { … })`",
        "ord": "a character is its code point: `'A'`", "chr": "write `number.character`", "hex": "write `number.hex`",
        "bin": "write `\"\\(number:b)\"`", "isinstance": "compare `type(value)`", "typeof": "write `type(value)`",
        "strlen": "the length is `.count`", "sprintf": "write `\"\\(value)\"`", "format": "write `\"\\(value:08x)\"`",
        "open": "files are read and written by the module `file`", "console": "write `print(value)`",
        "cout": "write `print(value)`", "fprintf": "write `print(value)`",
        "Math": "the module is `math`: `import math`",
        "JSON": "the module is `json`: `import json`", "new": "a function makes the value: leave out `new`",
    ]

    /// Declarations of other languages, and what takes their place.
    static func kindHint(_ word: String) -> String? { Habit.typeWords[word] ?? kindHints[word] }

    private static let kindHints = [
        "namespace": "a module is a file: `import \"a.vscript\" as a`",
        "module": "a module is a file: `import \"a.vscript\" as a`", "loop": "write `while true { … }`",
        "unless": "write `if !condition { … }`", "until": "write `while !condition { … }`",
        "foreach": "write `for item in list { … }`", "repeat": "write `while condition { … }`",
        "vm": "a machine is declared by `guest`", "machine": "a machine is declared by `guest`",
        "cpu": "a guest has its processor, `guest.cpu`", "raise": "write `throw value`", "echo": "write `print(value)`",
        "puts": "write `print(value)`", "print": "write `print(value)`", "assert": "write `expect condition`",
        "global": "functions reach the variables around them: leave this out",
        "nonlocal": "functions reach the variables around them: leave this out",
        "goto": "there are no jumps; loops have `break` and `continue`",
        "del": "write `map.remove(key)` or `list.remove(index)`",
        "delete": "write `map.remove(key)` or `list.remove(index)`", "await": "a call ends before the next one begins",
        "yield": "a function gives a list back", "using": "a module is made known by `import`",
        "package": "a module is a file: `import \"a.vscript\" as a`", "include": "a module is made known by `import`",
        "use": "a module is made known by `import`", "export": "names of a file that do not begin with `_` are public",
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
        "popcount": ["setBits"], "round": ["rounded"], "is_empty": ["isEmpty"], "empty": ["isEmpty"],
        "registers": ["register"], "memory": ["mem"], "regs": ["register"],
    ]

    /// What is done otherwise than by a member, and how.
    static let memberHints = [
        "substring": "write `text[from..<to]`", "substr": "write `text[from..<to]`",
        "slice": "write `value[from..<to]`",
        "sub": "write `text[from..<to]`", "toString": "write `string(value)`", "to_s": "write `string(value)`",
        "format": "write `\"\\(value:08x)\"`", "toFixed": "write `\"\\(value:.2f)\"`",
        "items": "write `for key, value in map`", "entries": "write `for key, value in map`",
        "charAt": "write `text[index]`", "concat": "lists and texts are joined with `+`",
        "copy": "a slice `list[0..<list.count]` is a new list",
    ]

    /// What a member that a type does not have may have been meant for, among those that it has.
    static func hint(for name: String, among names: [String]) -> String? {
        if let meant = members[name]?.first(where: names.contains) { return "it is called `\(meant)` here" }
        return memberHints[name]
    }
}
