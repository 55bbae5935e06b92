/// What a handler decides.
public enum Verdict: Equatable, Sendable {
    /// As if nobody had watched.
    case proceed
    /// The instruction, delivery or write is done without its effect; registers have what the handler has put there.
    case skip
    /// The instruction's result is this value.
    case reply(UInt64)
    /// An exception instead, with its error code.
    case inject(vector: UInt8, errorCode: UInt32?)
    /// The run ends: before the event for those that come before a change, with nothing of it done; after the
    /// instruction for `transition`, `read`, `write` and `console`.
    case stop(String)
}

extension GuestEvent {
    /// Why a verdict makes no sense for the event; nil if it does.
    public func objection(to verdict: Verdict) -> String? {
        switch verdict {
        case .proceed, .stop: return nil
        case .skip:
            switch kind {
            case .vmexit where exit?.reason.isInstruction == false: return leftByNoInstruction("skip")
            case .exception, .interrupt, .io, .msr, .cr, .syscall, .hypercall, .halt, .cpuid, .exec, .instruction,
                .write, .vmexit:
                return nil
            case .read: return "a read of memory cannot be skipped, since the instruction needs a value: reply with one"
            case .transition, .vmentry, .console, .reset: return happened("skip")
            }
        case .reply:
            switch kind {
            case .vmexit where exit?.reason.isInstruction == false: return leftByNoInstruction("reply to")
            case .syscall, .hypercall, .vmexit: return nil
            case .read where (size ?? 0) > 8:
                return "a read of \(size ?? 0) bytes takes no reply: one has at most 8 bytes"
            case .io, .msr, .read:
                return isRead ? nil : "a write has no result to reply with: skip it, or let it go on"
            case .cpuid: return "CPUID has four results: set EAX, EBX, ECX and EDX, and skip"
            case .write, .cr, .halt, .exec, .instruction:
                return "`\(kind.rawValue)` has no result to reply with: skip it, or let it go on"
            case .exception, .interrupt:
                return "an \(kind.rawValue) has no result to reply with: skip it, or inject another exception"
            case .transition, .vmentry, .console, .reset: return happened("reply to")
            }
        case .inject(let vector, let errorCode):
            switch kind {
            case .transition, .vmentry, .console, .reset: return happened("turn into an exception")
            case .vmexit where exit?.reason.isInstruction == false: return leftByNoInstruction("turn into an exception")
            case .exception, .interrupt, .io, .msr, .cr, .syscall, .hypercall, .halt, .cpuid, .exec, .instruction,
                .read,
                .write, .vmexit:
                return ExceptionName.objection(toVector: vector, errorCode: errorCode)
            }
        }
    }

    private func leftByNoInstruction(_ what: String) -> String {
        "the guest was not left by an instruction but for `\(exit?.reason.name ?? "")`: there is nothing to \(what)"
    }

    private func happened(_ what: String) -> String {
        "`\(kind.rawValue)` has happened already: there is nothing to \(what)"
    }
}

extension ExceptionName {
    /// The vectors that push an error code.
    ///
    /// SDM vol. 3 table 6-1.
    public static let pushingErrorCode: Set<UInt8> = [8, 10, 11, 12, 13, 14, 17, 21]

    /// Why an exception cannot be raised so; nil if it can.
    static func objection(toVector vector: UInt8, errorCode: UInt32?) -> String? {
        guard vector < 32, vector != 2 else { return "\(vector) is not the vector of an exception" }
        guard errorCode == nil || pushingErrorCode.contains(vector) else { return "\(short(vector)) has no error code" }
        return nil
    }
}
