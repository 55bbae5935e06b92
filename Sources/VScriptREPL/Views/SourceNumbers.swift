/// Writes the numbers of an instruction as its source does: who wrote `mov edi, 40` looks for 40.
enum SourceNumbers {
    /// The text of an instruction, in which those numbers are decimal that are so on a line of source.
    static func text(_ instruction: String, asIn source: String) -> String {
        let code = source.firstRange(of: "//").map { String(source[..<$0.lowerBound]) } ?? source
        var decimals: Set<UInt64> = []
        var others: Set<UInt64> = []
        for word in words(code) {
            guard let number = Numbers.parse(String(word)) else { continue }
            if word.allSatisfy({ $0.isNumber || $0 == "_" }) { decimals.insert(number) } else { others.insert(number) }
        }
        decimals.subtract(others)
        guard !decimals.isEmpty else { return instruction }
        var result = ""
        var rest = instruction[...]
        for word in words(instruction) where word.hasPrefix("0x") {
            guard let number = Numbers.parse(String(word)), decimals.contains(number) else { continue }
            result += rest[..<word.startIndex] + String(number)
            rest = instruction[word.endIndex...]
        }
        return result + rest
    }

    /// Names and numbers.
    private static func words(_ text: String) -> [Substring] {
        text.split { !($0.isLetter || $0.isNumber || $0 == "_" || $0 == "." || $0 == "$") }
    }
}
