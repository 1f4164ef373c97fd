import Core
import Egress

/// Amazon Bedrock, by its Converse API.
struct BedrockProvider: Provider {
    let telemetryName = "aws.bedrock"
    let isLocal = false
    private let endpoint: HostedEndpoint
    /// Nil where only a bearer token can say who calls; one that there is goes first.
    private let signature: AWSSignature?
    private let now: @Sendable () -> Timestamp

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
        let response = try await endpoint.post(
            "/model/\(PercentEncoding.segment(request.model))/converse-stream",
            try BedrockRequest.body(of: request),
            headers: [HTTPHeader("Accept", "application/vnd.amazon.eventstream")],
            trace: request.headers, model: request.model,
            tokens: TokenEstimate.tokens(request.messages),
            sign: { try signature?.headers(for: $0, at: now()) ?? [] },
            readError: { response, body in
                BedrockError.read(
                    name: response.headers["x-amzn-errortype"], body: body,
                    status: response.status)
            })
        return try await endpoint.call(
            response, BedrockStream(), promptEstimate: TokenEstimate.tokens(request.messages),
            model: request.model)
    }

    /// Throws `unsupported`: Converse has no embeddings.
    func embed(_ texts: [String], model: String, headers: [String: String]) async throws
        -> ProviderEmbeddings
    {
        throw Failure(
            .unsupported,
            "The provider \(endpoint.name) is of the kind bedrock, which makes no embeddings here.")
    }

    var keys: ProviderKeys? { endpoint.keys }

    func wait(model: String, tokens: Int) -> Duration? {
        endpoint.wait(model: model, tokens: tokens)
    }

    func countTokens(_ texts: [String], model: String) throws -> [Int] {
        TokenEstimate.tokens(texts)
    }
}
