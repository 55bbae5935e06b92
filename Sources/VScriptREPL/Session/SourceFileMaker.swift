import VScriptSyntax

/// Names texts that come from the prompt.
enum SourceFileMaker {
    static func input(_ text: String) -> SourceFile { SourceFile(text, named: "<input>") }
}
