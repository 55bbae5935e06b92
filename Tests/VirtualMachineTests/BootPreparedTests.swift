import Testing
import VirtualMachine

@Suite struct BootPreparedTests {
    private typealias Gate = PreparedGuest.Gate
    private typealias Code = PreparedGuest.Code

    private func load(
        _ environment: PreparedLayout.Environment, _ code: [(UInt8, [UInt8])], gates: [PreparedGuest.Gate] = [],
        syscall: UInt64? = nil, labels: [BootSymbol] = [], megabytes: UInt64 = 2
    ) throws -> BootImage {
        let blocks = try code.map { ring, bytes in
            Code(
                ring: ring, origin: try #require(environment.layout.codeOrigin(ring: ring)), bytes: bytes,
                labels: labels)
        }
        return try PreparedGuest(environment, code: blocks, gates: gates, syscallEntry: syscall)
            .load(memory: PhysicalMemoryMap(size: megabytes << 20))
    }

    private let nop: [UInt8] = [0x90]

    // MARK: .long

    /// The addresses and selectors that the language's documentation shows.
    @Test func longModeBeginsInTheLeastPrivilegedRing() throws {
        let image = try load(.long, [(0, nop), (3, [0xF4])], syscall: 0xFFFF_FFFF_8000_1000)
        let state = image.state
        #expect(state.rip == 0x40_0000 && state.rsp == 0x7FF0 && state.rflags == 0x202 && state.cpl == 3)
        #expect(state.cs.selector == 0x23 && state.cs.attributes == 0xA0FB)
        #expect(state.ss.selector == 0x1B && state.ss.attributes & 0xFF == 0xF3)
        #expect(state.cs == image.descriptor(0x23) && state.ss == image.descriptor(0x1B))
        #expect(state.star == 0x0013_0008_0000_0000 && state.lstar == 0xFFFF_FFFF_8000_1000 && state.fmask & 0x200 != 0)
        #expect(state.efer & 0x501 == 0x501)
        let code = try #require(image.translate(0x40_0000))
        #expect(code.isUser && code.isWritable && image.memory(code.physical, 1) == [0xF4])
        let kernel = try #require(image.translate(0xFFFF_FFFF_8000_1000))
        #expect(!kernel.isUser && image.memory(kernel.physical, 1) == nop)
    }

    @Test func ringZeroAloneBeginsThereWithInterruptsOff() throws {
        let image = try load(
            .long, [(0, nop + nop)], labels: [BootSymbol(name: "start", address: 0xFFFF_FFFF_8000_1001)])
        #expect(image.state.rip == 0xFFFF_FFFF_8000_1001 && image.state.rflags == 2 && image.state.cpl == 0)
        #expect(image.state.rsp == 0xFFFF_FFFF_8000_6FF0)
        #expect(image.state.efer & 1 == 0, "without an entry SYSCALL is off")
        #expect(image.symbols == [BootSymbol(name: "start", address: 0xFFFF_FFFF_8000_1001)])
    }

    @Test(arguments: [PreparedLayout.Environment.protected, .long])
    func stacksAndSelectorsMatchTheTSS(environment: PreparedLayout.Environment) throws {
        let image = try load(environment, [(0, nop), (1, nop), (2, nop), (3, nop)])
        let isLong = environment == .long
        let base: UInt64 = isLong ? 0xFFFF_FFFF_8000_0000 : 0xC000_0000
        let task = image.state.tr
        #expect(task == image.descriptor(task.selector) && task.attributes & 0xFF == 0x8B)
        let place = try #require(image.translate(task.base)).physical
        for (ring, top) in [(0, base + 0x7000), (1, base + 0x3_0000), (2, base + 0x4_0000)] as [(UInt64, UInt64)] {
            if isLong {
                #expect(image.u64(place + 4 + ring * 8) == top)
            } else {
                #expect(image.u32(place + 4 + ring * 8) == UInt32(truncatingIfNeeded: top))
                let stack = image.u16(place + 8 + ring * 8)
                #expect(UInt64(stack & 3) == ring && image.descriptor(stack)?.attributes == 0xC093 | UInt32(ring) << 5)
            }
            let page = try #require(image.translate(top - 8))
            #expect(!page.isUser && page.isWritable)
        }
        if isLong {
            #expect(image.u64(place + 0x24) == base + 0x1_1000, "IST 1")
            #expect(image.u64(place + 0x24 + 48) == base + 0x1_7000, "IST 7")
            #expect(image.translate(base + 0x1_1000 - 8) != nil)
        } else {
            #expect(image.u32(place + 0x1C) == UInt32(image.state.cr3))
        }
        // The bitmap begins behind the fixed part and denies everything, its last byte inside the limit is all ones.
        let bitmap = UInt64(image.u16(place + 0x66))
        #expect(bitmap == 0x68 && UInt64(task.limit) == bitmap + 8192)
        #expect(image.memory(place + bitmap, 8193).allSatisfy { $0 == 0xFF })
    }

