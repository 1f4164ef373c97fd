package import OrderedJSON

/// A function that a model may ask to be called.
package struct ToolDefinition: Hashable, Codable, Sendable {
    package let name: String
    package let description: String
    /// A JSON Schema of type object; nil for a function that takes nothing.
    package let parameters: JSONValue?
    /// The arguments have to follow the schema where a model can only try to.
    package let isStrict: Bool
    /// All tools up to this one are to be kept by a provider that can.
    package var cacheMark: CacheMark?

    package init(
        name: String, description: String = "", parameters: JSONValue? = nil, isStrict: Bool = false
    ) {
        (self.name, self.description, self.parameters) = (name, description, parameters)
        self.isStrict = isStrict
    }
}

/// Whether the answer calls tools.
package enum ToolChoice: Hashable, Codable, Sendable {
    case auto, none, required
    case named(String)
}

/// A call that a model asked for, with its arguments as JSON text, in whole.
package struct ToolCall: Hashable, Codable, Sendable {
    package let id: String
    package let name: String
    package let arguments: String

    package init(id: String, name: String, arguments: String) {
        (self.id, self.name, self.arguments) = (id, name, arguments)
    }
}

/// The next piece of the call with this index. `id` and `name` come with its first piece.
package struct ToolCallPiece: Hashable, Codable, Sendable {
    package let index: Int
    package let id: String?
    package let name: String?
    package let arguments: String

    package init(index: Int, id: String? = nil, name: String? = nil, arguments: String = "") {
        (self.index, self.id, self.name, self.arguments) = (index, id, name, arguments)
    }
}

/// What an answer has to look like.
package enum ResponseFormat: Hashable, Codable, Sendable {
    case text
    /// Any JSON object.
    case jsonObject
    /// JSON of a schema. Strict ones have to be followed where a model can only try to.
    case jsonSchema(name: String, schema: JSONValue, isStrict: Bool)
}

/// A token of the answer and how likely it was, as a natural logarithm, before temperature.
package struct TokenLogprob: Hashable, Codable, Sendable {
    package let token: String
    /// What the token stands for, which need not be whole characters.
    package let bytes: [UInt8]
    package let logprob: Double
    /// The likeliest in its place, best first, as many as were asked for; empty in themselves.
    package let top: [TokenLogprob]

    package init(token: String, bytes: [UInt8], logprob: Double, top: [TokenLogprob] = []) {
        (self.token, self.bytes, self.logprob, self.top) = (token, bytes, logprob, top)
    }
}
