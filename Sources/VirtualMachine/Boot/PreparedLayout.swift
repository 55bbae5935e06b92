/// Where a prepared environment puts everything, as data: the one place for its addresses and selectors.
///
/// `.long` and `.protected` have the same shape. A *kernel window* of 256 KiB begins at `kernelBase`; linear address
/// `kernelBase + x` is physical address `x`. In it, at offset
///
///     0x01000 ... 0x04fff   code and data of ring 0
///     0x05000 ... 0x06fff   stack of ring 0: where the TSS sends entries to ring 0
///     0x08000 ... 0x08fff   GDT
///     0x09000 ... 0x0bfff   TSS with an I/O permission bitmap that denies every port
///     0x0c000 ... 0x0cfff   IDT, 256 gates
///     0x0e000 ... 0x0efff   TSSs of the tasks that task gates start (.protected)
///     0x10000 ... 0x1efff   alternate stacks of 4 KiB; the top of number n is at 0x10000 + n * 0x1000.
///                           .long: IST n, 1...7; .protected: the n-th task gate, 1...14
///     0x20000 ... 0x2cfff   code and data of ring 1;  0x2e000 ... 0x2ffff  its stack
///     0x30000 ... 0x3cfff   code and data of ring 2;  0x3e000 ... 0x3ffff  its stack
///
/// and nothing at 0, 0x7000, 0xd000 and so on, so that overruns fault. Ring 3 has its code and data from 0x400000 on
/// (64 KiB, more if the code is longer) and its stack at 0x4000 ... 0x7fff. Pages of ring 3 are user pages, all others
/// supervisor pages; all are writable and executable. Their tables lie in physical memory from 0x40000 on, and the
/// pages of ring 3 there too.
///
/// All physical memory and devices can also be reached by supervisor pages: in `.long` physical address p of the first
/// 4 GiB at 0xffff800000000000 + p; in `.protected` the first GiB at 0x80000000 + p and the devices from 0xfc000000 on
/// at their own addresses.
///
/// `.real` has only ring 0 and real-address mode: interrupt vectors at 0, code at 0x7c00 with all segments zero, the
/// stack below it, and at 0x600 a `hlt` for each vector that has no handler (`unhandledVector(at:)`).
package struct PreparedLayout: Equatable, Sendable {
    /// What a `boot:` property names.
    package enum Environment: String, CaseIterable, Sendable {
        case real, protected, long

        /// The width of the code that runs in it.
        package var bits: Int {
            switch self {
            case .real: 16
            case .protected: 32
            case .long: 64
            }
        }

        /// Where everything lies in it.
        package var layout: PreparedLayout {
            switch self {
            case .real: .real
            case .protected: .protected
            case .long: .long
            }
        }
    }

    /// The addresses and selectors of one privilege level.
    package struct Ring: Equatable, Sendable {
        /// Linear addresses for code and data; code is assembled for their start unless it says otherwise.
        package var code: Range<UInt64>
        /// Linear addresses for the stack.
        package var stack: Range<UInt64>
        /// With the ring as RPL.
        package var codeSelector: UInt16
        /// For the stack and all other data, with the ring as RPL.
        package var dataSelector: UInt16
    }

    package let environment: Environment
    /// The linear address of the kernel window.
    package let kernelBase: UInt64
    /// By privilege level; `.real` has ring 0 only.
    package let rings: [Ring]

    /// Where code of a ring is assembled for, nil if the environment lacks the ring.
    package func codeOrigin(ring: UInt8) -> UInt64? {
        rings.indices.contains(Int(ring)) ? rings[Int(ring)].code.lowerBound : nil
    }

    // MARK: Offsets in the kernel window, equal to physical addresses

    package static let gdt: UInt64 = 0x8000
    package static let taskState: UInt64 = 0x9000
    package static let idt: UInt64 = 0xC000
    package static let gateTasks: UInt64 = 0xE000
    package static let alternateStacks: UInt64 = 0x1_0000
    package static let alternateStackSize: UInt64 = 0x1000
    package static let kernelWindowSize: UInt64 = 0x4_0000

    /// How many bytes below its top a stack's first pointer is.
    package static let initialStackGap: UInt64 = 0x10

    // MARK: Selectors of `.long` and `.protected`

    /// Two slots in `.long`.
    package static let taskStateSelector: UInt16 = 0x48
    /// `.long`: 32-bit code for ring 3, that is compatibility mode; RPL 3.
    package static let compatibilityCodeSelector: UInt16 = 0x5B
    /// The six descriptors that SYSENTER and SYSEXIT count from IA32_SYSENTER_CS on (SDM volume 2,, SYSEXIT).
    package static let sysenterSelector: UInt16 = 0x60
    /// The first of the TSSs that task gates name (.protected): 0x90, 0x98 and so on, in order of declaration.
    package static let firstGateTaskSelector: UInt16 = 0x90
    package static let gateTaskCount = 14
    /// Call gates are declared at these selectors, multiples of 8; in `.long` each takes two slots, so 16 bytes.
    package static let callGateSelectors: ClosedRange<UInt16> = 0x100...0xFF8
    package static let gdtSize = 0x1000

    /// The code and data descriptors with their privileges, by index, from the null descriptor on.
    ///
    /// `.long` and `.protected` differ in the width of code. SYSCALL takes CS 0x08 and
    /// SS 0x10, SYSRET CS 0x23 and SS 0x1b.
    package static func descriptors(bits: Int) -> [SegmentDescriptor?] {
        [
            nil,
            .code(bits: bits, privilege: 0), .data(privilege: 0),
            .data(privilege: 3), .code(bits: bits, privilege: 3),
            .code(bits: bits, privilege: 1), .data(privilege: 1),
            .code(bits: bits, privilege: 2), .data(privilege: 2),
            nil, nil,  // the TSS
            bits == 64 ? .code(bits: 32, privilege: 3) : nil,
            .code(bits: bits, privilege: 0), .data(privilege: 0),
            .code(bits: 32, privilege: 3), .data(privilege: 3),
            bits == 64 ? .code(bits: 64, privilege: 3) : nil, bits == 64 ? .data(privilege: 3) : nil,
        ]
    }

    // MARK: Registers

    /// IA32_STAR: bits 32...47 give SYSCALL's CS, bits 48...63 plus 16 SYSRET's (SDM volume 3, section 5.8.8).
    package static let star: UInt64 = 0x0013_0008_0000_0000
    /// IA32_FMASK: SYSCALL clears TF, IF, DF, IOPL, NT and AC.
    package static let fmask: UInt64 = 0x4_7700

    // MARK: `.real`

    package static let realModeStubs: UInt64 = 0x600
    package static let realModeStubSize: UInt64 = 4

    /// The vector that had no handler, when a guest of `.real` halted at this linear address.
    package static func unhandledVector(at address: UInt64) -> UInt8? {
        guard address >= realModeStubs, address < realModeStubs + 256 * realModeStubSize else { return nil }
        return UInt8(truncatingIfNeeded: (address - realModeStubs) / realModeStubSize)
    }

    // MARK: The layouts

    package static let long = PreparedLayout(environment: .long, kernelBase: 0xFFFF_FFFF_8000_0000)
    package static let protected = PreparedLayout(environment: .protected, kernelBase: 0xC000_0000)
    package static let real = PreparedLayout(
        environment: .real, kernelBase: 0,
        rings: [Ring(code: 0x7C00..<0x1_0000, stack: 0xA00..<0x7C00, codeSelector: 0, dataSelector: 0)])

    /// Where `.long` and `.protected` show physical memory: linear start, physical start, size.
    package var windows: [(linear: UInt64, physical: UInt64, size: UInt64)] {
        switch environment {
        case .real: []
        case .protected: [(0x8000_0000, 0, 1 << 30), (0xFC00_0000, 0xFC00_0000, 0x400_0000)]
        case .long: [(0xFFFF_8000_0000_0000, 0, 1 << 32)]
        }
    }

    private init(environment: Environment, kernelBase: UInt64) {
        func ring(_ code: Range<UInt64>, _ stack: Range<UInt64>, _ selectors: (UInt16, UInt16)) -> Ring {
            Ring(
                code: kernelBase + code.lowerBound..<kernelBase + code.upperBound,
                stack: kernelBase + stack.lowerBound..<kernelBase + stack.upperBound,
                codeSelector: selectors.0, dataSelector: selectors.1)
        }
        self.init(
            environment: environment, kernelBase: kernelBase,
            rings: [
                ring(0x1000..<0x5000, 0x5000..<0x7000, (0x08, 0x10)),
                ring(0x2_0000..<0x2_D000, 0x2_E000..<0x3_0000, (0x29, 0x31)),
                ring(0x3_0000..<0x3_D000, 0x3_E000..<0x4_0000, (0x3A, 0x42)),
                Ring(code: 0x40_0000..<0x41_0000, stack: 0x4000..<0x8000, codeSelector: 0x23, dataSelector: 0x1B),
            ])
    }

    private init(environment: Environment, kernelBase: UInt64, rings: [Ring]) {
        self.environment = environment
        self.kernelBase = kernelBase
        self.rings = rings
    }
}
