import Core
import Egress
import Foundation
import OrderedJSON

/// Google's Gemini API.
struct GeminiProvider: Provider {
    let telemetryName = "gcp.gemini"
    let isLocal = false
    private let endpoint: HostedEndpoint
    private let random: @Sendable () -> UInt64

    // Rows of one call that the API takes.
    let embeddingsPerCall = 100
    private static let embeddingBytesMax = 64 * 1024 * 1024

    /// Throws `invalid` when the base address is not one.
    init(
        _ name: String, _ configuration: ProviderConfiguration, client: HTTPClient,
        environment: Environment
    ) throws {
        endpoint = try HostedEndpoint(
            name, configuration, client: client, environment: environment,
            authorization: { [HTTPHeader("x-goog-api-key", $0)] })
        random = environment.random
    }

    func open(_ request: ProviderRequest) async throws -> ProviderCall {
        let response = try await post(
            "/\(Self.path(of: request.model)):streamGenerateContent?alt=sse",
            GeminiRequest.body(of: request), accept: "text/event-stream", trace: request.headers,
            model: request.model, tokens: TokenEstimate.tokens(request.messages))
        return try await endpoint.call(
            response, GeminiStream(random: random),
            promptEstimate: TokenEstimate.tokens(request.messages), model: request.model)
    }

    func embed(_ texts: [String], model: String, headers: [String: String]) async throws
        -> ProviderEmbeddings
    {
        var rows = EmbeddingRows(provider: endpoint.name)
        let answer = try await postEmbeddings(texts, model: model, trace: headers)
        try rows.add(answer.embeddings.map(\.values), of: texts)
        return rows.embeddings
    }

    var keys: ProviderKeys? { endpoint.keys }

    func wait(model: String, tokens: Int) -> Duration? {
        endpoint.wait(model: model, tokens: tokens)
    }

    /// `models/gemini-3-flash`; names with a slash say themselves what they are.
    private static func path(of model: String) -> String {
        (model.contains("/") ? model : "models/\(model)")
            .split(separator: "/").map { PercentEncoding.segment(String($0)) }
            .joined(separator: "/")
    }

    private func post(
        _ path: String, _ body: [UInt8], accept: String, trace: [String: String], model: String,
        tokens: Int
    ) async throws -> HTTPResponse {
        try await endpoint.post(
            path, body, headers: [HTTPHeader("Accept", accept)], trace: trace, model: model,
            tokens: tokens,
            readError: { GeminiError.read(body: $1, status: $0.status) })
    }

    private func postEmbeddings(_ texts: [String], model: String, trace: [String: String])
        async throws -> GeminiEmbeddings
    {
        let name = model.contains("/") ? model : "models/\(model)"
        let requests = texts.map { text in
            JSONValue.object([
                .init("model", .string(name)),
                .init("content", .of("parts", .array([.of("text", text)]))),
            ])
        }
        let response = try await post(
            "/\(Self.path(of: model)):batchEmbedContents",
            Array(JSONValue.of("requests", .array(requests)).text.utf8),
            accept: "application/json", trace: trace, model: model,
            tokens: TokenEstimate.tokens(bytes: texts.reduce(0) { $0 + $1.utf8.count }))
        do {
            let body = try await response.body.collect(bytesMax: Self.embeddingBytesMax)
            return try JSONDecoder().decode(GeminiEmbeddings.self, from: Data(body))
        } catch is DecodingError {
            throw EmbeddingRows.unreadable(endpoint.name)
        } catch {
            throw endpoint.candidateFailure(error, model: model, hasBegun: false)
        }
    }
}

/// The answer of `batchEmbedContents`. It says nothing of tokens.
private struct GeminiEmbeddings: Decodable {
    struct Row: Decodable { let values: [Float] }

    let embeddings: [Row]
}
