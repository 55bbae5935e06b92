/// The memory of one session's values: raw blocks from one allocator, collected by marking and sweeping.
///
/// Every byte is counted before it is allocated, so `Limits.heap` holds for strings, collections, closures and code
/// alike. Blocks do not move. Roots are the register stack, the constants, what host code keeps (`KeptCell`) and
/// `temporaries`.
final class Heap {
    /// The most bytes there may be.
    let limit: Int
    /// Bytes in use.
    private(set) var used = 0
    /// Bytes at which the next collection begins.
    private var trigger: Int
    /// Whether each allocation collects first, to find values that are not rooted.
    var collectsAlways = false
    /// Collections so far.
    private(set) var collections = 0

    private var blocks: UnsafeMutablePointer<BlockHeader>?
    /// The mark of the last collection, 1 or 2.
    var mark: UInt8 = 1
    /// Blocks that are marked and whose contents are not.
    var pending: UnsafeMutablePointer<UnsafeMutablePointer<BlockHeader>>
    var pendingCount = 0
    var pendingCapacity = 256

    /// The register stack; what lies above its top is cleared by each collection.
    var stack: UnsafeMutablePointer<Cell>
    var stackTop: UnsafeMutablePointer<Cell>
    let stackCapacity: Int
    /// The calls that are open; entries above `frameTop` are left by calls since the last collection.
    let frames: UnsafeMutablePointer<Frame>
    var frameTop: UnsafeMutablePointer<Frame>
    let frameCapacity: Int

    /// Values a host function has made and not yet stored.
    var temporaries: [Cell] = []
    let kept = KeptCells()
    let hosted = HostTable()

    /// Constants of the programs that have been loaded.
    let constants = RawArray<Cell>()
    /// Names by their text; they stay until the session ends.
    private var names: [String: Cell] = [:]
    private(set) var symbolNames: [String] = []
    private var symbols: [String: Int] = [:]

    /// Where a code point of a text was found last, so that a text is walked through in the time that it takes.
    var lastPlace = (text: UInt64(0), scalars: 0, offset: 0)

    let shapes = ShapeTable()
    /// Memory of the code that has been loaded.
    private var code: [UnsafeMutableRawPointer] = []
    /// The names of the functions that have been loaded.
    var functionNames: [String] = []

    private static let firstTrigger = 1 << 20

    init(limit: Int, depth: Int) {
        self.limit = limit
        trigger = min(Self.firstTrigger, limit)
        pending = .allocate(capacity: pendingCapacity)
        frameCapacity = depth + 2
        frames = .allocate(capacity: frameCapacity)
        frames.initialize(repeating: Frame(), count: frameCapacity)
        frameTop = frames
        // Each call uses at most 256 registers, and at most so many more if a host function makes it, so that none need
        // look for the end. Only registers that are used take memory.
        stackCapacity = (frameCapacity + 1) * 256 + (Interpreter.nestingLimit + 2) * 512
        // SAFETY: this may fail only where the program could not go on anyway.
        stack = CellMemory.zeroed(stackCapacity).unsafelyUnwrapped
        stackTop = stack
    }

    deinit {
        hosted.removeAll()
        var next = blocks
        while let block = next {
            next = block.pointee.next
            Self.release(block)
        }
        pending.deallocate()
        for block in code { block.deallocate() }
        constants.deallocate()
        CellMemory.free(stack)
        frames.deallocate()
    }

    // MARK: - Allocation

    /// Makes sure that so many bytes may be allocated; collects if there are too many.
    @inline(__always)
    func reserve(_ bytes: Int) throws(HostFailure) {
        if _slowPath(bytes > trigger - used || collectsAlways) { try makeRoom(bytes) }
    }

    @inline(never)
    private func makeRoom(_ bytes: Int) throws(HostFailure) {
        collect()
        guard bytes <= limit - used, used <= limit - limit / 32 else {
            throw HostFailure(
                .heapLimit, "the script needs more than \(limit) bytes of memory", notes: ["the limit is `Limits.heap`"]
            )
        }
        let (doubled, overflow) = used.multipliedReportingOverflow(by: 2)
        trigger = min(max(overflow ? limit : doubled, Self.firstTrigger, used + bytes), limit)
    }

    /// A block with its header; `kind` decides how it is read.
    @inline(__always)
    func allocate(_ kind: Cell.Kind, bytes: Int, count: Int = 0) throws(HostFailure) -> UnsafeMutableRawPointer {
        let size = (bytes &+ 15) & ~15
        try reserve(size)
        used &+= size
        let block = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        let header = block.assumingMemoryBound(to: BlockHeader.self)
        // The mark is the last collection's, so that the next one finds the block unmarked.
        header.pointee = BlockHeader(
            next: blocks, count: UInt32(truncatingIfNeeded: count), kind: kind, mark: mark, isFrozen: false,
            isInterned: false)
        blocks = header
        return block
    }

