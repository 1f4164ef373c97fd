/// What an expression of a template is worth, after Python's types. Values are immutable, as in
/// Jinja's sandbox; what changes (namespaces, loops) and what refers to code is an index into the
/// running evaluator, so that no value can hold itself.
enum TemplateValue: Sendable {
    /// With the name that was asked for, for the sentence when it is used.
    case undefined(String)
    case none
    case boolean(Bool)
    case integer(Int)
    case float(Double)
    case text(TemplateText)
    case list(TemplateList)
    case tuple(TemplateList)
    case map(TemplateMap)
    case function(TemplateFunction)
    case macro(Int)
    case namespace(Int)
    case loop(Int)

    static func own(_ text: String) -> TemplateValue { .text(.own(text)) }

    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .boolean(let claim): claim
        case .integer(let number): number != 0
        case .float(let number): number != 0
        case .text(let text): !text.isEmpty
        case .list(let list), .tuple(let list): !list.items.isEmpty
        case .map(let map): !map.entries.isEmpty
        case .function, .macro, .namespace, .loop: true
        }
    }

    /// What the value is called in a sentence.
    var kind: String {
        switch self {
        case .undefined(let name): name.isEmpty ? "an undefined value" : "`\(name)`, undefined,"
        case .none: "none"
        case .boolean: "a truth value"
        case .integer, .float: "a number"
        case .text: "a text"
        case .list: "a list"
        case .tuple: "a tuple"
        case .map: "a mapping"
        case .function, .macro: "a function"
        case .namespace: "a namespace"
        case .loop: "a loop"
        }
    }

    /// How many lists and maps are inside each other.
    var depth: Int {
        switch self {
        case .list(let list), .tuple(let list): list.depth
        case .map(let map): map.depth
        default: 0
        }
    }

    /// The work it takes to look at all of it, in steps.
    var weight: Int {
        switch self {
        case .text(let text): 1 + text.count / TemplateLimits.bytesPerStep
        case .list(let list), .tuple(let list): list.weight
        case .map(let map): map.weight
        default: 1
        }
    }

    /// As a whole number: also truth values are, in Python.
    var integer: Int? {
        switch self {
        case .integer(let number): number
        case .boolean(let claim): claim ? 1 : 0
        default: nil
        }
    }

    var number: Double? {
        switch self {
        case .float(let number): number
        default: integer.map(Double.init)
        }
    }

    var key: TemplateKey? {
        switch self {
        case .text(let text): return .text(text.bytes)
        case .none: return TemplateKey.none
        case .boolean, .integer: return integer.map(TemplateKey.integer)
        case .float(let number):
            return Int(exactly: number).map(TemplateKey.integer)
                ?? .float(number.bitPattern)
        default: return nil
        }
    }
}

/// Python's `==`.
extension TemplateValue: Equatable {
    static func == (left: TemplateValue, right: TemplateValue) -> Bool {
        switch (left, right) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.text(let left), .text(let right)): return left == right
        case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)):
            return left.items == right.items
        case (.map(let left), .map(let right)):
            guard left.entries.count == right.entries.count else { return false }
            return left.entries.allSatisfy { entry in
                entry.key.key.flatMap { right[$0] } == entry.value
            }
        case (.function(let left), .function(let right)): return left == right
        case (.macro(let left), .macro(let right)): return left == right
        case (.namespace(let left), .namespace(let right)): return left == right
        case (.loop(let left), .loop(let right)): return left == right
        default:
            if let left = left.integer, let right = right.integer { return left == right }
            guard let left = left.number, let right = right.number else { return false }
            return left == right
        }
    }
}

/// What the sandbox offers as functions.
enum TemplateFunction: String, Sendable {
    case range, namespace, dict
    case raiseException = "raise_exception"
    case strftimeNow = "strftime_now"
    /// A method that was named and not called.
    case method
}

/// A list that knows how deep and how heavy it is, so that nothing built from it can be traversed
/// for ever.
struct TemplateList: Sendable {
    let items: [TemplateValue]
    let depth: Int
    let weight: Int

    init(_ items: [TemplateValue]) {
        self.items = items
        var depth = 0
        var weight = 1
        for item in items {
            depth = max(depth, item.depth)
            weight = saturated(weight, item.weight)
        }
        self.depth = depth + 1
        self.weight = weight
    }
}

/// A mapping in the order its keys came in.
final class TemplateMap: Sendable {
    typealias Entry = (key: TemplateValue, value: TemplateValue)

    let entries: [Entry]
    let depth: Int
    let weight: Int
    /// Only where a walk over the keys would take longer.
    private let index: [TemplateKey: Int]

    /// Of equal keys, the first place and the last value stay, as in Python. Keys that cannot be
    /// keys are left out; whoever has such asks for `TemplateValue.key` first.
    init(_ given: [Entry]) {
        let (entries, index) = given.count > 8 ? Self.indexed(given) : (Self.few(given), [:])
        self.entries = entries
        self.index = index
        var depth = 0
        var weight = 1
        for entry in entries {
            depth = max(depth, entry.value.depth)
            weight = saturated(weight, saturated(entry.key.weight, entry.value.weight))
        }
        self.depth = depth + 1
        self.weight = weight
    }

    private static func few(_ given: [Entry]) -> [Entry] {
        var entries: [Entry] = []
        entries.reserveCapacity(given.count)
        for entry in given where entry.key.key != nil {
            if let place = entries.firstIndex(where: { $0.key == entry.key }) {
                entries[place].value = entry.value
            } else {
                entries.append(entry)
            }
        }
        return entries
    }

    private static func indexed(_ given: [Entry]) -> ([Entry], [TemplateKey: Int]) {
        var entries: [Entry] = []
        var index: [TemplateKey: Int] = [:]
        entries.reserveCapacity(given.count)
        for entry in given {
            guard let key = entry.key.key else { continue }
            if let place = index[key] {
                entries[place].value = entry.value
            } else {
                index[key] = entries.count
                entries.append(entry)
            }
        }
        return (entries, index)
    }

    subscript(key: TemplateKey) -> TemplateValue? {
        if !index.isEmpty { return index[key].map { entries[$0].value } }
        if case .text(let bytes) = key { return self[bytes] }
        return entries.first { $0.key.key == key }?.value
    }

    subscript(name: [UInt8]) -> TemplateValue? {
        if !index.isEmpty { return index[.text(name)].map { entries[$0].value } }
        for entry in entries {
            if case .text(let text) = entry.key, text.bytes == name { return entry.value }
        }
        return nil
    }
}

/// What two keys have to share to be the same key of a mapping.
enum TemplateKey: Hashable, Sendable {
    case none
    case integer(Int)
    case float(UInt64)
    case text([UInt8])
}

func saturated(_ left: Int, _ right: Int) -> Int {
    let (sum, isOver) = left.addingReportingOverflow(right)
    return isOver ? .max : sum
}
