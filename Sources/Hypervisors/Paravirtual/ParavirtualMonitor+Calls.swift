import PCDevices
import X86
import X86Engine

extension ParavirtualMonitor {
    /// The call that the guest's registers ask for.
    var hypercall: Hypercall {
        let s = guest.state
        let number = wrap(s.pointee.rax)
        let call = interface.call(number)
        let registers = argumentWords
        var arguments: [UInt64] = []
        var position = 0
        for parameter in call?.parameters ?? [] {
            switch parameter.width {
            case .quadword where !state.isWide:
                arguments.append(registers[position] | registers[position + 1] << 32)
                position += 2
            case .word, .quadword:
                arguments.append(registers[position])
                position += 1
            }
        }
        return Hypercall(
            interface: interface.name, number: number, name: call?.name ?? "\(number)",
            arguments: call == nil ? Array(registers.prefix(interface.argumentRegisters.count)) : arguments)
    }

    /// What is in the registers of arguments; zeros follow, so that no call has too few.
    private var argumentWords: [UInt64] {
        let s = guest.state.pointee
        let registers: [String: UInt64] = [
            "rdi": s.rdi, "rsi": s.rsi, "rdx": s.rdx, "rcx": s.rcx, "rbx": s.rbx, "r8": s.r8, "r9": s.r9, "r10": s.r10,
        ]
        return interface.argumentRegisters.map { wrap(registers[$0] ?? 0) } + [0, 0, 0, 0]
    }

    /// Does a call of the kernel's, which stands behind it.
    func perform(_ hypercall: Hypercall) {
        statistics.emulated &+= 1
        var done = hypercall
        do throws(HypercallInterface.Failure) {
            guard let call = interface.call(hypercall.number) else { throw .noSuchCall }
            let result = try perform(call.operation, hypercall.arguments)
            switch call.result {
            case .none, .word, .quadword:
                finish(result, call.result)
                done.result = result
            case .elsewhere: break
            }
        } catch {
            let value = wrap(UInt64(bitPattern: interface.code(of: error)))
            guest.state.pointee.rax = value
            done.result = value
            done.failure = interface.failure(value)?.name
        }
        callIsDone(done)
    }

    private func finish(_ value: UInt64, _ kind: HypercallInterface.Result) {
        let s = guest.state
        s.pointee.rax = wrap(value)
        if case .quadword = kind, !state.isWide { s.pointee.rdx = value >> 32 }
    }

    private typealias Failure = HypercallInterface.Failure

    private func perform(
        _ operation: HypercallInterface.Operation, _ arguments: [UInt64]
    ) throws(HypercallInterface.Failure) -> UInt64 {
        func argument(_ index: Int) -> UInt64 { index < arguments.count ? arguments[index] : 0 }
        let (first, second) = (argument(0), argument(1))
        switch operation {
        case .version: return UInt64(interface.version)
        case .consoleWrite: return try writeConsole(first, second)
        case .consoleRead: return try readConsole(first, second)
        case .setTraps: try setTraps(first, second)
        case .setSystemCall:
            guard state.isWide else { throw .invalid }
            state.systemCallHandler = first
        case .setStack: state.stack = first
        case .setEvents:
            try paging.takeData(second)
            if let page = state.sharedPage { paging.release(page) }
            (state.eventHandler, state.sharedPage) = (first, second)
        case .returnFromTrap: try returnFromTrap()
        case .setBase: try setBase(first)
        case .setUserBase: try setUserBase(first)
        case .pin: try paging.pin(first, level: Int(clamping: second))
        case .unpin: try paging.unpin(first)
        case .updateEntry: try update(first, second)
        case .updateEntries: return try updateEntries(first, second)
        case .updateMapping:
            guard !state.isWide || Self.isCanonical(first) else { throw .invalid }
            try update(try paging.entry(for: first, root: state.kernelRoot), second)
        case .flush: machine.flushTLB()
        case .setDescriptorTable: try setDescriptorTable(first, second)
        case .updateDescriptor: try paging.updateDescriptor(first, second)
        case .setSegmentBase: try setSegmentBase(first, second)
        case .bind: return try bind(first, second)
        case .close: try close(first)
        case .send: try send(first)
        case .unmask: try unmask(first)
        case .setTimer: setTimer(first == 0 ? .max : first)
        case .block: block()
        case .now: return guest.state.pointee.time
        case .portRead: return try readPort(first, second)
        case .portWrite: try writePort(first, second, argument(2))
        case .writeCallPage: try writeCallPage(first)
        case .shutdown: try shutDown(first)
        }
        return 0
    }

