/// All commands: what a line means, what help and completion say derives from this table.
package enum CommandTable {
    package static let all: [Command] =
        RunCommands.all + BackCommands.all + StopCommands.all + LookCommands.all + ListCommand.all + TableCommands.all
        + MonitorCommands.all + TaskCommands.all + ConsoleCommands.all + GuestFileCommands.all + SessionCommands.all

    private static let byName: [String: Command] = Dictionary(
        all.flatMap { command in command.names.map { ($0, command) } }, uniquingKeysWith: { first, _ in first })

    /// Every name and alias.
    package static let names: [String] = byName.keys.sorted()

    /// What a first word may mean.
    package enum Lookup {
        case command(Command)
        case ambiguous([String])
        case none
    }

    /// The command of a name or of a prefix that only one command has.
    package static func find(_ word: String, exactOnly: Bool = false) -> Lookup {
        if let command = byName[word] { return .command(command) }
        if exactOnly || word.isEmpty { return .none }
        let matches = names.filter { $0.hasPrefix(word) }
        let commands = Set(matches.compactMap { byName[$0]?.name })
        if commands.count == 1, let name = commands.first, let command = byName[name] { return .command(command) }
        return commands.isEmpty ? .none : .ambiguous(commands.sorted())
    }
}
