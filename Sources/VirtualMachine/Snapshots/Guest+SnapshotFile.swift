#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

extension Guest {
    /// Writes a snapshot of the guest to a file.
    ///
    /// A file that was there stays whole until the new one is. Throws if something is to be done later for a script or
    /// program (`after`), since no file can hold that; and when the task is cancelled.
    public func save(to path: String) throws(SnapshotFileError) {
        try save(to: path) { body throws(FileReplacementError) in
            try FileReplacement.write(to: path, body)
        }
    }

    /// Writes a snapshot with what opens and replaces the file.
    package func save(
        to path: String,
        _ replace: ((FileReplacement.Sink) throws(FileReplacementError) -> Void) throws(FileReplacementError) -> Void
    ) throws(SnapshotFileError) {
        let snapshot: GuestSnapshot
        do throws(SnapshotError) { snapshot = try self.snapshot() } catch { throw .refused(error) }
        var failure: SnapshotFileError?
        do throws(FileReplacementError) {
            try replace { sink throws(FileReplacementError) in
                do {
                    try SnapshotFile.write(snapshot, of: self, named: path) { bytes throws(FileReplacementError) in
                        guard Checkpoint.isPassed else { throw FileReplacementError(reason: Interrupted.text) }
                        try sink(bytes)
                    }
                } catch {
                    failure = error as? SnapshotFileError
                    throw error as? FileReplacementError ?? FileReplacementError(reason: "")
                }
            }
        } catch {
            throw failure ?? .inaccessible(file: path, reason: error.reason)
        }
    }

    /// Brings the guest to a snapshot in a file.
    ///
    /// The guest must have been made like the one that was saved: memory, technique, processor model and devices. Throws
    /// with nothing changed if it was not, if the file is damaged or none of ours, or if the task is cancelled.
    public func load(from path: String) throws(SnapshotFileError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .inaccessible(file: path, reason: FileReplacementError.last().reason) }
        defer { _ = close(descriptor) }
        try load(from: path, descriptor: descriptor)
    }

    /// Brings the guest to a snapshot in a file that is open.
    package func load(from path: String, descriptor: Int32) throws(SnapshotFileError) {
        let snapshot = try SnapshotFile.read(descriptor: descriptor, named: path, for: self)
        do throws(SnapshotError) { try restore(snapshot) } catch { throw .refused(error) }
    }
}
