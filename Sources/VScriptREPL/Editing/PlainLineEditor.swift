#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Reads lines as they come, for pipes and for terminals that can do nothing.
package final class PlainLineEditor: LineEditor {
    package weak var delegate: (any LineEditorDelegate)?
    private let input: Int32
    private let wake: WakePipe?
    /// Where the prompt goes; nil for none.
    private let prompt: ((String) -> Void)?
    private var pending: [UInt8] = []
    private var hasEnded = false

    /// The longest line that is read, in bytes.
    private static let lineLimit = 64 << 20

    /// An editor for a file of input.
    package init(input: Int32 = 0, wake: WakePipe? = nil, prompt: ((String) -> Void)? = nil) {
        self.input = input
        self.wake = wake
        self.prompt = prompt
    }

    package var columns: Int? { nil }

    package func remember(_ entry: String) {}

    package func read(prompt text: StyledText) -> LineInput {
        prompt?(text.plain)
        var collected: String?
        while true {
            switch nextLine() {
            case .line(let line):
                let all = collected.map { $0 + "\n" + line } ?? line
                if delegate?.isComplete(all) ?? true { return .line(all) }
                collected = all
                prompt?("... ")
            case .interrupted: return .interrupted
            case .end: return collected.map(LineInput.line) ?? .end
            }
        }
    }

    /// The next line without its end.
    private func nextLine() -> LineInput {
        while true {
            if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                let line = pending[..<end]
                pending.removeSubrange(...end)
                return .line(text(line))
            }
            // Ctrl-D that was pressed while a guest ran has not been turned into the end of the input.
            if prompt != nil, pending.first == 0x04 { return .end }
            if hasEnded || pending.count > Self.lineLimit {
                guard !pending.isEmpty else { return .end }
                defer { pending = [] }
                return .line(text(pending[...]))
            }
            if waitIsInterrupted() { return .interrupted }
            var bytes = [UInt8](repeating: 0, count: 1 << 16)
            let count = Self.read(input, &bytes)
            if count <= 0 { hasEnded = true } else { pending += bytes[..<count] }
        }
    }

    private func text(_ line: ArraySlice<UInt8>) -> String {
        String(decoding: line.last == UInt8(ascii: "\r") ? line.dropLast() : line, as: UTF8.self)
    }

    /// Waits for input; true if somebody ended the wait.
    private func waitIsInterrupted() -> Bool {
        guard let wake else { return false }
        while true {
            var files = [
                pollfd(fd: input, events: Int16(POLLIN), revents: 0),
                pollfd(fd: wake.readEnd, events: Int16(POLLIN), revents: 0),
            ]
            let count = poll(&files, 2, -1)
            if count < 0 && errno == EINTR { continue }
            guard count > 0, files[1].revents != 0 else { return false }
            wake.drain()
            pending = []
            return true
        }
    }

    private static func read(_ file: Int32, _ bytes: inout [UInt8]) -> Int {
        while true {
            let count = unistdRead(file, &bytes, bytes.count)
            if count < 0 && errno == EINTR { continue }
            return count
        }
    }
}

/// `read` of the C library, which has the name of a method here.
private func unistdRead(_ file: Int32, _ bytes: UnsafeMutableRawPointer, _ count: Int) -> Int {
    read(file, bytes, count)
}
