/// How tables of probes are written.
enum ProbeText {
    /// One piece of code a line, instructions parted by bars; lines that begin with `//` say what follows.
    static func lines(_ text: String) -> [String] {
        text.split(separator: "\n").filter { !$0.hasPrefix("//") }.map { line in
            line.split(separator: " | ").joined(separator: "\n")
        }
    }
}