    @Test(arguments: [PreparedLayout.Environment.protected, .long])
    func everyRingHasItsSegments(environment: PreparedLayout.Environment) throws {
        let wide = environment == .long
        for ring in UInt8(0)...3 {
            let image = try load(environment, [(ring, nop)])
            let (code, data) = (image.state.cs, image.state.ss)
            #expect(UInt8(code.selector & 3) == ring && UInt8(data.selector & 3) == ring && image.state.cpl == ring)
            #expect(code == image.descriptor(code.selector) && data == image.descriptor(data.selector))
            #expect(code.attributes == (wide ? 0xA09B : 0xC09B) | UInt32(ring) << 5)
            #expect(code.base == 0 && code.limit == .max && data.base == 0 && data.limit == .max)
            let page = try #require(image.translate(image.state.rip))
            #expect(page.isUser == (ring == 3))
            #expect(image.translate(image.state.rsp)?.isUser == (ring == 3))
        }
    }

    @Test func systemStructuresAreSupervisorPagesAndTheirNeighboursAbsent() throws {
        let image = try load(.long, [(3, nop)])
        for register in [image.state.gdtr, image.state.idtr] {
            #expect(image.translate(register.base)?.isUser == false)
            #expect(image.translate(register.base + UInt64(register.limit))?.isUser == false)
        }
        for absent in [0, 0x3FFF, 0x8000, 0x41_0000, 0xFFFF_FFFF_8000_0000, 0xFFFF_FFFF_8000_7000] as [UInt64] {
            #expect(image.translate(absent) == nil, "\(absent)")
        }
        // The window to physical memory, RAM and devices.
        for physical in [0, 0x20_0000, 0xFEE0_0000, 0xFFFF_FFFF] as [UInt64] {
            let page = try #require(image.translate(0xFFFF_8000_0000_0000 + physical))
            #expect(page.physical == physical && !page.isUser)
        }
    }

    @Test func userPagesShareNoFrameWithSupervisorPages() throws {
        let image = try load(.long, [(0, nop), (3, nop)])
        let user = stride(from: UInt64(0x4000), to: 0x8000, by: 4096).compactMap { image.translate($0)?.physical }
        let code = stride(from: UInt64(0x40_0000), to: 0x41_0000, by: 4096).compactMap { image.translate($0)?.physical }
        let frames = user + code
        #expect(frames.count == 20 && Set(frames).count == 20)
        #expect(frames.allSatisfy { $0 >= 0x4_0000 })
        let tables = image.contents.filter { $0.size == 4096 && $0.address >= 0x4_0000 }.map(\.address)
        #expect(Set(tables).isDisjoint(with: frames))
    }

    // MARK: Gates

