import Testing
import X86
import _HostConformance

#if arch(x86_64) && os(Linux)
import Glibc

@Suite struct HostConformanceTests {
    /// The short form of `scripts/conformance`.
    @Test func everyRowDoesWhatTheHostsProcessorDoes() throws {
        let host = try Self.makeHost()
        let conformance = try #require(Conformance(host: host, paths: ExecutionPath.allCases, exampleLimit: 1))
        func report(_ name: String, _ result: RowResult) {
            for example in result.examples {
                let differences = example.differences.joined(separator: "; ")
                Issue.record("\(name): \(differences) in \(description(example.experiment))")
            }
        }
        for mode in [CodeMode.bits64, .bits32] {
            var rows = 0
            for row in InstructionTable.definitions.indices {
                guard let result = try conformance.run(row: row, mode: mode, count: 8, seed: 20_260_101) else {
                    continue
                }
                rows += 1
                report("\(mode) \(rowName(row))", result)
            }
            let sequences = try #require(try conformance.runSequences(mode: mode, count: 2000, seed: 20_260_101))
            report("\(mode) sequence", sequences)
            #expect(sequences.cases == 2000)
            // The table has about 900 rows that can be tested in a mode.
            #expect(rows > 800)
        }
    }

    /// What the comparison must not overlook.
    @Test func aWrongOutcomeIsADifference() {
        var host = Outcome()
        host.vector = 13
        host.state.rip = 4
        let experiment = Case()
        let changes: [(inout Outcome) -> Void] = [
            { $0.vector = 14 }, { $0.state.rip = 5 }, { $0.errorCode = 1 }, { $0.state.registers[15] = 1 },
            { $0.state.flags ^= 0x800 }, { $0.state.flags ^= 0x400 }, { $0.state.fx[MachineState.mxcsr] ^= 1 },
            { $0.state.fx[MachineState.xmm + 255] ^= 1 }, { $0.state.fx[MachineState.stack + 113] ^= 1 },
            { $0.changes = [MemoryWord(address: 8, value: 1)] },
        ]
        #expect(compareOutcomes(experiment, host: host, engine: host).isEmpty)
        for change in changes {
            var engine = host
            change(&engine)
            #expect(!compareOutcomes(experiment, host: host, engine: engine).isEmpty)
        }
    }

    private static func makeHost() throws -> HostProcess {
        let source = (#filePath as String).split(separator: "/").dropLast(2).joined(separator: "/")
        let directory = "/tmp/host-oracle-\(getpid())"
        mkdir(directory, 0o700)
        defer {
            unlink(directory + "/host-oracle")
            rmdir(directory)
        }
        try HostProcess.build(source: "/\(source)/HostOracle/HostOracle.c", into: directory + "/host-oracle")
        return try HostProcess(path: directory + "/host-oracle")
    }
}
#endif
