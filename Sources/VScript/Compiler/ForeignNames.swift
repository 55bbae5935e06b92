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
        "elif": "write `else if`", "raise": "write `throw value`", "lambda": "write `fn(x) { … }`",
    ]
}
