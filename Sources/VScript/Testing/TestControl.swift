import VScriptSyntax
import VirtualMachine

/// Which of a script's tests run, and who is told about them.
///
/// Tests are counted in the order in which the script comes to them, from 0, whether they run or not; the same script
/// counts them the same each time, also those that a loop declares under computed names.
package struct TestControl {
    /// Something that happened to a test.
    package enum Event {
        /// The script has come to the test.
        case declared(ordinal: Int, name: String, span: SourceSpan)
        /// The test says how long it may take, in nanoseconds.
        case timeLimit(Int64)
        case finished(ordinal: Int, Outcome)
    }

    /// How a test ended.
    package enum Outcome {
        case passed
        case failed(Diagnostic)
        /// It was not run, for a reason.
        case skipped(String)
    }

    /// Whether a test runs.
    package var selects: (_ ordinal: Int) -> Bool = { _ in true }
    /// Is told what happens; if nil, failures are printed.
    package var observer: ((Event) -> Void)?
    /// How many tests the script has come to.
    fileprivate var count = 0
}

/// Ends a test that says that it is not to be run.
private struct TestSkipped: PassingError {
    let reason: String
}

extension Session {
    /// Runs the statements of a test, if it is one of those to run, and tells what became of it.
    ///
    /// - Returns: Whether the script goes on as if all were well.
    func runTest(_ declaration: Declaration, _ body: () throws -> Void) throws -> Bool {
        let ordinal = tests.count
        tests.count += 1
        let name = declaration.label.text
        tests.observer?(.declared(ordinal: ordinal, name: name, span: declaration.header))
        guard tests.selects(ordinal) else { return true }
        var outcome = TestControl.Outcome.passed
        // What happened before is not the test's fault.
        let known = Set(maker.unnoticedFailures.map { ObjectIdentifier($0) })
        do {
            try body()
            let own = maker.unnoticedFailures.first { !known.contains(ObjectIdentifier($0)) }
            if let own { outcome = .failed(own.report) }
        } catch let skip as TestSkipped {
            outcome = .skipped(skip.reason)
        } catch Interruption.fault(let fault) where fault.isCatchable {
            // That the test itself is a function is nobody's concern.
            if fault.trace.last?.call.start == declaration.header.start { fault.trace.removeLast() }
            outcome = .failed(fault.report)
        }
        // What happened in the test is told as its failure, and not once more when the script ends.
        for failure in maker.unnoticedFailures where !known.contains(ObjectIdentifier(failure)) {
            failure.isNoticed = true
        }
        if let observer = tests.observer {
            observer(.finished(ordinal: ordinal, outcome))
        } else if case .failed(let report) = outcome {
            testFailed(name, at: declaration.header, report)
        }
        if case .failed = outcome { return false }
        return true
    }

    /// Heeds what a test says about itself; may end it.
    func heedProperty(_ name: String, of declaration: Declaration) throws {
        guard declaration.kind.name == "test", let value = declaration.properties[name]?.value else { return }
        switch (name, value) {
        case ("skip", .bool(true)): throw TestSkipped(reason: "it says so")
        case ("skip", .string(let reason)): throw TestSkipped(reason: reason)
        case ("timeout", .duration(let time)): tests.observer?(.timeLimit(time))
        case ("requires", .list):
            for technique in declaration.symbols(name) where !Self.techniques.contains(technique) {
                throw TestSkipped(reason: "it needs .\(technique), which is not implemented")
            }
        case _: break
        }
    }

    /// The techniques that guests can run under.
    private static let techniques = Set(Technique.allCases.map(\.rawValue))
}

extension Declaration {
    /// The symbols in a list that is a property's value.
    fileprivate func symbols(_ name: String) -> [String] {
        guard case .list(let list) = properties[name]?.value else { return [] }
        return list.items.compactMap { if case .symbol(let symbol) = $0 { symbol } else { nil } }
    }
}
