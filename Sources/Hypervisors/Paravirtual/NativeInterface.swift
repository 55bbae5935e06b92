extension HypercallInterface {
    /// The project's own interface.
    ///
    /// A call has its number in RAX and its arguments in RDI, RSI and RDX; its result is in RAX, and all other registers
    /// stay as they are.
    public static let native = HypercallInterface(
        name: "native", version: 1, signature: "vsnative\0\0\0\0", vector: 0x82,
        argumentRegisters: ["rdi", "rsi", "rdx"],
        calls: zip(UInt64(0)..., rows).map { number, row in
            Call(
                number: number, name: row.name, parameters: row.parameters, result: row.result, summary: row.summary,
                operation: row.operation)
        },
        failures: [
            FailureCode(code: -1, name: "notPermitted", summary: "The guest may not do that.", failure: .notPermitted),
            FailureCode(
                code: -14, name: "inaccessible", summary: "An address leads to no memory that the kernel can use so.",
                failure: .inaccessible),
            FailureCode(
                code: -16, name: "busy", summary: "The page or event source is in use for something else.",
                failure: .busy),
            FailureCode(code: -22, name: "invalid", summary: "An argument is not possible.", failure: .invalid),
            FailureCode(code: -28, name: "exhausted", summary: "There is no port left.", failure: .exhausted),
            FailureCode(
                code: -38, name: "noSuchCall", summary: "The interface has no call of that number.",
                failure: .noSuchCall),
        ])

    private typealias Row = (
        name: String, parameters: [Parameter], result: Result, operation: Operation, summary: String
    )

    private static func word(_ name: String) -> Parameter { Parameter(name) }
    private static func quadword(_ name: String) -> Parameter { Parameter(name, .quadword) }

    /// The calls in the order of their numbers; new ones come last.
    private static let rows: [Row] = [
        ("version", [], .word("the version"), .version, "Tells which version of the interface is spoken."),
        (
            "consoleWrite", [word("address"), word("count")], .word("`count`"), .consoleWrite,
            "Writes up to 65536 bytes to the console, the first serial port."
        ),
        (
            "consoleRead", [word("address"), word("count")], .word("how many bytes there were"), .consoleRead,
            "Reads what was typed, up to `count` bytes."
        ),
        (
            "setTraps", [word("address"), word("count")], .none, .setTraps,
            "Replaces the table of handlers by `count` pairs of words, vector and handler: vectors 0 to 31 are exceptions,"
                + " others what `int` of user code leads to."
        ),
        (
            "setSystemCall", [word("handler")], .none, .setSystemCall,
            "Sets where SYSCALL of user code leads, 0 for nowhere: it is an invalid opcode then."
        ),
        (
            "setStack", [word("pointer")], .none, .setStack,
            "Sets the kernel's stack for entries from user code."
        ),
        (
            "setEvents", [word("handler"), word("page")], .none, .setEvents,
            "Sets the handler of events and the physical address of the shared page, which must not be a page table."
        ),
        (
            "returnFromTrap", [], .elsewhere, .returnFromTrap,
            "Goes on as the words at the stack pointer say: RAX, RIP, CS, RFLAGS, RSP, SS."
        ),
        (
            "setBase", [word("table")], .none, .setBase,
            "Puts the top-level page table at a physical address in force; the one before it is in use no more, so a new"
                + " set of tables may lie in pages that the old one maps for writing."
        ),
        (
            "setUserBase", [word("table")], .none, .setUserBase,
            "Sets the top-level page table that user code of a 64-bit kernel runs in; 0 for the kernel's own."
        ),
        (
            "pin", [word("table"), word("level")], .none, .pin,
            "Makes a page a page table of level 1 to 4, and keeps it one while nothing uses it: it must not be mapped for"
                + " writing."
        ),
        ("unpin", [word("table")], .none, .unpin, "Takes `pin` back."),
        (
            "updateEntry", [word("entry"), quadword("value")], .none, .updateEntry,
            "Changes the entry at a physical address of a page table."
        ),
        (
            "updateEntries", [word("address"), word("count")], .word("how many were changed, at least one"),
            .updateEntries,
            "Does `updateEntry` for up to 4096 pairs of quadwords, physical address and value, until one is refused; fails"
                + " as the first one does."
        ),
        (
            "updateMapping", [word("linear"), quadword("value")], .none, .updateMapping,
            "Changes the level 1 entry by which the kernel's page tables translate a linear address."
        ),
        ("flush", [], .none, .flush, "Drops all cached translations; changes by call are never cached wrongly."),
        (
            "setDescriptorTable", [word("table"), word("count")], .none, .setDescriptorTable,
            "Makes `count` pages from a physical address on, 14 at most, the guest's global descriptor table; they must not"
                + " be mapped for writing. 0 pages: none."
        ),
        (
            "updateDescriptor", [word("descriptor"), quadword("value")], .none, .updateDescriptor,
            "Changes the descriptor at a physical address of the guest's descriptor table."
        ),
        (
            "setSegmentBase", [word("which"), word("address")], .none, .setSegmentBase,
            "Sets the base of FS (0), of the kernel's GS (1) or of the user code's GS (2); for 64-bit kernels."
        ),
        (
            "bind", [word("source"), word("number")], .word("the port, 1 to 63"), .bind,
            "Gives a source of events a port: 0 the timer, 1 the console, 2 the interrupt line `number`, 3 the kernel's own"
                + " `send`."
        ),
        ("close", [word("port")], .none, .close, "Takes a port back."),
        ("send", [word("port")], .none, .send, "Raises an event at a port that was bound for it."),
        (
            "unmask", [word("port")], .none, .unmask,
            "Clears the port's bit among the masked ones, and lets the next interrupt of a line through."
        ),
        (
            "setTimer", [quadword("time")], .none, .setTimer,
            "Raises the timer's event at a guest time in nanoseconds; 0 for not at all."
        ),
        (
            "block", [], .none, .block,
            "Enables events, and waits until there is one that is not masked."
        ),
        ("now", [], .quadword("guest time in nanoseconds"), .now, "Tells the time."),
        (
            "portRead", [word("port"), word("width")], .word("what was read"), .portRead,
            "Reads 1, 2 or 4 bytes from an I/O port; the interrupt controllers are the hypervisor's."
        ),
        (
            "portWrite", [word("port"), word("width"), word("value")], .none, .portWrite,
            "Writes 1, 2 or 4 bytes to an I/O port; the interrupt controllers are the hypervisor's."
        ),
        (
            "writeCallPage", [word("page")], .none, .writeCallPage,
            "Fills the page at a physical address with a stub for each call, 16 bytes apart, which is to be called with the"
                + " arguments in their registers."
        ),
        (
            "shutdown", [word("how")], .elsewhere, .shutdown,
            "Ends the guest: 0 powers off, 1 resets, 2 gives up."
        ),
    ]
}
