import Core
import Egress
import OrderedJSON

/// Amazon Bedrock: chat by its Converse API, embeddings by the models' own bodies.
struct BedrockProvider: Provider {
    let telemetryName = "aws.bedrock"
    let isLocal = false
    private let endpoint: HostedEndpoint
    /// Nil where only a bearer token can say who calls; one that there is goes first.
    private let signature: AWSSignature?
    private let now: @Sendable () -> Timestamp

    private static let embeddingBytesMax = 16 * 1024 * 1024

    /// Throws `invalid` when the base address is not one.
    init(
        _ name: String, _ configuration: ProviderConfiguration, client: HTTPClient,
        environment: Environment
    ) throws {
        var endpoint = try HostedEndpoint(
            name, configuration, client: client, environment: environment)
        endpoint.secrets = [
            configuration.secretAccessKey, configuration.sessionToken, configuration.accessKeyId,
        ]
        self.endpoint = endpoint
        now = environment.now
        signature =
            !configuration.accessKeyId.isEmpty
            ? AWSSignature(
                region: configuration.region, service: "bedrock",
                accessKeyID: configuration.accessKeyId,
                secretAccessKey: configuration.secretAccessKey,
                sessionToken: configuration.sessionToken) : nil
    }

    func open(_ request: ProviderRequest) async throws -> ProviderCall {
        let response = try await post(
            "converse-stream", try BedrockRequest.body(of: request),
            accept: "application/vnd.amazon.eventstream", trace: request.headers,
            model: request.model, tokens: TokenEstimate.tokens(request.messages))
        return try await endpoint.call(
            response, BedrockStream(), promptEstimate: TokenEstimate.tokens(request.messages),
            model: request.model)
    }

    func embed(_ texts: [String], model: String, headers: [String: String]) async throws
        -> ProviderEmbeddings
    {
        let maker = try BedrockEmbeddings(model: model)
        var rows = EmbeddingRows(provider: endpoint.name)
        for start in stride(from: 0, to: texts.count, by: maker.textsMax) {
            let batch = Array(texts[start..<min(start + maker.textsMax, texts.count)])
            let response = try await post(
                "invoke", maker.body(of: batch), accept: "application/json", trace: headers,
                model: model,
                tokens: TokenEstimate.tokens(bytes: batch.reduce(0) { $0 + $1.utf8.count }))
            let body: [UInt8]
            do { body = try await response.body.collect(bytesMax: Self.embeddingBytesMax) } catch {
                throw endpoint.candidateFailure(error, model: model, hasBegun: false)
            }
            guard let answer = try? JSONValue(parsing: body), let vectors = maker.rows(answer)
            else { throw EmbeddingRows.unreadable(endpoint.name) }
            try rows.add(vectors, of: batch, tokens: maker.tokens(answer, response.headers))
        }
        return rows.embeddings
    }

    private func post(
        _ call: String, _ body: [UInt8], accept: String, trace: [String: String], model: String,
        tokens: Int
    ) async throws -> HTTPResponse {
        try await endpoint.post(
            "/model/\(PercentEncoding.segment(model))/\(call)", body,
            headers: [HTTPHeader("Accept", accept)], trace: trace, model: model, tokens: tokens,
            sign: { try signature?.headers(for: $0, at: now()) ?? [] },
            readError: { response, body in
                BedrockError.read(
                    name: response.headers["x-amzn-errortype"], body: body,
                    status: response.status)
            })
    }

    var keys: ProviderKeys? { endpoint.keys }

    func wait(model: String, tokens: Int) -> Duration? {
        endpoint.wait(model: model, tokens: tokens)
    }
}
