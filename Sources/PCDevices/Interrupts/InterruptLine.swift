/// A wire that carries an interrupt request and that several devices may share.
///
/// The line is asserted while any of its sources asserts it (wired-OR). "Asserted" is the logical level: a PCI line is
/// low and an ISA line is high when asserted. What listens, an interrupt controller's input, hears changes only.
package final class InterruptLine {
    private var sources: UInt64 = 0
    private var sourceCount: UInt64 = 0
    private var listeners: [(Bool) -> Void] = []

    /// Makes a line that nobody asserts.
    package init() {}

    /// Whether any source asserts the line.
    package var isAsserted: Bool { sources != 0 }

    /// Which sources assert the line, a bit for each in the order they were made; setting it informs nobody, since
    /// the listeners' own states are restored beside it.
    package var assertedSources: UInt64 {
        get { sources }
        set { sources = newValue }
    }

    /// Adds a device that drives the line; the 64th and all later ones share one place.
    package func makeSource() -> InterruptSource {
        let source = InterruptSource(line: self, mask: 1 << min(sourceCount, 63))
        sourceCount &+= 1
        return source
    }

    /// Adds an input that hears each change of level.
    package func connect(_ listener: @escaping (Bool) -> Void) { listeners.append(listener) }

    fileprivate func set(_ mask: UInt64, _ asserted: Bool) {
        let before = isAsserted
        if asserted { sources |= mask } else { sources &= ~mask }
        guard isAsserted != before else { return }
        for listener in listeners { listener(isAsserted) }
    }
}

/// A device's end of an interrupt line.
package struct InterruptSource {
    private let line: InterruptLine
    private let mask: UInt64

    fileprivate init(line: InterruptLine, mask: UInt64) {
        self.line = line
        self.mask = mask
    }

    /// Asserts or releases the line, as far as this device is concerned.
    package func set(_ asserted: Bool) { line.set(mask, asserted) }

    /// Releases and asserts the line, so that edge-triggered inputs see a rising edge; it stays asserted.
    package func raiseEdge() {
        line.set(mask, false)
        line.set(mask, true)
    }
}
