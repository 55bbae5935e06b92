import X86
import X86Engine

/// Handlers of the processor's events that do not look at them, so that nothing has to be made for them.
///
/// It does not change: when handlers do, there is another one.
final class NoticeTable {
    /// Plain memory: what is looked at for each event counts no references.
    private struct Record {
        /// The raw value of one kind.
        let kind: UInt32
        /// The rings before and after, or `any`.
        let from: UInt8
        let to: UInt8
        let subject: Subject
        let entry: Unmanaged<HandlerTable.Entry>

        static let any: UInt8 = .max

        /// Whether the handler waits for what has happened, apart from its kind and level.
        func accepts(_ event: ProcessorEvent, _ number: UInt64) -> Bool {
            switch subject {
            case .numbers(let numbers): return numbers.contains(number)
            case .memory(let watch):
                guard case .memory(let access) = event else { return false }
                return watch.accepts(access)
            case .instructions(let patterns):
                guard case .instruction(let found) = event else { return false }
                return patterns.contains { $0.accepts(found) }
            }
        }
    }

    /// What a handler looks at beyond the kind of an event.
    private enum Subject {
        case numbers(ClosedRange<UInt64>)
        case memory(MemoryWatch)
        case instructions(UnsafeBufferPointer<InstructionPattern>)

        init(_ filter: EventFilter) {
            switch filter.processorKinds {
            case .memory: self = .memory(filter.memoryWatch)
            case .instruction:
                let patterns = UnsafeMutableBufferPointer<InstructionPattern>.allocate(capacity: filter.patterns.count)
                _ = patterns.initialize(from: filter.patterns)
                self = .instructions(UnsafeBufferPointer(patterns))
            case _: self = .numbers(filter.numbers ?? 0...UInt64.max)
            }
        }
    }

    /// The kinds of event all of whose handlers are here.
    private let kinds: UInt32
    private let records: UnsafeMutableBufferPointer<Record>
    /// Keeps alive what the records refer to.
    private let entries: [HandlerTable.Entry]
    // SAFETY: the guest owns the log and the processor, and the platform that calls this.
    private unowned(unsafe) let transitions: TransitionLog
    private unowned(unsafe) let processor: Processor

    /// What can be gathered of the handlers; nil if there is none.
    ///
    /// `observed` are the kinds that others look at.
    init?(_ entries: [HandlerTable.Entry], observed: EventKinds, _ transitions: TransitionLog, _ processor: Processor) {
        var looking = observed
        for entry in entries where entry.notice == nil { looking.insert(entry.filter.processorKinds) }
        var kinds: EventKinds = []
        var records: [Record] = []
        for entry in entries {
            let filter = entry.filter
            let kind = filter.processorKinds
            guard !kind.isEmpty, kind.isDisjoint(with: looking) else { continue }
            kinds.insert(kind)
            // The processor knows no monitor.
            guard filter.from != .root, filter.to != .root else { continue }
            records.append(
                Record(
                    kind: kind.rawValue, from: filter.from?.ring ?? Record.any, to: filter.to?.ring ?? Record.any,
                    subject: Subject(filter), entry: Unmanaged.passUnretained(entry)))
        }
        guard !kinds.isEmpty else { return nil }
        self.kinds = kinds.rawValue
        self.records = .allocate(capacity: records.count)
        _ = self.records.initialize(from: records)
        self.entries = entries
        self.transitions = transitions
        self.processor = processor
    }

    deinit {
        for record in records {
            if case .instructions(let patterns) = record.subject { patterns.deallocate() }
        }
        records.deallocate()
    }

    /// Calls the handlers of an event; false if somebody looks at events of its kind.
    func take(_ event: ProcessorEvent) -> Bool {
        let outline = processor.outline(of: event)
        let kind = outline.kind.rawValue
        guard kinds & kind != 0 else { return false }
        let level = processor.state.pointee.cpl
        let (from, to) = outline.levels ?? (level, level)
        // Only transitions have two levels.
        if outline.levels != nil { transitions.number() }
        for record in records where record.kind == kind {
            guard record.from == Record.any || record.from == from, record.to == Record.any || record.to == to,
                record.accepts(event, outline.number)
            else { continue }
            // SAFETY: the table has the entry, and the platform keeps the table meanwhile.
            record.entry._withUnsafeGuaranteedRef { entry in
                if entry.isInstalled { entry.notice?() }
            }
        }
        return true
    }
}
