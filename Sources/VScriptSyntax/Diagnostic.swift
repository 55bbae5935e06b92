/// One report about a script: what is wrong, where, and what to do about it.
public struct Diagnostic: Sendable, Equatable {
    /// How many reports a script can get before it runs.
    package static let limit = 200

    /// How serious a report is.
    public enum Severity: String, Sendable {
        /// The script does not run, or stopped.
        case error
        /// The script runs, perhaps not as meant.
        case warning
    }

    /// A marked place; the primary one says where the mistake is, the others what it relates to.
    public struct Label: Sendable, Equatable {
        /// The place.
        public var span: SourceSpan
        /// What is said about the place; may be empty.
        public var text: String
        /// Whether this is where the mistake is.
        public var isPrimary: Bool

        /// A place that the primary one relates to.
        package init(_ span: SourceSpan, _ text: String, isPrimary: Bool = false) {
            self.span = span
            self.text = text
            self.isPrimary = isPrimary
        }
    }

    /// A replacement of source text.
    public struct Edit: Sendable, Equatable {
        /// What is replaced; empty for an insertion.
        public var span: SourceSpan
        /// What stands there afterwards.
        public var text: String

        package init(_ span: SourceSpan, _ text: String) {
            self.span = span
            self.text = text
        }
    }

    /// Edits that mend the mistake.
    public struct Fix: Sendable, Equatable {
        /// What the edits do, in the imperative.
        public var title: String
        /// The edits, which do not overlap.
        public var edits: [Edit]
        /// Whether the edits can be applied without asking.
        public var isSafe: Bool

        package init(_ title: String, _ edits: [Edit], isSafe: Bool = true) {
            self.title = title
            self.edits = edits
            self.isSafe = isSafe
        }

        /// A fix that replaces one stretch of text.
        package static func replace(_ span: SourceSpan, with text: String) -> Fix {
            Fix(text.isEmpty ? "remove `\(span.text)`" : "replace with `\(text)`", [Edit(span, text)])
        }

        /// A fix that inserts text at the start of a span.
        package static func insert(_ text: String, at span: SourceSpan) -> Fix {
            Fix("insert `\(text.trimmed)`", [Edit(span.before, text)])
        }
    }

    /// A stable code, `V` and four digits.
    public var code: String
    /// How serious it is.
    public var severity: Severity
    /// One matter-of-fact line, in lower case.
    public var message: String
    /// The places; at most one is primary.
    public var labels: [Label]
    /// What the parts of a failed expectation were, under the source text they belong to.
    public var values: [Label] = []
    /// Further lines of explanation.
    public var notes: [String]
    /// What would mend it.
    public var fixes: [Fix]

    package init(
        _ code: some DiagnosticCode, _ message: String, at span: SourceSpan? = nil, label: String = "",
        related: [Label] = [], notes: [String] = [], fixes: [Fix] = [], severity: Severity = .error
    ) {
        self.code = code.id
        self.severity = severity
        self.message = message
        labels = (span.map { [Label($0, label, isPrimary: true)] } ?? []) + related
        self.notes = notes
        self.fixes = fixes
    }

    /// Where the mistake is.
    public var span: SourceSpan? { labels.first { $0.isPrimary }?.span }
}

/// A table row of codes: what `explain` prints, and what tests check.
package struct DiagnosticPage: Sendable {
    /// The rule that was broken, as one sentence.
    package let title: String
    /// A script that is reported under this code and no other.
    package let failing: String
    /// The same script, mended.
    package let fixed: String

    package init(_ title: String, failing: String, fixed: String) {
        self.title = title
        self.failing = failing
        self.fixed = fixed
    }
}

/// An enumeration of diagnostic codes with their pages.
package protocol DiagnosticCode: Sendable {
    /// The stable code, `V` and four digits.
    var id: String { get }
    /// Its explanation.
    var page: DiagnosticPage { get }
}

extension DiagnosticCode {
    /// The text of `vscript explain`.
    package var explanation: String {
        func block(_ source: String) -> String {
            source.split(separator: "\n", omittingEmptySubsequences: false).map { "    \($0)" }.joined(separator: "\n")
        }
        return
            "\(id): \(page.title)\n\nThis is reported:\n\n\(block(page.failing))\n\nThis is not:\n\n\(block(page.fixed))\n"
    }
}

extension Diagnostic.Fix {
    /// The text of `file` after the safe fixes of `diagnostics`; of two that overlap, the first is applied.
    package static func applySafe(from diagnostics: [Diagnostic], to file: SourceFile) -> String {
        let edits = diagnostics.compactMap { $0.fixes.first { $0.isSafe } }.flatMap(\.edits)
            .filter { $0.span.file === file }.sorted { $0.span.start < $1.span.start }
        var result: [UInt8] = []
        var position = 0
        for edit in edits where edit.span.start >= position {
            result += file.bytes[position..<edit.span.start]
            result += Array(edit.text.utf8)
            position = edit.span.end
        }
        return String(decoding: result + file.bytes[position...], as: UTF8.self)
    }
}

extension StringProtocol {
    /// The text without white space at either end.
    package var trimmed: String {
        var rest = self[...]
        while rest.first?.isWhitespace == true { rest.removeFirst() }
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return String(rest)
    }
}
