import X86Engine

/// Answers gdb's remote protocol for a guest; knows no socket.
///
/// gdb manual, appendix E "gdb Remote Serial Protocol".
public final class GDBStub {
    /// What becomes of the connection after a packet.
    package enum Reaction: Equatable {
        case reply([UInt8])
        /// Answered, and then the connection ends.
        case leave([UInt8])
        case noReply
    }

    private let guest: Guest
    /// By which the guest goes backwards; nil if it does not.
    private let history: GuestHistory?
    /// Carries out what `monitor` is given and gives what it says.
    public var monitor: ((String) -> String)?
    /// Whether packets are acknowledged.
    private(set) var acknowledges = true
    /// What gdb has set, each with a number that grows; what runs next meets them.
    private var wanted: [PointKey: Int] = [:]
    private var nextPoint = 0
    /// What the guest watches for them.
    private var points: [Point] = []
    /// Whether the two differ: gdb sets all its points before a run and takes them back after it, one by one.
    private var pointsChanged = false
    /// Why the last run ended, as a reply.
    private var lastStop = "T05thread:01;"
    /// What the breakpoint that stopped the run was.
    private var hit: String?
    /// Whether gdb has changed the guest since the history was told.
    private var hasChanged = false

    /// The largest packet that gdb may send.
    private static let packetSize = 0x4000
    /// The most points.
    private static let pointLimit = 1 << 16

    /// A stub for a guest, which must not run otherwise meanwhile; with a history gdb can go backwards.
    public init(_ guest: Guest, history: GuestHistory? = nil) {
        self.guest = guest
        self.history = history
    }

    /// Removes what gdb has set; the guest stays where it is.
    func close() {
        wanted = [:]
        pointsChanged = true
        watchPoints()
        acknowledges = true
        noteChange()
    }

    /// Tells the history what gdb has written, before the guest moves or somebody else looks at it.
    private func noteChange() {
        if hasChanged { history?.changed() }
        hasChanged = false
    }

    /// Carries out a packet.
    package func handle(_ packet: [UInt8]) -> Reaction {
        guard let kind = packet.first else { return .reply([]) }
        let body = packet.dropFirst()
        let text = String(decoding: body, as: UTF8.self)
        switch kind {
        case UInt8(ascii: "?"): return say(lastStop)
        case UInt8(ascii: "g"): return .reply(Hexadecimal.text(GDBRegisters.all.flatMap { $0.read(state) }))
        case UInt8(ascii: "G"): return writeAll(body)
        case UInt8(ascii: "p"): return readRegister(text)
        case UInt8(ascii: "P"): return writeRegister(text)
        case UInt8(ascii: "m"): return readMemory(text)
        case UInt8(ascii: "M"): return writeMemory(body, isBinary: false)
        case UInt8(ascii: "X"): return writeMemory(body, isBinary: true)
        case UInt8(ascii: "c"), UInt8(ascii: "C"):
            return resume(at: kind == UInt8(ascii: "c") ? text : "", steps: false)
        case UInt8(ascii: "s"), UInt8(ascii: "S"): return resume(at: kind == UInt8(ascii: "s") ? text : "", steps: true)
        case UInt8(ascii: "b"): return goBack(steps: text == "s", isKnown: text == "s" || text == "c")
        case UInt8(ascii: "Z"), UInt8(ascii: "z"): return setPoint(text, isSet: kind == UInt8(ascii: "Z"))
        case UInt8(ascii: "H"): return say(isThread(text.dropFirst()) ? "OK" : "E01")
        case UInt8(ascii: "T"): return say(isThread(text[...]) ? "OK" : "E01")
        case UInt8(ascii: "D"): return .leave(Array("OK".utf8))
        // It has no answer.
        case UInt8(ascii: "k"): return .leave([])
        case UInt8(ascii: "q"), UInt8(ascii: "Q"): return query(String(decoding: packet, as: UTF8.self))
        case UInt8(ascii: "v"): return verbose(String(decoding: packet, as: UTF8.self))
        case _: return .reply([])
        }
    }

    /// Whether a number stands for the processor: its own, any (0) or all (-1).
    private func isThread(_ text: Substring) -> Bool { text == "-1" || (Hexadecimal.number(text) ?? 2) < 2 }

    private var state: UnsafeMutablePointer<ProcessorState> { guest.processor.state }

