/// The error code of a page fault in words.
///
/// SDM vol. 3 section 4.7.
package enum PageFaultWords {
    /// Without NX and SMEP fetches look like reads.
    package static func text(_ code: UInt32, tellsFetches: Bool = true) -> String {
        let read = tellsFetches ? "read" : "read or fetch"
        let access = code & 1 << 4 != 0 ? "instruction fetch" : code & 1 << 1 != 0 ? "write" : read
        let mode = code & 1 << 2 != 0 ? "user" : "supervisor"
        let why =
            code & 1 << 3 != 0
            ? "a reserved bit is set"
            : code & 1 << 5 != 0
                ? "its protection key forbids it"
                : code & 1 != 0 ? "the page forbids it" : "the page is not present"
        return "\(mode) \(access), \(why)"
    }
}

/// The error code of an exception other than a page fault, in words; empty where it says nothing.
///
/// SDM vol. 3 sections 6.13 and 6.15; #VC, #SX: APM vol. 2 section 8.2.
package enum ErrorCodeWords {
    package static func text(_ code: UInt32, vector: Int) -> String {
        switch vector {
        case 10...13: return selector(code)
        case 21:
            let reasons = [
                1: "near RET", 2: "far RET or IRET", 3: "no ENDBRANCH at the target", 4: "RSTORSSP", 5: "SETSSBSY",
            ]
            return reasons[Int(code & 0x7FFF)] ?? ""
        case 29: return "exit code \(Numbers.hex(code))"
        case 30: return code == 1 ? "an INIT signal" : ""
        case _: return ""
        }
    }

    /// What names an entry of a descriptor table; nothing if it names none.
    private static func selector(_ code: UInt32) -> String {
        let index = Numbers.hex(code >> 3)
        let table = code & 2 != 0 ? "IDT vector \(index)" : "\(code & 4 != 0 ? "LDT" : "GDT") entry \(index)"
        let isExternal = code & 1 != 0
        let parts = [code & ~1 == 0 ? nil : table, isExternal ? "during the delivery of another event" : nil]
        return parts.compactMap { $0 }.joined(separator: ", ")
    }
}
