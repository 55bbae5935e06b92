// Attacks the language under the limits for strangers' scripts: see `scripts/fuzz`.

import ArgumentParser
import VScript
import _LanguageFuzz

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

extension Attack: ExpressibleByArgument {}

@main
struct Fuzz: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fuzz", abstract: "Attacks parser, verifier and builtins with random programs.",
        discussion: "Each case is told before it runs in the file --journal, so that a crash leaves its seed behind.")

    @Option(help: "How long to go on.") var minutes = 1.0
    @Option(help: "The first case; the next ones follow it.") var seed: UInt64 = 1
    @Option(help: "One attack instead of all.") var attack: Attack?
    @Option(help: "Where the running case is written.") var journal = "fuzz.journal"
    @Flag(help: "Prints the first case instead of running it.") var show = false

    func run() throws {
        if show {
            print(String(decoding: LanguageFuzz.source(attack ?? .builtins, seed: seed), as: UTF8.self))
            return
        }
        for type in LanguageFuzz.unreachedTypes { print("no receiver for the members of \(type)") }
        let attacks = attack.map { [$0] } ?? Attack.allCases
        let file = open(journal, O_CREAT | O_WRONLY | O_TRUNC, 0o644)
        guard file >= 0 else { throw ValidationError("\(journal) cannot be written") }
        var counts: [String: Int] = [:]
        var largestHeap = 0
        var case_ = seed
        let start = ContinuousClock.now
        while ContinuousClock.now - start < .seconds(minutes * 60) {
            for attack in attacks {
                let line = Array("\(attack.rawValue) \(case_)                    \n".utf8)
                _ = pwrite(file, line, line.count, 0)
                // A case that outlives its wall-clock limit by so much hangs: SIGALRM ends the process.
                alarm(120)
                var limits = Limits.untrusted
                // Guests take up what they are allowed besides the heap, and their monitors as much again.
                limits.guestMemory = 64 << 20
                // One case in 64 may use up all that strangers get; the others end sooner.
                if case_ % 64 != 0 { (limits.fuel, limits.guestInstructions) = (300_000, 3_000_000) }
                let result = LanguageFuzz.run(attack, seed: case_, limits: limits)
                counts["\(attack.rawValue) \(result.outcome.rawValue)", default: 0] += 1
                largestHeap = max(largestHeap, result.heap)
                guard result.heap <= limits.heap, Self.resident <= Self.residentLimit else {
                    print("\(attack.rawValue) \(case_): \(result.heap) bytes of heap, \(Self.resident) KiB resident")
                    throw ExitCode.failure
                }
                Self.returnMemory()
            }
            case_ &+= 1
        }
        alarm(0)
        for (name, count) in counts.sorted(by: { $0.key < $1.key }) { print("\(name): \(count)") }
        print("seeds \(seed)..<\(case_), heap at most \(largestHeap) bytes, resident at most \(Self.resident) KiB")
    }

    /// What the process may take: a script's heap twice over, for what is being copied, and the engine with its guests.
    private static let residentLimit = 256 << 10

    /// Gives back what ended cases have left in the allocator, which is not what the next one takes: GNU's `malloc_trim`,
    /// where there is one.
    private static let returnMemory: @Sendable () -> Void = {
        guard let found = dlsym(dlopen(nil, RTLD_NOW), "malloc_trim") else { return {} }
        // SAFETY: its declaration is `int malloc_trim(size_t pad)`.
        let trim = unsafeBitCast(found, to: (@convention(c) (Int) -> Int32).self)
        return { _ = trim(0) }
    }()

    /// The most that has been resident so far, in KiB.
    private static var resident: Int {
        var usage = rusage()
        // RUSAGE_SELF is 0, but its type differs between C libraries.
        getrusage(0, &usage)
        return usage.ru_maxrss
    }
}
