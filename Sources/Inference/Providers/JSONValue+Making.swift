import Core

extension JSONValue {
    /// An object with one member.
    static func of(_ key: String, _ value: JSONValue) -> JSONValue { .object([.init(key, value)]) }

    static func of(_ key: String, _ text: String) -> JSONValue { .of(key, .string(text)) }

    static func of(_ number: Int) -> JSONValue { .number(String(number)) }

    /// Nil for what no JSON number can say. Whole numbers are written without a fraction.
    static func of(_ number: Double) -> JSONValue? {
        guard number.isFinite else { return nil }
        return .number(Int(exactly: number).map(String.init) ?? "\(number)")
    }
}
