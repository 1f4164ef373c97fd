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
