import X86
import X86Engine

/// The monitor's own part of the machine's memory, which lies behind the guest's and in no guest-physical address.
///
/// One region of 18 MiB of it is mapped into the linear addresses in which the guest runs, supervisor pages only, all
/// read-only but the virtual-state page; ring 1 can read it (paging takes it for a supervisor) and not write it. At
/// offset
///
///     0x000000  GDT: the monitor's ring 0 code and data, its TSS
///     0x001000  IDT: all vectors lead to ring 0
///     0x002000  TSS: the ring 0 stack is the end of the virtual-state page; no port is allowed
///     0x003000  entry points, 16 bytes a vector, then that of SYSCALL
///     0x004000  the virtual-state page, which the monitor takes for guest input
///     0x080000  the table of indirect branches: 65536 addresses
///     0x200000  the translation cache, 16 MiB
///
/// The rest holds page tables and is mapped nowhere. A monitor without translator has a region of 2 MiB, without the last
/// two.
struct MonitorLayout {
    static let gdt: UInt64 = 0
    static let idt: UInt64 = 0x1000
    static let taskState: UInt64 = 0x2000
    static let entries: UInt64 = 0x3000
    /// Where SYSCALL leads, behind the entry points of the 256 vectors.
    static let systemCallEntry: UInt64 = entries + 0xFF0
    static let virtualState: UInt64 = 0x4000
    static let branchTable: UInt64 = 0x8_0000
    static let branchTableSize: UInt64 = 0x8_0000
    static let cache: UInt64 = 0x20_0000
    static let cacheSize: UInt64 = 0x100_0000
    static let regionSize = cache + cacheSize

    /// How much the monitor takes behind the guest's memory.
    static let size: UInt64 = 64 << 20

    // Selectors of the monitor's GDT; all descriptors have DPL 0.
    static let codeSelector: UInt16 = 0x08
    static let taskSelector: UInt16 = 0x18

    /// The vector by which translated code calls out: the instruction at the place needs the monitor.
    static let callOutVector: UInt8 = 0xF0
    /// The vector by which translated code asks for a branch target that is not linked yet.
    static let linkVector: UInt8 = 0xF1
}

/// Fields of the virtual-state page.
enum VirtualState: UInt64 {
    /// What translated sequences keep of registers that they use.
    case rax = 0x00
    case rcx = 0x08
    case rsp = 0x10
    /// The guest's RFLAGS.IF, in place (0x200 or 0).
    case interruptFlag = 0x18
    /// What it was before the last STI.
    case formerInterruptFlag = 0x20
    /// The guest's RFLAGS.IOPL, in place.
    case privilege = 0x28
    /// RFLAGS.IF, in place, while an interrupt waits for the guest to set it; else 0.
    case waitingInterrupt = 0x38
    /// The flags that POPF leaves to the monitor if they are set: TF, IOPL, NT, and IF while an interrupt waits.
    case monitoredFlags = 0x40
    /// The number of the indirect branch under way.
    case source = 0x30
    /// Where an indirect call leads, and the upper half of that.
    case target = 0x48
    case targetHigh = 0x4C
    /// Flags on their way into RFLAGS, and the top of a stack for translated sequences.
    case flags = 0x200
    /// The end of the stack for entries to ring 0.
    case ringZeroStack = 0xFF0
}

/// Gives out the monitor's pages and lays out what never changes.
final class MonitorMemory {
    let machine: PhysicalMemory
    /// The page numbers that belong to the monitor.
    let pages: Range<Int>
    /// The page behind an offset in the mapped region is `regionPages.lowerBound + offset >> 12`.
    let regionPages: Range<Int>
    /// Page tables of the region, one for every 2 MiB, and above them one page directory and its pointer table.
    private let tables: Range<Int>
    let pageDirectory: Int
    let pageDirectoryPointers: Int
    /// What is left, for shadow page tables.
    let pool: Range<Int>

    init(machine: PhysicalMemory, guestPages: Int, regionSize: UInt64 = MonitorLayout.regionSize) {
        self.machine = machine
        let first = guestPages
        pages = first..<first + Int(MonitorLayout.size >> 12)
        let region = Int(regionSize >> 12)
        regionPages = first..<first + region
        let tableCount = (region + 511) / 512
        tables = regionPages.upperBound..<regionPages.upperBound + tableCount
        pageDirectory = tables.upperBound
        pageDirectoryPointers = pageDirectory + 1
        pool = pageDirectoryPointers + 1..<pages.upperBound
        if regionSize > MonitorLayout.cache { machine.reserveHiddenInstructions(pages: cachePages) }
        mapRegion()
    }

    /// The pages of the translation cache.
    var cachePages: Range<Int> {
        regionPages.lowerBound + Int(MonitorLayout.cache >> 12)..<regionPages.upperBound
    }

    /// The physical address of an offset in the region.
    func physical(_ offset: UInt64) -> UInt64 {
        machine.address(ofPage: regionPages.lowerBound + Int(offset >> 12)) | offset & 0xFFF
    }

