import PCDevices
import X86Engine

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Why a snapshot cannot be written to a file or read from one.
public enum SnapshotFileError: Error, Equatable, CustomStringConvertible {
    /// The operating system refuses.
    case inaccessible(file: String, reason: String)
    /// It is no snapshot.
    case foreign(file: String)
    /// Another version of the program wrote it.
    case version(file: String, found: UInt32, known: UInt32)
    /// Its end is missing, or something follows it.
    case length(file: String, found: UInt64, expected: UInt64)
    /// The content is not what was written.
    case damaged(file: String)
    /// It is of another machine, or the guest is running.
    case refused(SnapshotError)
    /// A program or script is to do something later, which a file cannot hold.
    case pendingAction(time: UInt64, place: String?)

    /// One line, without a period at its end.
    public var description: String {
        switch self {
        case .inaccessible(let file, let reason): "`\(file)`: \(reason)"
        case .foreign(let file): "`\(file)` is not a snapshot"
        case .version(let file, let found, let known):
            "`\(file)` is a snapshot of format \(found); this program reads and writes format \(known)"
        case .length(let file, let found, let expected):
            "`\(file)` has \(found) bytes and should have \(expected): it is \(found < expected ? "cut off" : "damaged")"
        case .damaged(let file): "`\(file)` is damaged: its content does not agree with its check sum"
        case .refused(let error): error.description
        case .pendingAction(let time, let place):
            "something is to be done at guest time \(time) ns\(place.map { " (\($0))" } ?? ""), which a file cannot hold"
        }
    }
}

