import Testing
import VirtualMachine

/// An unmodified Debian kernel on the bare machine.
@Suite(.serialized) struct LinuxTests {
    private static let second: UInt64 = 1_000_000_000

    private func text(_ guest: Guest) -> String { String(decoding: guest.console.output, as: UTF8.self) }

    @Test func unmodifiedKernelReachesItsShellWorksAndPowersOff() throws {
        let linux = try LinuxGuest()
        let guest = try Guest(linux.configuration(try linux.pvh()))
        let limits = RunLimits(time: 30 * Self.second)
        #expect(guest.console.wait(for: "\n# ", limits: limits).match != nil)

        guest.console.send("uname -r\n")
        #expect(guest.console.wait(for: "\n6.", limits: limits).match != nil)
        #expect(guest.console.wait(for: "\n# ", limits: limits).match != nil)

        // The digest of 1 MiB of zeros as FIPS 180-4 gives it.
        guest.console.send("dd if=/dev/zero bs=1M count=1 2>/dev/null | sha256sum\n")
        let digest = "30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58"
        #expect(guest.console.wait(for: digest, limits: limits).match != nil)

        guest.console.send("awk 'BEGIN { for (i = 1; i <= 1000; i++) s += i * i; print \"sum \" s }'\n")
        #expect(guest.console.wait(for: "\nsum 333833500", limits: limits).match != nil)
        #expect(guest.console.wait(for: "\n# ", limits: limits).match != nil)

        guest.console.send("poweroff -f\n")
        let stop = guest.run(limits: limits)
        #expect(stop.reason == .shutdown)
        #expect(stop.detail == "power off")

        let log = text(guest)
        for word in ["BUG", "WARNING", "Oops", "Firmware Bug", "Call Trace"] {
            #expect(!log.contains(word), "the kernel's log says \(word)")
        }
        for word in [
            "Switch to symmetric I/O mode setup", "hpet0: at MMIO", "ACPI: Interpreter enabled", "is a 16550A",
        ] {
            #expect(log.contains(word), "the kernel's log lacks: \(word)")
        }
    }

    @Test func executionModesAndWatchersDoNotChangeTheDigest() throws {
        let linux = try LinuxGuest()
        let limits = RunLimits(instructions: 60_000_000)
        func digest(_ change: (inout GuestConfiguration) -> Void, watching: Bool = false) throws -> UInt64 {
            var configuration = linux.configuration(try linux.pvh())
            change(&configuration)
            let guest = try Guest(configuration)
            var seen = 0
            if watching {
                guest.transitions.isRecording = true
                for kind in GuestEvent.Kind.allCases where kind != .exec {
                    _ = guest.on(EventFilter(kind)) { _ in
                        seen += 1
                        return .proceed
                    }
                }
                _ = guest.on(.exec(guest.cpu.rip)) { _ in .proceed }
            }
            #expect(guest.run(limits: limits).reason == .instructions)
            #expect(guest.instructions == 60_000_000)
            if watching { #expect(seen > 100) }
            return guest.digest
        }
        let reference = try digest { _ in }
        #expect(try digest { $0.tlbEntries = 16 } == reference)
        #expect(try digest { $0.tlbEntries = 4096 } == reference)
        #expect(try digest({ _ in }, watching: true) == reference)
        #expect(try digest { $0.usesBlockCache = false } == reference)
    }

    @Test func bzImageStartsByThe64BitBootProtocol() throws {
        let linux = try LinuxGuest()
        let guest = try Guest(linux.configuration(try linux.bzImage()))
        let loaderTables = guest.cpu["cr3"]
        // The decompressor prints nothing; the 5.9 G instructions to the shell are the bench's. By now it runs on page
        // tables of its own (Linux: arch/x86/boot/compressed/ident_map_64.c).
        #expect(guest.run(limits: RunLimits(instructions: 20_000_000)).reason == .instructions)
        #expect(guest.cpu.mode == "64-bit")
        #expect(guest.cpu["cr3"] != loaderTables)
    }
}
