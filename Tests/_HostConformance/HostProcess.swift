#if arch(x86_64) && os(Linux)
import Glibc

/// The child process that executes cases on the host's own processor (`Tests/HostOracle/HostOracle.c`).
package final class HostProcess {
    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    private let process: pid_t
    private let input: Int32
    private let output: Int32

    private static let stateBytes = 16 * 8 + 16 + 512
    private static let codeLimit = 64
    private static let patchLimit = 16

    /// Starts the program at `path`, built by `HostProcess.build(source:into:)`.
    package init(path: String) throws {
        let toChild = try Self.makePipe()
        let fromChild = try Self.makePipe()
        signal(SIGPIPE, SIG_IGN)
        process = try Self.spawn([path], standardInput: toChild.reading, standardOutput: fromChild.writing)
        close(toChild.reading)
        close(fromChild.writing)
        input = toChild.writing
        output = fromChild.reading
        try sendMemory()
    }

    deinit {
        close(input)
        close(output)
        kill(process, SIGKILL)
        waitpid(process, nil, 0)
    }

    /// Compiles the program with the system's C compiler, or the one that Swift brings along.
    package static func build(source: String, into path: String) throws {
        for compiler in ["cc", "clang"] {
            let arguments = [compiler, "-O2", "-std=gnu11", "-o", path, source]
            guard let process = try? spawn(arguments, standardInput: nil, standardOutput: nil) else { continue }
            var status: Int32 = 0
            waitpid(process, &status, 0)
            if status == 0 { return }
        }
        throw Failure(description: "no C compiler builds \(source)")
    }

    /// Executes a batch.
    package func run(_ cases: [Case]) throws -> [Outcome] {
        var message: [UInt8] = []
        append(UInt64(cases.count), 4, to: &message)
        for experiment in cases {
            append(experiment.state, to: &message)
            append(UInt64(experiment.code.count), 4, to: &message)
            append(UInt64(experiment.patches.count), 4, to: &message)
            // Linux's selectors of user code.
            append(experiment.mode == .bits64 ? 0x33 : 0x23, 8, to: &message)
            guard experiment.code.count <= Self.codeLimit, experiment.patches.count <= Self.patchLimit else {
                throw Failure(description: "a case is too large")
            }
            message += experiment.code
            message += [UInt8](repeating: 0, count: Self.codeLimit - experiment.code.count)
            for index in 0..<Self.patchLimit {
                let patch =
                    index < experiment.patches.count ? experiment.patches[index] : MemoryWord(address: 0, value: 0)
                append(patch.address, 8, to: &message)
                append(patch.value, 8, to: &message)
            }
        }
        try send(message)
        return try cases.map { _ in try receiveOutcome() }
    }

    private func sendMemory() throws {
        var message: [UInt8] = []
        append(TestMemory.gsBase, 8, to: &message)
        append(UInt64(TestMemory.regions.count), 8, to: &message)
        for region in TestMemory.regions {
            append(region.address, 8, to: &message)
            append(region.size, 8, to: &message)
            append((region.isWritable ? 1 : 0) | (region.isExecutable ? 2 : 0), 8, to: &message)
            message += TestMemory.image(region)
        }
        try send(message)
    }

    private func receiveOutcome() throws -> Outcome {
        let bytes = try receive(Self.stateBytes + 32)
        var outcome = Outcome()
        for number in 0..<16 { outcome.state.registers[number] = word(bytes, number * 8) }
        outcome.state.rip = word(bytes, 128)
        outcome.state.flags = word(bytes, 136)
        outcome.state.fx = Array(bytes[144..<656])
        outcome.vector = word(bytes, 656)
        outcome.errorCode = word(bytes, 664)
        outcome.address = word(bytes, 672)
        let count = Int(word(bytes, 680))
        let changes = try receive(count * 16)
        outcome.changes = (0..<count).map {
            MemoryWord(address: word(changes, $0 * 16), value: word(changes, $0 * 16 + 8))
        }
        return outcome
    }

    private func append(_ state: MachineState, to message: inout [UInt8]) {
        for register in state.registers { append(register, 8, to: &message) }
        append(state.rip, 8, to: &message)
        append(state.flags, 8, to: &message)
        message += state.fx
    }

    private func append(_ value: UInt64, _ count: Int, to message: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { message += $0[..<count] }
    }

    private func word(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
        bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
    }

    private func send(_ message: [UInt8]) throws {
        var done = 0
        while done < message.count {
            let count = message.withUnsafeBytes { write(input, $0.baseAddress.map { $0 + done }, $0.count - done) }
            guard count > 0 else { throw Failure(description: "the host oracle has ended") }
            done += count
        }
    }

    private func receive(_ count: Int) throws -> [UInt8] {
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            while initialized < count && !failed {
                let got = read(output, buffer.baseAddress.map { $0 + initialized }, count - initialized)
                if got > 0 { initialized += got } else { failed = true }
            }
        }
        guard !failed else { throw Failure(description: "the host oracle has ended inside a batch") }
        return bytes
    }

    /// A pipe that children do not inherit.
    private static func makePipe() throws -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw Failure(description: "no pipe for the host oracle") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static func spawn(
        _ arguments: [String], standardInput: Int32?, standardOutput: Int32?
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let standardInput { posix_spawn_file_actions_adddup2(&actions, standardInput, 0) }
        if let standardOutput { posix_spawn_file_actions_adddup2(&actions, standardOutput, 1) }
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        defer { pointers.forEach { free($0) } }
        pointers.append(nil)
        var child: pid_t = 0
        guard posix_spawnp(&child, arguments[0], &actions, nil, pointers, environ) == 0 else {
            throw Failure(description: "cannot run \(arguments[0])")
        }
        return child
    }
}
#endif
