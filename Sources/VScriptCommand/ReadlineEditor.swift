import CReadline
import Foundation
import VScriptREPL

/// The line editor on GNU readline; one in a process, on the main thread.
final class ReadlineEditor: LineEditor {
    weak var delegate: (any LineEditorDelegate)?
    private let wake: WakePipe
    private let colours: Bool
    /// What the last completion offered, whose summaries the list shows.
    private var offered: [String: Completion] = [:]

    init(wake: WakePipe, colours: Bool) {
        self.wake = wake
        self.colours = colours
        let callbacks = creadline_callbacks(
            context: Unmanaged.passUnretained(self).toOpaque(),
            complete: { context, line, start, end in
                ReadlineEditor.from(context)?.complete(String(cString: line), Int(start)..<Int(end))
            },
            list: { context, candidates, count, rows, columns in
                let words = (0..<Int(max(count, 0))).map { String(cString: candidates[$0]) }
                return ReadlineEditor.from(context)?.list(words, rows: Int(rows), columns: Int(columns))
            },
            is_complete: { context, text in
                ReadlineEditor.from(context)?.delegate?.isComplete(String(cString: text)) ?? true
            },
            highlight: { context, text in ReadlineEditor.from(context)?.highlight(String(cString: text)) })
        creadline_start("vscript", callbacks)
    }

    private static func from(_ context: UnsafeMutableRawPointer?) -> ReadlineEditor? {
        // SAFETY: the context is the editor itself, which lives as long as the process reads lines.
        context.map { Unmanaged<ReadlineEditor>.fromOpaque($0).takeUnretainedValue() }
    }

    var columns: Int? { Int(creadline_columns()) }

    func read(prompt: StyledText) -> LineInput {
        var text: UnsafeMutablePointer<CChar>?
        let shown = prompt.rendered(colours: colours, marksEscapes: true)
        switch creadline_read(shown, wake.readEnd, &text) {
        case CREADLINE_LINE:
            guard let text else { return .end }
            defer { free(text) }
            return .line(String(cString: text))
        case CREADLINE_INTERRUPTED: return .interrupted
        case _: return .end
        }
    }

    func remember(_ entry: String) { creadline_add_history(entry) }

    /// The candidates in an array such as readline wants: allocated by `malloc`, the common prefix first.
    private func complete(_ line: String, _ range: Range<Int>) -> UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? {
        guard let delegate else { return nil }
        var seen: [String: Completion] = [:]
        var completions: [Completion] = []
        for completion in delegate.completions(in: line, word: range) where seen[completion.word] == nil {
            seen[completion.word] = completion
            completions.append(completion)
        }
        offered = seen
        guard !completions.isEmpty else { return nil }
        // A single candidate stands alone in the array; its space is part of it.
        var words = completions.map(\.word)
        let prefix =
            completions.count == 1
            ? words[0] + (completions[0].isFinal ? " " : "") : CompletionList.commonPrefix(completions)
        if completions.count == 1 { words = [] }
        let size = (words.count + 2) * MemoryLayout<UnsafeMutablePointer<CChar>?>.stride
        guard let memory = malloc(size) else { return nil }
        let array = memory.bindMemory(to: UnsafeMutablePointer<CChar>?.self, capacity: words.count + 2)
        for (index, word) in ([prefix] + words).enumerated() { (array + index).initialize(to: strdup(word)) }
        (array + words.count + 1).initialize(to: nil)
        return array
    }

    private func list(_ words: [String], rows: Int, columns: Int) -> UnsafeMutablePointer<CChar>? {
        strdup(CompletionList.text(words.map { offered[$0] ?? Completion($0) }, rows: rows, columns: columns))
    }

    private func highlight(_ text: String) -> UnsafeMutablePointer<CChar>? {
        guard colours, let styled = delegate?.highlighted(text) else { return nil }
        return strdup(styled)
    }
}
