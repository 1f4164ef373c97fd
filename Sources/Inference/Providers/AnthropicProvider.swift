import Core
import Egress
import Foundation

/// Anthropic's own API, or any endpoint that speaks its messages.
struct AnthropicProvider: Provider {
    let telemetryName: String
    let isLocal = false
    private let endpoint: HostedEndpoint
    private let headers: [HTTPHeader]
    private let sampling = AnthropicSampling()

    private static let version = "2023-06-01"

    /// Throws `invalid` when the base address is not one.
    init(
        _ name: String, _ configuration: ProviderConfiguration, client: HTTPClient,
        environment: Environment
    ) throws {
        endpoint = try HostedEndpoint(
            name, configuration, client: client, environment: environment,
            authorization: { [HTTPHeader("x-api-key", $0)] })
        telemetryName = endpoint.target == "api.anthropic.com:443" ? "anthropic" : name
        headers = [
            HTTPHeader("anthropic-version", Self.version),
            HTTPHeader("Accept", "text/event-stream"),
        ]
    }

    func open(_ request: ProviderRequest) async throws -> ProviderCall {
        var taken = sampling.taken(by: request.model)
        while true {
            let body = AnthropicRequest(request, sampling: taken.options(of: request.sampling))
            do {
                let response = try await endpoint.post(
                    "/messages", body.bytes, headers: headers, trace: request.headers,
                    model: request.model, tokens: TokenEstimate.tokens(request.messages))
                return try await endpoint.call(
                    response, AnthropicStream(answerTool: body.answerTool),
                    promptEstimate: TokenEstimate.tokens(request.messages), model: request.model)
            } catch let failure as CandidateFailure {
                // Each time less is sent, so that this ends.
                guard
                    let less = sampling.taken(
                        by: request.model, after: failure, of: request.sampling, with: taken)
                else { throw failure }
                taken = less
            }
        }
    }

    func embed(_ texts: [String], model: String, headers: [String: String]) async throws
        -> ProviderEmbeddings
    {
        throw Failure(
            .unavailable,
            "The provider \(endpoint.name) makes no embeddings. The operator can name another as"
                + " inference.embedding_model.")
    }

    var keys: ProviderKeys? { endpoint.keys }

    func wait(model: String, tokens: Int) -> Duration? {
        endpoint.wait(model: model, tokens: tokens)
    }
}
