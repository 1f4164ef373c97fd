/// Python's operators, with whole numbers of 64 bits that are refused where they would overflow.
extension TemplateEvaluator {
    mutating func calculate(
        _ left: TemplateValue, _ operation: TemplateExpression.Operator, _ right: TemplateValue
    ) throws(TemplateError) -> TemplateValue {
        switch (operation, left, right) {
        case (.add, .text(var left), .text(let right)):
            try check(bytes: left.count + right.count)
            left.append(right)
            return try value(left)
        case (.add, .list(let left), .list(let right)):
            return try list(left.items + right.items)
        case (.add, .tuple(let left), .tuple(let right)):
            return try tuple(left.items + right.items)
        case (.multiply, .text, _), (.multiply, .list, _), (.multiply, .tuple, _):
            if let count = right.integer { return try repeated(left, count) }
        case (.multiply, _, .text), (.multiply, _, .list), (.multiply, _, .tuple):
            if let count = left.integer { return try repeated(right, count) }
        case (.modulo, .text(let format), _):
            if case .tuple(let items) = right {
                return try percentFormat(format, items.items)
            }
            return try percentFormat(format, [right])
        default: break
        }
        if let left = left.integer, let right = right.integer {
            return try calculate(left, operation, right)
        }
        guard let leftNumber = left.number, let rightNumber = right.number else {
            throw TemplateError(
                .evaluation,
                "`\(operation.rawValue)` cannot work on \(left.kind) and \(right.kind)")
        }
        return .float(try calculate(leftNumber, operation, rightNumber))
    }

    private func calculate(
        _ left: Int, _ operation: TemplateExpression.Operator, _ right: Int
    ) throws(TemplateError) -> TemplateValue {
        let result: (partialValue: Int, overflow: Bool)
        switch operation {
        case .add: result = left.addingReportingOverflow(right)
        case .subtract: result = left.subtractingReportingOverflow(right)
        case .multiply: result = left.multipliedReportingOverflow(by: right)
        case .divide: return .float(try calculate(Double(left), .divide, Double(right)))
        case .floorDivide, .modulo:
            guard right != 0 else { throw Self.divisionByZero }
            let (quotient, isOver) = left.dividedReportingOverflow(by: right)
            guard !isOver else { throw Self.tooLarge }
            let remainder = left - quotient * right
            // Python rounds down, so that the remainder has the sign of the divisor.
            let isBelow = remainder != 0 && (remainder < 0) != (right < 0)
            if operation == .modulo { return .integer(isBelow ? remainder + right : remainder) }
            return .integer(isBelow ? quotient - 1 : quotient)
        case .power:
            guard right >= 0 else {
                return .float(try calculate(Double(left), .power, Double(right)))
            }
            return .integer(try power(left, right))
        }
        guard !result.overflow else { throw Self.tooLarge }
        return .integer(result.partialValue)
    }

    private func power(_ base: Int, _ exponent: Int) throws(TemplateError) -> Int {
        if base == 0 { return exponent == 0 ? 1 : 0 }
        if base == 1 { return 1 }
        if base == -1 { return exponent.isMultiple(of: 2) ? 1 : -1 }
        // Any other base is past 64 bits by then.
        guard exponent < 64 else { throw Self.tooLarge }
        var result = 1
        for _ in 0..<exponent {
            let (product, isOver) = result.multipliedReportingOverflow(by: base)
            guard !isOver else { throw Self.tooLarge }
            result = product
        }
        return result
    }

    private func calculate(
        _ left: Double, _ operation: TemplateExpression.Operator, _ right: Double
    ) throws(TemplateError) -> Double {
        switch operation {
        case .add: return left + right
        case .subtract: return left - right
        case .multiply: return left * right
        case .power:
            guard let exponent = Int(exactly: right) else {
                throw TemplateError(.unsupported, "`**` with a broken exponent is not supported")
            }
            guard left != 0 || exponent >= 0 else { throw Self.divisionByZero }
            var result = 1.0
            var square = left
            var bits = exponent.magnitude
            while bits > 0 {
                if bits & 1 == 1 { result *= square }
                square *= square
                bits >>= 1
            }
            return exponent < 0 ? 1 / result : result
        case .divide, .floorDivide, .modulo:
            guard right != 0 else { throw Self.divisionByZero }
            if operation == .divide { return left / right }
            let quotient = (left / right).rounded(.down)
            return operation == .floorDivide ? quotient : left - quotient * right
        }
    }

