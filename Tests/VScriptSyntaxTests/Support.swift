import VScriptSyntax

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The tree of a text.
func tree(_ source: String) -> SyntaxTree { parse(SourceFile(source, named: "test.vscript")) }

/// The codes reported about a text.
func codes(_ source: String) -> [String] { tree(source).diagnostics.map(\.code) }

/// The example scripts of the language's description, by name.
let exampleNames = [
    "1-rings", "2-linux", "3-techniques", "4-symbol", "5-hypercall", "6-device", "7-tests", "8-sweep", "9-network",
]

/// The text of an example.
func example(_ name: String) -> String {
    let folder = #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
    guard let file = fopen("/\(folder)/Fixtures/Language/\(name).vscript", "r") else { return "" }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    while case let next = getc(file), next != EOF { bytes.append(UInt8(truncatingIfNeeded: next)) }
    return String(decoding: bytes, as: UTF8.self)
}

/// A one-line rendition of a tree: kinds and tokens in parentheses.
func outline(_ node: SyntaxNode) -> String {
    let parts = node.elements.map { element in
        switch element {
        case .node(let child): outline(child)
        case .token(let token): token.text
        }
    }
    return "(\(([node.kind == .program ? "" : "\(node.kind)"] + parts).filter { !$0.isEmpty }.joined(separator: " ")))"
}

/// The outline of a text's first statement.
func outline(_ source: String) -> String { outline(tree(source).root.children[0]) }

/// The first number in a short run of the tests, the second in a long one (`VSCRIPT_LONG_TESTS=1`).
func longOr(_ short: UInt64, _ long: UInt64) -> UInt64 { getenv("VSCRIPT_LONG_TESTS") == nil ? short : long }
