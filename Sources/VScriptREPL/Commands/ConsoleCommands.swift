import VirtualMachine

/// The commands that speak to a guest's console.
enum ConsoleCommands {
    static let all: [Command] = [
        Command(
            "send", ["\"TEXT\""], "Types a text into the guest's serial port.", method: "guest.console.send(text)",
            group: .console, argument: .expression
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            guard !invocation.arguments.isEmpty else {
                throw CommandFailure("`send` needs a text, as in `send \"ls\\n\"`")
            }
            let isExpression = invocation.arguments.hasPrefix("\"") || invocation.arguments.hasPrefix("(")
            let text =
                isExpression ? try repl.value(of: invocation.arguments)?.plain ?? "" : invocation.arguments + "\n"
            target.history.forgetFuture()
            target.guest.console.send(text)
            repl.record.translate("\(target.name).console.send(\(JSONText.string(text)))")
            // What is kept of the guest from here on has the text.
            repl.record.changed(target.name, at: target.guest.instructions)
        },
        Command(
            "tail", ["[LINES]"], "Shows the last lines that the guest printed.", method: "guest.console.tail(lines)",
            group: .console
        ) { repl, invocation throws(CommandFailure) in
            let target = try repl.guest()
            let count = invocation.arguments.isEmpty ? 20 : try invocation.count()
            let text = target.guest.console.tail(Int(min(count, 10_000)))
            repl.output(.text(ControlCharacters.shown(text)))
        },
        Command(
            "console", "Gives the terminal to the guest's console; Ctrl-] takes it back.", method: "guest.console",
            group: .console
        ) { repl, invocation throws(CommandFailure) in
            try invocation.expectNone()
            let target = try repl.guest()
            guard let terminal = repl.terminal else {
                throw CommandFailure(
                    "there is no terminal to give to the console", notes: ["`send` types and `tail` shows"])
            }
            var failure: CommandFailure?
            target.history.forgetFuture()
            let result = repl.run(target) { checkpoint in
                do throws(ConsoleTerminalError) {
                    return try target.guest.console.attach(to: terminal, checkpoint: checkpoint)
                } catch {
                    failure = CommandFailure(error.description)
                    return nil
                }
            }
            if let failure { throw failure }
            repl.record.translate("\(target.name).console.attach()")
            repl.report(target, result)
        },
    ]
}

/// What a guest prints, made harmless for the terminal.
package enum ControlCharacters {
    /// The text without escape sequences and control characters other than line breaks and tabs.
    package static func shown(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        var isEscape = false
        for scalar in text.unicodeScalars {
            if isEscape {
                // CSI sequences end with a letter; others have one character.
                if scalar != "[" && !(scalar.value >= 0x20 && scalar.value < 0x40) { isEscape = false }
                continue
            }
            if scalar.value == 0x1B {
                isEscape = true
            } else if scalar == "\n" || scalar == "\t"
                || (scalar.value >= 0x20 && !(0x7F...0x9F).contains(scalar.value))
            {
                result.append(scalar)
            }
        }
        return String(result)
    }
}
