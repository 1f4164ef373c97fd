import Core
import HTTPTypes

/// Whose API a path is part of, which decides in what words failures are told there.
enum Surface {
    case native, openAI, anthropic

    init(path: String) {
        if path == "/v1/messages" || path.hasPrefix("/v1/messages/") {
            self = .anthropic
        } else {
            self = path.hasPrefix("/v1/") ? .openAI : .native
        }
    }

    /// The models are at the same paths in both APIs; Anthropic's clients say that they are.
    init(path: String, headers: HTTPFields) {
        let isModels = path == "/v1/models" || path.hasPrefix("/v1/models/")
        self = isModels && headers[.anthropicVersion] != nil ? .anthropic : Surface(path: path)
    }

    var errorSchema: Schema {
        switch self {
        case .native: .reference("Problem")
        case .openAI: .reference("OpenAIError")
        case .anthropic: .reference("AnthropicError")
        }
    }

    var errorMediaType: String {
        self == .native ? "application/problem+json" : "application/json"
    }
}

extension Identifier {
    /// Without dashes, as other servers' identifiers are.
    var compact: String {
        String(unsafeUninitializedCapacity: 36) { text in
            var count = 0
            for byte in description.utf8 where byte != UInt8(ascii: "-") && count < text.count {
                text[count] = byte
                count += 1
            }
            return count
        }
    }
}
