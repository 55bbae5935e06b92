import VScript
import VScriptSyntax
import VirtualMachine

/// The pages of the documentation that say what the tables say, by their path in the catalogue.
enum ReferencePages {
    static let all: [(path: String, text: String)] =
        [
            ("Reference/Kinds.md", kinds), ("Reference/Builtins.md", builtins), ("Reference/Members.md", members),
            ("Reference/Modules.md", modules), ("Reference/Hypercalls.md", hypercalls),
            ("Reference/ControlStructures.md", controlStructures),
            ("Diagnostics/Diagnostics.md", diagnostics),
        ] + SyntaxCode.allCases.map { page($0) } + ScriptCode.allCases.map { page($0) }

    private static let note = "<!-- Written from the tables by the tests; VSCRIPT_RECORD=1 writes it anew. -->\n"

    private static func document(_ title: String, _ abstract: String, _ parts: [String]) -> String {
        ([note + "\n# \(title)\n\n\(abstract)\n"] + parts).joined(separator: "\n")
    }

    private static func table(_ header: [String], _ rows: [[String]]) -> String {
        // A `|` would end the cell, also inside of code.
        let lines = ([header, header.map { _ in "---" }] + rows).map { row in
            "| " + row.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ") + " |\n"
        }
        return lines.joined()
    }

    // MARK: - Reference

    private static let kinds = document(
        "Kinds and events", "What can be declared, with the properties and events of each.",
        Schema.standard.kinds.values.sorted { $0.name < $1.name }.map(kind))

    private static func kind(_ kind: KindSchema) -> String {
        var text = "## \(kind.name)\n\n\(kind.summary) \(label(kind.label))"
        if !kind.inside.isEmpty { text += " It stands in the body of a `\(kind.inside.joined(separator: "` or `"))`." }
        if !kind.on.isEmpty { text += " It is declared on a `\(kind.on.joined(separator: "` or a `"))`, or on none." }
        text += "\n"
        if let refusal = kind.refusal { text += "\n> Note: Not in this version: \(refusal).\n" }
        let properties = kind.properties.map { property in
            [
                "`\(property.name)`", property.type.description,
                property.summary + (property.isRequired ? " (required)" : "")
                    + (property.refusal.map { " (not in this version: \($0))" } ?? "")
                    + missing(property.missing),
            ]
        }
        if !properties.isEmpty { text += "\n" + table(["property", "value", "meaning"], properties) }
        let events = kind.events.map { event in
            ["`\(event.text)`", kind.missingEvents.contains(event.name) ? "not in this version" : ""]
        }
        if !events.isEmpty { text += "\n" + table(["event", ""], events) }
        return text
    }

    private static func missing(_ symbols: [String]) -> String {
        symbols.isEmpty ? "" : " (not in this version: \(symbols.map { "`.\($0)`" }.joined(separator: ", ")))"
    }

    private static func label(_ rule: KindSchema.LabelRule) -> String {
        switch rule {
        case .optionalName: "It is called by a name, or by none."
        case .number(let range): "It is called by a number in \(range.lowerBound)...\(range.upperBound)."
        case .string: "It is called by a text."
        }
    }

    private static func entries(_ entries: [Catalogue.Entry]) -> String {
        table(
            ["name", "meaning"],
            entries.map { ["`\($0.signature)`", $0.summary + ($0.isSettable ? " Can be assigned to." : "")] })
    }

    private static let builtins = document(
        "Functions",
        "The functions that every script has. A parameter with `?` may be left out, `...` takes any number.",
        [entries(Catalogue.builtins)])

    private static let members = document(
        "Members", "What `value.name` can be, by the type of the value.",
        Catalogue.types.map { section in
            "## \(section.name)\n\n\(section.summary)\n"
                + (section.entries.isEmpty ? "" : "\n" + entries(section.entries))
        })

    private static let modules = document(
        "Modules", "What `import` brings.",
        Catalogue.modules.map { "## \($0.name)\n\n\($0.summary)\n\n" + entries($0.entries) })

