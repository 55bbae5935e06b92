import X86
import X86Engine

/// The binary translator: turns the guest's ring-0 code into code that may run in ring 1, block by block as it is
/// reached.
///
/// Innocuous instructions are copied; addresses relative to RIP become what the guest means. Direct branches lead from
/// translation to translation once both exist; indirect ones go through a table by the low 16 bits of the target.
/// Instructions that are sensitive become sequences on the virtual-state page or call out to the monitor. What the
/// guest can see — return addresses, saved flags — is as it would be at ring 0.
final class Translator {
    let memory: MonitorMemory
    let guest: Processor
    let shadow: ShadowPaging
    let cache: TranslationCache
    /// By code mode: 32-bit, 64-bit.
    private let templates = (Emitter.Templates(), Emitter.Templates())
    var mode = CodeMode.bits64
    /// The linear address of the monitor's region for code of this mode.
    private(set) var region: UInt64 = 0
    private var regions: (low: UInt64, high: UInt64) = (0, 0)
    /// Indirect branches, to go back to if their target is not possible.
    var sources: [IndirectSource] = []
    private var usedTableEntries: Set<Int> = []
    private var missOffset = 0
    /// The top-level entries of the guest's page tables through which translated code was fetched.
    private var topEntries: [Int: UInt64] = [:]
    private var checkedCR3: UInt64 = .max
    private var isExpired = false
    private(set) var statistics = TranslatorStatistics()

    /// Addresses before whose instruction the monitor is called.
    var watchedAddresses: Set<UInt64> = [] {
        didSet { if watchedAddresses != oldValue { expire() } }
    }

    /// The guest's instruction behind an indirect branch.
    struct IndirectSource {
        var rip: UInt64
        /// What to add to the stack pointer to undo it.
        var stackChange: Int64
    }

    init(memory: MonitorMemory, guest: Processor, shadow: ShadowPaging) {
        self.memory = memory
        self.guest = guest
        self.shadow = shadow
        cache = TranslationCache(memory: memory)
        shadow.topLevelChanged = { [weak self] in self?.checkedCR3 = .max }
    }

    /// Tells where the monitor's region is: `base` in 64-bit mode, `window` below 4 GiB.
    func place(base: UInt64, window: UInt64) {
        regions = (window, base)
        enter(mode)
    }

    private func enter(_ newMode: CodeMode) {
        mode = newMode
        region = newMode == .bits64 ? regions.high : regions.low
        cache.base = region &+ MonitorLayout.cache
        flush()
        for index in 0..<65_536 { setTableEntry(index, missOffset) }
    }

    func makeEmitter() -> Emitter {
        Emitter(
            mode: mode, origin: cache.base &+ UInt64(cache.used), virtualState: region &+ MonitorLayout.virtualState,
            templates: mode == .bits64 ? templates.1 : templates.0)
    }

    /// Translations may no longer be where the guest's code is: they go before the next is used.
    func expire() { isExpired = true }

    /// Forgets all translations.
    private func flush() {
        isExpired = false
        for page in cache.flush() { shadow.untraceCode(page: page) }
        sources.removeAll(keepingCapacity: true)
        topEntries.removeAll(keepingCapacity: true)
        checkedCR3 = .max
        var emitter = makeEmitter()
        emitter.add("int 0x\(String(MonitorLayout.linkVector, radix: 16))")
        missOffset = cache.append(emitter, marks: [.init(offset: 0, kind: .indirect)])
        for index in usedTableEntries { setTableEntry(index, missOffset) }
        usedTableEntries.removeAll(keepingCapacity: true)
    }

    private func setTableEntry(_ index: Int, _ offset: Int) {
        memory.machine.setQuadword(
            cache.base &+ UInt64(offset), at: memory.physical(MonitorLayout.branchTable + UInt64(index) * 8))
    }

    // MARK: Finding

