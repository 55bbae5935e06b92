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
        var resumed = resumesAtNextRun.rawValue
        visitor.visit(&resumed)
        resumesAtNextRun = GuestMode(rawValue: resumed) ?? .none
        vmx.visit(&visitor)
        svm.visit(&visitor)
        // How nested tables are read follows from the host's paging.
        if mode == .svm, secondLevel.isActive {
            secondLevel = svm.hostPaging.secondLevel(root: secondLevel.root, addressMask: .max)
        }
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
        var hasReturn = event.returnRIP != nil
        var returnRIP = event.returnRIP ?? 0
        visitor.visit(&hasReturn)
        visitor.visit(&returnRIP)
        event.returnRIP = hasReturn ? returnRIP : nil
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

extension SVMState {
    mutating func visit(_ visitor: inout some StateVisitor) {
        visitor.visit(&globalInterruptFlag)
        visitor.visit(&vmCR)
        visitor.visit(&key)
        visitor.visit(&hostSaveArea)
        visitor.visit(&timeStampRatio)
        visitor.visit(&vmcb)
        controls.visit(&visitor)
        var interrupt = virtualInterrupt.rawValue
        visitor.visit(&interrupt)
        virtualInterrupt = VirtualInterrupt(rawValue: interrupt)
        visitor.visit(&hostInterruptFlag)
        var paging = HostPaging.inOrder.firstIndex(of: hostPaging) ?? 0
        visitor.visit(&paging)
        hostPaging = HostPaging.inOrder.indices.contains(paging) ? HostPaging.inOrder[paging] : .disabled
        visitor.visit(&pauseCount)
        visitor.visit(&lastPause)
        visitor.visit(&unsavedShadow)
        visitor.visit(&unsavedDebug)
    }
}

extension HostPaging {
    /// All, each at its number in saved states.
    fileprivate static let inOrder: [HostPaging] = [
        .disabled, .legacy(largePages: false), .legacy(largePages: true),
        .physicalAddressExtension(executeDisable: false), .physicalAddressExtension(executeDisable: true),
        .long(executeDisable: false), .long(executeDisable: true),
    ]
}

extension SVMControls {
    mutating func visit(_ visitor: inout some StateVisitor) {
        visitor.visit(&vectors.0)
        visitor.visit(&vectors.1)
        visitor.visit(&vectors.2)
        visitor.visit(&ioPermissionsMap)
        visitor.visit(&msrPermissionsMap)
        visitor.visit(&pauseFilterCount)
        visitor.visit(&pauseFilterThreshold)
        visitor.visit(&guestASID)
        visitor.visit(&usesNestedPaging)
        visitor.visit(&nestedCR3)
    }
}

extension StateVisitor {
    fileprivate mutating func visit<Options: OptionSet>(options: inout Options) where Options.RawValue == UInt32 {
        var bits = options.rawValue
        visit(&bits)
        options = Options(rawValue: bits)
    }
}
