import Foundation

/// The folder of the files that tests read.
let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures")

/// The scripts in a folder of the fixtures, by name.
func fixtureScripts(_ folder: String) -> [String] {
    let directory = fixtures.appendingPathComponent(folder).path
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    return names.filter { $0.hasSuffix(".vscript") }.sorted()
}

/// The text of a fixture.
func fixture(_ path: String) throws -> String {
    try String(contentsOf: fixtures.appendingPathComponent(path), encoding: .utf8)
}
