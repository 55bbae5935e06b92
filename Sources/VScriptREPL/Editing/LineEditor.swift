/// What reading a line gave.
package enum LineInput: Equatable, Sendable {
    /// A text, of several lines if the first was not complete.
    case line(String)
    /// Ctrl-C: what had been typed is gone.
    case interrupted
    /// Ctrl-D, or the end of the input.
    case end
}

/// A way to finish the word at the cursor.
package struct Completion: Equatable, Sendable {
    /// The whole word.
    package var word: String
    /// One line about it; may be empty.
    package var summary: String
    /// Whether the word is finished, so that a space may follow; false for folders and objects with members.
    package var isFinal: Bool

    package init(_ word: String, _ summary: String = "", isFinal: Bool = true) {
        self.word = word
        self.summary = summary
        self.isFinal = isFinal
    }
}

/// What an editor asks about the text being typed.
package protocol LineEditorDelegate: AnyObject {
    /// Candidates for the word at bytes `range` of a line.
    func completions(in line: String, word range: Range<Int>) -> [Completion]
    /// Whether Enter accepts the text rather than beginning another line.
    func isComplete(_ text: String) -> Bool
    /// The text with colours; nil for a text without.
    func highlighted(_ text: String) -> String?
}

/// Reads what a person types.
package protocol LineEditor: AnyObject {
    /// Who is asked about the text being typed.
    var delegate: (any LineEditorDelegate)? { get set }
    /// Reads a text after a prompt.
    func read(prompt: StyledText) -> LineInput
    /// Makes a text reachable by arrow up.
    func remember(_ entry: String)
    /// The width of the screen in columns; nil if the output is none.
    var columns: Int? { get }
}