    private static let controlStructures = document(
        "Control structures",
        "The fields of `cpu.vmcs` (SDM volume 3 appendix B) and `cpu.vmcb` (APM volume 2 appendix B): "
            + "`event.cpu.vmcs.exit_reason`, or by number, `event.cpu.vmcs[0x4402]`.",
        ControlStructure.Kind.allCases.map { kind in
            let number =
                switch kind {
                case .vmcs: "encoding";
                case .vmcb: "offset"
                }
            return "## \(kind.rawValue)\n\n"
                + table(
                    ["name", number, "bits"],
                    kind.fields.map { ["`\($0.name)`", "`0x\(String($0.number, radix: 16))`", "\($0.bits)"] })
        })

    private static let hypercalls = document(
        "Hypercalls",
        "The calls that paravirtual guests can make, with their arguments and results. <doc:ParavirtualGuests> tells how.",
        HypercallInterface.all.map(interface))

    private static func interface(_ interface: HypercallInterface) -> String {
        let registers = interface.argumentRegisters.map { "`\($0)`" }.joined(separator: ", ")
        let signature = interface.signature.replacing("\0", with: "")
        return "## \(interface.name)\n\nVersion \(interface.version). The number is in `rax`, arguments are in "
            + "\(registers), the result is in `rax`; a 32-bit kernel has the low halves of these. The interrupt "
            + "instruction is "
            + "`int 0x\(String(interface.vector, radix: 16))`, the signature `\(signature)`.\n\n"
            + table(
                ["number", "call", "result", "meaning"],
                interface.calls.map { call in
                    [
                        "\(call.number)",
                        "`\(call.name)(\(call.parameters.map(parameter).joined(separator: ", ")))`",
                        result(call.result), call.summary,
                    ]
                })
            + "\nAn argument with `: 64` has 64 bits: a 32-bit kernel gives it in two registers, the low half first.\n\n"
            + table(
                ["result", "name", "meaning"],
                interface.failures.map { ["\($0.code)", "`\($0.name)`", $0.summary] })
    }

    private static func parameter(_ parameter: HypercallInterface.Parameter) -> String {
        switch parameter.width {
        case .word: parameter.name
        case .quadword: "\(parameter.name): 64"
        }
    }

    private static func result(_ result: HypercallInterface.Result) -> String {
        switch result {
        case .none: "0"
        case .word(let text): text
        case .quadword(let text): "\(text); its high half is in `edx` for a 32-bit kernel"
        case .elsewhere: "none: it goes on elsewhere"
        }
    }

    // MARK: - Diagnostics

    private static let diagnostics = document(
        "Reports", "Every code of a report, with the rule that was broken.",
        [
            "## Before a script runs\n\n" + list(SyntaxCode.allCases.map { ($0.id, $0.page.title) })
                + list(ScriptCode.allCases.filter(isBeforeRunning).map { ($0.id, $0.page.title) }),
            "## While it runs\n\n"
                + list(ScriptCode.allCases.filter { !isBeforeRunning($0) }.map { ($0.id, $0.page.title) }),
        ])

    private static func isBeforeRunning(_ code: ScriptCode) -> Bool { code.id < "V04" || code.id.hasPrefix("V06") }

    private static func list(_ rows: [(id: String, title: String)]) -> String {
        rows.map { "- <doc:\($0.id)> \($0.title)\n" }.joined()
    }

    private static func page(_ code: some DiagnosticCode) -> (String, String) {
        func fence(_ text: String, _ language: String) -> String { "```\(language)\n\(text)\n```\n" }
        let page = code.page
        let isScript = !PageExamples.prose.contains(code.id)
        let failing =
            isScript ? "<!-- fails \(code.id) -->\n" + fence(page.failing, "vscript") : fence(page.failing, "text")
        let text = document(
            "\(code.id): \(page.title)", "`vscript explain \(code.id)` prints this page.",
            ["This is reported:\n\n" + failing, "This is not:\n\n<!-- mended -->\n" + fence(page.fixed, "vscript")])
        return ("Diagnostics/\(code.id).md", text)
    }
}

/// What is special about the examples of diagnostic pages.
enum PageExamples {
    /// Codes whose failing example is described, as no text can hold it.
    static let prose: Set<String> = [
        SyntaxCode.invalidUTF8.id, SyntaxCode.fileTooLarge.id, SyntaxCode.nestedTooDeeply.id,
    ]
}
