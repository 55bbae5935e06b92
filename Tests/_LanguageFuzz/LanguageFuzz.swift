import VScript
import VScriptSyntax
import _SeededNumbers

/// One way to attack the language.
package enum Attack: String, CaseIterable, Sendable {
    /// Calls of every builtin with random values.
    case builtins
    /// The text of programs, with bytes and pieces changed.
    case text
    /// Bytecode with bits flipped, behind the verifier.
    case bytecode
}

/// What a case came to.
package enum Outcome: String, CaseIterable, Sendable {
    /// Reports, and no program.
    case refused
    case ran
    /// A program that ended with an error.
    case failed
    /// A program that ended at a limit.
    case limited
}

/// The fuzzer's cases: each depends on its attack and seed alone.
package enum LanguageFuzz {
    /// The types whose members no case reaches.
    package static var unreachedTypes: [String] {
        Catalogue.types.map(\.name).filter { ValuePool.receivers[$0] == nil }
    }

    /// What every program begins with: receivers of all types.
    package static var preamble: String { ValuePool.preamble }

    /// The text a case starts from.
    package static func source(_ attack: Attack, seed: UInt64) -> [UInt8] {
        var numbers = SeededNumbers(seed)
        var writer = ProgramWriter(numbers: SeededNumbers(numbers.next()))
        var bytes = Array(writer.program().utf8)
        guard attack == .text else { return bytes }
        for _ in 0..<(1 + numbers.below(8)) where !bytes.isEmpty {
            let position = numbers.below(bytes.count)
            switch numbers.below(6) {
            case 0: bytes[position] ^= 1 << UInt8(numbers.below(8))
            case 1: bytes.remove(at: position)
            case 2: bytes.insert(numbers.pick(Array("{}()[]\"\\.:;,/*$\n\0é".utf8)), at: position)
            case 3: bytes.removeSubrange(position..<min(bytes.count, position + numbers.below(40)))
            case 4:
                // A piece again, elsewhere, perhaps often.
                let piece = Array(bytes[position..<min(bytes.count, position + 1 + numbers.below(60))])
                let copies = numbers.chance(1, in: 20) ? 2_000 : 1
                let target = numbers.below(bytes.count)
                bytes.insert(contentsOf: Array(repeating: piece, count: copies).joined(), at: target)
            case _: bytes = Array(bytes.prefix(position))
            }
        }
        return bytes
    }

    /// Runs one case under limits and tells what it came to, and the largest heap it used.
    package static func run(_ attack: Attack, seed: UInt64, limits: Limits) -> (outcome: Outcome, heap: Int) {
        let file = SourceFile(bytes: source(attack, seed: seed), named: "case.vscript")
        var program: Program
        do throws(CompilationError) {
            program = try Program(file)
        } catch {
            // Rendering reports must not fail either.
            for report in error.diagnostics { _ = report.rendered() }
            return (.refused, 0)
        }
        if attack == .bytecode {
            var numbers = SeededNumbers(seed &+ 1)
            program = mutated(program, by: &numbers)
            guard program.isVerified else { return (.refused, 0) }
        }
        let session = Session(limits: limits)
        session.output = { _ in }
        session.collectsAlways = seed % 16 == 0 && attack != .text
        do throws(ScriptError) {
            _ = try session.run(program)
            return (.ran, session.heapUse)
        } catch {
            _ = error.diagnostic.rendered()
            return (error.exitCode == .limit ? .limited : .failed, session.heapUse)
        }
    }

    /// The program with some of its instructions changed.
    package static func mutated(_ program: Program, by numbers: inout SeededNumbers) -> Program {
        program.replacingInstructions { functions in
            for _ in 0..<(1 + numbers.below(4)) {
                let function = numbers.below(functions.count)
                guard !functions[function].isEmpty else { continue }
                let position = numbers.below(functions[function].count)
                let word = functions[function][position]
                functions[function][position] =
                    switch numbers.below(4) {
                    case 0: word ^ 1 << UInt64(numbers.below(64))
                    case 1: numbers.pick(functions[function])
                    // Another operation, another register.
                    case 2: word & ~0xFF | numbers.next() & 0x7F
                    case _: word & ~0xFF00 | numbers.next() & 0x700
                    }
            }
        }
    }
}
