import Core
import Egress

/// The kinds of endpoints there are, and who speaks with each.
enum ProviderFactory {
    /// As `kind` of a provider's configuration; `local` is always there.
    static let kinds = ["openai", "anthropic", CandidateName.local]

    /// Where each kind is that is at one place, up to and including the version.
    static let addresses = [
        "openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com/v1",
    ]

    /// Throws `invalid` for a configuration that contradicts itself.
    static func make(
        _ name: String, _ configuration: ProviderConfiguration, client: HTTPClient,
        environment: Environment
    ) throws -> any Provider {
        switch configuration.kind {
        case "anthropic":
            try AnthropicProvider(name, configuration, client: client, environment: environment)
        default:
            try OpenAIProvider(name, configuration, client: client, environment: environment)
        }
    }
}
