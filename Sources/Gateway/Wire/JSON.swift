import Core
import Foundation
import NIOCore
import OrderedJSON

/// JSON in and out, with sentences for what does not fit.
enum JSON {
    static func encode(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        return try encoder.encode(value)
    }

    static func text(_ value: some Encodable) throws -> String {
        String(decoding: try encode(value), as: UTF8.self)
    }

    /// Throws `invalid` with a sentence that names the field. Foundation's parser gives up at 512
    /// levels of nesting, so that a body of brackets cannot overflow the stack.
    static func decode<Value: Decodable>(_ type: Value.Type, from body: ByteBuffer) throws -> Value
    {
        guard body.readableBytes > 0 else {
            throw Refusal.invalid("The body is empty; it has to be JSON.")
        }
        do {
            return try JSONDecoder().decode(type, from: Data(body.readableBytesView))
        } catch let error as DecodingError {
            throw refusal(for: error)
        } catch let refusal as Refusal {
            throw refusal
        } catch let failure as Failure {
            throw failure
        } catch {
            throw Refusal.invalid("The body is not valid JSON.", cause: error)
        }
    }

    /// Any JSON, its members in their order.
    static func value(of body: ByteBuffer) throws -> JSONValue {
        guard body.readableBytes > 0 else {
            throw Refusal.invalid("The body is empty; it has to be JSON.")
        }
        do { return try JSONValue(parsing: body.readableBytesView) } catch {
            throw Refusal.invalid("The body is not valid JSON.", cause: error)
        }
    }

    private static func refusal(for error: DecodingError) -> Refusal {
        var path: [any CodingKey] = []
        var message: String
        switch error {
        case .keyNotFound(let key, let context):
            path = context.codingPath + [key]
            message = "is missing."
        case .valueNotFound(_, let context):
            path = context.codingPath
            message = "may not be null."
        case .typeMismatch(let type, let context):
            path = context.codingPath
            message = "has to be \(name(of: type))."
        case .dataCorrupted(let context):
            path = context.codingPath
            message = "has a value that cannot be: \(context.debugDescription)"
        @unknown default:
            message = ""
        }
        guard !path.isEmpty else {
            return Refusal.invalid("The body is not valid JSON.", cause: error)
        }
        var refusal = Refusal.invalid("`\(shown(path))` \(message)", cause: error)
        refusal.parameter = shown(path)
        return refusal
    }

    private static func shown(_ path: [any CodingKey]) -> String {
        let text = path.reduce("") { text, key in
            if let index = key.intValue { return "\(text)[\(index)]" }
            return text.isEmpty ? key.stringValue : "\(text).\(key.stringValue)"
        }
        return String(text.prefix(200))
    }

    private static func name(of type: Any.Type) -> String {
        switch type {
        case is String.Type: "a string"
        case is Bool.Type: "true or false"
        case is Int.Type, is UInt64.Type: "a whole number"
        case is Double.Type, is Float.Type: "a number"
        case is [Any].Type: "an array"
        default: "an object or a value of another type"
        }
    }
}
