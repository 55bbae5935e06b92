#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Memory of cells from the C library, which enlarges a large buffer without copying it.
enum CellMemory {
    /// A buffer that the caller fills; nil if the host has no memory left.
    static func allocate(_ count: Int) -> UnsafeMutablePointer<Cell>? {
        malloc(count * MemoryLayout<Cell>.stride)?.bindMemory(to: Cell.self, capacity: count)
    }

    /// A buffer of nils that takes memory only where it is written.
    static func zeroed(_ count: Int) -> UnsafeMutablePointer<Cell>? {
        // SAFETY: a cell of zeros is nil.
        calloc(count, MemoryLayout<Cell>.stride)?.bindMemory(to: Cell.self, capacity: count)
    }

    /// A buffer with more room and what the old one held, which is gone; nil if the host has no memory left, and the
    /// old one is as it was.
    static func enlarge(_ cells: UnsafeMutablePointer<Cell>, to count: Int) -> UnsafeMutablePointer<Cell>? {
        realloc(cells, count * MemoryLayout<Cell>.stride)?.bindMemory(to: Cell.self, capacity: count)
    }

    static func free(_ cells: UnsafeMutablePointer<Cell>) {
        #if canImport(Glibc)
        Glibc.free(cells)
        #elseif canImport(Musl)
        Musl.free(cells)
        #elseif canImport(Darwin)
        Darwin.free(cells)
        #endif
    }
}
