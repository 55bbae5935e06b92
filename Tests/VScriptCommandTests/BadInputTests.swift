import Foundation
import Testing

/// Whatever is wrong with a guest is told by the command precisely, and ends with an exit code other than zero.
@Suite struct BadInputTests {
    private static func guest(_ code: String, memory: String = "4 MiB") -> String {
        "guest vm { memory: \(memory); boot: .long; ring 0 { asm { \(code) } } }\n"
    }

    private static func linux(memory: String = "64 MiB", initrd: String = "") -> String {
        "import linux\nguest vm { memory: \(memory); boot: linux.bzImage(\"kernel\"\(initrd)) }\nvm.run()"
    }

    /// A setup header that a loader of the boot protocol takes, and a protected-mode part of 64 KiB
    /// (Linux, Documentation/arch/x86/boot.rst).
    private static func kernel(version: UInt16 = 0x20F, initSize: UInt32 = 0x10_0000) -> Data {
        var bytes = [UInt8](repeating: 0, count: 5 * 512 + 0x1_0000)
        func set(_ offset: Int, _ value: UInt64, _ size: Int) {
            for index in 0..<size { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(index * 8)) }
        }
        set(0x1F1, 4, 1)
        set(0x1F4, 0x1000, 4)
        set(0x1FE, 0xAA55, 2)
        set(0x200, 0x66EB, 2)
        set(0x202, 0x5372_6448, 4)
        set(0x206, UInt64(version), 2)
        set(0x211, 1, 1)
        set(0x22C, 0x7FFF_FFFF, 4)
        set(0x230, 0x20_0000, 4)
        set(0x234, 1, 1)
        set(0x235, 21, 1)
        set(0x236, 3, 2)
        set(0x238, 2047, 4)
        set(0x258, 0x100_0000, 8)
        set(0x260, UInt64(initSize), 4)
        return Data(bytes)
    }

    private static let random = Data((0..<8192).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 13) })

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var script: String
        var files: [String: Data] = [:]
        var status: Int32
        /// What the message says, every piece of it.
        var message: [String]

        var testDescription: String { name }
    }

    static let cases: [Case] = [
        Case(
            name: "missing kernel", script: linux(), status: 1, message: ["V0504", "kernel: No such file or directory"]),
        Case(
            name: "empty kernel", script: linux(), files: ["kernel": Data()], status: 1, message: ["the file is empty"]),
        Case(
            name: "directory", script: "import linux\nguest vm { boot: linux.bzImage(\"/\") }", status: 1,
            message: ["is a directory"]),
        Case(
            name: "random bytes", script: linux(), files: ["kernel": random], status: 1,
            message: ["V0504", "kernel: not "]),
        Case(
            name: "truncated kernel", script: linux(), files: ["kernel": kernel().prefix(30_000)], status: 1,
            message: ["truncated", "30000 bytes"]),
        Case(
            name: "kernel of an old protocol", script: linux(), files: ["kernel": kernel(version: 0x204)], status: 1,
            message: ["version"]),
        Case(
            name: "memory too small for the kernel", script: linux(memory: "2 MiB"),
            files: ["kernel": kernel(initSize: 0x400_0000)], status: 1,
            message: ["memory is too small", "64 MiB needed", "memory: 2 MiB"]),
        Case(
            name: "a memory that no machine has", script: guest("hlt", memory: "5000 B"), status: 1,
            message: ["V0504", "less than a PC's 1 MiB", "memory: 5000 B"]),
        Case(
            name: "empty initrd", script: linux(initrd: ", initrd: \"disk\""),
            files: ["kernel": kernel(), "disk": Data()], status: 1, message: ["disk: the file is empty"]),
        Case(
            name: "truncated initrd", script: linux(initrd: ", initrd: \"disk\""),
            files: ["kernel": kernel(), "disk": Data("070701".utf8) + Data(repeating: 0x30, count: 50)], status: 1,
            message: ["disk: truncated", "cpio archive"]),
        Case(
            name: "initrd larger than memory", script: linux(memory: "32 MiB", initrd: ", initrd: \"disk\""),
            files: ["kernel": kernel(), "disk": Data(repeating: 7, count: 40 << 20)], status: 1,
            message: ["memory is too small for the initrd disk", "40 MiB needed"]),
        Case(
            name: "unknown property", script: "guest vm { memroy: 4 MiB; boot: .long }", status: 2,
            message: ["V0312", "memroy", "did you mean `memory`?"]),
        Case(
            name: "wrong unit", script: "guest vm { memory: 10 ms; boot: .long }", status: 2,
            message: ["V0310", "memory"]),
        Case(
            name: "triple fault", script: guest("lidt [rel none]; ud2; none: dw 0; dq 0") + "vm.run()", status: 4,
            message: ["V0506", "triple fault", "#UD", "#DF", "rip=", "rsp=", "cr3="]),
        Case(
            name: "jump into unmapped memory",
            script: guest("lidt [rel none]; mov rax, 0x7fff00000000; jmp rax; none: dw 0; dq 0") + "vm.run()",
            status: 4,
            message: ["V0506", "#PF(0x10) for 0x7fff00000000", "rip=0x7fff00000000"]),
        Case(
            name: "spinning for ever", script: guest("spin: jmp spin") + "vm.console.wait(\"login: \", within: 1 ms)",
            status: 1, message: ["V0505", "\"login: \" did not appear", ".timeout"]),
        Case(
            name: "a limit that the script looks at",
            script: guest("spin: jmp spin") + "expect vm.run(within: 1 ms).reason == .halted", status: 1,
            message: ["V0501"]),
    ]

    @Test(arguments: cases)
    func isToldPrecisely(_ item: Case) throws {
        try withFiles(["script.vscript": item.script]) { folder in
            for (name, data) in item.files { try data.write(to: folder.appendingPathComponent(name)) }
            let result = try vscript("script.vscript", in: folder)
            #expect(result.status == item.status)
            for piece in item.message { #expect(result.errors.contains(piece), "\(piece) is not in \(result.errors)") }
        }
    }
}
