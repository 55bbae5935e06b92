import Foundation
import Testing

#if os(Linux)

/// `vscript --gdb` with clients that do not keep to the protocol.
@Suite struct GDBHostileTests {
    /// One connection, which is closed with it.
    private final class Client {
        private let file: Int32

        init(port: UInt16) throws {
            file = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            let descriptor = file
            let result = withUnsafePointer(to: &address) {
                // SAFETY: `sockaddr_in` begins as `sockaddr` does; the size tells which it is.
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            try #require(result == 0)
        }

        deinit { close(file) }

        /// Sends as much as the other side takes.
        func send(_ bytes: [UInt8]) {
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes {
                    Foundation.send(file, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { return }
                rest = rest.dropFirst(count)
            }
        }

        func send(packet: String) { send(Client.framed(Array(packet.utf8))) }

        static func framed(_ body: [UInt8]) -> [UInt8] {
            let sum = String(body.reduce(0, &+), radix: 16)
            return [0x24] + body + Array("#\(sum.count == 1 ? "0" : "")\(sum)".utf8)
        }

        /// What comes until a text or the connection's end, at most so long.
        func receive(until text: String, seconds: Double) -> String {
            var answer = ""
            let end = Date.now + seconds
            while !answer.contains(text), Date.now < end {
                var descriptor = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
                guard poll(&descriptor, 1, 50) > 0 else { continue }
                var bytes = [UInt8](repeating: 0, count: 4096)
                let count = recv(file, &bytes, bytes.count, 0)
                guard count > 0 else { break }
                answer += String(decoding: bytes[..<count], as: UTF8.self)
            }
            return answer
        }
    }

    private static let spinner = """
        guest demo {
          memory: 4 MiB
          boot: .long
          ring 3 {
            asm {
              start: inc rax
                     jmp start
            }
          }
        }
        """

    @Test("whatever a client sends and however it leaves, the next one is served")
    func theNextClientIsServed() throws {
        try withFiles(["lab.vscript": Self.spinner]) { directory in
            let (server, text) = try ChildProcess.gdbServer(["--gdb", "0", "lab.vscript"], in: directory)
            let port = try #require(UInt16(text))
            let run = Client.framed(Array("c".utf8))
            let attacks: [(name: String, bytes: [UInt8])] = [
                ("leaves while the guest runs", run),
                ("leaves while the guest runs, with something unread", run + Array("+++rubbish".utf8)),
                ("cuts a packet off before Ctrl-C", run + Array("$abc".utf8) + [3]),
                ("a packet without end", [0x24] + [UInt8](repeating: 0x61, count: 1_000_000)),
                ("a header without a packet", Array("$m0,4".utf8)), ("wrong sums", Array("$m0,4#00$g#00".utf8)),
                ("binary with escapes at its end", Client.framed(Array("X7000,5:".utf8) + [0, 1, 3, 0xFF, 0x7D])),
                ("a length beyond all memory", Client.framed(Array("mffffffffffffffff,ffffffffffffffff".utf8))),
                ("nothing but refusals", [UInt8](repeating: 0x2D, count: 50_000)),
                ("rubbish", (0..<100_000).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 13) }),
                ("backwards from the beginning", Client.framed(Array("bc".utf8)) + Client.framed(Array("bs".utf8))),
                ("kills", Client.framed(Array("k".utf8))),
            ]
            for attack in attacks {
                do {
                    let client = try Client(port: port)
                    client.send(attack.bytes)
                    _ = client.receive(until: "#", seconds: 0.3)
                }
                // One at a time: until the last one has been given up, others are turned away.
                var answer = ""
                let end = Date.now + 60
                while !answer.contains("$T0"), Date.now < end, !server.hasEnded {
                    let client = try Client(port: port)
                    client.send(packet: "?")
                    answer = client.receive(until: "#", seconds: 1)
                }
                #expect(answer.contains("$T05") || answer.contains("$T02"), "\(attack.name): \(answer)")
            }
            server.interrupt()
            #expect(server.wait { $0.hasEnded })
        }
    }
}

#endif