    private func say(_ text: String) -> Reaction { .reply(Array(text.utf8)) }

    // MARK: - Queries

    private func query(_ text: String) -> Reaction {
        if text.hasPrefix("qSupported") {
            return say(
                "PacketSize=\(String(Self.packetSize, radix: 16));qXfer:features:read+;qXfer:memory-map:read+;swbreak+;"
                    + "hwbreak+;vContSupported+;QStartNoAckMode+"
                    + (history == nil ? "" : ";ReverseStep+;ReverseContinue+"))
        }
        if text.hasPrefix("qXfer:memory-map:read:") { return transfer(Self.memoryMap, text) }
        if text.hasPrefix("qXfer:features:read:target.xml:") { return transfer(GDBRegisters.description, text) }
        // Another document than there is.
        if text.hasPrefix("qXfer:features:read:") { return say("E00") }
        if text.hasPrefix("qRcmd,") { return command(text.dropFirst(6)) }
        if text.hasPrefix("qSymbol:") || text == "qThreadExtraInfo,1" {
            return text.hasPrefix("qS") ? say("OK") : .reply(Hexadecimal.text("CPU 0".utf8))
        }
        switch text {
        case "QStartNoAckMode":
            acknowledges = false
            return say("OK")
        case "qC": return say("QC01")
        case "qfThreadInfo": return say("m01")
        case "qsThreadInfo": return say("l")
        case "qAttached": return say("1")
        case _: return .reply([])
        }
    }

    /// The part of a document that a request names by offset and length.
    private func transfer(_ document: String, _ request: String) -> Reaction {
        let numbers = (request.split(separator: ":").last ?? "").split(separator: ",").map(Hexadecimal.number)
        guard numbers.count == 2, let offset = numbers[0], let length = numbers[1] else { return say("E00") }
        let bytes = Array(document.utf8)
        guard offset < bytes.count else { return say("l") }
        let part = bytes[Int(offset)...].prefix(Int(min(length, UInt64(Self.packetSize / 2))))
        let isLast = part.endIndex == bytes.count
        return .reply([UInt8(ascii: isLast ? "l" : "m")] + GDBPacketReader.escaped(part))
    }

    /// gdb looks at linear addresses, any of which the guest may map; without a map it refuses none, with this it knows
    /// that none is flash.
    private static let memoryMap = """
        <?xml version="1.0"?><!DOCTYPE memory-map PUBLIC "+//IDN gnu.org//DTD GDB Memory Map V1.0//EN" \
        "http://sourceware.org/gdb/gdb-memory-map.dtd"><memory-map>\
        <memory type="ram" start="0x0" length="0x8000000000000000"/>\
        <memory type="ram" start="0x8000000000000000" length="0x8000000000000000"/></memory-map>
        """

    private func command(_ text: Substring) -> Reaction {
        guard let bytes = Hexadecimal.bytes(text.utf8) else { return say("E01") }
        noteChange()
        watchPoints()
        guard let monitor else { return .reply(Hexadecimal.text("there is no monitor\n".utf8)) }
        let answer = monitor(String(decoding: bytes, as: UTF8.self))
        return answer.isEmpty ? say("OK") : .reply(Hexadecimal.text(answer.utf8.prefix(Self.packetSize / 2 - 2)))
    }

    private func verbose(_ text: String) -> Reaction {
        if text == "vCont?" { return say("vCont;c;C;s;S") }
        if text.hasPrefix("vKill") { return .leave(Array("OK".utf8)) }
        guard text.hasPrefix("vCont;"), let action = text.dropFirst(6).first else { return .reply([]) }
        switch action {
        case "c", "C": return resume(at: "", steps: false)
        case "s", "S": return resume(at: "", steps: true)
        case _: return say("E01")
        }
    }

    // MARK: - Registers

    private func readRegister(_ text: String) -> Reaction {
        guard let number = Hexadecimal.number(text[...]), number < GDBRegisters.all.count else { return say("E01") }
        return .reply(Hexadecimal.text(GDBRegisters.all[Int(number)].read(state)))
    }

