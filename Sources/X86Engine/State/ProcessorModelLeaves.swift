import X86

/// What of a processor's state CPUID shows.
package struct CPUIDContext: Sendable {
    package var cr4: UInt64 = 0
    package var xcr0: UInt64 = 1
    package var apicIdentifier: UInt32 = 0
    /// IA32_APIC_BASE bit 11.
    package var apicIsEnabled = true
    package var is64BitMode = false
    /// IA32_MISC_ENABLE bit 22: leaves above 2 are hidden.
    package var limitsLeaves = false

    package init() {}
}

extension ProcessorModel {
    /// The highest basic leaf.
    package var highestLeaf: UInt32 { !features.contains(.longMode) ? 2 : vendor == .intel ? 0x16 : 0xD }

    /// The highest extended leaf.
    package var highestExtendedLeaf: UInt32 {
        !features.contains(.longMode) ? 0x8000_0004 : vendor == .intel ? 0x8000_0008 : 0x8000_0021
    }

    /// What CPUID answers (SDM volume 2, CPUID; APM volume 3 appendix E).
    package func cpuid(_ leaf: UInt32, _ subleaf: UInt32, _ context: CPUIDContext) -> CPUIDResult {
        if let replaced = leafOverrides[CPUIDLeaf(leaf, subleaf)] { return replaced }
        switch leaf {
        case 0x8000_0000...0x8000_FFFF:
            if leaf <= highestExtendedLeaf { return extendedLeaf(leaf, context) }
        case 0...highestLeaf:
            if !context.limitsLeaves || leaf <= 2 { return basicLeaf(leaf, subleaf, context) }
        default: break
        }
        // Intel answers with the highest basic leaf, AMD with zeros.
        guard vendor == .intel else { return CPUIDResult() }
        return basicLeaf(context.limitsLeaves ? 2 : highestLeaf, subleaf, context)
    }

    /// The feature flags that CPUID shows in one leaf.
    private func flags(_ leaf: UInt32, _ subleaf: UInt32 = 0) -> CPUIDResult {
        var result = CPUIDResult()
        for feature in features.members {
            let place = feature.place
            guard place.leaf == leaf, place.subleaf == subleaf else { continue }
            result[place.register] |= 1 << UInt32(place.bit)
        }
        return result
    }

    /// Family, model and stepping as leaf 1 encodes them.
    private var signature: UInt32 {
        let baseFamily = min(family, 15)
        let extendedFamily = family > 15 ? family - 15 : 0
        return stepping & 0xF | (model & 0xF) << 4 | baseFamily << 8 | (model >> 4 & 0xF) << 16
            | (extendedFamily & 0xFF) << 20
    }

    private func basicLeaf(_ leaf: UInt32, _ subleaf: UInt32, _ context: CPUIDContext) -> CPUIDResult {
        switch leaf {
        case 0:
            let name = vendor == .intel ? "GenuineIntel" : "AuthenticAMD"
            let words = Self.words(name, count: 3)
            let highest = context.limitsLeaves ? 2 : highestLeaf
            return CPUIDResult(eax: highest, ebx: words[0], ecx: words[2], edx: words[1])
        case 1: return versionLeaf(context)
        case 2:
            // 01H: one round; FFH: the caches are in leaf 4. Processors without leaf 4 name them: 32 KiB L1 caches and
            // 256 KiB of L2 (SDM vol. 2 table 3-12).
            guard vendor == .intel else { return CPUIDResult() }
            return features.contains(.longMode)
                ? CPUIDResult(eax: 0x00FF_FF01, edx: 0)
                : CPUIDResult(eax: 0x0302_0101, edx: 0x0C04_0882)
        case 4: return vendor == .intel ? cacheLeaf(subleaf) : CPUIDResult()
        case 6: return flags(6)
        case 7:
            var result = flags(7, subleaf)
            // The highest subleaf.
            if subleaf == 0 { result.eax = features.contains(.branchHistoryControl) ? 2 : 0 }
            return result
        case 0xB: return topologyLeaf(subleaf, context)
        case 0xD: return stateLeaf(subleaf, context)
        case 0x15 where features.contains(.tsc):
            // TSC = crystal · EBX / EAX.
            let divisor = Self.greatestCommonDivisor(timeStampFrequency, crystalFrequency)
            return CPUIDResult(
                eax: UInt32(truncatingIfNeeded: crystalFrequency / divisor),
                ebx: UInt32(truncatingIfNeeded: timeStampFrequency / divisor),
                ecx: UInt32(truncatingIfNeeded: crystalFrequency))
        case 0x16:
            let megahertz = UInt32(truncatingIfNeeded: timeStampFrequency / 1_000_000)
            return CPUIDResult(eax: megahertz, ebx: megahertz, ecx: 100)
        default: return CPUIDResult()
        }
    }

    private func versionLeaf(_ context: CPUIDContext) -> CPUIDResult {
        var result = flags(1)
        result.eax = signature
        result.ebx = context.apicIdentifier << 24
        if features.contains(.clfsh) { result.ebx |= 8 << 8 }
        if processorCount > 1 {
            result.ebx |= UInt32(truncatingIfNeeded: processorCount) << 16
            // HTT: the package holds more than one logical processor.
            result.edx |= 1 << 28
        }
        if context.cr4 & CR4.OSXSAVE != 0 { result.ecx |= 1 << 27 }
        if !context.apicIsEnabled { result.edx &= ~(1 << 9) }
        return result
    }

