// The interpreter's hot loop. Everything it calls is inlined here, except the slow paths, which are kept out of line.

extension Processor {
    /// Executes predecoded operations, block after block, until the dispatcher is needed.
    ///
    /// The caller has made sure that the first block ends before `state.limit`. On return `state.rip` and
    /// `state.time` are exact, and `control.pendingFault` holds a fault if one is to be delivered.
    func runBlocks(_ block: UnsafeMutablePointer<Block>) {
        let c = HotContext(self)
        let s = state
        var op = block.pointee.operations
        var time = s.pointee.time
        while true {
            switch op.pointee.code {
            case .addRR8:
                Addition.registerRegister(UInt8.self, c, op)
                op += 1
            case .addRI8:
                Addition.registerImmediate(UInt8.self, c, op)
                op += 1
            case .addRM8:
                guard Addition.registerMemory(UInt8.self, c, op, time) else { return }
                op += 1
            case .addMR8:
                guard Addition.memoryRegister(UInt8.self, c, op, time) else { return }
                op += 1
            case .addMI8:
                guard Addition.memoryImmediate(UInt8.self, c, op, time) else { return }
                op += 1
            case .addRR32:
                Addition.registerRegister(UInt32.self, c, op)
                op += 1
            case .addRI32:
                Addition.registerImmediate(UInt32.self, c, op)
                op += 1
            case .addRM32:
                guard Addition.registerMemory(UInt32.self, c, op, time) else { return }
                op += 1
            case .addMR32:
                guard Addition.memoryRegister(UInt32.self, c, op, time) else { return }
                op += 1
            case .addMI32:
                guard Addition.memoryImmediate(UInt32.self, c, op, time) else { return }
                op += 1
            case .addRR64:
                Addition.registerRegister(UInt64.self, c, op)
                op += 1
            case .addRI64:
                Addition.registerImmediate(UInt64.self, c, op)
                op += 1
            case .addRM64:
                guard Addition.registerMemory(UInt64.self, c, op, time) else { return }
                op += 1
            case .addMR64:
                guard Addition.memoryRegister(UInt64.self, c, op, time) else { return }
                op += 1
            case .addMI64:
                guard Addition.memoryImmediate(UInt64.self, c, op, time) else { return }
                op += 1
            case .orRR8:
                Disjunction.registerRegister(UInt8.self, c, op)
                op += 1
            case .orRI8:
                Disjunction.registerImmediate(UInt8.self, c, op)
                op += 1
            case .orRM8:
                guard Disjunction.registerMemory(UInt8.self, c, op, time) else { return }
                op += 1
            case .orMR8:
                guard Disjunction.memoryRegister(UInt8.self, c, op, time) else { return }
                op += 1
            case .orMI8:
                guard Disjunction.memoryImmediate(UInt8.self, c, op, time) else { return }
                op += 1
            case .orRR32:
                Disjunction.registerRegister(UInt32.self, c, op)
                op += 1
            case .orRI32:
                Disjunction.registerImmediate(UInt32.self, c, op)
                op += 1
            case .orRM32:
                guard Disjunction.registerMemory(UInt32.self, c, op, time) else { return }
                op += 1
            case .orMR32:
                guard Disjunction.memoryRegister(UInt32.self, c, op, time) else { return }
                op += 1
            case .orMI32:
                guard Disjunction.memoryImmediate(UInt32.self, c, op, time) else { return }
                op += 1
            case .orRR64:
                Disjunction.registerRegister(UInt64.self, c, op)
                op += 1
            case .orRI64:
                Disjunction.registerImmediate(UInt64.self, c, op)
                op += 1
            case .orRM64:
                guard Disjunction.registerMemory(UInt64.self, c, op, time) else { return }
                op += 1
            case .orMR64:
                guard Disjunction.memoryRegister(UInt64.self, c, op, time) else { return }
                op += 1
            case .orMI64:
                guard Disjunction.memoryImmediate(UInt64.self, c, op, time) else { return }
                op += 1
            case .andRR8:
                Conjunction.registerRegister(UInt8.self, c, op)
                op += 1
            case .andRI8:
                Conjunction.registerImmediate(UInt8.self, c, op)
                op += 1
            case .andRM8:
                guard Conjunction.registerMemory(UInt8.self, c, op, time) else { return }
                op += 1
            case .andMR8:
                guard Conjunction.memoryRegister(UInt8.self, c, op, time) else { return }
                op += 1
            case .andMI8:
                guard Conjunction.memoryImmediate(UInt8.self, c, op, time) else { return }
                op += 1
            case .andRR32:
                Conjunction.registerRegister(UInt32.self, c, op)
                op += 1
            case .andRI32:
                Conjunction.registerImmediate(UInt32.self, c, op)
                op += 1
            case .andRM32:
                guard Conjunction.registerMemory(UInt32.self, c, op, time) else { return }
                op += 1
            case .andMR32:
                guard Conjunction.memoryRegister(UInt32.self, c, op, time) else { return }
                op += 1
            case .andMI32:
                guard Conjunction.memoryImmediate(UInt32.self, c, op, time) else { return }
                op += 1
            case .andRR64:
                Conjunction.registerRegister(UInt64.self, c, op)
                op += 1
            case .andRI64:
                Conjunction.registerImmediate(UInt64.self, c, op)
                op += 1
            case .andRM64:
                guard Conjunction.registerMemory(UInt64.self, c, op, time) else { return }
                op += 1
            case .andMR64:
                guard Conjunction.memoryRegister(UInt64.self, c, op, time) else { return }
                op += 1
            case .andMI64:
                guard Conjunction.memoryImmediate(UInt64.self, c, op, time) else { return }
                op += 1
            case .subRR8:
                Subtraction.registerRegister(UInt8.self, c, op)
                op += 1
            case .subRI8:
                Subtraction.registerImmediate(UInt8.self, c, op)
                op += 1
            case .subRM8:
                guard Subtraction.registerMemory(UInt8.self, c, op, time) else { return }
                op += 1
            case .subMR8:
                guard Subtraction.memoryRegister(UInt8.self, c, op, time) else { return }
                op += 1
            case .subMI8:
                guard Subtraction.memoryImmediate(UInt8.self, c, op, time) else { return }
                op += 1
            case .subRR32:
                Subtraction.registerRegister(UInt32.self, c, op)
                op += 1
            case .subRI32:
                Subtraction.registerImmediate(UInt32.self, c, op)
                op += 1
            case .subRM32:
                guard Subtraction.registerMemory(UInt32.self, c, op, time) else { return }
                op += 1
            case .subMR32:
                guard Subtraction.memoryRegister(UInt32.self, c, op, time) else { return }
                op += 1
            case .subMI32:
                guard Subtraction.memoryImmediate(UInt32.self, c, op, time) else { return }
                op += 1
            case .subRR64:
                Subtraction.registerRegister(UInt64.self, c, op)
                op += 1
            case .subRI64:
                Subtraction.registerImmediate(UInt64.self, c, op)
                op += 1
            case .subRM64:
                guard Subtraction.registerMemory(UInt64.self, c, op, time) else { return }
                op += 1
            case .subMR64:
                guard Subtraction.memoryRegister(UInt64.self, c, op, time) else { return }
                op += 1
            case .subMI64:
                guard Subtraction.memoryImmediate(UInt64.self, c, op, time) else { return }
                op += 1
            case .xorRR8:
                ExclusiveOr.registerRegister(UInt8.self, c, op)
                op += 1
            case .xorRI8:
                ExclusiveOr.registerImmediate(UInt8.self, c, op)
                op += 1
            case .xorRM8:
                guard ExclusiveOr.registerMemory(UInt8.self, c, op, time) else { return }
                op += 1
            case .xorMR8:
                guard ExclusiveOr.memoryRegister(UInt8.self, c, op, time) else { return }
                op += 1
            case .xorMI8:
                guard ExclusiveOr.memoryImmediate(UInt8.self, c, op, time) else { return }
                op += 1
            case .xorRR32:
                ExclusiveOr.registerRegister(UInt32.self, c, op)
                op += 1
            case .xorRI32:
                ExclusiveOr.registerImmediate(UInt32.self, c, op)
                op += 1
            case .xorRM32:
                guard ExclusiveOr.registerMemory(UInt32.self, c, op, time) else { return }
                op += 1
            case .xorMR32:
                guard ExclusiveOr.memoryRegister(UInt32.self, c, op, time) else { return }
                op += 1
            case .xorMI32:
                guard ExclusiveOr.memoryImmediate(UInt32.self, c, op, time) else { return }
                op += 1
            case .xorRR64:
                ExclusiveOr.registerRegister(UInt64.self, c, op)
                op += 1
            case .xorRI64:
                ExclusiveOr.registerImmediate(UInt64.self, c, op)
                op += 1
            case .xorRM64:
                guard ExclusiveOr.registerMemory(UInt64.self, c, op, time) else { return }
                op += 1
            case .xorMR64:
                guard ExclusiveOr.memoryRegister(UInt64.self, c, op, time) else { return }
                op += 1
            case .xorMI64:
                guard ExclusiveOr.memoryImmediate(UInt64.self, c, op, time) else { return }
                op += 1
            case .cmpRR8:
                Comparison.registerRegister(UInt8.self, c, op)
                op += 1
            case .cmpRI8:
                Comparison.registerImmediate(UInt8.self, c, op)
                op += 1
            case .cmpRM8:
                guard Comparison.registerMemory(UInt8.self, c, op, time) else { return }
                op += 1
            case .cmpMR8:
                guard Comparison.memoryRegister(UInt8.self, c, op, time) else { return }
                op += 1
            case .cmpMI8:
                guard Comparison.memoryImmediate(UInt8.self, c, op, time) else { return }
                op += 1
            case .cmpRR32:
                Comparison.registerRegister(UInt32.self, c, op)
                op += 1
            case .cmpRI32:
                Comparison.registerImmediate(UInt32.self, c, op)
                op += 1
            case .cmpRM32:
                guard Comparison.registerMemory(UInt32.self, c, op, time) else { return }
                op += 1
            case .cmpMR32:
                guard Comparison.memoryRegister(UInt32.self, c, op, time) else { return }
                op += 1
            case .cmpMI32:
                guard Comparison.memoryImmediate(UInt32.self, c, op, time) else { return }
                op += 1
            case .cmpRR64:
                Comparison.registerRegister(UInt64.self, c, op)
                op += 1
            case .cmpRI64:
                Comparison.registerImmediate(UInt64.self, c, op)
                op += 1
            case .cmpRM64:
                guard Comparison.registerMemory(UInt64.self, c, op, time) else { return }
                op += 1
            case .cmpMR64:
                guard Comparison.memoryRegister(UInt64.self, c, op, time) else { return }
                op += 1
            case .cmpMI64:
                guard Comparison.memoryImmediate(UInt64.self, c, op, time) else { return }
                op += 1
            case .adcRR32:
                AdditionWithCarry.registerRegister(UInt32.self, c, op)
                op += 1
            case .adcRI32:
                AdditionWithCarry.registerImmediate(UInt32.self, c, op)
                op += 1
            case .adcRR64:
                AdditionWithCarry.registerRegister(UInt64.self, c, op)
                op += 1
            case .adcRI64:
                AdditionWithCarry.registerImmediate(UInt64.self, c, op)
                op += 1
            case .sbbRR32:
                SubtractionWithBorrow.registerRegister(UInt32.self, c, op)
                op += 1
            case .sbbRI32:
                SubtractionWithBorrow.registerImmediate(UInt32.self, c, op)
                op += 1
            case .sbbRR64:
                SubtractionWithBorrow.registerRegister(UInt64.self, c, op)
                op += 1
            case .sbbRI64:
                SubtractionWithBorrow.registerImmediate(UInt64.self, c, op)
                op += 1
            case .testRR8:
                Test.registerRegister(UInt8.self, c, op)
                op += 1
            case .testRI8:
                Test.registerImmediate(UInt8.self, c, op)
                op += 1
            case .testMR8:
                guard Test.memoryRegister(UInt8.self, c, op, time) else { return }
                op += 1
            case .testMI8:
                guard Test.memoryImmediate(UInt8.self, c, op, time) else { return }
                op += 1
            case .testRR32:
                Test.registerRegister(UInt32.self, c, op)
                op += 1
            case .testRI32:
                Test.registerImmediate(UInt32.self, c, op)
                op += 1
            case .testMR32:
                guard Test.memoryRegister(UInt32.self, c, op, time) else { return }
                op += 1
            case .testMI32:
                guard Test.memoryImmediate(UInt32.self, c, op, time) else { return }
                op += 1
            case .testRR64:
                Test.registerRegister(UInt64.self, c, op)
                op += 1
            case .testRI64:
                Test.registerImmediate(UInt64.self, c, op)
                op += 1
            case .testMR64:
                guard Test.memoryRegister(UInt64.self, c, op, time) else { return }
                op += 1
            case .testMI64:
                guard Test.memoryImmediate(UInt64.self, c, op, time) else { return }
                op += 1
            case .cmpMI16:
                guard Comparison.memoryImmediate(UInt16.self, c, op, time) else { return }
                op += 1
            case .cmpRM16:
                guard Comparison.registerMemory(UInt16.self, c, op, time) else { return }
                op += 1
            case .cmpRR16:
                Comparison.registerRegister(UInt16.self, c, op)
                op += 1
            case .cmpRI16:
                Comparison.registerImmediate(UInt16.self, c, op)
                op += 1
            case .incR32:
                Increment.register(UInt32.self, c, op)
                op += 1
            case .incR64:
                Increment.register(UInt64.self, c, op)
                op += 1
            case .decR32:
                Decrement.register(UInt32.self, c, op)
                op += 1
            case .decR64:
                Decrement.register(UInt64.self, c, op)
                op += 1
            case .negR32:
                Negation.register(UInt32.self, c, op)
                op += 1
            case .negR64:
                Negation.register(UInt64.self, c, op)
                op += 1
            case .notR32:
                Complement.register(UInt32.self, c, op)
                op += 1
            case .notR64:
                Complement.register(UInt64.self, c, op)
                op += 1
            case .incM32:
                guard Increment.memory(UInt32.self, c, op, time) else { return }
                op += 1
            case .incM64:
                guard Increment.memory(UInt64.self, c, op, time) else { return }
                op += 1
            case .decM32:
                guard Decrement.memory(UInt32.self, c, op, time) else { return }
                op += 1
            case .decM64:
                guard Decrement.memory(UInt64.self, c, op, time) else { return }
                op += 1
            case .shlRI32:
                ShiftLeft.byImmediate(UInt32.self, c, op)
                op += 1
            case .shlRI64:
                ShiftLeft.byImmediate(UInt64.self, c, op)
                op += 1
            case .shrRI32:
                ShiftRight.byImmediate(UInt32.self, c, op)
                op += 1
            case .shrRI64:
                ShiftRight.byImmediate(UInt64.self, c, op)
                op += 1
            case .sarRI32:
                ShiftArithmetic.byImmediate(UInt32.self, c, op)
                op += 1
            case .sarRI64:
                ShiftArithmetic.byImmediate(UInt64.self, c, op)
                op += 1
            case .rolRI32:
                RotateLeft.byImmediate(UInt32.self, c, op)
                op += 1
            case .rolRI64:
                RotateLeft.byImmediate(UInt64.self, c, op)
                op += 1
            case .rorRI32:
                RotateRight.byImmediate(UInt32.self, c, op)
                op += 1
            case .rorRI64:
                RotateRight.byImmediate(UInt64.self, c, op)
                op += 1
            case .shlRC32:
                ShiftLeft.byCount(UInt32.self, c, op)
                op += 1
            case .shlRC64:
                ShiftLeft.byCount(UInt64.self, c, op)
                op += 1
            case .shrRC32:
                ShiftRight.byCount(UInt32.self, c, op)
                op += 1
            case .shrRC64:
                ShiftRight.byCount(UInt64.self, c, op)
                op += 1
            case .sarRC32:
                ShiftArithmetic.byCount(UInt32.self, c, op)
                op += 1
            case .sarRC64:
                ShiftArithmetic.byCount(UInt64.self, c, op)
                op += 1
            case .imulRR32:
                c.multiply(
                    UInt32.self, op, c.get(UInt32.self, op.pointee.destination), c.get(UInt32.self, op.pointee.source))
                op += 1
            case .imulRRI32:
                c.multiply(
                    UInt32.self, op, c.get(UInt32.self, op.pointee.source),
                    UInt32(truncatingIfNeeded: op.pointee.immediate))
                op += 1
            case .imulRM32:
                guard c.multiplyMemory(UInt32.self, op, time) else { return }
                op += 1
            case .mulR32:
                c.multiplyWide(UInt32.self, op)
                op += 1
            case .divR32:
                guard c.divide(UInt32.self, op, time) else { return }
                op += 1
            case .imulRR64:
                c.multiply(
                    UInt64.self, op, c.get(UInt64.self, op.pointee.destination), c.get(UInt64.self, op.pointee.source))
                op += 1
            case .imulRRI64:
                c.multiply(
                    UInt64.self, op, c.get(UInt64.self, op.pointee.source),
                    UInt64(truncatingIfNeeded: op.pointee.immediate))
                op += 1
            case .imulRM64:
                guard c.multiplyMemory(UInt64.self, op, time) else { return }
                op += 1
            case .mulR64:
                c.multiplyWide(UInt64.self, op)
                op += 1
            case .divR64:
                guard c.divide(UInt64.self, op, time) else { return }
                op += 1
            case .movRR8:
                c.put(UInt8.self, op.pointee.destination, c.get(UInt8.self, op.pointee.source))
                op += 1
            case .movRI8:
                c.put(UInt8.self, op.pointee.destination, UInt8(truncatingIfNeeded: op.pointee.immediate))
                op += 1
            case .movRM8:
                guard c.load(UInt8.self, as: UInt8.self, op, time) else { return }
                op += 1
            case .movRR32:
                c.put(UInt32.self, op.pointee.destination, c.get(UInt32.self, op.pointee.source))
                op += 1
            case .movRI32:
                c.put(UInt32.self, op.pointee.destination, UInt32(truncatingIfNeeded: op.pointee.immediate))
                op += 1
            case .movRM32:
                guard c.load(UInt32.self, as: UInt32.self, op, time) else { return }
                op += 1
            case .movRR64:
                c.put(UInt64.self, op.pointee.destination, c.get(UInt64.self, op.pointee.source))
                op += 1
            case .movRI64:
                c.put(UInt64.self, op.pointee.destination, UInt64(truncatingIfNeeded: op.pointee.immediate))
                op += 1
            case .movRM64:
                guard c.load(UInt64.self, as: UInt64.self, op, time) else { return }
                op += 1
            case .movMR8:
                guard c.store(c.get(UInt8.self, op.pointee.source), op, time) else { return }
                op += 1
            case .movMI8:
                guard c.store(UInt8(truncatingIfNeeded: op.pointee.immediate), op, time) else { return }
                op += 1
            case .movMR16:
                guard c.store(c.get(UInt16.self, op.pointee.source), op, time) else { return }
                op += 1
            case .movMI16:
                guard c.store(UInt16(truncatingIfNeeded: op.pointee.immediate), op, time) else { return }
                op += 1
            case .movMR32:
                guard c.store(c.get(UInt32.self, op.pointee.source), op, time) else { return }
                op += 1
            case .movMI32:
                guard c.store(UInt32(truncatingIfNeeded: op.pointee.immediate), op, time) else { return }
                op += 1
            case .movMR64:
                guard c.store(c.get(UInt64.self, op.pointee.source), op, time) else { return }
                op += 1
            case .movMI64:
                guard c.store(UInt64(truncatingIfNeeded: op.pointee.immediate), op, time) else { return }
                op += 1
            case .movzxRR8:
                c.put(UInt64.self, op.pointee.destination, UInt64(c.get(UInt8.self, op.pointee.source)))
                op += 1
            case .movzxRM8:
                guard c.load(UInt8.self, as: UInt64.self, op, time) else { return }
                op += 1
            case .movzxRR16:
                c.put(UInt64.self, op.pointee.destination, UInt64(c.get(UInt16.self, op.pointee.source)))
                op += 1
            case .movzxRM16:
                guard c.load(UInt16.self, as: UInt64.self, op, time) else { return }
                op += 1
            case .movsxRR8to32:
                c.put(
                    UInt32.self, op.pointee.destination,
                    UInt32(truncatingIfNeeded: Int8(bitPattern: c.get(UInt8.self, op.pointee.source))))
                op += 1
            case .movsxRM8to32:
                guard c.loadSigned(Int8.self, as: UInt32.self, op, time) else { return }
                op += 1
            case .movsxRR8to64:
                c.put(
                    UInt64.self, op.pointee.destination,
                    UInt64(truncatingIfNeeded: Int8(bitPattern: c.get(UInt8.self, op.pointee.source))))
                op += 1
            case .movsxRM8to64:
                guard c.loadSigned(Int8.self, as: UInt64.self, op, time) else { return }
                op += 1
            case .movsxRR16to32:
                c.put(
                    UInt32.self, op.pointee.destination,
                    UInt32(truncatingIfNeeded: Int16(bitPattern: c.get(UInt16.self, op.pointee.source))))
                op += 1
            case .movsxRM16to32:
                guard c.loadSigned(Int16.self, as: UInt32.self, op, time) else { return }
                op += 1
            case .movsxRR16to64:
                c.put(
                    UInt64.self, op.pointee.destination,
                    UInt64(truncatingIfNeeded: Int16(bitPattern: c.get(UInt16.self, op.pointee.source))))
                op += 1
            case .movsxRM16to64:
                guard c.loadSigned(Int16.self, as: UInt64.self, op, time) else { return }
                op += 1
            case .movsxRR32to64:
                c.put(
                    UInt64.self, op.pointee.destination,
                    UInt64(truncatingIfNeeded: Int32(bitPattern: c.get(UInt32.self, op.pointee.source))))
                op += 1
            case .movsxRM32to64:
                guard c.loadSigned(Int32.self, as: UInt64.self, op, time) else { return }
                op += 1
            case .lea32:
                c.put(UInt32.self, op.pointee.destination, UInt32(truncatingIfNeeded: c.effectiveAddress(op)))
                op += 1
            case .lea64:
                c.put(UInt64.self, op.pointee.destination, c.effectiveAddress(op))
                op += 1
            case .xchgRR32:
                c.exchange(UInt32.self, op)
                op += 1
            case .xchgMR32:
                guard c.exchangeMemory(UInt32.self, op, time) else { return }
                op += 1
            case .xaddMR32:
                guard c.exchangeAdd(UInt32.self, op, time) else { return }
                op += 1
            case .cmpxchgMR32:
                guard c.compareExchange(UInt32.self, op, time) else { return }
                op += 1
            case .bswap32:
                c.put(UInt32.self, op.pointee.destination, c.get(UInt32.self, op.pointee.destination).byteSwapped)
                op += 1
            case .cmovRR32:
                c.moveIf(UInt32.self, op)
                op += 1
            case .cmovRM32:
                guard c.moveIfMemory(UInt32.self, op, time) else { return }
                op += 1
            case .btRR32:
                c.bitTest(UInt32.self, op, c.get(UInt32.self, op.pointee.source))
                op += 1
            case .btRI32:
                c.bitTest(UInt32.self, op, UInt32(truncatingIfNeeded: op.pointee.immediate))
                op += 1
            case .xchgRR64:
                c.exchange(UInt64.self, op)
                op += 1
            case .xchgMR64:
                guard c.exchangeMemory(UInt64.self, op, time) else { return }
                op += 1
            case .xaddMR64:
                guard c.exchangeAdd(UInt64.self, op, time) else { return }
                op += 1
            case .cmpxchgMR64:
                guard c.compareExchange(UInt64.self, op, time) else { return }
                op += 1
            case .bswap64:
                c.put(UInt64.self, op.pointee.destination, c.get(UInt64.self, op.pointee.destination).byteSwapped)
                op += 1
            case .cmovRR64:
                c.moveIf(UInt64.self, op)
                op += 1
            case .cmovRM64:
                guard c.moveIfMemory(UInt64.self, op, time) else { return }
                op += 1
            case .btRR64:
                c.bitTest(UInt64.self, op, c.get(UInt64.self, op.pointee.source))
                op += 1
            case .btRI64:
                c.bitTest(UInt64.self, op, UInt64(truncatingIfNeeded: op.pointee.immediate))
                op += 1
            case .cdq:
                c.put(
                    UInt32.self, 16,
                    UInt32(bitPattern: Int32(truncatingIfNeeded: c.get(UInt32.self, 0) >> 31 == 0 ? 0 : -1)))
                op += 1
            case .cqo:
                c.put(UInt64.self, 16, c.get(UInt64.self, 0) >> 63 == 0 ? 0 : .max)
                op += 1
            case .setR:
                c.put(
                    UInt8.self, op.pointee.destination,
                    c.state.pointee.holds(UInt8(truncatingIfNeeded: op.pointee.immediate)) ? 1 : 0)
                op += 1
            case .pushR32:
                guard c.push(c.get(UInt32.self, op.pointee.source), op, time) else { return }
                op += 1
            case .pushI32:
                guard c.push(UInt32(truncatingIfNeeded: op.pointee.immediate), op, time) else { return }
                op += 1
            case .popR32:
                guard c.pop(UInt32.self, op, time) else { return }
                op += 1
            case .pushR64:
                guard c.push(c.get(UInt64.self, op.pointee.source), op, time) else { return }
                op += 1
            case .pushI64:
                guard c.push(UInt64(truncatingIfNeeded: op.pointee.immediate), op, time) else { return }
                op += 1
            case .popR64:
                guard c.pop(UInt64.self, op, time) else { return }
                op += 1
            case .pushM64:
                guard c.pushMemory(op, time) else { return }
                op += 1
            case .leave64:
                guard c.leaveFrame(op, time) else { return }
                op += 1
            case .nop:
                op += 1
            case .fence:
                op += 1
            case .slow:
                guard c.executeSlow(op, time) else { return }
                op += 1
            case .slowEnd:
                op = c.executeLast(op, time)
                if op == c.exit { return }
                time = s.pointee.time
            case .leave:
                c.leave(op, time)
                return
            case .fallThrough:
                time &+= UInt64(op.pointee.position)
                op = c.follow(op, op.pointee.immediate, time)
                if op == c.exit { return }
            case .jmp:
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.follow(op, op.pointee.immediate, time)
                if op == c.exit { return }
            case .jo:
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.branch(op, s.pointee.OF, time)
                if op == c.exit { return }
            case .jno:
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.branch(op, !s.pointee.OF, time)
                if op == c.exit { return }
            case .jb:
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.branch(op, s.pointee.CF, time)
                if op == c.exit { return }
            case .jae:
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.branch(op, !s.pointee.CF, time)
                if op == c.exit { return }
            case .je:
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.branch(op, s.pointee.ZF, time)
                if op == c.exit { return }
            case .jne:
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.branch(op, !s.pointee.ZF, time)
                if op == c.exit { return }
            case .jbe:
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.branch(op, s.pointee.CF || s.pointee.ZF, time)
                if op == c.exit { return }
            case .ja:
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.branch(op, !(s.pointee.CF || s.pointee.ZF), time)
                if op == c.exit { return }
            case .js:
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.branch(op, s.pointee.SF, time)
                if op == c.exit { return }
            case .jns:
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.branch(op, !s.pointee.SF, time)
                if op == c.exit { return }
            case .jp:
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.branch(op, s.pointee.PF, time)
                if op == c.exit { return }
            case .jnp:
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.branch(op, !s.pointee.PF, time)
                if op == c.exit { return }
            case .jl:
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.branch(op, s.pointee.SF != s.pointee.OF, time)
                if op == c.exit { return }
            case .jge:
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.branch(op, s.pointee.SF == s.pointee.OF, time)
                if op == c.exit { return }
            case .jle:
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.branch(op, s.pointee.ZF || s.pointee.SF != s.pointee.OF, time)
                if op == c.exit { return }
            case .jg:
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.branch(op, !s.pointee.ZF && s.pointee.SF == s.pointee.OF, time)
                if op == c.exit { return }
            case .callRel32:
                guard c.push(UInt32(truncatingIfNeeded: op.pointee.nextRIP), op, time) else { return }
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.follow(op, op.pointee.immediate, time)
                if op == c.exit { return }
            case .ret32:
                guard let target = c.popTarget(UInt32.self, op, time) else { return }
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.enter(target, time)
                if op == c.exit { return }
            case .callRel64:
                guard c.push(UInt64(truncatingIfNeeded: op.pointee.nextRIP), op, time) else { return }
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.follow(op, op.pointee.immediate, time)
                if op == c.exit { return }
            case .ret64:
                guard let target = c.popTarget(UInt64.self, op, time) else { return }
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.enter(target, time)
                if op == c.exit { return }
            case .jmpR64:
                guard let target = c.checkedTarget(c.get(UInt64.self, op.pointee.source), op, time) else { return }
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.enter(target, time)
                if op == c.exit { return }
            case .jmpM64:
                guard let target = c.targetInMemory(op, time) else { return }
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.enter(target, time)
                if op == c.exit { return }
            case .hiddenJmpM64:
                guard let target = c.targetInMemory(op, time) else { return }
                time &+= UInt64(op.pointee.position)
                op = c.enter(target, time)
                if op == c.exit { return }
            case .hiddenJrcxz:
                time &+= UInt64(op.pointee.position)
                op = c.branch(op, s.pointee.rcx == 0, time)
                if op == c.exit { return }
            case .callR64:
                guard let target = c.checkedTarget(c.get(UInt64.self, op.pointee.source), op, time),
                    c.push(op.pointee.nextRIP, op, time)
                else { return }
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.enter(target, time)
                if op == c.exit { return }
            case .callM64:
                guard let target = c.targetInMemory(op, time), c.push(op.pointee.nextRIP, op, time) else { return }
                time &+= UInt64(op.pointee.position) &+ 1
                op = c.enter(target, time)
                if op == c.exit { return }
            }
        }
    }
}
