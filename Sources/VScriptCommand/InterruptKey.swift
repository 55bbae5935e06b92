import Foundation
import VScript

/// Turns Ctrl-C into a request to stop; a second one ends the program.
final class InterruptKey {
    private let source: any DispatchSourceSignal
    private let signal: StopSignal

    init(_ signal: StopSignal) {
        self.signal = signal
        Foundation.signal(SIGINT, SIG_IGN)
        source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        source.setEventHandler {
            if signal.isSet {
                RawMode.leave()
                _exit(ExitCode.interrupted.rawValue)
            }
            signal.set()
        }
        source.resume()
    }

    var wasPressed: Bool { signal.isSet }

    func release() { source.cancel() }
}