    /// A level of the cache hierarchy; lines are 64 bytes.
    private struct Cache {
        /// 1 data, 2 instructions, 3 both.
        var type: UInt32
        var level: UInt32
        var kibibytes: UInt32
        var ways: UInt32
        var isShared = false

        var sets: UInt32 { kibibytes << 10 / (64 * ways) }
    }

    private static let caches = [
        Cache(type: 1, level: 1, kibibytes: 32, ways: 8),
        Cache(type: 2, level: 1, kibibytes: 32, ways: 8),
        Cache(type: 3, level: 2, kibibytes: 1024, ways: 16),
        Cache(type: 3, level: 3, kibibytes: 16384, ways: 16, isShared: true),
    ]

    /// Leaf 4, and 8000001DH on AMD.
    private func cacheLeaf(_ subleaf: UInt32) -> CPUIDResult {
        guard subleaf < 4 else { return CPUIDResult() }
        let cache = Self.caches[Int(subleaf)]
        let sharing = cache.isShared ? UInt32(truncatingIfNeeded: processorCount - 1) : 0
        let cores = vendor == .intel ? UInt32(truncatingIfNeeded: min(processorCount, 64) - 1) << 26 : 0
        return CPUIDResult(
            eax: cache.type | cache.level << 5 | 1 << 8 | sharing << 14 | cores, ebx: 63 | (cache.ways - 1) << 22,
            ecx: cache.sets - 1)
    }

    /// Leaf BH: one thread in a core, all cores in one package.
    private func topologyLeaf(_ subleaf: UInt32, _ context: CPUIDContext) -> CPUIDResult {
        let count = UInt32(truncatingIfNeeded: processorCount)
        let identifier = context.apicIdentifier
        switch subleaf {
        case 0: return CPUIDResult(eax: 0, ebx: 1, ecx: 1 << 8, edx: identifier)
        case 1:
            let bits = UInt32(32 - (count - 1).leadingZeroBitCount)
            return CPUIDResult(eax: bits, ebx: count, ecx: 1 | 2 << 8, edx: identifier)
        default: return CPUIDResult(ecx: subleaf & 0xFF, edx: identifier)
        }
    }

    /// Leaf DH: the legacy area and the header are all there is (SDM volume 1 section 13.2).
    private func stateLeaf(_ subleaf: UInt32, _ context: CPUIDContext) -> CPUIDResult {
        guard features.contains(.xsave) else { return CPUIDResult() }
        switch subleaf {
        case 0: return CPUIDResult(eax: UInt32(extendedStateComponents), ebx: 576, ecx: 576)
        case 1:
            var result = flags(0xD, 1)
            if features.contains(.xsavec) { result.ebx = 576 }
            return result
        default: return CPUIDResult()
        }
    }

    private func extendedLeaf(_ leaf: UInt32, _ context: CPUIDContext) -> CPUIDResult {
        switch leaf {
        case 0x8000_0000:
            guard vendor == .amd else { return CPUIDResult(eax: highestExtendedLeaf) }
            let words = Self.words("AuthenticAMD", count: 3)
            return CPUIDResult(eax: highestExtendedLeaf, ebx: words[0], ecx: words[2], edx: words[1])
        case 0x8000_0001:
            var result = flags(leaf)
            if vendor == .amd {
                result.eax = signature
                // AMD repeats what leaf 1 says.
                result.edx |= versionLeaf(context).edx & 0x0183_F3FF
            } else if !context.is64BitMode {
                // Intel shows SYSCALL only in 64-bit mode.
                result.edx &= ~(1 << 11)
            }
            return result
        case 0x8000_0002...0x8000_0004:
            let words = Self.words(brand, count: 12)
            let first = Int(leaf - 0x8000_0002) * 4
            return CPUIDResult(eax: words[first], ebx: words[first + 1], ecx: words[first + 2], edx: words[first + 3])
        case 0x8000_0005 where vendor == .amd:
            // 64 entries each for the TLBs; 32 KiB, 8 ways, 64-byte lines.
            return CPUIDResult(eax: 0xFF40_FF40, ebx: 0xFF40_FF40, ecx: 0x2008_0140, edx: 0x2008_0140)
        case 0x8000_0006: return CPUIDResult(ecx: 1024 << 16 | 8 << 12 | 64)
        case 0x8000_0007: return flags(leaf)
        case 0x8000_0008:
            var result = flags(leaf)
            result.eax = UInt32(truncatingIfNeeded: physicalAddressWidth) | 48 << 8
            if vendor == .amd { result.ecx = UInt32(truncatingIfNeeded: processorCount - 1) }
            return result
        case 0x8000_000A: return features.contains(.svm) ? SVMCapabilities.leaf : CPUIDResult()
        case 0x8000_0021: return flags(leaf)
        default: return CPUIDResult()
        }
    }

    /// The text as little-endian words, padded with zeros.
    private static func words(_ text: String, count: Int) -> [UInt32] {
        var words = [UInt32](repeating: 0, count: count)
        for (index, byte) in text.utf8.prefix(count * 4).enumerated() {
            words[index / 4] |= UInt32(byte) << UInt32(index % 4 * 8)
        }
        return words
    }

    private static func greatestCommonDivisor(_ first: UInt64, _ second: UInt64) -> UInt64 {
        var (a, b) = (max(first, 1), second)
        while b != 0 { (a, b) = (b, a % b) }
        return a
    }
}
