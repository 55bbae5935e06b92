/// Turns bytes into instructions by the instruction table.
package enum Decoder {
    /// Decodes one instruction at the start of `bytes`.
    ///
    /// `bytes` may be longer than the instruction; more than 15 are never looked at.
    package static func decode(_ bytes: UnsafeRawBufferPointer, mode: CodeMode) -> DecodeResult {
        .failure(.truncated)
    }
}
