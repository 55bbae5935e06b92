extension VirtualizationState {
    /// Every field, those that stand for a guest's controls too.
    mutating func visit(_ visitor: inout some StateVisitor) {
        var kind = mode.rawValue
        visitor.visit(&kind)
        mode = GuestMode(rawValue: kind) ?? .none
        visitor.visit(&secondLevel.isActive)
        visitor.visit(&secondLevel.root)
        visitor.visit(&secondLevel.levels)
        visitor.visit(&secondLevel.setsFlags)
        visitor.visit(&timeStampOffset)
        visitor.visit(&timeStampMultiplier)
        visitor.visit(&timerDeadline)
        visitInjection(&visitor)
        vmx.visit(&visitor)
    }

    private mutating func visitInjection(_ visitor: inout some StateVisitor) {
        var isThere = injection != nil
        visitor.visit(&isThere)
        guard isThere else {
            injection = nil
            return
        }
        var event = injection ?? InjectedEvent(fault: Fault(vector: 0), source: .exception)
        visitor.visit(&event.fault.vector)
        var hasCode = event.fault.errorCode != nil
        var code = event.fault.errorCode ?? 0
        visitor.visit(&hasCode)
        visitor.visit(&code)
        event.fault.errorCode = hasCode ? code : nil
        visitor.visit(&event.fault.address)
        visitor.visit(&event.fault.isTrap)
        visitor.visit(&event.fault.debugStatus)
        var source = EventSource.inOrder.firstIndex(of: event.source) ?? 0
        visitor.visit(&source)
        event.source = EventSource.inOrder.indices.contains(source) ? EventSource.inOrder[source] : .exception
        visitor.visit(&event.instructionLength)
        injection = event
    }
}

extension EventSource {
    /// All, each at its number in saved states.
    fileprivate static let inOrder: [EventSource] = [
        .exception, .externalInterrupt, .nonMaskableInterrupt, .softwareInterrupt, .softwareException,
        .privilegedSoftwareException,
    ]
}

extension VMXState {
    mutating func visit(_ visitor: inout some StateVisitor) {
        visitor.visit(&isOperating)
        visitor.visit(&region)
        visitor.visit(&currentVMCS)
        visitor.visit(&featureControl)
        controls.visit(&visitor)
        visitor.visit(&virtualNMIBlocked)
        visitor.visit(&pauseLoopStart)
        visitor.visit(&pauseLoopLast)
        visitor.visit(&isTaskPriorityDue)
        visitor.visit(&isMonitorTrapDue)
        visitor.visit(&resumesAtNextRun)
    }
}

extension VMXControls {
    mutating func visit(_ visitor: inout some StateVisitor) {
        visitor.visit(options: &pin)
        visitor.visit(options: &primary)
        visitor.visit(options: &secondary)
        visitor.visit(options: &exit)
        visitor.visit(options: &entry)
        visitor.visit(&exceptionBitmap)
        visitor.visit(&pageFaultMask)
        visitor.visit(&pageFaultMatch)
        visitor.visit(&cr0Mask)
        visitor.visit(&cr0Shadow)
        visitor.visit(&cr4Mask)
        visitor.visit(&cr4Shadow)
        for index in 0..<4 { visitor.visit(&cr3Targets[index]) }
        visitor.visit(&cr3TargetCount)
        visitor.visit(&ioBitmapA)
        visitor.visit(&ioBitmapB)
        visitor.visit(&msrBitmaps)
        visitor.visit(&virtualAPIC)
        visitor.visit(&tprThreshold)
        visitor.visit(&xssExitingBitmap)
        visitor.visit(&pauseLoopGap)
        visitor.visit(&pauseLoopWindow)
    }
}

extension StateVisitor {
    fileprivate mutating func visit<Options: OptionSet>(options: inout Options) where Options.RawValue == UInt32 {
        var bits = options.rawValue
        visit(&bits)
        options = Options(rawValue: bits)
    }
}
