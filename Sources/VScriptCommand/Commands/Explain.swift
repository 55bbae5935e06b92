import ArgumentParser
import VScript

/// `vscript explain CODE…`.
struct Explain: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Explains codes such as V0312.")

    @Argument(help: ArgumentHelp("The codes of reports.", valueName: "code"))
    var codes: [String]

    func run() throws {
        for code in codes {
            guard let text = explanation(of: code) else {
                throw ValidationError("there is no code `\(code)`; codes are V and four digits, as in V0312")
            }
            print(text)
        }
    }
}
