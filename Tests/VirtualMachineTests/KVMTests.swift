import Testing
import VirtualMachine
import X86Engine

/// Linux's own hypervisor inside the machine: modules of the Debian kernel run a guest by VT-x and by AMD-V.
@Suite(.serialized) struct KVMTests {
    /// A processor, its module, and the parameters of the module that change how the guest runs.
    struct Processor: CustomTestStringConvertible {
        var model: ProcessorModel
        var module: String
        var parameters: [String]
        var testDescription: String { module }
    }

    static let processors = [
        // Without unrestricted guests, and so without EPT, real mode is virtual-8086 mode with CR4.VME.
        Processor(
            model: .intel64VMX, module: "kvm-intel",
            parameters: ["", "vpid=0", "flexpriority=0", "eptad=0", "unrestricted_guest=0", "ept=0"]),
        Processor(model: .amd64SVM, module: "kvm-amd", parameters: ["", "npt=0", "nrips=0"]),
    ]

    @Test(arguments: processors) func linuxRunsAGuestByTheProcessorsVirtualization(_ processor: Processor) throws {
        let linux = try LinuxGuest()
        var files = ["client": try KVMClient().executable]
        for path in ["virt/lib/irqbypass", "arch/x86/kvm/kvm", "arch/x86/kvm/\(processor.module)"] {
            // A kernel of the caller's own comes without modules.
            guard let module = try linux.module(path + ".ko") else { return }
            files[path.split(separator: "/").last.map { "\($0).ko" } ?? path] = module
        }
        var configuration = linux.configuration(try linux.pvh(append: "console=ttyS0 quiet", adding: files))
        configuration.model = processor.model
        let guest = try Guest(configuration)
        try guest.console.wait("# ", within: .seconds(30))
        func command(_ line: String) throws -> String { try guest.console.command(line, within: .seconds(20)) }

        #expect(try command("insmod irqbypass.ko && insmod kvm.ko; echo $?") == "0")
        for parameter in processor.parameters {
            #expect(try command("insmod \(processor.module).ko \(parameter); echo $?") == "0", "\(parameter)")
            #expect(try command("./client; echo $?") == KVMClient.output + "\n0", "\(parameter)")
            #expect(try command("rmmod \(processor.module); echo $?") == "0", "\(parameter)")
        }
        #expect(try command("dmesg | grep -c 'BUG\\|WARNING: CPU\\|Oops\\|Call Trace'") == "0")
    }
}
