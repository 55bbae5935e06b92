import X86Engine

@_exported import struct Hypervisors.HypercallInterface
// The techniques are a part of this module's interface; everything else of `Hypervisors` is not.
@_exported import enum Hypervisors.Paging
@_exported import enum Hypervisors.Technique

/// What a guest runs on: the monitor's technique, and what is around it.
public struct HypervisorConfiguration: Equatable, Sendable {
    /// Compares everything; interfaces are equal if they have the same name.
    public static func == (a: HypervisorConfiguration, b: HypervisorConfiguration) -> Bool {
        a.technique == b.technique && a.paging == b.paging && a.place == b.place && a.costs == b.costs
            && a.interface.name == b.interface.name
    }

    /// Where a hypervisor runs.
    public enum Place: Int, CaseIterable, Sendable {
        /// On the machine itself.
        case machine = 1
        /// In an operating system of the host's.
        case hosted = 2
    }

    /// How the monitor keeps control of the processor; `.bare` means that there is no monitor.
    public var technique: Technique
    /// How it keeps control of memory; nil for the usual way of the technique.
    public var paging: Paging?
    /// Where the hypervisor runs: type 1 or 2.
    public var place = Place.machine

    /// What paravirtual guests call.
    public var interface = HypercallInterface.native

    /// What transitions are said to cost.
    public var costs = CostModel.prescott

    /// Makes a configuration of a technique.
    public init(_ technique: Technique = .bare, paging: Paging? = nil, place: Place = .machine) {
        self.technique = technique
        self.paging = paging
        self.place = place
    }

    /// How the monitor keeps control of memory in the end; nil if there is none that does.
    public var effectivePaging: Paging? { paging ?? technique.pagings.first }

    /// What does not go together.
    public struct Objection: Error, Equatable, Sendable {
        /// What is to be changed.
        public enum Part: Sendable { case paging, model }
        /// What is to be changed.
        public var part: Part
        /// Why, in words.
        public var text: String
    }

    /// Throws what does not go together.
    public func check() throws(Objection) {
        guard let paging, !technique.pagings.contains(paging) else { return }
        switch technique {
        case .bare:
            throw Objection(
                part: .paging, text: "the technique .bare has no monitor that could do .\(paging.rawValue) paging")
        case .trapAndEmulate, .translate:
            throw Objection(
                part: .paging,
                text: "the technique .\(technique.rawValue) works without help of the processor's, so its paging is "
                    + ".shadow: nested paging needs .vmx or .svm")
        case .paravirtual:
            throw Objection(
                part: .paging, text: "paravirtual guests write their page tables themselves, by hypercall")
        case .vmx, .svm: return
        }
    }

    /// Throws why guests with a processor model cannot run on the hypervisor.
    package func check(_ model: ProcessorModel) throws(Objection) {
        switch technique {
        case .bare, .trapAndEmulate, .translate: return
        case .paravirtual where !model.features.contains(.longMode):
            throw Objection(
                part: .model,
                text: "the technique .paravirtual needs a 64-bit processor, which the guest's model is not")
        case .paravirtual: return
        case .vmx where model.vendor != .intel:
            throw Objection(
                part: .model, text: "the technique .vmx needs an Intel processor, and the guest's model is an AMD one")
        case .svm where model.vendor != .amd:
            throw Objection(
                part: .model, text: "the technique .svm needs an AMD processor, and the guest's model is an Intel one")
        case .vmx, .svm: return
        }
    }
}