    /// The machine's address of the translation of the guest's instruction at `rip`, made if there is none yet; nil if the
    /// instruction must be interpreted (among other things if it cannot be fetched).
    func place(of rip: UInt64) -> UInt64? {
        let current: CodeMode =
            guest.state.pointee.efer & EFER.LMA != 0 && guest.state.pointee.cs.isLong ? .bits64 : .bits32
        if current != mode { enter(current) }
        checkTopEntries()
        if isExpired { flush() }
        guard let offset = offset(of: rip) else { return nil }
        return cache.base &+ UInt64(offset)
    }

    private func offset(of rip: UInt64) -> Int? {
        if let known = cache.place(of: rip) { return known }
        return translate(rip)
    }

    /// Drops everything if the address space has other page tables where code was fetched.
    private func checkTopEntries() {
        let cr3 = guest.state.pointee.cr3
        guard cr3 != checkedCR3 else { return }
        if topEntries.contains(where: { topEntry($0.key) != $0.value }) { flush() }
        checkedCR3 = cr3
    }

    private func topEntry(_ index: Int) -> UInt64 {
        let s = guest.state
        let ignored = PageEntry.A | PageEntry.D
        if s.pointee.cr0 & CR0.PG == 0 { return 0 }
        if s.pointee.efer & EFER.LMA != 0 {
            return guest.memory.quadword(at: (s.pointee.cr3 & 0x000F_FFFF_FFFF_F000) &+ UInt64(index) &* 8) & ~ignored
        }
        if s.pointee.cr4 & CR4.PAE != 0 {
            let pointers = [s.pointee.pdpte.0, s.pointee.pdpte.1, s.pointee.pdpte.2, s.pointee.pdpte.3]
            return pointers[index & 3]
        }
        let word = guest.memory.quadword(at: ((s.pointee.cr3 & 0xFFFF_F000) &+ UInt64(index) &* 4) & ~7)
        return (index & 1 == 0 ? word & 0xFFFF_FFFF : word >> 32) & ~ignored
    }

    private func noteTopEntry(_ linear: UInt64) {
        let s = guest.state
        let shift: UInt64 = s.pointee.efer & EFER.LMA != 0 ? 39 : s.pointee.cr4 & CR4.PAE != 0 ? 30 : 22
        let index = Int(linear >> shift & (shift == 39 ? 0x1FF : shift == 30 ? 3 : 0x3FF))
        topEntries[index] = topEntry(index)
    }

    // MARK: Translating

    private static let longestBlock = 48

    private func translate(_ rip: UInt64) -> Int? {
        if !cache.hasRoom(for: 16 << 10) { flush() }
        guard let page = codePage(rip) else { return nil }
        let offset = Int(rip & 0xFFF)
        var bytes = Array(guest.memory.bytes(page: page, offset: offset))
        var secondPage = -1
        if case .failure(.truncated) = decode(bytes[...]), bytes.count < 15 {
            // The first instruction crosses into the next page: it is translated alone.
            guard let next = codePage(wrap(rip &+ UInt64(bytes.count))) else { return nil }
            secondPage = next
            bytes += guest.memory.bytes(page: next, offset: 0).prefix(15)
        }
        let first = bytes.count
        var work = BlockTranslation(emitter: makeEmitter(), start: cache.used)
        var position = 0
        var current = rip
        var count = 0
        let limit = secondPage >= 0 ? 1 : Self.longestBlock
        while count < limit && position < first && !work.isComplete {
            guard case .instruction(let instruction) = decode(bytes[position...]) else { break }
            let code = Array(bytes[position..<position + Int(instruction.length)])
            if !work.isAfterSTI { work.entries.append((current, work.start + work.emitter.bytes.count)) }
            work.isAfterSTI = false
            translate(instruction, code, at: current, into: &work)
            position += Int(instruction.length)
            current = wrap(current &+ UInt64(instruction.length))
            count += 1
        }
        guard count > 0 else { return nil }
        if !work.isComplete { branch(to: current, counts: false, &work) }
        finish(&work)
        shadow.traceCode(page: page)
        if secondPage >= 0 { shadow.traceCode(page: secondPage) }
        let inFirst = min(position, 4096 - offset)
        var block = TranslationCache.Block(start: rip, page: page, offset: offset, count: inFirst)
        if secondPage >= 0 {
            block.secondPage = secondPage
            block.secondCount = position - inFirst
        }
        block.entries = work.entries
        block.code = work.start..<work.start + work.emitter.bytes.count
        _ = cache.append(work.emitter, marks: work.marks)
        cache.add(block, links: work.links)
        statistics.blocks &+= 1
        statistics.instructions &+= UInt64(count)
        return work.start
    }

