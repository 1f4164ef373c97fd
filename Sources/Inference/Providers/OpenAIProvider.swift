import Core
import Egress
import Foundation

/// Any endpoint that speaks OpenAI's chat completions and embeddings.
struct OpenAIProvider: Provider {
    let telemetryName: String
    let isLocal = false
    private let endpoint: HostedEndpoint
    private let isOpenAI: Bool

    // Rows of one call: a few hundred kilobytes of text, a few megabytes of numbers.
    private static let embeddingsPerCall = 128
    private static let embeddingBytesMax = 64 * 1024 * 1024
    private static let dimensionsMax = 65_536

    /// Throws `invalid` when the base address is not one.
    init(
        _ name: String, _ configuration: ProviderConfiguration, client: HTTPClient,
        environment: Environment
    ) throws {
        endpoint = try HostedEndpoint(
            name, configuration, client: client, environment: environment)
        isOpenAI = endpoint.target == "api.openai.com:443"
        telemetryName = isOpenAI ? "openai" : name
    }

    func open(_ request: ProviderRequest) async throws -> ProviderCall {
        let response = try await endpoint.post(
            "/chat/completions", OpenAIChatRequest.body(of: request, isOpenAI: isOpenAI),
            headers: [HTTPHeader("Accept", "text/event-stream")],
            trace: request.headers, model: request.model,
            tokens: TokenEstimate.tokens(request.messages))
        return try await endpoint.call(
            response, OpenAIStream(), promptEstimate: TokenEstimate.tokens(request.messages),
            model: request.model)
    }

    func embed(_ texts: [String], model: String, headers: [String: String]) async throws
        -> ProviderEmbeddings
    {
        var values: [Float] = []
        var dimensions = 0
        var (tokens, isEstimated) = (0, false)
        for start in stride(from: 0, to: texts.count, by: Self.embeddingsPerCall) {
            let batch = Array(texts[start..<min(start + Self.embeddingsPerCall, texts.count)])
            let answer = try await postEmbeddings(batch, model: model, headers: headers)
            let rows = try rows(of: answer, count: batch.count)
            guard dimensions == 0 || rows.dimensions == dimensions else { throw unreadable }
            dimensions = rows.dimensions
            values += rows.values
            let estimate = TokenEstimate.tokens(bytes: batch.reduce(0) { $0 + $1.utf8.count })
            tokens += min(max(0, answer.usage?.promptTokens ?? estimate), 1 << 40)
            isEstimated = isEstimated || answer.usage?.promptTokens == nil
        }
        return ProviderEmbeddings(
            values: values, dimensions: dimensions,
            usage: TokenUsage(freshInput: tokens, isEstimated: isEstimated))
    }

    func wait(model: String, tokens: Int) -> Duration? {
        endpoint.wait(model: model, tokens: tokens)
    }

    func countTokens(_ texts: [String], model: String) throws -> [Int] {
        TokenEstimate.tokens(texts)
    }

    private func postEmbeddings(_ texts: [String], model: String, headers: [String: String])
        async throws
        -> OpenAIEmbeddings
    {
        let response = try await endpoint.post(
            "/embeddings",
            Array(try JSONEncoder().encode(OpenAIEmbeddingRequest(model: model, input: texts))),
            headers: [HTTPHeader("Accept", "application/json")], trace: headers,
            model: model, tokens: TokenEstimate.tokens(bytes: texts.reduce(0) { $0 + $1.utf8.count }))
        do {
            let body = try await response.body.collect(bytesMax: Self.embeddingBytesMax)
            return try JSONDecoder().decode(OpenAIEmbeddings.self, from: Data(body))
        } catch is DecodingError {
            throw unreadable
        } catch {
            throw endpoint.candidateFailure(error, model: model, hasBegun: false)
        }
    }

    /// The vectors in the texts' order, each of length 1.
    private func rows(of answer: OpenAIEmbeddings, count: Int) throws
        -> (values: [Float], dimensions: Int)
    {
        var rows = answer.data
        if rows.allSatisfy({ $0.index != nil }) {
            rows.sort { ($0.index ?? 0) < ($1.index ?? 0) }
        }
        guard rows.count == count, let dimensions = rows.first?.embedding.count,
            (1...Self.dimensionsMax).contains(dimensions),
            rows.allSatisfy({ $0.embedding.count == dimensions })
        else { throw unreadable }
        let values = rows.flatMap { row in
            let length = row.embedding.reduce(Float(0)) { $0 + $1 * $1 }.squareRoot()
            return length > 0 ? row.embedding.map { $0 / length } : row.embedding
        }
        guard values.allSatisfy(\.isFinite) else { throw unreadable }
        return (values, dimensions)
    }

    private var unreadable: CandidateFailure {
        CandidateFailure(
            .broken,
            Failure(.upstream, "The provider \(endpoint.name) sent embeddings that cannot be read.")
        )
    }
}
