/// The fixed hardware of ACPI: power-management timer, PM1a event and control blocks, and the SMI command port.
///
/// ACPI Specification 6.4 section 4.8, "ACPI Register Model". The SMI command port stands for firmware that takes and
/// gives up the ownership of the registers: it sets and clears SCI_EN.
package final class ACPIPowerManagement: BusDevice {
    /// Everything the chip remembers.
    package struct State: Codable, Equatable, Sendable {
        package var status: UInt16 = 0
        package var enable: UInt16 = 0
        package var control: UInt16 = 0
        package var smiCommand: UInt8 = 0
        package var smiData: UInt8 = 0
        /// What the timer's most significant bit was when TMR_STS was last brought up to date.
        package var timerHighBit = false
    }

    /// The bits of the PM1 status and enable registers.
    package enum Event {
        /// The timer's most significant bit has changed.
        package static let timer: UInt16 = 1 << 0
        /// The global lock was released.
        package static let globalLock: UInt16 = 1 << 5
        /// The power button was pressed.
        package static let powerButton: UInt16 = 1 << 8
        /// The sleep button was pressed.
        package static let sleepButton: UInt16 = 1 << 9
        /// The calendar's alarm went off.
        package static let calendarAlarm: UInt16 = 1 << 10
        /// The system woke up; it has no enable bit.
        package static let wake: UInt16 = 1 << 15

        static let all = timer | globalLock | powerButton | sleepButton | calendarAlarm
    }

    private enum Control {
        static let sciEnabled: UInt16 = 1 << 0
        static let sleepEnable: UInt16 = 1 << 13
        /// BM_RLD and SLP_TYP; GBL_RLS and SLP_EN are write-only.
        static let stored: UInt16 = 0x1C02
    }

    /// The rate of the power-management timer.
    package static let timerFrequency = Frequency(hertz: 3_579_545)

    /// Hears that the guest entered S5.
    package var powerOff: () -> Void = {}

    /// Everything the chip remembers; setting it arms the timer again.
    package var state: State {
        get { chip }
        set {
            chip = newValue
            schedule()
        }
    }

    private var chip = State()
    private let layout: Layout
    private let clock: VirtualClock
    private let interrupt: InterruptSource
    private let timer: VirtualClock.Timer

    /// Where the registers are and what the ACPI tables must say about them.
    package struct Layout: Hashable, Sendable {
        /// PM1a_EVT_BLK, 4 bytes.
        package var eventBlock: PortAddress = 0x600
        /// PM1a_CNT_BLK, 2 bytes.
        package var controlBlock: PortAddress = 0x604
        /// PM_TMR_BLK, 4 bytes.
        package var timerBlock: PortAddress = 0x608
        /// SMI_CMD; the port after it holds data for it.
        package var smiCommand: PortAddress = 0xB2
        /// What to write to SMI_CMD to take and to give up ownership.
        package var acpiEnable: UInt8 = 0xF1
        package var acpiDisable: UInt8 = 0xF0
        /// Whether the timer has 32 bits (TMR_VAL_EXT) and not 24.
        package var timerIs32Bit = false
        /// SLP_TYPa of the S5 object.
        package var softOffType: UInt8 = 0
        /// SCI_INT.
        package var interrupt = 9

        /// The registers where this machine has them.
        package init() {}
    }

    /// Makes the chip; `interrupt` is the SCI.
    package init(layout: Layout = Layout(), clock: VirtualClock, interrupt: InterruptSource) {
        self.layout = layout
        self.clock = clock
        self.interrupt = interrupt
        timer = clock.makeTimer()
        timer.action = { [weak self] in self?.update() }
    }

    /// The ranges to attach the chip at.
    package var ports: [ClosedRange<PortAddress>] {
        [
            range(layout.eventBlock, 4), range(layout.controlBlock, 2), range(layout.timerBlock, 4),
            range(layout.smiCommand, 2),
        ]
    }

    private func range(_ base: PortAddress, _ count: UInt16) -> ClosedRange<PortAddress> {
        base...PortAddress(base.rawValue &+ (count - 1))
    }

    /// Returns to the state after RESET: ownership is with the firmware.
    package func reset() {
        chip = State()
        chip.timerHighBit = highBit
        update()
    }

    /// Sets status bits, which is an SCI if the guest enabled them.
    package func raise(_ events: UInt16) {
        chip.status |= events & (Event.all | Event.wake)
        update()
    }

    /// Whether an event would be an SCI.
    package func interrupts(on events: UInt16) -> Bool {
        chip.enable & events & Event.all != 0 && chip.control & Control.sciEnabled != 0
    }

    // MARK: Timer

    private var highBitPosition: UInt64 { layout.timerIs32Bit ? 31 : 23 }
    private var ticks: UInt64 { Self.timerFrequency.ticks(in: clock.now) }
    private var highBit: Bool { ticks >> highBitPosition & 1 == 1 }

    /// The timer's value.
    package var timerValue: UInt32 {
        UInt32(truncatingIfNeeded: layout.timerIs32Bit ? ticks : ticks & 0xFF_FFFF)
    }

    /// Brings TMR_STS up to date and drives the SCI.
    private func update() {
        if highBit != chip.timerHighBit {
            chip.timerHighBit = highBit
            chip.status |= Event.timer
        }
        let isPending = chip.status & chip.enable & Event.all != 0
        interrupt.set(isPending && chip.control & Control.sciEnabled != 0)
        schedule()
    }

    /// The change of the high bit matters by itself only while it would interrupt.
    private func schedule() {
        guard chip.enable & Event.timer != 0, chip.status & Event.timer == 0 else { return timer.cancel() }
        let next = (ticks >> highBitPosition &+ 1) << highBitPosition
        timer.arm(at: Self.timerFrequency.nanoseconds(for: next))
    }

    // MARK: Registers

    package func read(_ port: PortAddress, width: AccessWidth) -> UInt32 {
        update()
        let value: UInt32
        let offset: UInt16
        switch port {
        case range(layout.eventBlock, 4):
            value = UInt32(chip.enable) << 16 | UInt32(chip.status)
            offset = port.rawValue &- layout.eventBlock.rawValue
        case range(layout.controlBlock, 2):
            value = UInt32(chip.control)
            offset = port.rawValue &- layout.controlBlock.rawValue
        case range(layout.timerBlock, 4):
            value = timerValue
            offset = port.rawValue &- layout.timerBlock.rawValue
        default:
            value = UInt32(chip.smiData) << 8 | UInt32(chip.smiCommand)
            offset = port.rawValue &- layout.smiCommand.rawValue
        }
        return value >> UInt32(offset * 8)
    }

    package func write(_ value: UInt32, to port: PortAddress, width: AccessWidth) {
        update()
        switch port {
        case range(layout.eventBlock, 4):
            let shift = UInt32(port.rawValue &- layout.eventBlock.rawValue) * 8
            let mask = UInt32(truncatingIfNeeded: width.allOnes) << shift
            writeEvents(value << shift, mask: mask)
        case range(layout.controlBlock, 2):
            let shift = UInt32(port.rawValue &- layout.controlBlock.rawValue) * 8
            let mask = UInt16(truncatingIfNeeded: width.allOnes << UInt64(shift))
            writeControl(chip.control & ~mask | (UInt16(truncatingIfNeeded: value << shift) & mask))
        case range(layout.timerBlock, 4): break  // The timer is read-only.
        default: writeSMI(value, port, width)
        }
        update()
    }

    private func writeEvents(_ value: UInt32, mask: UInt32) {
        // Status bits are cleared by writing ones.
        chip.status &= ~UInt16(truncatingIfNeeded: value & mask)
        let enable = UInt32(chip.enable) << 16 & ~mask | (value & mask)
        chip.enable = UInt16(truncatingIfNeeded: enable >> 16) & Event.all
    }

    private func writeControl(_ value: UInt16) {
        // SCI_EN belongs to the firmware; software preserves it (table 4.15).
        chip.control = value & Control.stored | (chip.control & Control.sciEnabled)
        if value & Control.sleepEnable != 0, UInt8(value >> 10 & 7) == layout.softOffType { powerOff() }
    }

    private func writeSMI(_ value: UInt32, _ port: PortAddress, _ width: AccessWidth) {
        guard port == layout.smiCommand else {
            chip.smiData = UInt8(truncatingIfNeeded: value)
            return
        }
        if width != .byte { chip.smiData = UInt8(truncatingIfNeeded: value >> 8) }
        chip.smiCommand = UInt8(truncatingIfNeeded: value)
        if chip.smiCommand == layout.acpiEnable {
            chip.control |= Control.sciEnabled
        } else if chip.smiCommand == layout.acpiDisable {
            chip.control &= ~Control.sciEnabled
        }
    }
}