    func wrap(_ address: UInt64) -> UInt64 { mode == .bits64 ? address : address & 0xFFFF_FFFF }

    private func decode(_ bytes: ArraySlice<UInt8>) -> DecodeResult {
        bytes.withUnsafeBytes { Decoder.decode($0, mode: mode) }
    }

    /// The page of RAM that holds the code at an address, fetched as the processor would; nil if it cannot be.
    private func codePage(_ linear: UInt64) -> Int? {
        do throws(Fault) {
            guard try shadow.fill(linear, .execute, forCode: true) else { return nil }
            var steps: [WalkStep] = []
            let physical = try guest.walk(linear, .execute, touch: false, steps: &steps)
            if !steps.isEmpty { noteTopEntry(linear) }
            return guest.ramPage(physical)
        } catch {
            return nil
        }
    }

    // MARK: Coming back

    enum Recovery { case resume, handle }

    /// Gives the guest's processor the registers and the place that the machine's stand for in translated code.
    func recover(_ exit: MachineExit) -> Recovery {
        let offset = Int(truncatingIfNeeded: exit.rip &- cache.base)
        guard exit.rip >= cache.base, offset < cache.used, let mark = cache.mark(at: offset) else { return .handle }
        let s = guest.state
        s.pointee.rip = mark.rip
        switch mark.kind {
        case .instruction: break
        case .afterSTI:
            if memory.read(.formerInterruptFlag) & RFLAGS.IF == 0 { s.pointee.interruptShadow |= InterruptShadow.sti }
        case .accumulatorSaved:
            s.pointee.rax = memory.read(.rax)
        case .scratchSaved:
            s.pointee.rax = memory.read(.rax)
            s.pointee.rcx = memory.read(.rcx)
        case .flagsPopped(let bytes):
            s.pointee.rax = memory.read(.rax)
            s.pointee.rsp = wrap(s.pointee.rsp &- bytes)
        case .link:
            guard exit.vector == MonitorLayout.linkVector, let link = cache.link(at: offset) else { return .handle }
            statistics.links &+= 1
            let flushes = cache.flushes
            if let target = self.offset(of: mark.rip), cache.flushes == flushes { cache.connect(link, to: target) }
            return .resume
        case .indirect:
            guard exit.vector == MonitorLayout.linkVector else { return .handle }
            return followIndirect()
        }
        if exit.vector == MonitorLayout.callOutVector { statistics.callOuts &+= 1 }
        return .handle
    }

    private func followIndirect() -> Recovery {
        let s = guest.state
        let target = wrap(s.pointee.rax)
        s.pointee.rax = memory.read(.rax)
        s.pointee.rcx = memory.read(.rcx)
        statistics.lookUps &+= 1
        if mode == .bits64 && !isCanonical(target) {
            // The branch itself faults.
            let number = Int(truncatingIfNeeded: memory.read(.source) & 0xFFFF_FFFF)
            guard sources.indices.contains(number) else { return .handle }
            s.pointee.rip = sources[number].rip
            s.pointee.rsp &+= UInt64(bitPattern: sources[number].stackChange)
            return .handle
        }
        // The branch is done: what follows is found by address.
        s.pointee.rip = target
        s.pointee.time &+= 1
        if s.pointee.time < s.pointee.deadline, let place = offset(of: target) { makeCheck(target, place) }
        return .resume
    }

    private func isCanonical(_ address: UInt64) -> Bool {
        UInt64(bitPattern: Int64(bitPattern: address << 16) >> 16) == address
    }

