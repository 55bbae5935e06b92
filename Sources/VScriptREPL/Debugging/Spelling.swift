import VScriptSyntax

/// Finds what a misspelt word may have meant.
enum Spelling {
    static func near(_ word: String, in words: [String]) -> String? { Suggestion.closest(to: word, in: words) }
}
