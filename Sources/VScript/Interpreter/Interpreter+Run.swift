// The run loop. Nothing in it counts references or throws: `scripts/hot-functions` looks at its machine code.

extension Interpreter {
    /// Carries out instructions until the call that was open when it began returns, or an error is not caught.
    ///
    /// A case that is done goes on with `continue`; one that leaves its `switch` is left to `carryOut`.
    @inline(never)
    func run(until floor: UnsafeMutablePointer<Frame>) -> Bool {
        guard var pc = self.pc else { return false }
        var r = base
        var frame = self.frame
        var fuel = self.fuel
        let frameLimit = self.frameLimit
        let int = Cell.tag(.int)
        let float = Cell.tag(.float)
        while true {
            let i = Instruction(word: pc.pointee)
            pc += 1
            switch i.operation {
            // MARK: Values
            case .loadNil:
                r[i.a] = .nil
                continue
            case .loadUnset:
                r[i.a] = .unset
                continue
            case .loadBool:
                r[i.a] = .bool(i.b != 0)
                continue
            case .loadInt:
                r[i.a] = .int(i.c)
                continue
            case .loadConstant:
                r[i.a] = constantBase[i.c]
                continue
            case .loadCurrent:
                r[i.a] = r[-1]
                continue
            case .move:
                r[i.a] = r[i.b]
                continue
            case .getVariable:
                r[i.a] = r[-1].closure.variables[i.b]
                continue
            case .getSharedVariable:
                let box = r[-1].closure.variables[i.b]
                if box.tag == Cell.tag(.box), !box.box.pointee.value.isUnset {
                    r[i.a] = box.box.pointee.value
                    continue
                }
            case .setSharedVariable:
                let box = r[-1].closure.variables[i.b]
                if box.tag == Cell.tag(.box), !box.box.pointee.header.isFrozen {
                    box.box.pointee.value = r[i.a]
                    continue
                }
            case .getBox:
                let box = r[i.b]
                if box.tag == Cell.tag(.box), !box.box.pointee.value.isUnset {
                    r[i.a] = box.box.pointee.value
                    continue
                }
            case .setBox:
                let box = r[i.b]
                if box.tag == Cell.tag(.box) {
                    box.box.pointee.value = r[i.a]
                    continue
                }

            // MARK: Operators
            case .add:
                let (x, y) = (r[i.b], r[i.c])
                if (x.tag ^ int) | (y.tag ^ int) == 0 {
                    let (sum, overflow) = x.int.addingReportingOverflow(y.int)
                    if !overflow {
                        r[i.a] = .int(sum)
                        continue
                    }
                } else if (x.tag ^ float) | (y.tag ^ float) == 0 {
                    r[i.a] = .float(x.double + y.double)
                    continue
                }
            case .subtract:
                let (x, y) = (r[i.b], r[i.c])
                if (x.tag ^ int) | (y.tag ^ int) == 0 {
                    let (difference, overflow) = x.int.subtractingReportingOverflow(y.int)
                    if !overflow {
                        r[i.a] = .int(difference)
                        continue
                    }
                } else if (x.tag ^ float) | (y.tag ^ float) == 0 {
                    r[i.a] = .float(x.double - y.double)
                    continue
                }
            case .multiply:
                let (x, y) = (r[i.b], r[i.c])
                if (x.tag ^ int) | (y.tag ^ int) == 0 {
                    let (product, overflow) = x.int.multipliedReportingOverflow(by: y.int)
                    if !overflow {
                        r[i.a] = .int(product)
                        continue
                    }
                } else if (x.tag ^ float) | (y.tag ^ float) == 0 {
                    r[i.a] = .float(x.double * y.double)
                    continue
                }
            case .divide:
                let (x, y) = (r[i.b], r[i.c])
                if (x.tag ^ int) | (y.tag ^ int) == 0, y.int > 0 {
                    r[i.a] = .int(x.int / y.int)
                    continue
                } else if (x.tag ^ float) | (y.tag ^ float) == 0 {
                    r[i.a] = .float(x.double / y.double)
                    continue
                }
            case .remainder:
                let (x, y) = (r[i.b], r[i.c])
                if (x.tag ^ int) | (y.tag ^ int) == 0, y.int > 0 {
                    r[i.a] = .int(x.int % y.int)
                    continue
                }
            case .bitAnd:
                let (x, y) = (r[i.b], r[i.c])
                if (x.tag ^ int) | (y.tag ^ int) == 0 {
                    r[i.a] = .unsigned(x.bits & y.bits)
                    continue
                }
            case .bitOr:
                let (x, y) = (r[i.b], r[i.c])
                if (x.tag ^ int) | (y.tag ^ int) == 0 {
                    r[i.a] = .unsigned(x.bits | y.bits)
                    continue
                }
            case .bitXor:
                let (x, y) = (r[i.b], r[i.c])
                if (x.tag ^ int) | (y.tag ^ int) == 0 {
                    r[i.a] = .unsigned(x.bits ^ y.bits)
                    continue
                }
            case .wrappingAdd:
                let (x, y) = (r[i.b], r[i.c])
                if (x.tag ^ int) | (y.tag ^ int) == 0 {
                    r[i.a] = .unsigned(x.bits &+ y.bits)
                    continue
                }
            case .wrappingSubtract:
                let (x, y) = (r[i.b], r[i.c])
                if (x.tag ^ int) | (y.tag ^ int) == 0 {
                    r[i.a] = .unsigned(x.bits &- y.bits)
                    continue
                }
            case .wrappingMultiply:
                let (x, y) = (r[i.b], r[i.c])
                if (x.tag ^ int) | (y.tag ^ int) == 0 {
                    r[i.a] = .unsigned(x.bits &* y.bits)
                    continue
                }
            case .equal:
                let (x, y) = (r[i.b], r[i.c])
                if (x.tag ^ int) | (y.tag ^ int) == 0 {
                    r[i.a] = .bool(x.bits == y.bits)
                    continue
                }
            case .notEqual:
                let (x, y) = (r[i.b], r[i.c])
                if (x.tag ^ int) | (y.tag ^ int) == 0 {
                    r[i.a] = .bool(x.bits != y.bits)
                    continue
                }
            case .less:
                let (x, y) = (r[i.b], r[i.c])
                if (x.tag ^ int) | (y.tag ^ int) == 0 {
                    r[i.a] = .bool(x.int < y.int)
                    continue
                }
            case .lessOrEqual:
                let (x, y) = (r[i.b], r[i.c])
                if (x.tag ^ int) | (y.tag ^ int) == 0 {
                    r[i.a] = .bool(x.int <= y.int)
                    continue
                }
            case .greater:
                let (x, y) = (r[i.b], r[i.c])
                if (x.tag ^ int) | (y.tag ^ int) == 0 {
                    r[i.a] = .bool(x.int > y.int)
                    continue
                }
            case .greaterOrEqual:
                let (x, y) = (r[i.b], r[i.c])
                if (x.tag ^ int) | (y.tag ^ int) == 0 {
                    r[i.a] = .bool(x.int >= y.int)
                    continue
                }
            case .and, .or:
                // The left operand has not decided it.
                let (x, y) = (r[i.b], r[i.c])
                if x.tag == Cell.tag(.bool), y.tag == Cell.tag(.bool) {
                    r[i.a] = y
                    continue
                }
            case .coalesce:
                r[i.a] = r[i.c]
                continue
            case .shiftLeft, .shiftRight, .wrappingShiftLeft, .closedRange, .halfOpenRange, .countedRange, .contains:
                break

            // MARK: Operators with a constant
            case .addInt:
                let x = r[i.b]
                if x.tag == int {
                    let (sum, overflow) = x.int.addingReportingOverflow(i.c)
                    if !overflow {
                        r[i.a] = .int(sum)
                        continue
                    }
                }
            case .subtractInt:
                let x = r[i.b]
                if x.tag == int {
                    let (difference, overflow) = x.int.subtractingReportingOverflow(i.c)
                    if !overflow {
                        r[i.a] = .int(difference)
                        continue
                    }
                }
            case .multiplyInt:
                let x = r[i.b]
                if x.tag == int {
                    let (product, overflow) = x.int.multipliedReportingOverflow(by: i.c)
                    if !overflow {
                        r[i.a] = .int(product)
                        continue
                    }
                }
            case .divideInt:
                let x = r[i.b]
                if x.tag == int, i.c > 0 {
                    r[i.a] = .int(x.int / i.c)
                    continue
                }
            case .remainderInt:
                let x = r[i.b]
                let divisor = i.c
                if x.tag == int, divisor > 0 {
                    // Division of 32 bits is several times faster.
                    if (x.bits | UInt64(truncatingIfNeeded: divisor)) >> 32 == 0 {
                        let rest = UInt32(truncatingIfNeeded: x.bits) % UInt32(truncatingIfNeeded: divisor)
                        r[i.a] = Cell(.int, UInt64(rest))
                    } else {
                        r[i.a] = .int(x.int % divisor)
                    }
                    continue
                }
            case .bitAndInt:
                let x = r[i.b]
                if x.tag == int {
                    r[i.a] = .unsigned(x.bits & UInt64(truncatingIfNeeded: i.c))
                    continue
                }
            case .shiftRightInt:
                let x = r[i.b]
                if x.tag == int {
                    r[i.a] = .unsigned(x.bits &>> UInt64(truncatingIfNeeded: i.c))
                    continue
                }
            case .shiftLeftInt:
                let x = r[i.b]
                let shifted = x.int &<< i.c
                if x.tag == int, shifted &>> i.c == x.int {
                    r[i.a] = .int(shifted)
                    continue
                }

            // MARK: Operators with one operand
            case .negate:
                let x = r[i.b]
                if x.tag == int, x.int != .min {
                    r[i.a] = .int(0 &- x.int)
                    continue
                }
            case .complement:
                let x = r[i.b]
                if x.tag == int {
                    r[i.a] = .unsigned(~x.bits)
                    continue
                }
            case .not:
                let x = r[i.b]
                if x.tag == Cell.tag(.bool) {
                    r[i.a] = .bool(!x.bool)
                    continue
                }

            // MARK: Jumps
            case .jump:
                pc += i.c
                continue
            case .loop:
                fuel &-= 1
                if fuel >= 0 {
                    pc += i.c
                    continue
                }
            case .jumpIfFalse:
                let x = r[i.a]
                if x.tag == Cell.tag(.bool) {
                    if !x.bool { pc += i.c }
                    continue
                }
            case .jumpIfTrue:
                let x = r[i.a]
                if x.tag == Cell.tag(.bool) {
                    if x.bool { pc += i.c }
                    continue
                }
            case .loopIfTrue:
                let x = r[i.a]
                fuel &-= 1
                if x.tag == Cell.tag(.bool), fuel >= 0 {
                    if x.bool { pc += i.c }
                    continue
                }
            case .jumpIfExactlyFalse:
                let x = r[i.a]
                if x.tag == Cell.tag(.bool), !x.bool { pc += i.c }
                continue
            case .jumpIfExactlyTrue:
                let x = r[i.a]
                if x.tag == Cell.tag(.bool), x.bool { pc += i.c }
                continue
            case .jumpIfNotNil:
                if !r[i.a].isNil { pc += i.c }
                continue
            case .jumpIfSet:
                if !r[i.a].isUnset { pc += i.c }
                continue
            case .unlessLess:
                let (x, y) = (r[i.a], r[i.b])
                if (x.tag ^ int) | (y.tag ^ int) == 0 {
                    if x.int >= y.int { pc += i.c }
                    continue
                } else if (x.tag ^ float) | (y.tag ^ float) == 0 {
                    if !(x.double < y.double) { pc += i.c }
                    continue
                }
            case .unlessLessOrEqual:
                let (x, y) = (r[i.a], r[i.b])
                if (x.tag ^ int) | (y.tag ^ int) == 0 {
                    if x.int > y.int { pc += i.c }
                    continue
                } else if (x.tag ^ float) | (y.tag ^ float) == 0 {
                    if !(x.double <= y.double) { pc += i.c }
                    continue
                }
            case .unlessEqual:
                let (x, y) = (r[i.a], r[i.b])
                if (x.tag ^ int) | (y.tag ^ int) == 0 {
                    if x.bits != y.bits { pc += i.c }
                    continue
                }
            case .unlessNotEqual:
                let (x, y) = (r[i.a], r[i.b])
                if (x.tag ^ int) | (y.tag ^ int) == 0 {
                    if x.bits == y.bits { pc += i.c }
                    continue
                }
            case .unlessLessInt:
                let x = r[i.a]
                if x.tag == int {
                    if x.int >= i.signedB { pc += i.c }
                    continue
                }
            case .unlessLessOrEqualInt:
                let x = r[i.a]
                if x.tag == int {
                    if x.int > i.signedB { pc += i.c }
                    continue
                }
            case .unlessGreaterInt:
                let x = r[i.a]
                if x.tag == int {
                    if x.int <= i.signedB { pc += i.c }
                    continue
                }
            case .unlessGreaterOrEqualInt:
                let x = r[i.a]
                if x.tag == int {
                    if x.int < i.signedB { pc += i.c }
                    continue
                }
            case .unlessEqualInt:
                let x = r[i.a]
                if x.tag == int {
                    if x.int != i.signedB { pc += i.c }
                    continue
                }
            case .unlessNotEqualInt:
                let x = r[i.a]
                if x.tag == int {
                    if x.int == i.signedB { pc += i.c }
                    continue
                }
            case .loopIfLess:
                let (x, y) = (r[i.a], r[i.b])
                fuel &-= 1
                if (x.tag ^ int) | (y.tag ^ int) == 0, fuel >= 0 {
                    if x.int < y.int { pc += i.c }
                    continue
                }
            case .loopIfLessOrEqual:
                let (x, y) = (r[i.a], r[i.b])
                fuel &-= 1
                if (x.tag ^ int) | (y.tag ^ int) == 0, fuel >= 0 {
                    if x.int <= y.int { pc += i.c }
                    continue
                }
            case .loopIfNotEqual:
                let (x, y) = (r[i.a], r[i.b])
                fuel &-= 1
                if (x.tag ^ int) | (y.tag ^ int) == 0, fuel >= 0 {
                    if x.bits != y.bits { pc += i.c }
                    continue
                }
            case .loopIfLessInt:
                let x = r[i.a]
                fuel &-= 1
                if x.tag == int, fuel >= 0 {
                    if x.int < i.signedB { pc += i.c }
                    continue
                }
            case .loopIfLessOrEqualInt:
                let x = r[i.a]
                fuel &-= 1
                if x.tag == int, fuel >= 0 {
                    if x.int <= i.signedB { pc += i.c }
                    continue
                }
            case .loopIfGreaterInt:
                let x = r[i.a]
                fuel &-= 1
                if x.tag == int, fuel >= 0 {
                    if x.int > i.signedB { pc += i.c }
                    continue
                }
            case .loopIfGreaterOrEqualInt:
                let x = r[i.a]
                fuel &-= 1
                if x.tag == int, fuel >= 0 {
                    if x.int >= i.signedB { pc += i.c }
                    continue
                }
            case .loopIfNotEqualInt:
                let x = r[i.a]
                fuel &-= 1
                if x.tag == int, fuel >= 0 {
                    if x.int != i.signedB { pc += i.c }
                    continue
                }

            // MARK: Loops
            case .forPrepare:
                break
            case .forLoop:
                let (x, last) = (r[i.a], r[i.a + 1])
                fuel &-= 1
                if (x.tag ^ int) | (last.tag ^ int) == 0, fuel >= 0 {
                    if x.int < last.int {
                        let next = Cell.int(x.int &+ 1)
                        r[i.a] = next
                        r[i.a + 2] = next
                        pc += i.c
                    }
                    continue
                }
            case .iterate:
                break
            case .iterateNext:
                let (items, position) = (r[i.a], r[i.a + 1])
                fuel &-= 1
                if items.tag == Cell.tag(.list), position.tag == int, position.int >= 0, fuel >= 0, i.b == 1 {
                    let list = items.list
                    if UInt(bitPattern: position.int) < UInt(bitPattern: list.pointee.count) {
                        r[i.a + 2] = list.pointee.items.unsafelyUnwrapped[position.int]
                        r[i.a + 1] = .int(position.int &+ 1)
                        pc += i.c
                    }
                    continue
                }

            // MARK: Calls
            case .call:
                let callee = r[i.a]
                fuel &-= 1
                if callee.tag == Cell.tag(.closure), fuel >= 0, frame < frameLimit {
                    let target = callee.closure
                    let function = target.pointee.function
                    if Int(function.pointee.parameters) == i.b {
                        frame.pointee = Frame(pc: pc, base: r)
                        frame += 1
                        r += i.a &+ 1
                        pc = function.pointee.code
                        continue
                    }
                }
            case .callCurrent:
                let function = r[-1].closure.pointee.function
                fuel &-= 1
                if Int(function.pointee.parameters) == i.b, fuel >= 0, frame < frameLimit {
                    r[i.a] = r[-1]
                    frame.pointee = Frame(pc: pc, base: r)
                    frame += 1
                    r += i.a &+ 1
                    pc = function.pointee.code
                    continue
                }
            case .append:
                let object = r[i.a]
                fuel &-= 1
                if object.tag == Cell.tag(.list), fuel >= 0 {
                    let list = object.list
                    let count = list.pointee.count
                    if count < list.pointee.capacity, !list.pointee.header.isFrozen {
                        list.pointee.items.unsafelyUnwrapped[count] = r[i.a + 1]
                        list.pointee.count = count &+ 1
                        r[i.a] = .nil
                        continue
                    }
                }
            case .callMethod:
                let object = r[i.a]
                fuel &-= 1
                if object.tag == Cell.tag(.map), fuel >= 0, frame < frameLimit {
                    let map = object.map
                    let cache = cacheBase + i.c
                    if UInt(bitPattern: map.pointee.shape) == cache.pointee.key {
                        let callee = map.pointee.cells.unsafelyUnwrapped[cache.pointee.slot]
                        if callee.tag == Cell.tag(.closure) {
                            let target = callee.closure
                            let function = target.pointee.function
                            if Int(function.pointee.parameters) == i.b {
                                r[i.a] = callee
                                frame.pointee = Frame(pc: pc, base: r)
                                frame += 1
                                r += i.a &+ 1
                                pc = function.pointee.code
                                continue
                            }
                        }
                    }
                }
            case .return:
                let value = r[i.a]
                if frame != floor {
                    (r - 1).pointee = value
                    frame -= 1
                    pc = frame.pointee.pc.unsafelyUnwrapped
                    r = frame.pointee.base.unsafelyUnwrapped
                    continue
                }
                result = value
                self.fuel = fuel
                return true
            case .returnNil:
                if frame != floor {
                    (r - 1).pointee = .nil
                    frame -= 1
                    pc = frame.pointee.pc.unsafelyUnwrapped
                    r = frame.pointee.base.unsafelyUnwrapped
                    continue
                }
                result = .nil
                self.fuel = fuel
                return true

            // MARK: Members and elements
            case .getMember:
                let object = r[i.b]
                if object.tag == Cell.tag(.map) {
                    let map = object.map
                    let cache = cacheBase + i.c
                    if UInt(bitPattern: map.pointee.shape) == cache.pointee.key {
                        r[i.a] = map.pointee.cells.unsafelyUnwrapped[cache.pointee.slot]
                        continue
                    }
                }
            case .setMember:
                let object = r[i.b]
                if object.tag == Cell.tag(.map) {
                    let map = object.map
                    let cache = cacheBase + i.c
                    if UInt(bitPattern: map.pointee.shape) == cache.pointee.key, !map.pointee.header.isFrozen {
                        map.pointee.cells.unsafelyUnwrapped[cache.pointee.slot] = r[i.a]
                        continue
                    }
                }
            case .getElement:
                let (object, key) = (r[i.b], r[i.c])
                if object.tag == Cell.tag(.list), key.tag == int {
                    let list = object.list
                    if UInt(bitPattern: key.int) < UInt(bitPattern: list.pointee.count) {
                        r[i.a] = list.pointee.items.unsafelyUnwrapped[key.int]
                        continue
                    }
                } else if object.tag == Cell.tag(.map) {
                    r[i.a] = object.map.value(of: key)
                    continue
                }
            case .setElement:
                let (object, key) = (r[i.b], r[i.c])
                if object.tag == Cell.tag(.list), key.tag == int {
                    let list = object.list
                    if UInt(bitPattern: key.int) < UInt(bitPattern: list.pointee.count), !list.pointee.header.isFrozen {
                        list.pointee.items.unsafelyUnwrapped[key.int] = r[i.a]
                        continue
                    }
                } else if object.tag == Cell.tag(.map) {
                    if object.map.store(key, r[i.a]) { continue }
                }
            case .matches:
                let (pattern, value) = (r[i.b], r[i.c])
                if pattern.tag == value.tag, value.tag == int || value.tag == Cell.tag(.symbol) {
                    r[i.a] = .bool(pattern.bits == value.bits)
                    continue
                }
            case .makeBox, .getRegister, .setRegister, .makeList, .extendList, .makeMap, .addEntry, .makeRecord,
                .makeClosure, .text, .format, .throw, .noMatch, .failExpectation, .importModule, .declare,
                .declarationLabel, .property, .contents, .finishDeclaration, .runTest, .makeHandler, .makeAssembly:
                break
            }
            self.pc = pc
            self.base = r
            self.frame = frame
            self.fuel = fuel
            guard carryOut(i, until: floor) else { return false }
            pc = self.pc.unsafelyUnwrapped
            r = base
            frame = self.frame
            fuel = self.fuel
        }
    }

    /// Carries out an instruction that the run loop has left; false if an error ends the host's call, or the run gives
    /// way.
    @inline(never)
    private func carryOut(_ instruction: Instruction, until floor: UnsafeMutablePointer<Frame>) -> Bool {
        markTop()
        do {
            if fuel < 0 { try refuel() }
            try carryOut(instruction)
            return !givesWay()
        } catch {
            return unwind(error, until: floor)
        }
    }
}