    /// Writes the check that an indirect branch to `target` goes through, and enters it in the table.
    private func makeCheck(_ target: UInt64, _ place: Int) {
        guard cache.check(for: target) == nil, cache.hasRoom(for: 256) else { return }
        let index = Int(target & 0xFFFF)
        let former = usedTableEntries.contains(index) ? tableEntry(index) : missOffset
        var work = BlockTranslation(emitter: makeEmitter(), start: cache.used)
        work.mark(.indirect, 0)
        let difference = 0 &- target
        if mode == .bits32 {
            work.emitter.add("lea ecx, [eax + #]", number: difference)
            work.emitter.add("jecxz $ + 7")
        } else {
            if Int64(Int32(truncatingIfNeeded: difference)) == Int64(bitPattern: difference) {
                work.emitter.add("lea rcx, [rax + #]", number: difference)
            } else {
                work.emitter.add("mov rcx, qword #", number: difference)
                work.emitter.add("lea rcx, [rcx + rax]")
            }
            work.emitter.add("jrcxz $ + 7")
        }
        let jump = work.emitter.bytes.count
        work.emitter.copy(jumpBytes(from: cache.used + jump, to: former), counts: false)
        work.emitter.add("mov {cx}, [@]", .rcx)
        work.emitter.add("mov {ax}, [@]", .rax)
        work.mark(.instruction, target)
        branch(to: target, counts: true, &work)
        finish(&work)
        _ = cache.append(work.emitter, marks: work.marks)
        for link in work.links { cache.addLink(link) }
        if let link = work.links.first { cache.connect(link, to: place) }
        cache.setCheck(work.start, for: target)
        usedTableEntries.insert(index)
        setTableEntry(index, work.start)
    }

    private func tableEntry(_ index: Int) -> Int {
        let address = memory.machine.quadword(at: memory.physical(MonitorLayout.branchTable + UInt64(index) * 8))
        return Int(truncatingIfNeeded: address &- cache.base)
    }

    private func jumpBytes(from: Int, to: Int) -> [UInt8] {
        let distance = UInt32(bitPattern: Int32(truncatingIfNeeded: to - (from + 5)))
        return [0xE9] + (0..<4).map { UInt8(truncatingIfNeeded: distance >> UInt32($0 * 8)) }
    }

    /// Guest memory has changed.
    func codeChanged(page: Int, offset: Int, count: Int) {
        guard cache.hasBlocks(onPage: page) else { return }
        if cache.invalidate(page: page, offset: offset, count: count) { statistics.invalidations &+= 1 }
        if !cache.hasBlocks(onPage: page) { shadow.untraceCode(page: page) }
    }
}

/// What a translator has done so far.
package struct TranslatorStatistics: Equatable, Sendable {
    package var blocks: UInt64 = 0
    /// Instructions of the guest translated.
    package var instructions: UInt64 = 0
    /// Direct branches that were linked.
    package var links: UInt64 = 0
    /// Indirect branches whose target was looked up by the monitor.
    package var lookUps: UInt64 = 0
    /// Instructions that came to the monitor by call-out.
    package var callOuts: UInt64 = 0
    /// Writes that made translations invalid.
    package var invalidations: UInt64 = 0
    /// How often the cache was emptied.
    package var flushes: UInt64 = 0
    /// Bytes of the cache that are in use.
    package var cacheBytes: UInt64 = 0

    package init() {}
}

/// A block on its way into the cache.
struct BlockTranslation {
    var emitter: Emitter
    /// Where it will begin in the cache.
    let start: Int
    var marks: [TranslationCache.Mark] = []
    var links: [TranslationCache.Link] = []
    var entries: [(rip: UInt64, offset: Int)] = []
    /// Branches whose stubs are still to be written: where the displacement is, and the target.
    var exits: [(displacement: Int, target: UInt64)] = []
    var isComplete = false
    var isAfterSTI = false

    init(emitter: Emitter, start: Int) {
        self.emitter = emitter
        self.start = start
    }

    mutating func mark(_ kind: TranslationCache.Mark.Kind, _ rip: UInt64) {
        marks.append(.init(offset: start + emitter.bytes.count, kind: kind, rip: rip))
    }
}
