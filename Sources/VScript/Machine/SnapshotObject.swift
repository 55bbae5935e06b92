import VirtualMachine

/// A guest at some moment, as scripts keep it.
final class SnapshotObject: TabledObject {
    /// Nil once the session has ended.
    var snapshot: GuestSnapshot?
    /// What its pages and their list need at most.
    let bytes: UInt64
    private weak var guest: GuestObject?

    init(_ snapshot: GuestSnapshot, of guest: GuestObject) {
        bytes = UInt64(snapshot.storedPages) * 4096 + guest.guest.configuration.memory / 512
        self.snapshot = snapshot
        self.guest = guest
    }

    var typeName: String { "a snapshot" }
    var text: String { "<snapshot of \(guest?.name ?? "a guest") at instruction \(snapshot?.instructions ?? 0)>" }

    static let members = MemberTable<SnapshotObject>(properties: [
        Property("time", "Guest time.") { .time($0.snapshot?.time ?? 0) },
        Property("instructions", "Instructions until then.") { .integer($0.snapshot?.instructions ?? 0) },
        Property("pages", "How many pages of 4 KiB it stores; pages of zeros are not stored.") {
            .integer($0.snapshot?.storedPages ?? 0)
        },
    ])
}

/// Something that is to be done later in guest time.
final class TimerObject: TabledObject {
    private let timer: GuestTimer

    init(_ timer: GuestTimer) { self.timer = timer }

    var typeName: String { "a timer" }

    static let members = MemberTable<TimerObject>(
        properties: [
            Property("isPending", "Whether it is still to be done.") { .bool($0.timer.isPending) },
            Property("time", "The guest time at which it is done.") { .time($0.timer.deadline) },
        ],
        methods: [
            Builtin("cancel()", "Gives it up.") { object, _ in
                object.timer.cancel()
                return .nil
            }
        ])
}