    // MARK: Console and ports

    private func writeConsole(_ address: UInt64, _ count: UInt64) throws(HypercallInterface.Failure) -> UInt64 {
        guard count <= 65_536 else { throw .invalid }
        guard let text = readBytes(address, Int(count)) else { throw .inaccessible }
        for byte in text { guest.environment.writePort(Self.serialPort, UInt32(byte), width: 1) }
        return count
    }

    private func readConsole(_ address: UInt64, _ count: UInt64) throws(HypercallInterface.Failure) -> UInt64 {
        guard count <= 65_536 else { throw .invalid }
        // All of it must be writable before anything is taken.
        guard let old = readBytes(address, Int(count)), writeBytes(old, at: address) else { throw .inaccessible }
        var bytes: [UInt8] = []
        while bytes.count < Int(count), guest.environment.readPort(Self.serialPort + 5, width: 1) & 1 != 0 {
            bytes.append(UInt8(truncatingIfNeeded: guest.environment.readPort(Self.serialPort, width: 1)))
        }
        _ = writeBytes(bytes, at: address)
        return UInt64(bytes.count)
    }

    private func checkPort(_ port: UInt64, _ width: UInt64) throws(HypercallInterface.Failure) -> UInt16 {
        guard let port = UInt16(exactly: port), [1, 2, 4].contains(width) else { throw .invalid }
        for offset in 0..<UInt16(width) where Self.controllerPorts.contains(port &+ offset) { throw .notPermitted }
        return port
    }

    private func readPort(_ port: UInt64, _ width: UInt64) throws(HypercallInterface.Failure) -> UInt64 {
        let (port, width) = (try checkPort(port, width), Int(width))
        let mask: UInt64 = (1 << UInt64(width * 8)) - 1
        if guest.watched.contains(.port) {
            switch guest.environment.intercept(.portRead(port: port, width: width)) {
            case .proceed: break
            case .skip: return wrap(guest.state.pointee.rax) & mask
            case .reply(let value): return value & mask
            case .inject: throw .notPermitted
            }
        }
        return UInt64(guest.environment.readPort(port, width: width)) & mask
    }

    private func writePort(
        _ port: UInt64, _ width: UInt64, _ value: UInt64
    ) throws(HypercallInterface.Failure) {
        let (port, width) = (try checkPort(port, width), Int(width))
        let value = UInt32(truncatingIfNeeded: value & ((1 << UInt64(width * 8)) - 1))
        if guest.watched.contains(.port) {
            switch guest.environment.intercept(.portWrite(port: port, value: value, width: width)) {
            case .proceed: break
            case .skip, .reply: return
            case .inject: throw .notPermitted
            }
        }
        guest.environment.writePort(port, value, width: width)
    }

    // MARK: Handlers and segments

    private func setTraps(_ address: UInt64, _ count: UInt64) throws(HypercallInterface.Failure) {
        guard count <= 256 else { throw .invalid }
        guard let words = readWords(address, Int(count) * 2, width: width) else { throw .inaccessible }
        var traps: [UInt8: UInt64] = [:]
        for index in stride(from: 0, to: words.count, by: 2) {
            guard let vector = UInt8(exactly: words[index]), vector != interface.vector else { throw .invalid }
            traps[vector] = words[index + 1]
        }
        state.traps = traps
    }