/// Snapshots as files: a header, the encoded state, the runs of stored pages, and the pages themselves.
///
///     0   8  signature
///     8   4  format
///     12  4  bytes of the encoded state
///     16  8  stored pages
///     24  8  runs of stored pages
///     32  8  bytes of the file
///     40  8  check sum of all but these 8 bytes
///     48     the state, padded with zeros to a multiple of 8; for each run its first page and its length (4 bytes
///            each); the pages (4 KiB each) in the order of the runs
///
/// All numbers are little-endian. Pages of zeros are not stored.
package enum SnapshotFile {
    /// As PNG's: it shows conversions of line ends and cut-off eighth bits.
    static let signature: [UInt8] = [0x89, 0x56, 0x53, 0x4E, 0x0D, 0x0A, 0x1A, 0x0A]
    package static let format: UInt32 = 2
    static let headerSize = 48
    private static let checksumOffset = 40
    private static let pageSize = 4096

    // MARK: - Writing

    /// Gives the bytes of a file to `sink`, piece by piece.
    package static func write<Failure>(
        _ snapshot: GuestSnapshot, of guest: Guest, named file: String,
        _ sink: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws where Failure: Error {
        if let action = snapshot.pendingActions.first {
            throw SnapshotFileError.pendingAction(time: action.time, place: action.place)
        }
        guard var state = try? StateEncoder.encode(SnapshotContent(snapshot, of: guest)) else {
            throw SnapshotFileError.inaccessible(file: file, reason: "the guest's state cannot be encoded")
        }
        let stateSize = state.count
        state += [UInt8](repeating: 0, count: (8 - stateSize % 8) % 8)
        var pages: [UnsafeRawBufferPointer] = []
        var runs: [(first: Int, count: Int)] = []
        snapshot.memory.forEachStoredPage { page, bytes in
            pages.append(bytes)
            if let last = runs.indices.last, runs[last].first + runs[last].count == page {
                runs[last].count += 1
            } else {
                runs.append((page, 1))
            }
        }
        var list: [UInt8] = []
        for run in runs {
            list.append(littleEndian: UInt32(run.first))
            list.append(littleEndian: UInt32(run.count))
        }
        var header = signature
        header.append(littleEndian: format)
        header.append(littleEndian: UInt32(clamping: stateSize))
        header.append(littleEndian: UInt64(pages.count))
        header.append(littleEndian: UInt64(runs.count))
        header.append(littleEndian: UInt64(headerSize + state.count + list.count + pages.count * pageSize))
        var sum = Checksum()
        for part in [header, state, list] { part.withUnsafeBytes { sum.add($0) } }
        do throws(Interrupted) {
            for (index, page) in pages.enumerated() {
                try Checkpoint.pass(at: index)
                sum.add(page)
            }
        } catch {
            throw SnapshotFileError.inaccessible(file: file, reason: error.description)
        }
        header.append(littleEndian: sum.value)
        for part in [header, state, list] {
            // The error's type is lost in closures of the standard library.
            let result = part.withUnsafeBytes { bytes in Result { () throws(Failure) in try sink(bytes) } }
            try result.get()
        }
        for page in pages { try sink(page) }
    }

    // MARK: - Reading

    /// What the first bytes of a file tell.
    package struct Header {
        var stateSize: Int
        var pages: Int
        var runs: Int
        /// Bytes of the whole file.
        package var fileSize: UInt64
    }

    /// Reads the first bytes of a file of some length.
    package static func header(_ bytes: [UInt8], size: UInt64, named file: String) throws(SnapshotFileError) -> Header {
        guard bytes.count >= headerSize else {
            // What is left of a snapshot begins as one does.
            guard !bytes.isEmpty, signature.starts(with: bytes.prefix(8)) else { throw .foreign(file: file) }
            throw .length(file: file, found: size, expected: UInt64(headerSize))
        }
        guard bytes.starts(with: signature) else { throw .foreign(file: file) }
        let found = bytes[8...].littleEndian(UInt32.self)
        guard found == format else { throw .version(file: file, found: found, known: format) }
        let stateSize = UInt64(bytes[12...].littleEndian(UInt32.self))
        let pages = bytes[16...].littleEndian(UInt64.self)
        let runs = bytes[24...].littleEndian(UInt64.self)
        let expected = bytes[32...].littleEndian(UInt64.self)
        guard expected == size else { throw .length(file: file, found: size, expected: expected) }
        let isPossible =
            pages <= 1 << 28 && runs <= pages
            && UInt64(headerSize) + (stateSize + 7) / 8 * 8 + runs * 8 + pages * UInt64(pageSize) == size
        guard isPossible else { throw .damaged(file: file) }
        return Header(stateSize: Int(stateSize), pages: Int(pages), runs: Int(runs), fileSize: size)
    }

    /// Reads an open file into a snapshot that the guest can be brought to; of one that is none only the beginning.
    package static func read(
        descriptor: Int32, named file: String, for guest: Guest
    ) throws(SnapshotFileError) -> GuestSnapshot {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw .inaccessible(file: file, reason: FileReplacementError.last().reason)
        }
        let start = try bytes(descriptor, file, limit: headerSize)
        let header = try Self.header(start, size: UInt64(clamping: status.st_size), named: file)
        guard header.pages <= guest.memory.size / UInt64(pageSize) else {
            throw .refused(.differentMachine("it holds more memory than the guest has"))
        }
        guard lseek(descriptor, 0, SEEK_SET) == 0 else {
            throw .inaccessible(file: file, reason: FileReplacementError.last().reason)
        }
        return try read(try bytes(descriptor, file, limit: .max), named: file, for: guest)
    }

    private static func bytes(_ descriptor: Int32, _ file: String, limit: Int) throws(SnapshotFileError) -> [UInt8] {
        do throws(BootError) {
            return try BootFile(name: file, descriptor: descriptor, limit: limit).bytes
        } catch {
            if case .empty = error { throw .foreign(file: file) }
            if case .unreadable(_, let reason) = error { throw .inaccessible(file: file, reason: reason.lowercased()) }
            throw .inaccessible(file: file, reason: "is a directory")
        }
    }

    /// Reads a whole file into a snapshot that the guest can be brought to.
    package static func read(
        _ bytes: [UInt8], named file: String, for guest: Guest
    ) throws(SnapshotFileError) -> GuestSnapshot {
        let header = try Self.header(Array(bytes.prefix(headerSize)), size: UInt64(bytes.count), named: file)
        let interrupted = SnapshotFileError.inaccessible(file: file, reason: Interrupted.text)
        var sum = Checksum()
        let isSummed = bytes.withUnsafeBytes { all in
            sum.add(UnsafeRawBufferPointer(rebasing: all[..<checksumOffset]))
            var rest = all[headerSize...]
            while !rest.isEmpty, Checkpoint.isPassed {
                sum.add(UnsafeRawBufferPointer(rebasing: rest.prefix(4 << 20)))
                rest = rest.dropFirst(4 << 20)
            }
            return rest.isEmpty
        }
        guard isSummed else { throw interrupted }
        guard sum.value == bytes[checksumOffset...].littleEndian(UInt64.self) else { throw .damaged(file: file) }
        let state = Array(bytes[headerSize..<headerSize + header.stateSize])
        guard let content = try? StateDecoder.decode(SnapshotContent.self, from: state) else {
            throw .damaged(file: file)
        }
        if let objection = MachineIdentity(guest).objection(to: content.machine) {
            throw .refused(.differentMachine(objection))
        }
        let memory = memory(bytes, header, content)
        guard Checkpoint.isPassed else { throw interrupted }
        guard let memory, let snapshot = content.snapshot(memory, for: guest) else {
            throw .damaged(file: file)
        }
        return snapshot
    }

    private static func memory(_ bytes: [UInt8], _ header: Header, _ content: SnapshotContent) -> MemorySnapshot? {
        let listStart = headerSize + (header.stateSize + 7) / 8 * 8
        let pagesStart = listStart + header.runs * 8
        return bytes.withUnsafeBytes { all -> MemorySnapshot? in
            var stored: [(page: Int, bytes: UnsafeRawBufferPointer)] = []
            for run in 0..<header.runs {
                let place = listStart + run * 8
                let first = Int(bytes[place...].littleEndian(UInt32.self))
                let count = Int(bytes[(place + 4)...].littleEndian(UInt32.self))
                guard count <= header.pages - stored.count else { return nil }
                guard Checkpoint.isPassed else { return nil }
                for page in first..<first + count {
                    let start = pagesStart + stored.count * pageSize
                    stored.append((page, UnsafeRawBufferPointer(rebasing: all[start..<start + pageSize])))
                }
            }
            guard stored.count == header.pages else { return nil }
            return MemorySnapshot(
                size: content.machine.memory, isAddressLine20Open: content.isAddressLine20Open, pages: stored
            ) { Checkpoint.isPassed }
        }
    }
}

