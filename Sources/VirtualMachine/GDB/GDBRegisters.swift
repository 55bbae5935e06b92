import X86Engine

/// The registers that gdb sees, in the order of its target description; the description derives from this table.
///
/// gdb manual, appendix G.5.15 "i386 Features": always the 64-bit description, from reset on, so that gdb's idea of the
/// packets never changes.
package enum GDBRegisters {
    /// One register: its name, its width in bits, its type in the description, and how it is read.
    package struct Register: Sendable {
        let name: String
        package let bits: Int
        let type: String
        let read: @Sendable (UnsafeMutablePointer<ProcessorState>) -> [UInt8]
    }

    private static func bytes(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
    }

    private static func integer(
        _ name: String, _ bits: Int, _ type: String,
        _ read: @escaping @Sendable (UnsafeMutablePointer<ProcessorState>) -> UInt64
    ) -> Register {
        Register(name: name, bits: bits, type: type) { bytes(read($0), bits / 8) }
    }

    private static func named(_ name: String, _ bits: Int, _ type: String) -> Register {
        integer(name, bits, type) { RegisterNames.read(name, $0) ?? 0 }
    }

    /// The features with their registers.
    static let features: [(name: String, registers: [Register])] = [
        ("org.gnu.gdb.i386.core", core), ("org.gnu.gdb.i386.sse", sse), ("org.gnu.gdb.i386.segments", segments),
        ("org.vscript.x86.system", system),
    ]

    package static let all: [Register] = features.flatMap(\.registers)

    private static let core: [Register] =
        ["rax", "rbx", "rcx", "rdx", "rsi", "rdi"].map { named($0, 64, "int64") }
        + [named("rbp", 64, "data_ptr"), named("rsp", 64, "data_ptr")]
        + (8...15).map { named("r\($0)", 64, "int64") }
        + [named("rip", 64, "code_ptr"), named("eflags", 32, "i386_eflags")]
        + ["cs", "ss", "ds", "es", "fs", "gs"].map { named($0, 32, "int32") }
        + (0..<8).map { number in
            Register(name: "st\(number)", bits: 80, type: "i387_ext") { state in
                // ST(i) is the register TOP + i (SDM vol. 1 section 8.1.2).
                let top = Int(state.pointee.x87.statusWord >> 11 & 7)
                let index = (top + number) & 7
                return bytes(state.pointee.x87.significands[index], 8)
                    + bytes(UInt64(state.pointee.x87.signsAndExponents[index]), 2)
            }
        }
        + [
            integer("fctrl", 32, "int") { UInt64($0.pointee.x87.controlWord) },
            integer("fstat", 32, "int") { UInt64($0.pointee.x87.statusWord) },
            integer("ftag", 32, "int") { UInt64($0.pointee.x87.tagWord) },
            integer("fiseg", 32, "int") { UInt64($0.pointee.x87.instructionSelector) },
            integer("fioff", 32, "int") { $0.pointee.x87.instructionPointer & 0xFFFF_FFFF },
            integer("foseg", 32, "int") { UInt64($0.pointee.x87.dataSelector) },
            integer("fooff", 32, "int") { $0.pointee.x87.dataPointer & 0xFFFF_FFFF },
            integer("fop", 32, "int") { UInt64($0.pointee.x87.opcode) },
        ]

    private static let sse: [Register] =
        (0..<16).map { number in
            Register(name: "xmm\(number)", bits: 128, type: "vec128") { state in
                withUnsafeBytes(of: &state.pointee.sse.xmm) { Array($0.dropFirst(number * 16).prefix(16)) }
            }
        } + [integer("mxcsr", 32, "int") { UInt64($0.pointee.sse.mxcsr) }]

    private static let segments: [Register] = ["fs_base", "gs_base"].map { named($0, 64, "int") }

    private static let system: [Register] = [
        "kernel_gs_base", "cr0", "cr2", "cr3", "cr4", "efer", "xcr0", "gdtr", "idtr", "ldtr", "tr", "star", "lstar",
        "cstar",
        "fmask", "dr0", "dr1", "dr2", "dr3", "dr6", "dr7", "cpl",
    ].map { named($0, 64, "int64") }

    /// The target description.
    static let description: String = {
        var text = """
            <?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target version="1.0">
            <architecture>i386:x86-64</architecture>

            """
        for (name, registers) in features {
            text += "<feature name=\"\(name)\">\n" + (types[name] ?? "")
            for register in registers {
                let group =
                    register.type == "vec128"
                    ? " group=\"vector\"" : name.hasSuffix("system") ? " group=\"system\"" : ""
                text +=
                    "<reg name=\"\(register.name)\" bitsize=\"\(register.bits)\" type=\"\(register.type)\"\(group)/>\n"
            }
            text += "</feature>\n"
        }
        return text + "</target>\n"
    }()

    private static let types: [String: String] = [
        "org.gnu.gdb.i386.core": """
        <flags id="i386_eflags" size="4">
        <field name="CF" start="0" end="0"/><field name="PF" start="2" end="2"/><field name="AF" start="4" end="4"/>
        <field name="ZF" start="6" end="6"/><field name="SF" start="7" end="7"/><field name="TF" start="8" end="8"/>
        <field name="IF" start="9" end="9"/><field name="DF" start="10" end="10"/><field name="OF" start="11" end="11"/>
        <field name="IOPL" start="12" end="13"/><field name="NT" start="14" end="14"/><field name="RF" start="16" end="16"/>
        <field name="VM" start="17" end="17"/><field name="AC" start="18" end="18"/><field name="VIF" start="19" end="19"/>
        <field name="VIP" start="20" end="20"/><field name="ID" start="21" end="21"/>
        </flags>

        """,
        "org.gnu.gdb.i386.sse": """
        <vector id="v4f" type="ieee_single" count="4"/><vector id="v2d" type="ieee_double" count="2"/>
        <vector id="v16i8" type="int8" count="16"/><vector id="v8i16" type="int16" count="8"/>
        <vector id="v4i32" type="int32" count="4"/><vector id="v2i64" type="int64" count="2"/>
        <union id="vec128"><field name="v4_float" type="v4f"/><field name="v2_double" type="v2d"/>
        <field name="v16_int8" type="v16i8"/><field name="v8_int16" type="v8i16"/><field name="v4_int32" type="v4i32"/>
        <field name="v2_int64" type="v2i64"/><field name="uint128" type="uint128"/></union>

        """,
    ]
}