    private static let tooLarge = TemplateError(
        .evaluation, "a whole number is past 64 bits")
    private static let divisionByZero = TemplateError(.evaluation, "a number is divided by 0")

    private mutating func repeated(_ value: TemplateValue, _ count: Int) throws(TemplateError)
        -> TemplateValue
    {
        let count = max(0, count)
        switch value {
        case .text(let text):
            let (bytes, isOver) = text.count.multipliedReportingOverflow(by: count)
            try check(bytes: isOver ? .max : bytes)
            try charge(bytes / TemplateLimits.bytesPerStep)
            var result = TemplateText()
            if !text.isEmpty { for _ in 0..<count { result.append(text) } }
            return .text(result)
        case .list(let items): return try list(try repeated(items, count))
        case .tuple(let items): return try tuple(try repeated(items, count))
        default: return value
        }
    }

    private mutating func repeated(_ list: TemplateList, _ count: Int) throws(TemplateError)
        -> [TemplateValue]
    {
        let (items, isOver) = list.items.count.multipliedReportingOverflow(by: count)
        try charge(items: isOver ? .max : items)
        guard items > 0 else { return [] }
        return Array(repeatElement(list.items, count: count).joined())
    }

    mutating func isTrue(
        _ left: TemplateValue, _ comparison: TemplateExpression.Comparison, _ right: TemplateValue
    ) throws(TemplateError) -> Bool {
        switch comparison {
        case .equal: return try isEqual(left, right)
        case .unequal: return !(try isEqual(left, right))
        case .within: return try contains(right, left)
        case .notWithin: return !(try contains(right, left))
        case .less: return try isLess(left, right, "<")
        case .greater: return try isLess(right, left, ">")
        case .lessOrEqual, .greaterOrEqual:
            if let left = left.number, let right = right.number, left.isNaN || right.isNaN {
                return false
            }
            return comparison == .lessOrEqual
                ? !(try isLess(right, left, "<=")) : !(try isLess(left, right, ">="))
        }
    }

    mutating func isEqual(_ left: TemplateValue, _ right: TemplateValue) throws(TemplateError)
        -> Bool
    {
        switch (left, right) {
        case (.text(let left), .text(let right)):
            guard left.count == right.count else { return false }
            try charge(left.count / TemplateLimits.bytesPerStep)
            return left == right
        case (.list, .list), (.tuple, .tuple), (.map, .map):
            try charge(min(left.weight, right.weight))
            return left == right
        default: return left == right
        }
    }

