/// Expressions whose values are passed to everything: ordinary ones, and those at the edges.
enum ValuePool {
    /// What every program of the fuzzer begins with.
    static let preamble = """
        import flat
        host lab { memory: 64 MiB }
        hypervisor vt on lab { technique: .vmx }
        guest inner on vt {
          memory: 1 MiB
          boot: .long
          ring 0 { asm { start: cpuid
            jmp start } }
        }
        let image = flat.image(hex"f4", at: 0x7c00, mode: .real)
        var label = nil
        guest g {
          memory: 1 MiB
          boot: .long
          ring 0 { gate 0x80 { handler: back; dpl: 3 }
            asm { back: mov dx, 0x300
                        out dx, al
                        iretq }
            label = back }
          ring 3 { asm { start: int 0x80
                                jmp start } }
        }
        var touched = nil
        device box on g {
          ports: 0x300 ..+ 8
          irq: 5
          var state = 0
          on read { state }
          on write { state = event.value; touched = event }
        }
        let timer = g.after(1 s, fn() { g.time })
        let list = [3, 1, 2]
        let map = [a: 1, "b c": [2], 7: nil]
        let knot = []
        knot.append(knot)
        let knotted = [:]
        knotted["self"] = knotted
        let identity = fn(x) { x }
        let handler = on g.halt { event.stop() }
        var seen = nil
        let watcher = on g.transition { seen = event }
        let stop = g.run(instructions: 20)
        let code = asm(bits: 64) { nop
          ret }
        fn deep(n) { if n == 0 { [] } else { [deep(n - 1)] } }
        let nested = deep(60)

        """

    static let values = [
        "nil", "true", "false", "0", "1", "-1", "7", "255", "4096", "0x7FFF_FFFF", "-9223372036854775808",
        "9223372036854775807", "18446744073709551615", "0.0", "-0.5", "1e308 * 10.0", "0.0 / 0.0", "2e9", "10 ms",
        "-3 s",
        "0 ns", "\"\"", "\"a\"", "\"héllo \\u{1F600}\"", "\"0x12\"", "\"a,b,,c\"", "\"x\" * 1", "\".*\"", "\"[\"",
        "\"/etc/passwd\"",
        "\"../up\"", ".GP", ".vmx", ".none", "hex\"\"", "hex\"90 90 cc\"", "re\"a+b?\"", "re\"(x|y)*z\"", "0..<0",
        "0...3",
        "0..<4096", "-9223372036854775808...18446744073709551614", "18446744073709551615..+1", "[]", "[:]", "list",
        "map", "knot",
        "knotted", "nested", "[list, map, nil]", "[\"b\", \"a\"]", "[[k: 1], [k: 2]]", "identity", "fn() { 1 }",
        "fn(a, b) { a < b }", "fn(x) { throw x }", "print", "handler", "code", "g", "g.cpu", "g.mem", "g.console",
        "g.transitions", "box", "label", "image", "stop", "g.halt", "g.exception(.GP)",
    ]

    /// Expressions for a receiver of each type of the catalogue; a type without one is told to whoever runs the fuzzer.
    static let receivers: [String: [String]] = [
        "int": ["0", "1", "-1", "18446744073709551615", "-9223372036854775808"],
        "float": ["0.0", "-1.5", "1e300", "0.0 / 0.0"],
        "duration": ["0 s", "10 ms", "-1 ns", "100000 h"],
        "string": ["\"\"", "\"a,b\"", "\"héllo\"", "(\"ab\" * 1)"],
        "symbol": [".GP"],
        "bytes": ["hex\"\"", "hex\"90 90 cc 00 ff\"", "bytes(\"text\")"],
        "regex": ["re\"a+\"", "re\"^(a|b)*$\""],
        "range": ["(0..<0)", "(1...9)", "(0..<18446744073709551615)"],
        "list": ["[]", "list", "[1, 2.0, \"x\", nil]", "knot", "nested", "[3, 1, 2]"],
        "map": ["[:]", "map", "knotted", "[a: 1, b: [c: 2]]"],
        "function": ["identity", "print"],
        "host": ["lab"],
        "hypervisor": ["vt"],
        "guest": ["g"],
        "cpu": ["g.cpu", "stop.cpu"],
        "memory": ["g.mem", "g.cpu.mem"],
        "console": ["g.console"],
        "transitions": ["g.transitions"],
        "stop": ["stop", "g.run(instructions: 3)"],
        "event": ["seen"],
        "handler": ["handler", "watcher"],
        "assembly": ["code"],
        "label": ["label"],
        "image": ["image"],
        "device": ["box"],
        "listing": ["g.cpu.disassemble(3)", "g.cpu.walk(0x400000)", "g.cpu.backtrace()"],
        "device event": ["touched"],
        "timer": ["timer", "g.after(0 s, identity)"],
        "snapshot": ["g.snapshot()"],
        "control structure": ["inner.cpu.vmcs"],
    ]
}
