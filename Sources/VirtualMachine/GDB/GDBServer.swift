#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Why gdb cannot be served.
public struct GDBServerError: Error, Equatable, CustomStringConvertible {
    /// One line, without a period at its end.
    public var description: String
}

/// Serves gdb on a port of the loopback interface.
///
/// Nobody is asked for a password: whoever can open a connection on this host can read and change the guest.
public final class GDBServer {
    /// The port, chosen by the system if 0 was asked for.
    public let port: UInt16
    private let listener: Int32
    private let stub: GDBStub

    /// Begins to listen; throws if the port is taken.
    public init(_ stub: GDBStub, port: UInt16) throws(GDBServerError) {
        self.stub = stub
        #if canImport(Glibc)
        let kind = Int32(SOCK_STREAM.rawValue)
        #else
        let kind = SOCK_STREAM
        #endif
        listener = socket(AF_INET, kind, 0)
        guard listener >= 0 else { throw GDBServerError(description: "no socket can be made: \(Self.reason)") }
        var yes: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        _ = fcntl(listener, F_SETFD, FD_CLOEXEC)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let file = listener
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            // SAFETY: `sockaddr_in` begins as `sockaddr` does; the size tells which it is.
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(file, generic, size) == 0 && listen(file, 1) == 0 && getsockname(file, generic, &size) == 0
            }
        }
        guard isBound else {
            let reason = Self.reason
            close(file)
            throw GDBServerError(description: "port \(port) cannot be used: \(reason)")
        }
        self.port = UInt16(bigEndian: address.sin_port)
    }

    deinit { close(listener) }

    /// Serves one connection after the other until `goesOn` says no, which is asked a few times in a second, or so many
    /// have ended.
    public func serve(connections: Int = .max, while goesOn: () -> Bool = { true }) {
        var count = 0
        while count < connections, goesOn() {
            guard Self.canRead(listener, milliseconds: Self.patience) else { continue }
            let connection = accept(listener, nil, nil)
            guard connection >= 0 else { continue }
            _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
            var yes: Int32 = 1
            setsockopt(connection, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
            serve(connection, while: goesOn)
            close(connection)
            count += 1
        }
    }

    private func serve(_ file: Int32, while goesOn: () -> Bool) {
        let connection = Connection(file)
        var last: [UInt8] = []
        defer { stub.close() }
        while goesOn() {
            while let item = connection.reader.next() {
                switch item {
                case .packet(let body):
                    if stub.acknowledges { Self.write(file, [UInt8(ascii: "+")]) }
                    // What takes long is given up for Ctrl-C, and when nobody is there any more to answer.
                    let reaction = Checkpoint.whileTrue({ [listener] in
                        Self.refuseOthers(listener)
                        return connection.isQuiet()
                    }) {
                        stub.handle(body)
                    }
                    switch reaction {
                    case .reply(let reply):
                        last = GDBPacketReader.framed(reply)
                        Self.write(file, last)
                    case .leave(let reply):
                        if !reply.isEmpty { Self.write(file, GDBPacketReader.framed(reply)) }
                        return
                    case .noReply: break
                    }
                case .damaged: Self.write(file, [UInt8(ascii: "-")])
                case .refused: Self.write(file, last)
                case .interrupt, .acknowledged: break
                }
                guard !connection.isClosed, goesOn() else { return }
            }
            Self.refuseOthers(listener)
            guard Self.canRead(file, milliseconds: Self.patience) else { continue }
            guard connection.take() else { return }
        }
    }

    /// What has come over a connection and was not taken yet.
    private final class Connection {
        var reader = GDBPacketReader()
        /// Whether the other side has gone.
        private(set) var isClosed = false
        private let file: Int32

        init(_ file: Int32) { self.file = file }

        /// Takes what has come; false at the connection's end.
        func take() -> Bool {
            guard let bytes = GDBServer.read(file) else {
                isClosed = true
                return false
            }
            reader.append(bytes)
            return true
        }

        /// Whether nobody has pressed Ctrl-C or gone away.
        func isQuiet() -> Bool {
            guard !isClosed, !reader.holdsInterrupt() else { return false }
            guard GDBServer.canRead(file, milliseconds: 0) else { return true }
            return take() && !reader.holdsInterrupt()
        }
    }

    /// How long a wait lasts in milliseconds, after which it is asked whether to go on.
    private static let patience: Int32 = 20

    /// One gdb at a time: others are told so by the end of their connections.
    private static func refuseOthers(_ listener: Int32) {
        guard canRead(listener, milliseconds: 0) else { return }
        let connection = accept(listener, nil, nil)
        if connection >= 0 { close(connection) }
    }

    fileprivate static func canRead(_ file: Int32, milliseconds: Int32) -> Bool {
        var descriptor = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
        return poll(&descriptor, 1, milliseconds) > 0
    }

    /// What has come; nil at the connection's end.
    fileprivate static func read(_ file: Int32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 1 << 15)
        let count = recv(file, &bytes, bytes.count, 0)
        return count > 0 ? Array(bytes[..<count]) : nil
    }

    private static func write(_ file: Int32, _ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            // A closed connection is an error here, not a signal; and who reads nothing is not waited for without end.
            let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
            let count = rest.withUnsafeBytes { send(file, $0.baseAddress, $0.count, flags) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if count < 0, errno == EAGAIN || errno == EINTR, Checkpoint.isPassed {
                var descriptor = pollfd(fd: file, events: Int16(POLLOUT), revents: 0)
                _ = poll(&descriptor, 1, patience)
            } else {
                return
            }
        }
    }

    private static var reason: String { String(cString: strerror(errno)).lowercased() }
}
