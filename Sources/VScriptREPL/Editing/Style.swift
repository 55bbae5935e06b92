/// A text whose parts have roles, which become colours on a terminal that shows them.
package struct StyledText: Equatable, Sendable, ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    package struct Part: Equatable, Sendable {
        package var text: String
        package var role: Role
    }

    package private(set) var parts: [Part] = []

    package init(stringLiteral text: String) { self.init(text) }
    package init(_ text: String, _ role: Role = .plain) { if !text.isEmpty { parts = [Part(text: text, role: role)] } }

    /// The text without colours.
    package var plain: String { parts.map(\.text).joined() }

    /// The text as a terminal takes it, with colours or without.
    ///
    /// With `marksEscapes` escapes stand between the bytes 1 and 2, as readline wants them in prompts.
    package func rendered(colours: Bool, marksEscapes: Bool = false) -> String {
        guard colours else { return plain }
        let (open, close) = marksEscapes ? ("\u{1}", "\u{2}") : ("", "")
        return parts.map { part in
            guard let code = part.role.escape else { return part.text }
            return "\(open)\u{1B}[\(code)m\(close)\(part.text)\(open)\u{1B}[0m\(close)"
        }.joined()
    }

    package static func + (left: StyledText, right: StyledText) -> StyledText {
        var result = left
        result.parts += right.parts
        return result
    }

    package static func += (left: inout StyledText, right: StyledText) { left.parts += right.parts }
}

/// What a piece of text is, which decides its colour.
package enum Role: Equatable, Sendable {
    case plain, command, keyword, string, number, comment, register, name, symbol
    case address, bytes, current, changed, failure, faint, heading
    /// A privilege level: root, then rings 0 to 3.
    case level(Int)

    /// The parameters of the terminal's Select Graphic Rendition (ECMA-48 section 8.3.117); nil for plain text.
    var escape: String? {
        switch self {
        case .plain, .name: nil
        case .command: "1;36"
        case .keyword: "35"
        case .string: "32"
        case .number: "33"
        case .comment, .faint, .bytes: "2"
        case .register, .symbol: "36"
        case .address: "34"
        case .current, .heading: "1"
        case .changed: "1;33"
        case .failure: "1;31"
        case .level(-1): "1;35"
        case .level(0): "1;31"
        case .level(1), .level(2): "1;33"
        case .level: "1;32"
        }
    }
}
