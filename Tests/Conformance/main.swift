// Compares the engine with the host's own processor: see `scripts/conformance`.

#if arch(x86_64) && os(Linux)
import Glibc
import X86
import _HostConformance

struct Options {
    var oracle = ""
    var cases = 300
    /// nil: a hundred times `cases`, or none if rows are selected.
    var sequences: Int?
    var seed: UInt64 = 1
    var rows: [String] = []
    var paths = ExecutionPath.allCases
    var modes: [CodeMode] = [.bits64, .bits32]
    var exactFlags = false
    var isVerbose = false
}

func fail(_ message: String) -> Never {
    let text = Array("conformance: error: \(message)\n".utf8)
    _ = write(STDERR_FILENO, text, text.count)
    exit(2)
}

func parse(_ arguments: [String]) -> Options {
    var options = Options()
    var rest = arguments[...]
    while let argument = rest.popFirst() {
        switch argument {
        case "--exact-flags": options.exactFlags = true
        case "--verbose": options.isVerbose = true
        case "--oracle", "--cases", "--sequences", "--seed", "--row", "--path", "--mode":
            guard let value = rest.popFirst() else { fail("\(argument) needs a value") }
            switch argument {
            case "--oracle": options.oracle = value
            case "--cases":
                guard let number = Int(value), number > 0 else { fail("--cases needs a positive number") }
                options.cases = number
            case "--sequences":
                guard let number = Int(value), number >= 0 else { fail("--sequences needs a number") }
                options.sequences = number
            case "--seed":
                guard let number = UInt64(value) else { fail("--seed needs a number") }
                options.seed = number
            case "--mode":
                guard value == "64" || value == "32" else { fail("--mode is 64 or 32") }
                options.modes = [value == "64" ? .bits64 : .bits32]
            case "--path":
                guard let path = ExecutionPath(rawValue: value) else {
                    fail("--path is one of " + ExecutionPath.allCases.map(\.rawValue).joined(separator: ", "))
                }
                options.paths = [path]
            default: options.rows.append(value)
            }
        default:
            fail(
                "unknown argument \(argument)\nusage: conformance [--cases N] [--sequences N] [--row NUMBER|OPERATION]... "
                    + "[--seed N] [--mode 64|32] [--path direct|interpreter|blocks] [--exact-flags] [--verbose]")
        }
    }
    guard !options.oracle.isEmpty else { fail("--oracle names the host oracle's program") }
    return options
}

/// The rows that `--row` names by number or operation; all without it.
func selectedRows(_ names: [String]) -> [Int] {
    let rows = Array(InstructionTable.definitions.indices)
    guard !names.isEmpty else { return rows }
    let selected = rows.filter { row in
        names.contains("\(row)") || names.contains("\(InstructionTable.definitions[row].operation)")
    }
    if selected.isEmpty { fail("no row is called \(names.joined(separator: ", "))") }
    return selected
}

let options = parse(Array(CommandLine.arguments.dropFirst()))
var total = (cases: 0, differing: 0, rows: 0, differingRows: 0)
do {
    let host = try HostProcess(path: options.oracle)
    guard let conformance = Conformance(host: host, paths: options.paths, exactFlags: options.exactFlags) else {
        fail("no memory for the engine")
    }
    func report(_ name: String, _ result: RowResult) {
        total.cases += result.cases
        total.differing += result.differing
        total.rows += 1
        if result.differing > 0 { total.differingRows += 1 }
        if result.differing > 0 || options.isVerbose {
            print("\(name)\t\(result.cases)\t\(result.differing)")
        }
        for example in result.examples {
            print("\t\(description(example.experiment))")
            print("\t\t" + example.differences.joined(separator: "; "))
        }
    }

    print("mode\trow\tcases\tdifferences")
    let sequences = options.sequences ?? (options.rows.isEmpty ? options.cases * 100 : 0)
    for mode in options.modes {
        let name = mode == .bits64 ? "64" : "32"
        for row in selectedRows(options.rows) {
            let result = try conformance.run(row: row, mode: mode, count: options.cases, seed: options.seed)
            if let result { report("\(name)\t\(row) \(rowName(row))", result) }
        }
        if let result = try conformance.runSequences(mode: mode, count: sequences, seed: options.seed) {
            report("\(name)\tsequences", result)
        }
    }
} catch {
    fail("\(error)")
}
print("\(total.cases) cases of \(total.rows) rows, \(total.differing) differences in \(total.differingRows) rows")
exit(total.differing == 0 ? 0 : 1)
#else
print("conformance needs an x86-64 Linux host")
#endif