    private func writeRegister(_ text: String) -> Reaction {
        let parts = text.split(separator: "=", maxSplits: 1)
        guard parts.count == 2, let number = Hexadecimal.number(parts[0]), number < GDBRegisters.all.count,
            let bytes = Hexadecimal.bytes(parts[1].utf8)
        else { return say("E01") }
        return say(write(GDBRegisters.all[Int(number)], bytes) ? "OK" : "E02")
    }

    private func writeAll(_ body: ArraySlice<UInt8>) -> Reaction {
        guard let bytes = Hexadecimal.bytes(body), bytes.count == GDBRegisters.all.reduce(0, { $0 + $1.bits / 8 })
        else { return say("E01") }
        var rest = bytes[...]
        for register in GDBRegisters.all {
            let part = Array(rest.prefix(register.bits / 8))
            rest = rest.dropFirst(part.count)
            // Registers that cannot be written come back as they were read.
            _ = write(register, part)
        }
        return say("OK")
    }

    private func write(_ register: GDBRegisters.Register, _ bytes: [UInt8]) -> Bool {
        guard bytes.count == register.bits / 8 else { return false }
        if register.read(state) == bytes { return true }
        let value = bytes.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard register.bits <= 64, guest.cpu.set(register.name, value) else { return false }
        hasChanged = true
        return true
    }

    // MARK: - Memory

    private func readMemory(_ text: String) -> Reaction {
        let numbers = text.split(separator: ",").map(Hexadecimal.number)
        guard numbers.count == 2, let address = numbers[0], let length = numbers[1] else { return say("E01") }
        let wanted = Int(min(length, UInt64(Self.packetSize / 2)))
        if let bytes = guest.cpu.read(address, count: wanted) { return .reply(Hexadecimal.text(bytes)) }
        // What lies before the first page that is not mapped.
        var bytes: [UInt8] = []
        while bytes.count < wanted, let byte = guest.cpu.read(address &+ UInt64(bytes.count), count: 1) {
            bytes += byte
        }
        return bytes.isEmpty ? say("E0e") : .reply(Hexadecimal.text(bytes))
    }

    private func writeMemory(_ body: ArraySlice<UInt8>, isBinary: Bool) -> Reaction {
        guard let colon = body.firstIndex(of: UInt8(ascii: ":")) else { return say("E01") }
        let numbers = String(decoding: body[..<colon], as: UTF8.self).split(separator: ",").map(Hexadecimal.number)
        let data = body[(colon + 1)...]
        guard numbers.count == 2, let address = numbers[0], let length = numbers[1],
            let bytes = isBinary ? GDBPacketReader.unescaped(data) : Hexadecimal.bytes(data),
            UInt64(bytes.count) == length
        else { return say("E01") }
        guard guest.cpu.write(address, bytes) else { return say("E0e") }
        hasChanged = hasChanged || !bytes.isEmpty
        return say("OK")
    }

    // MARK: - Running

    private func resume(at text: String, steps: Bool) -> Reaction {
        if !text.isEmpty {
            guard let address = Hexadecimal.number(text[...]), guest.cpu.set("rip", address) else { return say("E01") }
            hasChanged = true
        }
        noteChange()
        watchPoints()
        hit = nil
        let limits = RunLimits(instructions: steps ? 1 : nil)
        let stop =
            history?.run(limits: limits, checkpoint: checkpoint())
            ?? guest.run(limits: limits, checkpoint: checkpoint())
        lastStop = reply(stop)
        return say(lastStop)
    }

    /// What runs ask now and then: the socket is looked at some times in a second, not for each slice.
    private func checkpoint() -> () -> Bool {
        // What was there before the run counts too.
        var asked = ContinuousClock.now - .seconds(1)
        return {
            guard ContinuousClock.now - asked > .milliseconds(20) else { return true }
            asked = .now
            return Checkpoint.isPassed
        }
    }

    /// One instruction back, or to the last time that something gdb has set was met.
    private func goBack(steps: Bool, isKnown: Bool) -> Reaction {
        guard let history, isKnown else { return .reply([]) }
        noteChange()
        watchPoints()
        let now = guest.instructions
        guard now > history.start else {
            lastStop = "T05replaylog:begin;thread:01;"
            return say(lastStop)
        }
        guard !steps else {
            lastStop = history.go(to: now - 1, checkpoint: checkpoint()) ? "T05thread:01;" : "T02thread:01;"
            return say(lastStop)
        }
        let found = history.lastEvent(before: now, matching: points.map(\.filter), checkpoint: checkpoint())
        let isThere = history.go(to: found?.event.start ?? history.start, checkpoint: checkpoint())
        let reason = found.map { points[$0.filter].reason } ?? "replaylog:begin;"
        lastStop = isThere ? "T05\(reason)thread:01;" : "T02thread:01;"
        return say(lastStop)
    }

