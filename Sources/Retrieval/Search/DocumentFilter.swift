import Core
import Foundation
import GRDB
import OrderedJSON

/// A filter of documents as a condition on the row of `document`, in the language of OpenAI's vector
/// stores: comparisons of one key with a value, and `and` and `or` of such. Values are bound, never
/// written into the statement.
///
/// What has no such attribute is equal to nothing: `ne` and `nin` hold for it, nothing else does.
struct DocumentFilter {
    private(set) var sql = ""
    private(set) var arguments: StatementArguments = [:]
    private var count = 0

    static let depthMax = 8
    static let comparisonsMax = 64
    static let valuesMax = 200
    static let textMax = 512

    /// Throws `invalid` with a sentence for what is no filter.
    init(_ filter: JSONValue) throws {
        sql = try condition(filter, depth: 1)
    }

    private mutating func condition(_ filter: JSONValue, depth: Int) throws -> String {
        guard depth <= Self.depthMax else {
            throw Self.invalid("is nested more than \(Self.depthMax) deep.")
        }
        guard let type = filter["type"]?.string else {
            throw Self.invalid("has to be an object with a `type`.")
        }
        guard type == "and" || type == "or" else { return try comparison(type, filter) }
        guard let parts = filter["filters"]?.array, !parts.isEmpty else {
            throw Self.invalid("of type `\(type)` needs `filters`.")
        }
        let conditions = try parts.map { try condition($0, depth: depth + 1) }
        return "(" + conditions.joined(separator: type == "and" ? " AND " : " OR ") + ")"
    }

    private mutating func comparison(_ type: String, _ filter: JSONValue) throws -> String {
        guard let key = filter["key"]?.string, !key.isEmpty, key.utf8.count <= Self.textMax else {
            throw Self.invalid("of type `\(type.prefix(20))` needs a `key`.")
        }
        guard let value = filter["value"] else {
            throw Self.invalid("of type `\(type.prefix(20))` needs a `value`.")
        }
        switch type {
        case "eq": return try equality(key, [value])
        case "ne": return "NOT \(try equality(key, [value]))"
        case "in", "nin":
            guard let values = value.array, values.count <= Self.valuesMax else {
                throw Self.invalid(
                    "of type `\(type)` needs an array of at most \(Self.valuesMax) values.")
            }
            let isAny = values.isEmpty ? "FALSE" : try equality(key, values)
            return type == "in" ? isAny : "NOT \(isAny)"
        case "gt": return try matches(key, value, ">")
        case "gte": return try matches(key, value, ">=")
        case "lt": return try matches(key, value, "<")
        case "lte": return try matches(key, value, "<=")
        default:
            throw Self.invalid(
                "has the type `\(type.prefix(20))`; there are eq, ne, gt, gte, lt, lte, in, nin,"
                    + " and, or.")
        }
    }

    private mutating func equality(_ key: String, _ values: [JSONValue]) throws -> String {
        let parts = try values.map { try matches(key, $0, "=") }
        return "(" + parts.joined(separator: " OR ") + ")"
    }

    /// One comparison, false where the document has no such key or another kind of value there.
    private mutating func matches(_ key: String, _ value: JSONValue, _ sign: String) throws
        -> String
    {
        guard !key.hasPrefix("$") else { return try property(key, value, sign) }
        let name = try bind(key)
        let attribute =
            "EXISTS (SELECT 1 FROM json_each(document.attributes) AS each"
            + " WHERE each.key = \(name) AND "
        switch value {
        case .string(let text):
            return attribute + "each.type = 'text' AND each.value \(sign) \(try bind(text)))"
        case .bool(let isTrue):
            guard sign == "=" else { throw Self.invalid("compares true or false by size.") }
            return attribute + "each.type = '\(isTrue)')"
        case .number:
            let number = try bind(value.double ?? 0)
            return attribute + "each.type IN ('integer', 'real') AND each.value \(sign) \(number))"
        case .null, .array, .object:
            throw Self.invalid("compares with what is no string, number, true or false.")
        }
    }

    /// What every document has.
    private mutating func property(_ key: String, _ value: JSONValue, _ sign: String) throws
        -> String
    {
        switch key {
        case "$tag":
            let tag = try bind(try text(value, key))
            return "EXISTS (SELECT 1 FROM json_each(document.tags) AS each"
                + " WHERE each.value \(sign) \(tag))"
        case "$name": return "document.name \(sign) \(try bind(try text(value, key)))"
        case "$type":
            guard sign == "=" else { throw Self.invalid("compares `$type` by size.") }
            let type = try text(value, key).lowercased()
            // `application/pdf`, or `pdf` as names end with it.
            guard !type.contains("/") else { return "document.media_type = \(try bind(type))" }
            return "lower(document.name) LIKE \(try bind("%." + Self.literal(type))) ESCAPE '\\'"
        case "$owner":
            guard sign == "=" else { throw Self.invalid("compares `$owner` by size.") }
            return "document.owner_id = \(try bind(try text(value, key)))"
        case "$date":
            return "document.created_at \(sign) \(try bind(try time(value)))"
        default:
            throw Self.invalid(
                "has the key `\(key.prefix(40))`; of a document itself there are $tag, $type,"
                    + " $name, $owner and $date.")
        }
    }

    private static func literal(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("%", with: "\\%").replacing("_", with: "\\_")
    }

    private func text(_ value: JSONValue, _ key: String) throws -> String {
        guard let text = value.string, text.utf8.count <= Self.textMax else {
            throw Self.invalid("compares `\(key)` with what is no text.")
        }
        return text
    }

    /// Seconds since 1970, or a time as the API writes it.
    private func time(_ value: JSONValue) throws -> Timestamp {
        if let seconds = value.double, abs(seconds) < 1e11 {
            return Timestamp(microseconds: Int64(seconds * 1e6))
        }
        let text = Data("\"\(value.string ?? "")\"".utf8)
        guard let time = try? JSONDecoder().decode(Timestamp.self, from: text) else {
            throw Self.invalid(
                "compares `$date` with what is neither seconds since 1970 nor a time such as"
                    + " 2026-11-21T09:30:00.000Z.")
        }
        return time
    }

    private mutating func bind(_ value: some DatabaseValueConvertible) throws -> String {
        count += 1
        guard count <= 2 * Self.comparisonsMax + Self.valuesMax * 2 else {
            throw Self.invalid("has too many comparisons.")
        }
        let name = "filter\(count)"
        arguments = arguments &+ [name: value]
        return ":" + name
    }

    private static func invalid(_ sentence: String) -> Failure {
        Failure(.invalid, "The filter \(sentence)")
    }
}
