import Core
import Egress

/// The kinds of endpoints there are, and who speaks with each.
enum ProviderFactory {
    static let openAI = "openai"
    /// The same as `openai`, for those who would not write that name for another's server.
    static let compatible = "openai-compatible"
    static let azure = "azure-openai"
    static let anthropic = "anthropic"
    static let gemini = "gemini"
    static let bedrock = "bedrock"

    /// As `kind` of a provider's configuration; `local` is always there.
    static let kinds = [openAI, compatible, azure, anthropic, gemini, bedrock, CandidateName.local]

    /// Where a provider is whose configuration does not say, up to and including the version; empty
    /// when there is no telling.
    static func address(of configuration: ProviderConfiguration) -> String {
        switch configuration.kind {
        case openAI, compatible:
            if let dialect = OpenAIDialect.presets[configuration.preset] { return dialect.address }
            return configuration.kind == openAI ? OpenAIDialect.openAI.address : ""
        case anthropic: return "https://api.anthropic.com/v1"
        case gemini: return "https://generativelanguage.googleapis.com/v1beta"
        case bedrock:
            let region = configuration.region
            let domain = region.hasPrefix("cn-") ? "amazonaws.com.cn" : "amazonaws.com"
            return region.isEmpty ? "" : "https://bedrock-runtime.\(region).\(domain)"
        default: return ""
        }
    }

    /// Throws `invalid` for a configuration that contradicts itself.
    static func make(
        _ name: String, _ configuration: ProviderConfiguration, client: HTTPClient,
        environment: Environment
    ) throws -> any Provider {
        switch configuration.kind {
        case anthropic:
            try AnthropicProvider(name, configuration, client: client, environment: environment)
        case gemini:
            try GeminiProvider(name, configuration, client: client, environment: environment)
        case bedrock:
            try BedrockProvider(name, configuration, client: client, environment: environment)
        default:
            try OpenAIProvider(name, configuration, client: client, environment: environment)
        }
    }
}
