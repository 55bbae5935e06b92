/// By how much a kernel was moved from where it was linked (KASLR).
package struct KernelSlide: Equatable {
    /// What the processor says about where the kernel runs.
    package struct Evidence {
        /// IA32_LSTAR, 0 before the kernel has set it.
        package var systemCallEntry: UInt64
        /// Handlers of the IDT by vector.
        package var handlers: [UInt8: UInt64]

        /// The addresses, which all lie in the kernel.
        package var addresses: [UInt64] {
            let all = [systemCallEntry] + handlers.keys.sorted().compactMap { handlers[$0] }
            return all.filter { $0 >> 63 == 1 || ($0 >= 1 << 31 && $0 < 1 << 32) }
        }
    }

    /// What is added to linked addresses, modulo 2⁶⁴.
    package var slide: UInt64
    /// How many entry points agree.
    package var votes: Int

    /// Names of entry points in Linux: the current one and older ones.
    private static let systemCallNames = ["entry_SYSCALL_64", "system_call"]
    private static let handlerNames: [(vector: UInt8, names: [String])] = [
        (0, ["asm_exc_divide_error", "divide_error"]), (1, ["asm_exc_debug", "debug"]),
        (3, ["asm_exc_int3", "int3"]), (6, ["asm_exc_invalid_op", "invalid_op"]),
        (8, ["asm_exc_double_fault", "double_fault"]), (12, ["asm_exc_stack_segment", "stack_segment"]),
        (13, ["asm_exc_general_protection", "general_protection"]), (14, ["asm_exc_page_fault", "page_fault"]),
    ]

    /// The slide that most entry points agree on; nil if no name is known, or if it is not a multiple of 4 KiB.
    package init?(of file: SymbolFile, _ evidence: Evidence) {
        var votes: [UInt64: Int] = [:]
        func vote(_ names: [String], _ address: UInt64) {
            guard address != 0, let linked = names.lazy.compactMap({ file.address(of: $0) }).first else { return }
            votes[address &- linked, default: 0] += 1
        }
        vote(Self.systemCallNames, evidence.systemCallEntry)
        for (vector, names) in Self.handlerNames {
            if let address = evidence.handlers[vector] { vote(names, address) }
        }
        let best = votes.filter { $0.key & 0xFFF == 0 }.max { ($0.value, $1.key) < ($1.value, $0.key) }
        guard let best else { return nil }
        (slide, self.votes) = (best.key, best.value)
    }

    /// The slide of a 64-bit kernel whose symbols carry the addresses at which it runs.
    ///
    /// Linux links it at 16 MiB above −2 GiB unless CONFIG_PHYSICAL_START says otherwise
    /// (Linux: arch/x86/include/asm/page_64_types.h).
    package init?(ofRunning file: SymbolFile) {
        guard let text = file.address(of: "_text"), text >= 0xFFFF_FFFF_8000_0000 else { return nil }
        (slide, votes) = (text &- 0xFFFF_FFFF_8100_0000, 1)
    }
}