    @Test func longModeGatesGoWhereTheyWereDeclared() throws {
        let gates = [
            Gate(.interrupt, number: 0x80, ring: 0, handler: 0xFFFF_FFFF_8000_1234, privilege: 3),
            Gate(.trap, number: 3, ring: 1, handler: 0xFFFF_FFFF_8002_0010, interruptStack: 2),
            Gate(.call(parameters: 0), number: 0x103, ring: 1, handler: 0xFFFF_FFFF_8002_0000, privilege: 3),
        ]
        let image = try load(.long, [(0, nop), (1, nop), (3, nop)], gates: gates)
        #expect(image.state.idtr.limit == 4095)
        let idt = try #require(image.translate(image.state.idtr.base)).physical
        let first = idt + 0x80 * 16
        #expect(image.u16(first) == 0x1234 && image.u16(first + 2) == 0x08)
        #expect(image.u16(first + 4) == 0xEE00 && image.u16(first + 6) == 0x8000 && image.u32(first + 8) == 0xFFFF_FFFF)
        let second = idt + 3 * 16
        #expect(image.u16(second + 2) == 0x28 && image.u16(second + 4) == 0x8F02)
        let absent = image.u16(idt + 13 * 16 + 4)
        #expect(absent & 0x8000 == 0 && absent & 0x1F00 == 0x0E00, "a gate that is not present, so #NP")
        let gdt = try #require(image.translate(image.state.gdtr.base)).physical
        let call = gdt + 0x100
        #expect(image.u16(call) == 0 && image.u16(call + 2) == 0x28 && image.u16(call + 4) == 0xEC00)
        #expect(image.u16(call + 6) == 0x8002 && image.u32(call + 8) == 0xFFFF_FFFF && image.u32(call + 12) == 0)
    }

    @Test func protectedModeCallGateCopiesParametersAndTaskGateNamesATask() throws {
        let gates = [
            Gate(.call(parameters: 5), number: 0x108, ring: 0, handler: 0xC000_1040, privilege: 3),
            Gate(.task, number: 8, ring: 0, handler: 0xC000_1080),
        ]
        let image = try load(.protected, [(0, nop), (3, nop)], gates: gates)
        let gdt = try #require(image.translate(image.state.gdtr.base)).physical
        #expect(image.u64(gdt + 0x108) == 0xC000_EC05_0008_1040)
        let idt = try #require(image.translate(image.state.idtr.base)).physical
        #expect(image.state.idtr.limit == 2047)
        #expect(image.u16(idt + 64 + 4) == 0x8500)
        let task = try #require(image.descriptor(image.u16(idt + 64 + 2)))
        #expect(task.attributes & 0xFF == 0x89 && task.limit >= 0x67)
        let place = try #require(image.translate(task.base)).physical
        #expect(image.u32(place + 0x20) == 0xC000_1080)
        #expect(image.u16(place + 0x4C) == 0x08 && image.u16(place + 0x50) == 0x10)
        #expect(image.u32(place + 0x1C) == UInt32(image.state.cr3))
        #expect(image.translate(UInt64(image.u32(place + 0x38)) - 4)?.isUser == false)
    }

    @Test func sysenterSelectorsCountFromTheirBlock() throws {
        // SDM volume 2, SYSENTER and SYSEXIT: CS, SS = CS + 8, and for ring 3 CS + 16, + 24, in 64-bit mode + 32, + 40.
        let image = try load(.long, [(0, nop)])
        let base = PreparedLayout.sysenterSelector
        let attributes = (0..<6).map { image.descriptor(base + UInt16($0) * 8)?.attributes }
        #expect(attributes == [0xA09B, 0xC093, 0xC0FB, 0xC0F3, 0xA0FB, 0xC0F3])
        #expect(image.descriptor(PreparedLayout.compatibilityCodeSelector)?.attributes == 0xC0FB)
    }

    // MARK: Places

    @Test func longCodeGetsMorePages() throws {
        let bytes = (0..<0x1_8000).map { UInt8(truncatingIfNeeded: $0 / 97) }
        let image = try load(.long, [(3, bytes)])
        for offset in [0, 0x8000, 0xFFFF, 0x1_0000, 0x1_7FFF] {
            let page = try #require(image.translate(0x40_0000 + UInt64(offset)))
            #expect(page.isUser && image.memory(page.physical, 1) == [bytes[offset]])
        }
    }