/// A 64-bit check sum over bytes whose pieces are multiples of eight.
///
/// Four lanes of multiplication and rotation, so that gigabytes take no second; it finds accidents, not forgers.
package struct Checksum {
    private var lanes: (UInt64, UInt64, UInt64, UInt64) = (1, 2, 3, 4)
    private var count: UInt64 = 0

    package mutating func add(_ bytes: UnsafeRawBufferPointer) {
        var offset = 0
        while offset + 8 <= bytes.count {
            addWholeRows(bytes, &offset)
            guard offset + 8 <= bytes.count else { break }
            // SAFETY: the load stays below `bytes.count`, and needs no alignment.
            let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            // The lane of a word follows from its place among all.
            switch count >> 3 & 3 {
            case 0: Self.mix(&lanes.0, word)
            case 1: Self.mix(&lanes.1, word)
            case 2: Self.mix(&lanes.2, word)
            case _: Self.mix(&lanes.3, word)
            }
            offset += 8
            count &+= 8
        }
    }

    private mutating func addWholeRows(_ bytes: UnsafeRawBufferPointer, _ offset: inout Int) {
        guard count & 31 == 0 else { return }
        let start = offset
        // SAFETY: loads stay below `bytes.count`, and need no alignment.
        while offset + 32 <= bytes.count {
            Self.mix(&lanes.0, bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            Self.mix(&lanes.1, bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self))
            Self.mix(&lanes.2, bytes.loadUnaligned(fromByteOffset: offset + 16, as: UInt64.self))
            Self.mix(&lanes.3, bytes.loadUnaligned(fromByteOffset: offset + 24, as: UInt64.self))
            offset += 32
        }
        count &+= UInt64(offset - start)
    }

    @inline(__always)
    private static func mix(_ lane: inout UInt64, _ word: UInt64) {
        let product = (lane ^ UInt64(littleEndian: word)) &* 0x9E37_79B9_7F4A_7C15
        lane = product << 29 | product >> 35
    }

    package init() {}

    package var value: UInt64 {
        var hasher = StateHasher()
        for word in [lanes.0, lanes.1, lanes.2, lanes.3, count] { hasher.combine(word) }
        return hasher.value
    }
}