    private func reply(_ stop: Stop) -> String {
        switch stop.reason {
        case .event, .instructions, .timeout: "T05\(hit ?? "")thread:01;"
        case .stopped:
            hit.map { "T05\($0)thread:01;" } ?? (stop.detail == "interrupted" ? "T02thread:01;" : "T05thread:01;")
        case .halted: "T05thread:01;"
        // SIGSEGV: the guest has met a triple fault.
        case .crashed: "T0bthread:01;"
        case .shutdown: "W\(stop.exitStatus.map { String(UInt8(truncatingIfNeeded: $0 >> 1), radix: 16) } ?? "00")"
        }
    }

    // MARK: - Breakpoints

    private func setPoint(_ text: String, isSet: Bool) -> Reaction {
        let parts = text.split(separator: ";", omittingEmptySubsequences: false)[0].split(separator: ",")
        guard parts.count == 3, let type = parts[0].utf8.first, let address = Hexadecimal.number(parts[1]),
            let length = Hexadecimal.number(parts[2])
        else { return say("E01") }
        let key = PointKey(type: type, address: address, length: length)
        guard key.filters != nil else { return (0x30...0x34).contains(type) ? say("E01") : .reply([]) }
        if !isSet {
            pointsChanged = wanted.removeValue(forKey: key) != nil || pointsChanged
        } else if wanted[key] == nil {
            guard wanted.count < Self.pointLimit else { return say("E1c") }
            wanted[key] = nextPoint
            nextPoint += 1
            pointsChanged = true
        }
        return say("OK")
    }

    /// Has the guest watch what gdb has set by now, all at once.
    private func watchPoints() {
        guard pointsChanged else { return }
        pointsChanged = false
        let gone = points.filter { wanted[$0.key] == nil }
        guest.off(gone.map(\.handler))
        points.removeAll { wanted[$0.key] == nil }
        let known = Set(points.map(\.key))
        let added = wanted.filter { !known.contains($0.key) }.sorted { $0.value < $1.value }.flatMap { entry in
            (entry.key.filters ?? []).map { (key: entry.key, filter: $0) }
        }
        guard !added.isEmpty else { return }
        let handlers = guest.observe(
            added.map { key, filter in
                (
                    filter,
                    { [unowned self] _ in
                        hit = key.reason
                        guest.requestStop("gdb")
                        return .proceed
                    }
                )
            })
        points += zip(added, handlers).map { Point(key: $0.key, filter: $0.filter, handler: $1) }
    }
}

/// A breakpoint or watchpoint as gdb names it.
///
/// gdb manual, appendix E.2 "Packets", `Z`.
private struct PointKey: Hashable {
    var type: UInt8
    var address: UInt64
    var length: UInt64

    /// What the engine watches; nil for what does not exist.
    var filters: [EventFilter]? {
        if type == UInt8(ascii: "0") || type == UInt8(ascii: "1") { return [.exec(address)] }
        guard length > 0, length <= 4_096 else { return nil }
        let (last, overflow) = address.addingReportingOverflow(length - 1)
        let range = address...(overflow ? .max : last)
        switch type {
        case UInt8(ascii: "2"): return [.write(range)]
        case UInt8(ascii: "3"): return [.read(range)]
        case UInt8(ascii: "4"): return [.read(range), .write(range)]
        case _: return nil
        }
    }

    /// The part of a stop reply that tells it.
    var reason: String {
        switch type {
        case UInt8(ascii: "0"): "swbreak:;"
        case UInt8(ascii: "1"): "hwbreak:;"
        case UInt8(ascii: "2"): "watch:\(String(address, radix: 16));"
        case UInt8(ascii: "3"): "rwatch:\(String(address, radix: 16));"
        case _: "awatch:\(String(address, radix: 16));"
        }
    }
}

/// What the engine watches for a point.
private struct Point {
    var key: PointKey
    var filter: EventFilter
    var handler: HandlerID
    var reason: String { key.reason }
}
