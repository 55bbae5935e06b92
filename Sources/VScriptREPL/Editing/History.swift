import FoundationEssentials

/// What has been typed, kept in a file from session to session: one JSON string to a line, so that an entry may have
/// several lines.
package final class History {
    /// How many entries a file keeps.
    package static let limit = 10_000

    package private(set) var entries: [String] = []
    private let path: String?

    /// The history in a file, or one that ends with the session.
    package init(path: String? = nil) {
        self.path = path
        guard let path, let data = FileManager.default.contents(atPath: path) else { return }
        entries = data.split(separator: UInt8(ascii: "\n")).compactMap {
            // Lines that something else wrote are passed over.
            try? JSONDecoder().decode(String.self, from: Data($0))
        }
        if entries.count > Self.limit {
            entries.removeFirst(entries.count - Self.limit)
            try? Data((entries.map(Self.line).joined()).utf8).write(to: URL(filePath: path), options: .atomic)
        }
    }

    /// Adds an entry, unless it repeats the last one.
    ///
    /// - Returns: Whether it was added.
    @discardableResult
    package func add(_ entry: String) -> Bool {
        guard !entry.isEmpty, entry != entries.last else { return false }
        entries.append(entry)
        guard let path else { return true }
        let folder = URL(filePath: path).deletingLastPathComponent()
        try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        HistoryFile.append(Self.line(entry), to: path)
        return true
    }

    private static func line(_ entry: String) -> String { JSONText.string(entry) + "\n" }

    /// Where the history of a user is kept.
    package static func defaultPath(environment: [String: String]) -> String? {
        if let path = environment["VSCRIPT_HISTORY"] { return path.isEmpty ? nil : path }
        if let state = environment["XDG_STATE_HOME"], !state.isEmpty { return state + "/vscript/history" }
        return environment["HOME"].map { $0 + "/.local/state/vscript/history" }
    }
}