    @Test func codeAndStackCanLieElsewhere() throws {
        let code = Code(ring: 0, origin: 0xFFFF_9000_0000_0F00, bytes: [UInt8](repeating: 0x90, count: 0x400))
        var guest = PreparedGuest(.long, code: [code])
        guest.stackTops = [0: 0xFFFF_9100_0000_0000]
        let image = try guest.load(memory: PhysicalMemoryMap(size: 1 << 20))
        #expect(image.state.rip == 0xFFFF_9000_0000_0F00 && image.state.rsp == 0xFFFF_90FF_FFFF_FFF0)
        #expect(image.translate(0xFFFF_9000_0000_12FF)?.isUser == false)
        #expect(image.translate(image.state.rsp)?.isWritable == true)
    }

    @Test func refusesWhatCannotWork() {
        let cases: [(String, () throws -> Void)] = [
            ("no ring has any code", { _ = try load(.long, []) }),
            ("the code of ring 3 is empty", { _ = try load(.long, [(3, [])]) }),
            ("stack of ring 0", { _ = try load(.long, [(0, [UInt8](repeating: 0x90, count: 0x4001))]) }),
            ("SYSCALL needs .long", { _ = try load(.protected, [(0, nop)], syscall: 1) }),
            (
                "call gates of 64-bit mode copy no parameters",
                {
                    _ = try load(
                        .long, [(0, nop)], gates: [Gate(.call(parameters: 1), number: 0x100, ring: 0, handler: 0)])
                }
            ),
            (
                "0x100...0xff0",
                {
                    _ = try load(
                        .long, [(0, nop)], gates: [Gate(.call(parameters: 0), number: 0xFF8, ring: 0, handler: 0)])
                }
            ),
            (
                "gates 0x100 and 0x108 overlap",
                {
                    _ = try load(
                        .long, [(0, nop)],
                        gates: [
                            Gate(.call(parameters: 0), number: 0x100, ring: 0, handler: 0),
                            Gate(.call(parameters: 0), number: 0x108, ring: 0, handler: 0),
                        ])
                }
            ),
            (
                "only .protected has task gates",
                { _ = try load(.long, [(0, nop)], gates: [Gate(.task, number: 8, ring: 0, handler: 0)]) }
            ),
            (
                "vector 0x100",
                { _ = try load(.long, [(0, nop)], gates: [Gate(.trap, number: 256, ring: 0, handler: 0)]) }
            ),
            (
                "handler 0x800000000000",
                { _ = try load(.long, [(0, nop)], gates: [Gate(.trap, number: 1, ring: 0, handler: 1 << 47)]) }
            ),
            (
                "ist 0x8",
                {
                    _ = try load(
                        .long, [(0, nop)],
                        gates: [Gate(.trap, number: 1, ring: 0, handler: 0, interruptStack: 8)])
                }
            ),
            (
                "no ring 3",
                {
                    _ = try PreparedGuest(.real, code: [Code(ring: 3, origin: 0x7C00, bytes: [1])]).load(
                        memory: PhysicalMemoryMap(size: 1 << 20))
                }
            ),
            (
                "ring 4",
                {
                    _ = try PreparedGuest(.long, code: [Code(ring: 4, origin: 0, bytes: [1])]).load(
                        memory: PhysicalMemoryMap(size: 1 << 20))
                }
            ),
            ("overlaps", { _ = try load(.long, [(3, nop), (3, nop)]) }),
            (
                "window to physical memory",
                {
                    _ = try PreparedGuest(
                        .long, code: [Code(ring: 3, origin: 0xFFFF_8000_0000_0000, bytes: [1])]
                    ).load(memory: PhysicalMemoryMap(size: 1 << 20))
                }
            ),
            (
                "origin",
                {
                    _ = try PreparedGuest(
                        .long, code: [Code(ring: 3, origin: .max, bytes: [1, 2])]
                    ).load(memory: PhysicalMemoryMap(size: 1 << 20))
                }
            ),
            ("memory is too small", { _ = try load(.long, [(3, [UInt8](repeating: 1, count: 3 << 20))]) }),
        ]
        for (text, body) in cases {
            let description = catchBootError(body)?.description
            #expect(description?.contains(text) == true, "\(text): \(description ?? "no error")")
        }
    }

