import Foundation
import Testing

/// The examples of the language design that boot a kernel from `images/`, as printed there.
@Suite("Examples of the language design with a kernel", .serialized)
struct DesignExampleTests {
    private static let fixtures = repositoryURL.appendingPathComponent("Tests/Fixtures/Language")

    @Test("4: who opens the first file of /etc after a login")
    func symbol() throws {
        _ = try linuxGuests()
        let result = try vscript(
            Self.fixtures.appendingPathComponent("4-symbol.vscript").path, in: repositoryURL)
        #expect(result.status == 0 && result.errors == "")
        let lines = result.output.split(separator: "\n").map(String.init)
        #expect(lines.first?.hasPrefix("ring 0: do_sys_openat2 opens /etc/") == true, "\(result.output)")
        for name in ["do_sys_openat2", "__x64_sys_openat", "do_syscall_64", "entry_SYSCALL_64_after_hwframe"] {
            #expect(lines.contains { $0.hasPrefix("#") && $0.contains(name) }, "\(name)")
        }
        for level in ["PML4E", "EPT PML4E", "physical", "machine"] {
            #expect(lines.contains { $0.hasPrefix("  \(level) ") }, "\(level)")
        }
        #expect(lines.last?.hasPrefix("flags: IF=true AC=false  cr3=0x") == true)
    }

    /// Without `initrd:` and `append:` those of the unified kernel image count.
    @Test("the unified kernel image asks for a login, with its own command line")
    func login() throws {
        _ = try linuxGuests()
        let script = """
            import linux
            guest vm { memory: 256 MiB; boot: linux.bzImage("images/vmlinuz") }
            vm.console.wait("login: ", within: 60 s)
            vm.console.send("root\\n")
            vm.console.wait("# ", within: 30 s)
            print(vm.console.command("cat /proc/cmdline", within: 30 s))
            print(vm.console.command("id -un", within: 30 s))
            """
        let result = try vscript("-e", script, in: repositoryURL)
        #expect(result.output == "console=ttyS0\nroot\n" && result.status == 0, "\(result.errors)")
    }
}
