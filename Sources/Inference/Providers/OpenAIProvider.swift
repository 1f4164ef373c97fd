import Core
import Egress
import Foundation

/// Any endpoint that speaks OpenAI's chat completions and embeddings.
struct OpenAIProvider: Provider {
    let telemetryName: String
    let isLocal = false
    let endpoint: HostedEndpoint
    private let dialect: OpenAIDialect
    private let azure: AzureAddress?

    // Rows of one call: a few hundred kilobytes of text, a few megabytes of numbers.
    let embeddingsPerCall = 128
    private static let embeddingBytesMax = 64 * 1024 * 1024

    /// Throws `invalid` when the base address is not one.
    init(
        _ name: String, _ configuration: ProviderConfiguration, client: HTTPClient,
        environment: Environment
    ) throws {
        endpoint = try HostedEndpoint(
            name, configuration, client: client, environment: environment,
            authorization: Self.authorization(of: configuration))
        if configuration.kind == ProviderFactory.azure {
            dialect = .azure
            azure = AzureAddress(endpoint.baseURL, version: configuration.apiVersion)
        } else {
            dialect = .of(preset: configuration.preset, baseURL: endpoint.baseURL)
            azure = nil
        }
        telemetryName = dialect.telemetryName.isEmpty ? name : dialect.telemetryName
    }

    private static func authorization(of configuration: ProviderConfiguration)
        -> @Sendable (String) -> [HTTPHeader]
    {
        let isAzure = configuration.kind == ProviderFactory.azure
        return { key in
            [isAzure ? HTTPHeader("api-key", key) : HTTPHeader("Authorization", "Bearer \(key)")]
        }
    }

    func open(_ request: ProviderRequest) async throws -> ProviderCall {
        let tokens = TokenEstimate.tokens(request.messages)
        let wholeTokens = request.streams ? nil : request.sampling.outputTokensMax ?? 0
        let response = try await endpoint.post(
            path("/chat/completions", request.model),
            OpenAIChatRequest.body(of: request, dialect),
            headers: [
                HTTPHeader("Accept", request.streams ? "text/event-stream" : "application/json")
            ],
            trace: request.headers, model: request.model, tokens: tokens, wholeTokens: wholeTokens)
        return try await endpoint.call(
            response, OpenAIStream(statesCost: dialect.statesCost), promptEstimate: tokens,
            model: request.model, wholeTokens: wholeTokens)
    }

    func embed(_ texts: [String], model: String, headers: [String: String]) async throws
        -> ProviderEmbeddings
    {
        var rows = EmbeddingRows(provider: endpoint.name)
        let answer = try await postEmbeddings(texts, model: model, headers: headers)
        try rows.add(answer.vectors, of: texts, tokens: answer.usage?.promptTokens)
        return rows.embeddings
    }

    var keys: ProviderKeys? { endpoint.keys }

    func wait(model: String, tokens: Int) -> Duration? {
        endpoint.wait(model: model, tokens: tokens)
    }

    func path(_ call: String, _ model: String) -> String {
        azure?.path(call, model) ?? call
    }

    private func postEmbeddings(_ texts: [String], model: String, headers: [String: String])
        async throws
        -> OpenAIEmbeddings
    {
        let response = try await endpoint.post(
            path("/embeddings", model),
            Array(try JSONEncoder().encode(OpenAIEmbeddingRequest(model: model, input: texts))),
            headers: [HTTPHeader("Accept", "application/json")], trace: headers,
            model: model,
            tokens: TokenEstimate.tokens(bytes: texts.reduce(0) { $0 + $1.utf8.count }))
        do {
            let body = try await response.body.collect(bytesMax: Self.embeddingBytesMax)
            return try JSONDecoder().decode(OpenAIEmbeddings.self, from: Data(body))
        } catch is DecodingError {
            throw EmbeddingRows.unreadable(endpoint.name)
        } catch {
            throw endpoint.candidateFailure(error, model: model, hasBegun: false)
        }
    }
}

/// Where Azure has a call: with a deployment for the model and a version of the interface, or, under
/// `/openai/v1`, where OpenAI has it.
private struct AzureAddress {
    private let prefix: String?
    private let version: String

    init(_ baseURL: String, version: String) {
        self.version = version
        prefix =
            baseURL.hasSuffix("/openai/v1")
            ? nil : baseURL.hasSuffix("/openai") ? "/deployments/" : "/openai/deployments/"
    }

    func path(_ call: String, _ deployment: String) -> String {
        guard let prefix else { return call }
        return prefix + PercentEncoding.segment(deployment) + call
            + "?api-version=\(PercentEncoding.segment(version))"
    }
}