    // MARK: .real

    @Test func realModeHasVectorsAndStubsThatNameTheirVector() throws {
        let gate = Gate(.interrupt, number: 0x21, ring: 0, handler: 0x7C10)
        let image = try load(.real, [(0, [0xCD, 0x21, 0xF4])], gates: [gate], megabytes: 1)
        let state = image.state
        #expect(state.cr0 & 1 == 0 && state.rip == 0x7C00 && state.rsp == 0x7C00 && state.cs.base == 0)
        #expect(state.cs.limit == 0xFFFF && state.ds.attributes == 0x93 && state.idtr.limit == 0x3FF)
        #expect(image.memory(0x7C00, 3) == [0xCD, 0x21, 0xF4])
        #expect(image.u32(0x21 * 4) == 0x7C10)
        for vector in [0, 6, 13, 255] as [UInt64] {
            let stub = UInt64(image.u32(vector * 4))
            #expect(image.memory(stub, 1) == [0xF4], "hlt")
            #expect(PreparedLayout.unhandledVector(at: stub) == UInt8(vector))
            #expect(PreparedLayout.unhandledVector(at: stub + 1) == UInt8(vector), "where the halted guest's IP is")
        }
        #expect(PreparedLayout.unhandledVector(at: 0x7C00) == nil)
        let tooLong = catchBootError {
            _ = try load(.real, [(0, [UInt8](repeating: 0x90, count: 0x8401))], megabytes: 1)
        }
        #expect(tooLong?.description.contains("the code's end 0x10001") == true)
    }
}

@Suite struct BootFlatTests {
    private func load(
        _ mode: FlatImage.Mode, at address: UInt64, entry: UInt64? = nil, count: Int = 16, megabytes: UInt64 = 2
    ) throws -> BootImage {
        let file = BootFile(name: "flat", bytes: (0..<count).map { UInt8(truncatingIfNeeded: $0 + 1) })
        return try FlatImage(file, at: address, entry: entry, mode: mode)
            .load(memory: PhysicalMemoryMap(size: megabytes << 20))
    }

    @Test func realModeBootSectorRunsWithZeroSegments() throws {
        let image = try load(.real, at: 0x7C00, entry: 0x7C02)
        #expect(image.state.rip == 0x7C02 && image.state.cs.selector == 0 && image.state.cr0 & 1 == 0)
        #expect(image.memory(0x7C00, 16) == Array(1...16))
        let high = try load(.real, at: 0xF_FFF0)
        #expect(high.state.cs.base == 0xF_FFF0 && high.state.cs.selector == 0xFFFF && high.state.rip == 0)
    }

    @Test func tablesLieBesideTheImage() throws {
        for address in [0, 0x1000, 0x5000, 0x10_0000] as [UInt64] {
            let image = try load(.long, at: address, count: 0x3000)
            #expect(image.state.rip == address && image.translate(address)?.physical == address)
            let block = address..<address + 0x3000
            #expect(!block.contains(image.state.cr3) && !block.contains(image.state.gdtr.base))
            #expect(image.memory(address, 0x3000) == (0..<0x3000).map { UInt8(truncatingIfNeeded: $0 + 1) })
            #expect(image.descriptor(image.state.cs.selector) == image.state.cs)
        }
        let image = try load(.protected, at: 0x10_0000)
        #expect(image.state.cs.attributes == 0xC09B && image.state.cr0 & 0x8000_0001 == 1)
    }

    @Test func refusesPlacesOutsideRAM() {
        for (address, entry) in [(0x1F_FFF8, nil), (0xA_0000, nil), (.max, nil), (0x1000, 0x1010), (0x1000, 0xFFF)]
            as [(UInt64, UInt64?)]
        {
            #expect(catchBootError { _ = try load(.protected, at: address, entry: entry) } != nil, "\(address)")
        }
        #expect(catchBootError { _ = try load(.real, at: 0x10_0000) } != nil)
    }
}