    /// A buffer of cells that belongs to a block.
    func allocateCells(_ count: Int) throws(HostFailure) -> UnsafeMutablePointer<Cell> {
        let (bytes, overflow) = count.multipliedReportingOverflow(by: 16)
        guard !overflow else { throw HostFailure(.heapLimit, "the collection is too large") }
        try reserve(bytes)
        guard let cells = CellMemory.allocate(count) else { throw Self.hostIsFull }
        used &+= bytes
        return cells
    }

    /// Enlarges a buffer of cells that belongs to a block.
    ///
    /// It is counted as if the new one were made beside the old, as it may be.
    func enlarge(
        _ cells: UnsafeMutablePointer<Cell>?, _ oldCount: Int, to count: Int
    ) throws(HostFailure) -> UnsafeMutablePointer<Cell> {
        guard let cells else { return try allocateCells(count) }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: 16)
        guard !overflow else { throw HostFailure(.heapLimit, "the collection is too large") }
        try reserve(bytes)
        guard let larger = CellMemory.enlarge(cells, to: count) else { throw Self.hostIsFull }
        used &+= bytes &- oldCount &* 16
        return larger
    }

    private static var hostIsFull: HostFailure { HostFailure(.heapLimit, "the host has no memory left") }

    func free(_ cells: UnsafeMutablePointer<Cell>?, _ count: Int) {
        guard let cells else { return }
        used &-= count &* 16
        CellMemory.free(cells)
    }

    /// Counts memory that something other than a block takes.
    func count(_ bytes: Int) throws(HostFailure) {
        try reserve(bytes)
        used &+= bytes
    }

    func uncount(_ bytes: Int) { used &-= bytes }

    /// Memory that stays until the session ends; it has been counted.
    func own<Element>(_ count: Int) -> UnsafeMutablePointer<Element> {
        let memory = UnsafeMutablePointer<Element>.allocate(capacity: max(count, 1))
        code.append(UnsafeMutableRawPointer(memory))
        return memory
    }

    // MARK: - Making values

    /// A string whose bytes the caller writes; it may be read only when they are there.
    func newString(count: Int) throws(HostFailure) -> UnsafeMutablePointer<StringBlock> {
        try checkLength(count)
        let block = try allocate(.string, bytes: StringBlock.offset + count, count: count)
            .assumingMemoryBound(to: StringBlock.self)
        block.pointee.hash = 0
        block.pointee.scalars = StringBlock.unknown
        return block
    }

    /// Strings and bytes are shorter than 1 GiB.
    private func checkLength(_ count: Int) throws(HostFailure) {
        guard count < 1 << 30 else { throw HostFailure(.heapLimit, "a text or bytes would be longer than 1 GiB") }
    }

    func string(_ text: String) throws(HostFailure) -> Cell {
        var text = text
        let block = try newString(count: text.utf8.count)
        text.withUTF8 { bytes in
            if let start = bytes.baseAddress { block.bytes.update(from: start, count: bytes.count) }
        }
        return Cell(.string, block)
    }

    func string(_ bytes: UnsafeBufferPointer<UInt8>) throws(HostFailure) -> Cell {
        let block = try newString(count: bytes.count)
        if let start = bytes.baseAddress { block.bytes.update(from: start, count: bytes.count) }
        return Cell(.string, block)
    }

    func newBytes(count: Int) throws(HostFailure) -> UnsafeMutablePointer<BytesBlock> {
        try checkLength(count)
        return try allocate(.bytes, bytes: BytesBlock.offset + count, count: count)
            .assumingMemoryBound(to: BytesBlock.self)
    }

    func bytes(_ bytes: [UInt8]) throws(HostFailure) -> Cell {
        let block = try newBytes(count: bytes.count)
        bytes.withUnsafeBufferPointer { buffer in
            if let start = buffer.baseAddress { block.bytes.update(from: start, count: buffer.count) }
        }
        return Cell(.bytes, block)
    }

    /// A list with room for items, and none in it.
    func newList(capacity: Int) throws(HostFailure) -> UnsafeMutablePointer<ListBlock> {
        let cells = capacity > 0 ? try allocateCells(capacity) : nil
        do throws(HostFailure) {
            let block = try allocate(.list, bytes: MemoryLayout<ListBlock>.size)
                .assumingMemoryBound(to: ListBlock.self)
            block.pointee.items = cells
            block.pointee.count = 0
            block.pointee.capacity = capacity
            return block
        } catch {
            free(cells, capacity)
            throw error
        }
    }

    /// A list of cells, which are rooted.
    func list(_ items: UnsafeBufferPointer<Cell>) throws(HostFailure) -> Cell {
        let block = try newList(capacity: items.count)
        if let start = items.baseAddress, let target = block.pointee.items {
            target.update(from: start, count: items.count)
        }
        block.pointee.count = items.count
        return Cell(.list, block)
    }

    @inline(__always)
    func append(_ item: Cell, to list: UnsafeMutablePointer<ListBlock>) throws(HostFailure) {
        if _slowPath(list.pointee.count == list.pointee.capacity) { try grow(list, item, by: 1) }
        list.pointee.items.unsafelyUnwrapped[list.pointee.count] = item
        list.pointee.count &+= 1
    }

    /// Makes room for more items; `item` is rooted meanwhile.
    @inline(never)
    func grow(_ list: UnsafeMutablePointer<ListBlock>, _ item: Cell = .nil, by count: Int) throws(HostFailure) {
        let needed = list.pointee.count + count
        let capacity = max(needed, list.pointee.capacity + list.pointee.capacity / 2, 4)
        temporaries.append(item)
        temporaries.append(Cell(.list, list))
        defer { temporaries.removeLast(2) }
        list.pointee.items = try enlarge(list.pointee.items, list.pointee.capacity, to: capacity)
        list.pointee.capacity = capacity
    }

    func range(_ lower: Int128, _ upper: Int128) throws(HostFailure) -> Cell {
        let block = try allocate(.range, bytes: MemoryLayout<RangeBlock>.size)
            .assumingMemoryBound(to: RangeBlock.self)
        block.pointee.lower = lower
        block.pointee.upper = upper
        return Cell(.range, block)
    }

    func box(_ value: Cell) throws(HostFailure) -> Cell {
        let block = try allocate(.box, bytes: MemoryLayout<BoxBlock>.size).assumingMemoryBound(to: BoxBlock.self)
        block.pointee.value = value
        return Cell(.box, block)
    }

    func closure(
        _ function: UnsafeMutablePointer<FunctionRecord>, variables: Int
    ) throws(HostFailure) -> UnsafeMutablePointer<ClosureBlock> {
        let block = try allocate(.closure, bytes: ClosureBlock.offset + variables * 16, count: variables)
            .assumingMemoryBound(to: ClosureBlock.self)
        block.pointee.function = function
        block.variables.initialize(repeating: .unset, count: variables)
        return block
    }

    func boundMethod(_ receiver: Cell, _ name: Cell) throws(HostFailure) -> Cell {
        temporaries.append(receiver)
        defer { temporaries.removeLast() }
        let block = try allocate(.boundMethod, bytes: MemoryLayout<BoundMethodBlock>.size)
            .assumingMemoryBound(to: BoundMethodBlock.self)
        block.pointee.receiver = receiver
        block.pointee.name = name
        return Cell(.boundMethod, block)
    }

    // MARK: - Names

    /// The string of a name: one for each text.
    func name(_ text: String) throws(HostFailure) -> Cell {
        if let known = names[text] { return known }
        let cell = try string(text)
        cell.string.pointee.header.isInterned = true
        _ = cell.string.hash
        names[text] = cell
        return cell
    }

    /// The symbol of a name.
    func symbol(_ name: String) throws(HostFailure) -> Cell {
        if let known = symbols[name] { return Cell(.symbol, UInt64(known)) }
        try count(64 + name.utf8.count)
        symbols[name] = symbolNames.count
        symbolNames.append(name)
        return Cell(.symbol, UInt64(symbolNames.count - 1))
    }

    /// The name of a symbol.
    func symbolName(_ cell: Cell) -> String { symbolNames[cell.index] }

    // MARK: - Host objects

    /// An object of the host by reference.
    func object(_ object: any HostObject) throws(HostFailure) -> Cell {
        try count(HostTable.bytesPerObject)
        return Cell(.object, UInt64(hosted.add(object)))
    }

    func regex(_ regex: RegularExpression) throws(HostFailure) -> Cell {
        try count(HostTable.bytesPerObject)
        return Cell(.regex, UInt64(hosted.add(regex)))
    }

    func function(_ function: HostFunction) throws(HostFailure) -> Cell {
        try count(HostTable.bytesPerObject)
        return Cell(.hostFunction, UInt64(hosted.add(function)))
    }

    // MARK: - Collection

    /// Frees what nothing refers to.
    func collect() {
        collections += 1
        // Another text may come to lie at the address.
        lastPlace = (0, 0, 0)
        mark = 3 - mark
        markRoots()
        drain()
        sweep()
        uncount(hosted.sweep(mark) * HostTable.bytesPerObject)
    }

    private func markRoots() {
        let top = stackTop - stack
        for index in 0..<top { mark(stack[index]) }
        clearReturnedCalls()
        for cell in temporaries { mark(cell) }
        for cell in kept.cells { mark(cell) }
        for index in 0..<constants.count { mark(constants[index]) }
        for name in names.values { mark(name) }
    }

    /// Clears the registers that calls since the last collection have left above the top, which are read as values when
    /// a later call has not yet written to them.
    private func clearReturnedCalls() {
        var last = stackTop
        var frame = frameTop
        let end = frames + frameCapacity
        while frame < end, let base = frame.pointee.base {
            last = max(last, base + 1_024)
            frame.pointee = Frame()
            frame += 1
        }
        last = min(max(last, stackTop + 512), stack + stackCapacity)
        stackTop.initialize(repeating: .nil, count: last - stackTop)
    }

    private func sweep() {
        var previous: UnsafeMutablePointer<BlockHeader>?
        var next = blocks
        while let block = next {
            next = block.pointee.next
            if block.pointee.mark == mark {
                previous = block
                continue
            }
            used &-= Self.size(of: block)
            if let previous { previous.pointee.next = next } else { blocks = next }
            Self.release(block)
        }
    }
}