    /// The entries that map the region's parts of 2 MiB, for a page directory.
    var directoryEntries: [UInt64] {
        tables.map { machine.address(ofPage: $0) | PageEntry.P | PageEntry.RW | PageEntry.A }
    }

    /// The entry that maps the region at the start of a 512 GiB part of linear addresses.
    var topEntry: UInt64 {
        machine.address(ofPage: pageDirectoryPointers) | PageEntry.P | PageEntry.RW | PageEntry.A
    }

    private func mapRegion() {
        for page in regionPages {
            let index = page - regionPages.lowerBound
            let offset = UInt64(index) << 12
            var entry = machine.address(ofPage: page) | PageEntry.P | PageEntry.A | PageEntry.D
            if offset == MonitorLayout.virtualState { entry |= PageEntry.RW }
            if offset < MonitorLayout.cache && offset != MonitorLayout.entries { entry |= PageEntry.XD }
            let table = machine.address(ofPage: tables.lowerBound + index / 512)
            machine.setQuadword(entry, at: table + UInt64(index % 512) * 8)
        }
        let directory = machine.address(ofPage: pageDirectory)
        for (index, entry) in directoryEntries.enumerated() {
            machine.setQuadword(entry, at: directory + UInt64(index) * 8)
        }
        machine.setQuadword(
            directory | PageEntry.P | PageEntry.RW | PageEntry.A, at: machine.address(ofPage: pageDirectoryPointers))
    }

    /// Maps something else at an offset in the first 2 MiB of the region, for reading.
    func setRegionPage(_ offset: UInt64, to physical: UInt64) {
        machine.setQuadword(
            physical | PageEntry.P | PageEntry.A | PageEntry.D | PageEntry.XD,
            at: machine.address(ofPage: tables.lowerBound) + (offset >> 12 & 0x1FF) * 8)
    }

    /// The vectors by which translated code calls, with the lowest privilege that may use them.
    static let translatorVectors: [UInt8: UInt8] = [MonitorLayout.callOutVector: 1, MonitorLayout.linkVector: 1]

    /// Writes the descriptor tables, the TSS and the entry points for a region that begins at a linear address.
    ///
    /// All vectors lead to ring 0, and only those among `calls` by interrupt instructions of other rings. The descriptors
    /// are found at selectors from `firstSelector` on.
    func writeTables(
        base: UInt64, firstSelector: UInt16 = 0, calls: [UInt8: UInt8] = MonitorMemory.translatorVectors
    ) {
        let code = Descriptor(base: 0, limit: 0xFFFF_FFFF, attributes: 0xA09B)
        let data = Descriptor(base: 0, limit: 0xFFFF_FFFF, attributes: 0xC093)
        let taskBase = base &+ MonitorLayout.taskState
        var task = Descriptor(base: UInt32(truncatingIfNeeded: taskBase), limit: 0x67, attributes: 0x8B)
        task.high = taskBase >> 32
        let descriptors: [UInt64] = [0, code.low, data.low, task.low, task.high]
        for (index, descriptor) in descriptors.enumerated() {
            machine.setQuadword(descriptor, at: physical(MonitorLayout.gdt) + UInt64(index) * 8)
        }
        // RSP0 is at offset 4 of the TSS, across two quadwords (SDM volume 3 figure 8-11).
        let stack = base &+ MonitorLayout.virtualState &+ VirtualState.ringZeroStack.rawValue
        machine.setQuadword(stack << 32, at: physical(MonitorLayout.taskState))
        machine.setQuadword(stack >> 32, at: physical(MonitorLayout.taskState) + 8)
        // The I/O permission bitmap begins behind the limit: every port is denied.
        machine.setQuadword(0xFFFF << 48, at: physical(MonitorLayout.taskState) + 0x60)
        for vector in UInt64(0)..<256 {
            // Other software interrupts fault, and the monitor does them for the guest.
            let gate = Descriptor(
                gate: SystemDescriptorType.interruptGate32, selector: firstSelector | MonitorLayout.codeSelector,
                offset: base &+ MonitorLayout.entries &+ vector &* 8,
                descriptorPrivilegeLevel: calls[UInt8(truncatingIfNeeded: vector)] ?? 0)
            machine.setQuadword(gate.low, at: physical(MonitorLayout.idt) + vector * 16)
            machine.setQuadword(gate.high, at: physical(MonitorLayout.idt) + vector * 16 + 8)
        }
        // HLT and INT3: nothing runs here, because the monitor stands where the processor enters ring 0.
        for offset in stride(from: UInt64(0), to: 0x1000, by: 8) {
            machine.setQuadword(0xCCCC_CCCC_CCCC_CCF4, at: physical(MonitorLayout.entries) + offset)
        }
    }

    /// Reads a field of the virtual-state page.
    func read(_ field: VirtualState) -> UInt64 {
        machine.quadword(at: physical(MonitorLayout.virtualState) + field.rawValue)
    }

    /// Writes a field of the virtual-state page.
    func write(_ field: VirtualState, _ value: UInt64) {
        machine.setQuadword(value, at: physical(MonitorLayout.virtualState) + field.rawValue)
    }
}
