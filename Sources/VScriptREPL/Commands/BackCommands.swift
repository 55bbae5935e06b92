/// The commands that make a guest run backwards.
enum BackCommands {
    static let all: [Command] = []
}
