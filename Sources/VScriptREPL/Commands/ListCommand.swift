import FoundationEssentials
import VScript
import VirtualMachine

/// The command that shows source text.
enum ListCommand {
    static let all: [Command] = [
        Command(
            "list l", ["[LOCATION | LINE | FILE:LINE]"],
            "Shows the source around a place, or goes on where it ended: of `asm` blocks, and what DWARF tells.",
            method: "print(file.read(path))", group: .look, repeats: true, argument: .location
        ) { repl, invocation throws(CommandFailure) in
            try repl.list(invocation)
        }
    ]
}

/// Where `list` goes on.
package struct ListedSource {
    var name: String
    var lines: [String]
    /// The next line, from 1.
    var next: Int
}

extension REPL {
    private static let listedLines = 10

    func list(_ invocation: Invocation) throws(CommandFailure) {
        let target = try guest()
        let goesOn = invocation.isRepetition || invocation.arguments.isEmpty
        var listed: ListedSource
        if goesOn, let known = continuation.list {
            listed = known
        } else {
            listed = try listing(invocation.arguments, in: target)
        }
        guard listed.next <= listed.lines.count else {
            throw CommandFailure("`\(listed.name)` has \(listed.lines.count) lines")
        }
        let present = target.symbols.location(of: target.codeAddress(target.guest.cpu.rip))
        let range = listed.next..<min(listed.next + Self.listedLines, listed.lines.count + 1)
        output(
            .lines(
                range.map { number in
                    let isPresent = present?.file == listed.name && present.map { Int($0.line) } == number
                    return StyledText(isPresent ? "=> " : "   ", .current)
                        + StyledText(String(number).padded(toRight: 4) + "  ", .faint)
                        + StyledText(ControlCharacters.shown(listed.lines[number - 1]), isPresent ? .current : .plain)
                }))
        listed.next = range.upperBound
        continuation.list = listed
    }

    /// The source of a place, from a little before its line on.
    private func listing(_ text: String, in target: DebuggedGuest) throws(CommandFailure) -> ListedSource {
        if let number = Numbers.parse(text), !text.lowercased().hasPrefix("0x") {
            guard let name = presentSource(target), number > 0 else {
                throw CommandFailure("there is no source text whose line \(text) is meant")
            }
            return try source(name, Int(min(number, 1 << 30)), target)
        }
        if let colon = text.lastIndex(of: ":"), let number = Numbers.parse(String(text[text.index(after: colon)...])) {
            return try source(String(text[..<colon]), Int(min(number, 1 << 30)), target)
        }
        let address = text.isEmpty ? target.codeAddress(target.guest.cpu.rip) : try location(text, in: target)
        guard let location = target.symbols.location(of: address), location.line > 0 else {
            throw CommandFailure(
                "no source line is known for \(PlaceView(guest: target).text(address))",
                notes: ["`disas` shows its instructions"])
        }
        return try source(location.file, Int(location.line), target)
    }

    /// The text that lines by number are looked for in: that of the present place, or else the first that is known.
    private func presentSource(_ target: DebuggedGuest) -> String? {
        continuation.list?.name ?? target.symbols.location(of: target.codeAddress(target.guest.cpu.rip))?.file
            ?? target.guest.sourceLines.sources.first?.name
    }

    private func source(_ name: String, _ line: Int, _ target: DebuggedGuest) throws(CommandFailure) -> ListedSource {
        let lines: [String]
        if let own = target.guest.sourceLines.sources.first(where: { $0.name == name }) {
            lines = own.lines
        } else if let data = FileManager.default.contents(atPath: name) {
            lines = SourceText(name: name) { String(decoding: data, as: UTF8.self) }.lines
        } else {
            throw CommandFailure("the source `\(name)` cannot be read")
        }
        guard line <= lines.count else { throw CommandFailure("`\(name)` has \(lines.count) lines") }
        return ListedSource(name: name, lines: lines, next: max(line - Self.listedLines / 2, 1))
    }
}