    /// Of two numbers, two texts or two lists.
    mutating func isLess(_ left: TemplateValue, _ right: TemplateValue, _ sign: String)
        throws(TemplateError) -> Bool
    {
        if let left = left.integer, let right = right.integer { return left < right }
        if let left = left.number, let right = right.number { return left < right }
        switch (left, right) {
        case (.text(let left), .text(let right)):
            try charge(min(left.count, right.count) / TemplateLimits.bytesPerStep)
            return left < right
        case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)):
            for (one, other) in zip(left.items, right.items) where !(try isEqual(one, other)) {
                return try isLess(one, other, sign)
            }
            return left.items.count < right.items.count
        default:
            throw TemplateError(
                .evaluation, "`\(sign)` cannot compare \(left.kind) and \(right.kind)")
        }
    }

    mutating func contains(_ container: TemplateValue, _ value: TemplateValue)
        throws(TemplateError) -> Bool
    {
        switch container {
        case .text(let text):
            guard case .text(let part) = value else { break }
            try charge(1 + (text.count + part.count) / TemplateLimits.bytesPerStep)
            return text.offset(of: part.bytes) != nil
        case .list(let list), .tuple(let list):
            for item in list.items {
                try charge()
                if try isEqual(item, value) { return true }
            }
            return false
        case .map(let map):
            try charge(value.weight)
            return value.key.flatMap { map[$0] } != nil
        case .undefined: return false
        default: break
        }
        throw TemplateError(
            .evaluation, "\(container.kind) cannot be searched for \(value.kind)")
    }

    func items(of value: TemplateValue) throws(TemplateError) -> [TemplateValue] {
        switch value {
        case .list(let list), .tuple(let list): return list.items
        case .map(let map): return map.entries.map(\.key)
        case .undefined: return []
        case .text(let text):
            guard text.count <= limits.itemsMax else {
                throw TemplateError(
                    .limit, "a list gets longer than \(limits.itemsMax) items")
            }
            return text.codePoints.map(TemplateValue.text)
        default:
            throw TemplateError(.evaluation, "\(value.kind) cannot be gone through")
        }
    }

    mutating func item(_ key: TemplateValue, of value: TemplateValue) throws(TemplateError)
        -> TemplateValue
    {
        try charge(key.weight)
        switch value {
        case .map(let map):
            if case .text(let name) = key {
                if let item = map[name.bytes] { return item }
                return try attribute(name, of: value)
            }
            return key.key.flatMap { map[$0] } ?? .undefined("")
        case .list(let list), .tuple(let list):
            guard let index = key.integer else { return .undefined("") }
            let place = index < 0 ? saturated(index, list.items.count) : index
            return list.items.indices.contains(place) ? list.items[place] : .undefined("")
        case .text(let text):
            guard let index = key.integer else { return .undefined("") }
            try charge(text.count / TemplateLimits.bytesPerStep)
            let offsets = text.codePointOffsets
            let place = index < 0 ? saturated(index, offsets.count - 1) : index
            guard place >= 0, place < offsets.count - 1 else { return .undefined("") }
            return .text(text[offsets[place]..<offsets[place + 1]])
        case .namespace, .loop:
            guard case .text(let name) = key else { return .undefined("") }
            return try attribute(name, of: value)
        case .undefined:
            throw TemplateError(.evaluation, "\(value.kind) is asked for an item")
        default: return .undefined("")
        }
    }

    mutating func slice(
        _ value: TemplateValue, _ from: TemplateValue?, _ to: TemplateValue?,
        _ step: TemplateValue?
    ) throws(TemplateError) -> TemplateValue {
        func bound(_ value: TemplateValue?) throws(TemplateError) -> Int? {
            switch value {
            case nil, .some(.none): return nil
            case .some(let value):
                guard let number = value.integer else {
                    throw TemplateError(.evaluation, "\(value.kind) cannot be the end of a slice")
                }
                return number
            }
        }
        let ends = (try bound(from), try bound(to), try bound(step) ?? 1)
        guard ends.2 != 0 else { throw TemplateError(.evaluation, "a slice has a step of 0") }
        switch value {
        case .list(let all):
            return try list(Self.places(all.items.count, ends).map { all.items[$0] })
        case .tuple(let all):
            return try tuple(Self.places(all.items.count, ends).map { all.items[$0] })
        case .text(let text):
            try charge(text.count / TemplateLimits.bytesPerStep)
            let offsets = text.codePointOffsets
            let places = Self.places(offsets.count - 1, ends)
            if ends.2 == 1 {
                guard let first = places.first, let last = places.last else {
                    return .text(TemplateText())
                }
                return try self.value(text[offsets[first]..<offsets[last + 1]])
            }
            try charge(items: places.count)
            var result = TemplateText()
            for place in places { result.append(text, offsets[place]..<offsets[place + 1]) }
            return .text(result)
        case .undefined:
            throw TemplateError(.evaluation, "\(value.kind) is asked for a slice")
        default: return .undefined("")
        }
    }

    /// Python's `slice.indices`.
    private static func places(_ count: Int, _ ends: (from: Int?, to: Int?, step: Int)) -> [Int] {
        let step = ends.step
        func clamped(_ end: Int) -> Int {
            let place = end < 0 ? saturated(end, count) : end
            return step > 0 ? min(max(place, 0), count) : min(max(place, -1), count - 1)
        }
        let from = ends.from.map(clamped) ?? (step > 0 ? 0 : count - 1)
        let to = ends.to.map(clamped) ?? (step > 0 ? count : -1)
        return Array(stride(from: from, to: to, by: step))
    }
}
