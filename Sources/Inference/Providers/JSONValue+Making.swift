import Core
import OrderedJSON

extension JSONValue {
    /// An object with one member.
    static func of(_ key: String, _ value: JSONValue) -> JSONValue { .object([.init(key, value)]) }

    static func of(_ key: String, _ text: String) -> JSONValue { .of(key, .string(text)) }

    /// A call's arguments as the object that protocols want. What a model once wrote that is none is
    /// still shown to it.
    static func arguments(_ text: String) -> JSONValue {
        if text.allSatisfy(\.isWhitespace) { return .object([]) }
        let value = try? JSONValue(parsing: text.utf8)
        return (value?.members == nil ? nil : value) ?? .of("arguments", text)
    }

    static func of(_ number: Int) -> JSONValue { .number(String(number)) }

    /// Nil for what no JSON number can say. Whole numbers are written without a fraction.
    static func of(_ number: Double) -> JSONValue? {
        guard number.isFinite else { return nil }
        return .number(Int(exactly: number).map(String.init) ?? "\(number)")
    }
}
