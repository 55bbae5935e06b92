/// A device that answers accesses inside the ranges it was attached at.
///
/// Accesses arrive with their full bus address. A device is never asked for an access that leaves the range it
/// claimed, nor for one wider than it was attached for; the bus splits those.
package protocol BusDevice<Address>: AnyObject {
    /// The bus the device sits on.
    associatedtype Address: BusAddress

    /// Answers a read; bits above the access width are ignored by the bus.
    func read(_ address: Address, width: AccessWidth) -> Address.Data

    /// Takes a write; bits of `value` above the access width are zero.
    func write(_ value: Address.Data, to address: Address, width: AccessWidth)
}

/// The bus of the I/O instructions.
package typealias PortBus = Bus<PortAddress>

/// The bus of memory-mapped I/O.
package typealias MemoryBus = Bus<MemoryAddress>

/// An address space in which devices claim ranges that do not overlap.
///
/// A lookup costs O(log n) in the number of ranges. An access that is wider than a device's data path, or that runs
/// over the end of its range, becomes accesses of half the width at consecutive addresses, as an ISA bus does it.
/// Reads that nobody claims give all ones, and such writes are lost.
package final class Bus<Address: BusAddress> {
    /// Why a device could not be attached.
    package enum AttachError: Error, Equatable {
        /// The range shares addresses with `existing`.
        case overlap(ClosedRange<Address>, existing: ClosedRange<Address>)
    }

    private struct Claim {
        let range: ClosedRange<Address>
        let widest: AccessWidth
        let device: any BusDevice<Address>
    }

    /// Sorted by address.
    private var claims: [Claim] = []

    /// Makes a bus without devices.
    package init() {}

    /// The claimed ranges in ascending order.
    package var claimedRanges: [ClosedRange<Address>] { claims.map(\.range) }

    /// Lets a device answer a range of addresses, with accesses up to a width.
    package func attach(
        _ device: any BusDevice<Address>, at range: ClosedRange<Address>, widest: AccessWidth = .byte
    ) throws(AttachError) {
        let index = firstIndex(endingAtOrAfter: range.lowerBound)
        if index < claims.count, claims[index].range.overlaps(range) {
            throw .overlap(range, existing: claims[index].range)
        }
        claims.insert(Claim(range: range, widest: widest, device: device), at: index)
    }

    /// Takes every range of a device off the bus.
    package func detach(_ device: any BusDevice<Address>) {
        claims.removeAll { $0.device === device }
    }

    /// The device that answers at an address.
    package func device(at address: Address) -> (any BusDevice<Address>)? { claim(at: address)?.device }

    /// Tells whether a device answers at an address.
    package func isClaimed(_ address: Address) -> Bool { claim(at: address) != nil }

    /// Reads from whoever answers at an address.
    package func read(_ address: Address, width: AccessWidth) -> Address.Data {
        let ones = Address.Data(truncatingIfNeeded: width.allOnes)
        let owner = claim(at: address)
        if let owner, width.rawValue <= owner.widest.rawValue, fits(address, width, in: owner.range) {
            return owner.device.read(address, width: width) & ones
        }
        guard let half = width.half else { return ones }
        let low = read(address, width: half)
        guard let upper = advance(address, by: half) else {
            return low | Address.Data(truncatingIfNeeded: half.allOnes << half.bits)
        }
        return low | read(upper, width: half) << Address.Data(half.bits)
    }

    /// Writes to whoever answers at an address.
    package func write(_ value: Address.Data, to address: Address, width: AccessWidth) {
        let owner = claim(at: address)
        if let owner, width.rawValue <= owner.widest.rawValue, fits(address, width, in: owner.range) {
            owner.device.write(value & Address.Data(truncatingIfNeeded: width.allOnes), to: address, width: width)
            return
        }
        guard let half = width.half else { return }
        write(value, to: address, width: half)
        guard let upper = advance(address, by: half) else { return }
        write(value >> Address.Data(half.bits), to: upper, width: half)
    }

    private func fits(_ address: Address, _ width: AccessWidth, in range: ClosedRange<Address>) -> Bool {
        range.upperBound.rawValue &- address.rawValue >= Address.RawValue(width.rawValue &- 1)
    }

    /// The address after an access, nil at the end of the address space.
    private func advance(_ address: Address, by width: AccessWidth) -> Address? {
        let (next, overflow) = address.rawValue.addingReportingOverflow(Address.RawValue(width.rawValue))
        return overflow ? nil : Address(next)
    }

    private func claim(at address: Address) -> Claim? {
        let index = firstIndex(endingAtOrAfter: address)
        guard index < claims.count, claims[index].range.contains(address) else { return nil }
        return claims[index]
    }

    /// The first claim whose last address is not below `address`.
    private func firstIndex(endingAtOrAfter address: Address) -> Int {
        var low = 0
        var high = claims.count
        while low < high {
            let middle = (low + high) / 2
            if claims[middle].range.upperBound < address {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }
}
