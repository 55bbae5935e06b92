import VirtualMachine

extension Schema {
    /// The kinds of the language (README 2.4), with the events of guests and devices (README 2.5).
    package static let standard = Schema([
        KindSchema(
            "host", "The machine that everything runs on.",
            properties: [
                PropertySchema("cpus", .integer(1...1_024), "how many processors it has; 1 if not given"),
                PropertySchema("memory", .size, "its memory, which guests share; without limit if not given"),
                PropertySchema(
                    "clock", .frequency, "the rate of its time-stamp counters, 1 MHz to 10 GHz; 1 GHz if not given"),
            ], members: { MachineObject.members.names }),
        hypervisor, guest, ring, gate, device,
        KindSchema(
            "volume", "Contents of a disk.",
            properties: [
                PropertySchema("file", .string, "an image"), PropertySchema("size", .size, "its size"),
                PropertySchema("mode", .symbol(["readonly", "scratch", "write"]), "what becomes of writes"),
            ], refusal: "volumes are not implemented yet: boot with an initrd"),
        KindSchema(
            "switch", "A network.",
            properties: [
                PropertySchema("latency", .duration, "how long a frame takes"),
                PropertySchema("loss", .any, "how many frames are lost"),
                PropertySchema("capture", .string, "a pcap file"),
            ], refusal: "networks are not implemented yet"),
        KindSchema(
            "test", "Statements that are run and judged on their own.", label: .string,
            properties: [
                PropertySchema("tags", .list, "what the test can be chosen by"),
                PropertySchema("timeout", .duration, "the longest it may take"),
                PropertySchema("skip", .any, "why it is not run"),
                PropertySchema("requires", .list, "the techniques it needs"),
            ], isScope: true),
    ])

    /// A monitor that guests run on.
    static let hypervisor = KindSchema(
        "hypervisor", "A monitor that runs guests.", on: ["host", "guest"],
        properties: [
            PropertySchema("type", .integer(1...2), "1 on the machine itself, 2 in an operating system of the host's"),
            PropertySchema(
                "technique", .symbol(Technique.allCases.map(\.rawValue)), isRequired: true,
                "how it keeps control of the processor; with `.bare` there is none that does"),
            PropertySchema(
                "paging", .symbol(Paging.allCases.map(\.rawValue)),
                "how it keeps control of memory; the usual way of the technique if not given"),
            PropertySchema(
                "abi", .symbol(["none", "native", "xen", "kvm", "hyperv", "vmware", "virtualbox", "zvm"]),
                "what guests can detect and call; if not given, `.native` for `.paravirtual` and else nothing",
                missing: ["xen", "kvm", "hyperv", "vmware", "virtualbox", "zvm"]),
            PropertySchema(
                "cost", .symbolOrMap(CostModel.all.map(\.name)),
                "what transitions are said to cost: figures published for a processor, `.prescott` if not given, or a "
                    + "map of cycles"),
            PropertySchema("slice", .duration, "the longest turn of a guest in `run`; 1 ms if not given"),
        ], members: { HypervisorObject.members.names })

    /// A machine, bare or on a hypervisor.
    static let guest = KindSchema(
        "guest", "A machine.", on: ["hypervisor"],
        properties: [
            PropertySchema(
                "cpus", .integer(1...64),
                "how many processors it has; 1 if not given, and with more it is refused when it is to run"),
            PropertySchema("memory", .size, "its memory; 128 MiB if not given"),
            PropertySchema(
                "boot", .symbolOrObject(["real", "protected", "long"], typeName: "a boot image"), isRequired: true,
                "a prepared environment, or what a module such as `linux` makes"),
            PropertySchema("symbols", .list, "files with names for addresses: ELF, System.map or kallsyms"),
            PropertySchema("seed", .integer(0...Int128(UInt64.max)), "what its random numbers begin with"),
            PropertySchema("cpuid", .any, "the processor model: a symbol, or a map of what it shows"),
            PropertySchema(
                "weight", .integer(1...65_536),
                "how much of its hypervisor's processor it gets in relation to the other guests; 256 if not given"),
            PropertySchema(
                "cap", .integer(1...100),
                "the most it gets of its hypervisor's processor in percent; no limit if not given"),
        ],
        events: [
            "transition(from?, to?)", "vmexit(reason?)", "vmentry()", "hypercall(nr?)", "exception(vector?)",
            "interrupt(vector?)", "syscall(nr?)", "exec(address)", "read(range, physical?)", "write(range, physical?)",
            "io(ports?)",
            "msr(index?)", "cr(number?)", "instruction(mnemonic)", "console(text)", "halt()", "reset()",
        ].map(Signature.init),
        members: { GuestObject.members.names })

    /// A device that a script models.
    static let device = KindSchema(
        "device", "Hardware of a guest.", on: ["guest"],
        properties: [
            PropertySchema(
                "model", .symbol(["virtioBlock", "virtioNet"]), "a built-in device",
                refusal: "built-in models cannot be chosen yet: a device is made of `ports`, `mmio` and handlers"),
            PropertySchema("volume", .any, "what a disk holds", refusal: "there are no disks yet"),
            PropertySchema("link", .any, "what a card is plugged to", refusal: "there are no networks yet"),
            PropertySchema("mac", .string, "the address of a card", refusal: "there are no network cards yet"),
            PropertySchema("ports", .any, "its I/O ports: one, a range, or a list of them"),
            PropertySchema("mmio", .any, "its physical addresses: one, a range, or a list of them"),
            PropertySchema(
                "irq", .integer(0...23), "its interrupt line: 0...15 of the ISA bus, 16...23 of the I/O APIC"),
        ], events: ["read(offset?)", "write(offset?)", "reset()"].map(Signature.init),
        members: { DeviceObject.methodNames }, remembersVariables: true)

    /// The code of one privilege level.
    static let ring = KindSchema(
        "ring", "Hand-written code of one privilege level.", label: .number(0...3), inside: ["guest"],
        properties: [
            PropertySchema("stack", .address, "where its stack begins"),
            PropertySchema("syscall", .address, "where SYSCALL enters it"),
        ], takesAssembly: true)

    /// A way into a ring.
    static let gate = KindSchema(
        "gate", "An entry of the IDT, or of the GDT for a call gate.", label: .number(0...0xFFFF), inside: ["ring"],
        properties: [
            PropertySchema("type", .symbol(["interrupt", "trap", "task", "call"]), "what kind of gate it is"),
            PropertySchema("handler", .address, isRequired: true, "where it leads"),
            PropertySchema("dpl", .integer(0...3), "the least privilege that may use it"),
            PropertySchema("ist", .integer(0...7), "the stack it switches to"),
            PropertySchema("parameters", .integer(0...31), "what a call gate copies from stack to stack"),
        ])
}
