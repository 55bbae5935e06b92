/// Turns assembly text (Intel syntax, NASM's dialect) into bytes.
///
/// Instructions and operands follow NASM's manual, chapters 3 and 7, but for these differences: `//` begins a comment
/// and `;` separates statements, there is no preprocessor and there are no sections, `align` counts from address 0, and
/// a value that does not fit its field is an error.
package struct Assembler: Sendable {
    /// The mode at the beginning of the source; `bits` changes it.
    package var mode: CodeMode
    /// The address of the first byte, unless the source says `org`.
    package var origin: UInt64
    /// Addresses the source can use without defining them.
    ///
    /// No instruction's size depends on their values, so a first run with guesses gives the final layout.
    package var externalSymbols: [String: UInt64]
    /// How many bytes the output can have.
    package var maximumSize: Int

    package init(
        mode: CodeMode, origin: UInt64 = 0, externalSymbols: [String: UInt64] = [:], maximumSize: Int = 16 << 20
    ) {
        self.mode = mode
        self.origin = origin
        self.externalSymbols = externalSymbols
        self.maximumSize = maximumSize
    }

    /// Assembles a source, or throws all mistakes that are in it.
    package func assemble(_ source: String) throws(AssemblyErrors) -> Assembled {
        let bytes = Array(source.utf8)
        let lines = SourceLines(bytes)
        let parser = AssemblyParser(bytes, mode: mode, externalSymbols: externalSymbols)
        var layout = AssemblyLayout(parser, origin: origin, maximumSize: maximumSize)
        layout.run()
        let mistakes = parser.mistakes + layout.mistakes
        guard mistakes.isEmpty else {
            let sorted = mistakes.sorted { $0.range.lowerBound < $1.range.lowerBound }
            throw AssemblyErrors(errors: sorted.map(lines.locate))
        }
        return Assembled(
            bytes: layout.bytes, origin: UInt64(bitPattern: layout.start), labels: layout.labels,
            constants: layout.constants,
            listing: layout.placements.map { placement in
                Assembled.Line(
                    line: lines.line(at: placement.source.lowerBound),
                    address: UInt64(bitPattern: layout.start &+ Int64(placement.output.lowerBound)),
                    range: placement.output, mode: placement.mode)
            })
    }
}

/// The output of the assembler.
package struct Assembled: Sendable, Hashable {
    /// What one statement became.
    package struct Line: Sendable, Hashable {
        /// The line of the source, counted from 1.
        package var line: Int
        package var address: UInt64
        /// Its part of `bytes`.
        package var range: Range<Int>
        package var mode: CodeMode
    }

    package var bytes: [UInt8]
    /// The address of the first byte.
    package var origin: UInt64
    /// The address of each label; local labels have their full name, `outer.local`.
    package var labels: [String: UInt64]
    /// The value of each name that `equ` defines.
    package var constants: [String: UInt64]
    /// The statements that produced bytes, in order.
    package var listing: [Line]
}