    private func setSegmentBase(_ which: UInt64, _ address: UInt64) throws(HypercallInterface.Failure) {
        guard state.isWide, Self.isCanonical(address) else { throw .invalid }
        let s = guest.state
        switch which {
        case 0: s.pointee.fs.base = address
        case 1: s.pointee.gs.base = address
        case 2: s.pointee.kernelGSBase = address
        case _: throw .invalid
        }
    }

    private func setDescriptorTable(_ address: UInt64, _ count: UInt64) throws(HypercallInterface.Failure) {
        guard count <= GuestDescriptor.pageLimit else { throw .invalid }
        var taken: UInt64 = 0
        do throws(Failure) {
            while taken < count {
                let (page, overflow) = address.addingReportingOverflow(taken << 12)
                guard !overflow else { throw .invalid }
                try paging.takeDescriptors(page)
                taken += 1
            }
        } catch {
            for page in 0..<taken { paging.release(address &+ page << 12) }
            throw error
        }
        for page in 0..<state.descriptorPages { paging.release(state.descriptorTable &+ page << 12) }
        (state.descriptorTable, state.descriptorPages) = (count == 0 ? 0 : address, count)
        mapDescriptorTable()
    }

    // MARK: Page tables

    private func update(_ entry: UInt64, _ value: UInt64) throws(HypercallInterface.Failure) {
        try paging.update(entry, value)
        // What was taken away must not be used any more.
        machine.flushTLB()
    }

    private func updateEntries(_ address: UInt64, _ count: UInt64) throws(HypercallInterface.Failure) -> UInt64 {
        guard (1...4096).contains(count) else { throw .invalid }
        guard let words = readWords(address, Int(count) * 2, width: 8) else { throw .inaccessible }
        for index in 0..<Int(count) {
            do throws(Failure) { try update(words[index * 2], words[index * 2 + 1]) } catch {
                if index == 0 { throw error }
                return UInt64(index)
            }
        }
        return count
    }

    /// The new tables are judged as if the old ones were in use no more.
    private func setBase(_ table: UInt64) throws(HypercallInterface.Failure) {
        paging.release(state.kernelRoot)
        do throws(Failure) { try paging.takeRoot(table) } catch {
            do throws(Failure) { try paging.takeRoot(state.kernelRoot) } catch {
                end("its page tables are not valid any more")
            }
            throw error
        }
        state.kernelRoot = table
        showState()
    }

    private func setUserBase(_ table: UInt64) throws(HypercallInterface.Failure) {
        guard state.isWide else { throw .invalid }
        if table != 0 { try paging.takeRoot(table) }
        if let root = state.userRoot { paging.release(root) }
        state.userRoot = table == 0 ? nil : table
    }

    // MARK: The call page, and the end

    /// The stubs: `mov eax, n`, the interrupt instruction, `ret`; HLT between them.
    private func writeCallPage(_ address: UInt64) throws(HypercallInterface.Failure) {
        guard address & 0xFFF == 0 else { throw .invalid }
        guard paging.isData(address) else { throw .busy }
        var bytes = [UInt8](repeating: 0xF4, count: 4096)
        for call in interface.calls.prefix(256) {
            let number = UInt8(truncatingIfNeeded: call.number)
            let stub: [UInt8] = [0xB8, number, 0, 0, 0, 0xCD, interface.vector, 0xC3]
            bytes.replaceSubrange(Int(number) * 16..<Int(number) * 16 + stub.count, with: stub)
        }
        _ = bytes.withUnsafeBytes { memory.machine.write(address, $0) }
    }

    private func shutDown(_ how: UInt64) throws(HypercallInterface.Failure) {
        let power = ACPIPowerManagement.Layout()
        switch how {
        case 0:
            // SLP_TYP of S5 and SLP_EN (ACPI 6.4 section 4.8.3.2.1).
            let value = UInt32(power.softOffType) << 10 | 1 << 13
            guest.environment.writePort(power.controlBlock.rawValue, value, width: 2)
        // The reset control register of the host bridge.
        case 1: guest.environment.writePort(0xCF9, 6, width: 1)
        case 2: end("the kernel has given up")
        case _: throw .invalid
        }
    }
}
