import Foundation
import VScript
import VScriptSyntax

/// Finds scripts and their tests.
enum TestDiscovery {
    /// The script at a path, or those with tests in a folder and the folders below, by name.
    static func scripts(at path: String) throws(FileFailure) -> [String] {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw FileFailure(path: path, reason: "no such file or folder")
        }
        guard isDirectory.boolValue else { return [path] }
        let names = FileManager.default.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []
        return names.filter { $0.hasSuffix(".vscript") && !$0.split(separator: "/").contains { $0.hasPrefix(".") } }
            .sorted().map { path == "." ? $0 : "\(path.hasSuffix("/") ? String(path.dropLast()) : path)/\($0)" }
            .filter { path in (try? Source(path: path)).map { $0.tree.mayDeclareTests } ?? false }
    }

    /// Runs scripts without their tests to find these; gives also the scripts that failed meanwhile.
    static func tests(
        in scripts: [String], by processes: TestProcesses, where isChosen: @escaping @Sendable (TestCase) -> Bool
    ) -> (tests: [TestCase], troubles: [TestResult]) {
        let found = processes.map(scripts) { script in
            let transcript = processes.run(script, only: nil)
            let tags = Tags(script)
            let tests = transcript.tests.map { test in
                TestCase(
                    script: script, ordinal: test.ordinal, name: test.name, file: test.file, line: test.line,
                    tags: test.file == script ? tags.onLine(test.line) : [])
            }
            return (tests.filter(isChosen), trouble(script, transcript))
        }
        return (found.flatMap(\.0), found.compactMap(\.1))
    }

    private static func trouble(_ script: String, _ transcript: TestProcesses.Transcript) -> TestResult? {
        guard transcript.death != nil || transcript.exitCode != 0 else { return nil }
        let test = TestCase(script: script, ordinal: -1, name: "(the script)", file: script, line: 1, tags: [])
        var result = TestResult(test: test, status: .failed, reason: transcript.death ?? "")
        result.reports = transcript.reports
        result.output = transcript.output
        result.seconds = transcript.seconds
        result.isMalformedScript = transcript.death == nil && transcript.exitCode == ExitCode.usage.rawValue
        return result
    }
}

/// The tags that the tests of a script list.
private struct Tags {
    private var tagsByLine: [Int: [String]] = [:]

    init(_ script: String) {
        guard let root = (try? Source(path: script))?.tree.root else { return }
        collect(root)
    }

    /// The tags of the test that is declared on a line.
    func onLine(_ line: Int) -> [String] { tagsByLine[line] ?? [] }

    private mutating func collect(_ node: SyntaxNode) {
        if let test = node.test {
            for case .property(let property) in test.body?.statements ?? [] where property.name?.text == "tags" {
                guard case .list(let list) = property.value else { continue }
                tagsByLine[test.header.startPosition.line] = list.items.compactMap { item in
                    switch item {
                    case .string(let text): text.plainText
                    case .symbol(let symbol): symbol.name
                    case _: nil
                    }
                }
            }
        }
        node.children.forEach { collect($0) }
    }
}

extension SyntaxTree {
    /// Whether the script declares tests, or would if it were not malformed: it must not go unnoticed then.
    fileprivate var mayDeclareTests: Bool {
        if root.declaresTests { return true }
        guard diagnostics.contains(where: { $0.severity == .error }) else { return false }
        return zip(tokens, tokens.dropFirst()).contains { word, next in
            word.kind == .identifier && file.text(word.range) == "test" && next.kind == .stringStart
        }
    }
}

extension SyntaxNode {
    /// The declaration of a test that the node is.
    fileprivate var test: DeclarationSyntax? {
        guard kind == .declaration else { return nil }
        let declaration = DeclarationSyntax(node: self)
        return declaration.kind?.text == "test" ? declaration : nil
    }

    /// Whether a test is declared somewhere below.
    fileprivate var declaresTests: Bool { test != nil || children.contains(where: \.declaresTests) }
}
