import X86Engine

/// The processor that a guest sees: identification, widths, features and CPUID leaves.
///
/// A guest is only made with a model that holds together: every feature is implemented and has what it needs.
public struct CPUModel: Sendable {
    package var model = ProcessorModel()

    /// Makes the default model, a 64-bit processor with an Intel name.
    public init() {}

    /// The names of the models that come with the engine.
    public static let names = ["intel64", "intel64VMX", "amd64", "amd64SVM", "intel32"]

    /// Makes a model by its name; nil if there is none.
    public init?(named name: String) {
        switch name {
        case "intel64": model = .intel64
        case "intel64VMX": model = .intel64VMX
        case "amd64": model = .amd64
        case "amd64SVM": model = .amd64SVM
        case "intel32": model = .intel32
        default: return nil
        }
    }

    /// The brand string, at most 48 bytes.
    public var brand: String {
        get { model.brand }
        set { model.brand = newValue }
    }
    /// The display family.
    ///
    /// SDM vol. 2, CPUID figure 3-6.
    public var family: UInt32 {
        get { model.family }
        set { model.family = newValue }
    }
    /// The display model.
    public var number: UInt32 {
        get { model.model }
        set { model.model = newValue }
    }
    /// The stepping.
    public var stepping: UInt32 {
        get { model.stepping }
        set { model.stepping = newValue }
    }
    /// MAXPHYADDR, 36...52.
    public var addressBits: Int {
        get { model.physicalAddressWidth }
        set { model.physicalAddressWidth = newValue }
    }

    /// The rate of the time-stamp counter in Hz, 1 MHz...10 GHz; guest time is in nanoseconds whatever it is.
    public var clock: UInt64 {
        get { model.timeStampFrequency }
        set { model.timeStampFrequency = newValue }
    }

    /// The names of all features, as `set` takes them.
    public static var features: [String] { ProcessorFeature.allCases.map { "\($0)" } }

    /// Claims a feature or leaves it out.
    ///
    /// Throws `GuestError.configuration` if there is none of the name, or if the engine does not have it.
    public mutating func set(_ name: String, _ isOn: Bool) throws(GuestError) {
        guard let feature = ProcessorFeature.allCases.first(where: { "\($0)" == name }) else {
            throw .configuration("there is no processor feature `\(name)`")
        }
        guard !isOn || FeatureSet.implemented.contains(feature) else {
            throw .configuration("the processor feature `\(name)` is not implemented, so no model can claim it")
        }
        if isOn { model.features.insert(feature) } else { model.features.remove(feature) }
    }

    /// Whether a feature is claimed.
    public func has(_ name: String) -> Bool {
        ProcessorFeature.allCases.contains { "\($0)" == name && model.features.contains($0) }
    }

    /// Replaces the answer of a leaf; those that features make cannot be replaced.
    public mutating func setLeaf(
        _ leaf: UInt32, subleaf: UInt32 = 0, eax: UInt32, ebx: UInt32, ecx: UInt32, edx: UInt32
    ) {
        model.leafOverrides[CPUIDLeaf(leaf, subleaf)] = CPUIDResult(eax: eax, ebx: ebx, ecx: ecx, edx: edx)
    }
}

extension GuestConfiguration {
    /// The processor that the guest sees.
    public var cpu: CPUModel {
        get {
            var cpu = CPUModel()
            cpu.model = model
            return cpu
        }
        set { model = newValue.model }
    }
}

extension ProcessorModelError {
    /// The error in words.
    package var text: String {
        switch self {
        case .notImplemented(let feature): "the feature `\(feature)` is not implemented"
        case .missingRequirement(let feature, let needed): "the feature `\(feature)` needs `\(needed)`"
        case .overriddenFeatureLeaf(let leaf):
            "leaf \(hexadecimal(leaf.leaf)) shows features: change those with `with` and `without`"
        case .physicalAddressWidth(let width): "\(width) physical address bits: there are 36 to 52"
        case .timeStampFrequency(let frequency): "a time-stamp counter of \(frequency) Hz: 1 MHz to 10 GHz"
        case .processorCount(let count): "\(count) processors: 1 to 255"
        case .brand(let text): "the brand \"\(text)\" has more than 48 bytes"
        }
    }
}
