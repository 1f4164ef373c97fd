import Core
import Egress
import Foundation

/// Any endpoint that speaks OpenAI's chat completions and embeddings.
struct OpenAIProvider: Provider {
    let telemetryName: String
    let isLocal = false
    private let name: String
    private let baseURL: String
    private let target: String
    private let isOpenAI: Bool
    private let keys: ProviderKeys
    private let limits: HTTPLimits
    private let client: HTTPClient
    private let environment: Environment

    // What is read of an error, and what of it is shown.
    private static let errorBytesMax = 64 * 1024
    private static let messageCharactersMax = 300
    // Rows of one call: a few hundred kilobytes of text, a few megabytes of numbers.
    private static let embeddingsPerCall = 128
    private static let embeddingBytesMax = 64 * 1024 * 1024
    private static let dimensionsMax = 65_536

    /// Throws `invalid` when the base address is not one.
    init(
        _ name: String, _ configuration: ProviderConfiguration, client: HTTPClient,
        environment: Environment
    ) throws {
        self.name = name
        self.client = client
        self.environment = environment
        var base = configuration.baseUrl[...]
        while base.hasSuffix("/") { base.removeLast() }
        baseURL = String(base)
        do { target = try HTTPRequest.target(of: baseURL) } catch {
            throw Failure(
                .invalid,
                "inference.providers.\(name).base_url must be an http or https address without a"
                    + " name and password.")
        }
        isOpenAI = target == "api.openai.com:443"
        telemetryName = isOpenAI ? "openai" : name
        keys = ProviderKeys(name, configuration, environment: environment)
        var limits = client.limits
        limits.connect = HTTPLimits.duration(configuration.connectTimeoutSeconds)
        limits.firstByte = HTTPLimits.duration(configuration.firstTokenTimeoutSeconds)
        limits.idle = HTTPLimits.duration(configuration.idleTimeoutSeconds)
        limits.total = HTTPLimits.duration(configuration.totalTimeoutSeconds)
        self.limits = limits
    }

    func open(_ request: ProviderRequest) async throws -> ProviderCall {
        let response = try await post(
            "/chat/completions", OpenAIChatRequest.body(of: request, isOpenAI: isOpenAI),
            accept: "text/event-stream", headers: request.headers, model: request.model,
            tokens: TokenEstimate.tokens(request.messages))
        var answer = OpenAIAnswer(
            response, promptEstimate: TokenEstimate.tokens(request.messages),
            now: environment.now)
        do { try await answer.awaitBeginning(within: limits.firstByte) } catch {
            answer.close()
            throw candidateFailure(error, model: request.model, hasBegun: false)
        }
        let begun = answer
        return ProviderCall(
            run: { emit in
                var answer = begun
                defer { answer.close() }
                while let event = try await next(of: &answer, model: request.model) {
                    try await emit(event)
                }
                do { return try answer.outcome() } catch {
                    throw candidateFailure(error, model: request.model, hasBegun: true)
                }
            },
            abandon: { begun.close() })
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

    func countTokens(_ texts: [String], model: String) throws -> [Int] {
        texts.map { TokenEstimate.tokens(bytes: $0.utf8.count) + TokenEstimate.tokensPerMessage }
    }

    func wait(model: String, tokens: Int) -> Duration? { keys.wait(model: model, tokens: tokens) }

    private func next(of answer: inout OpenAIAnswer, model: String) async throws -> ChatEvent? {
        do { return try await answer.next() } catch {
            throw candidateFailure(error, model: model, hasBegun: true)
        }
    }

    // MARK: The wire

    /// Sends the body and returns once the answer's status says that it went well.
    private func post(
        _ path: String, _ body: [UInt8], accept: String, headers: [String: String],
        model: String, tokens: Int
    ) async throws -> HTTPResponse {
        try await keys.send(model: model, tokens: tokens) { key in
            try await post(path, body, accept: accept, headers: headers, model: model, key: key)
        }
    }

    private func post(
        _ path: String, _ body: [UInt8], accept: String, headers: [String: String],
        model: String, key: String
    ) async throws -> HTTPResponse {
        var lines = [
            HTTPHeader("Content-Type", "application/json"), HTTPHeader("Accept", accept),
        ]
        if !key.isEmpty { lines.append(HTTPHeader("Authorization", "Bearer \(key)")) }
        lines += headers.sorted { $0.key < $1.key }.map { HTTPHeader($0.key, $0.value) }
        do {
            let response = try await client.open(
                HTTPRequest(
                    "POST", baseURL + path, headers: lines,
                    body: body, limits: limits,
                    allowedTargets: [target]))
            guard response.status == 200 else { throw try await error(of: response, model: model) }
            return response
        } catch {
            throw candidateFailure(error, model: model, hasBegun: false)
        }
    }

    private func error(of response: HTTPResponse, model: String) async throws -> CandidateFailure {
        // An error whose body breaks off is still the error that its status says.
        let body = (try? await response.body.collect(bytesMax: Self.errorBytesMax)) ?? []
        try Task.checkCancellation()
        let error = try? JSONDecoder().decode(OpenAIErrorBody.self, from: Data(body)).error
        return failure(
            ProviderError(error, status: response.status), model: model,
            retryAfter: Self.retryAfter(response.headers))
    }

    private func postEmbeddings(_ texts: [String], model: String, headers: [String: String])
        async throws
        -> OpenAIEmbeddings
    {
        let response = try await post(
            "/embeddings",
            Array(try JSONEncoder().encode(OpenAIEmbeddingRequest(model: model, input: texts))),
            accept: "application/json", headers: headers, model: model,
            tokens: TokenEstimate.tokens(bytes: texts.reduce(0) { $0 + $1.utf8.count }))
        do {
            let body = try await response.body.collect(bytesMax: Self.embeddingBytesMax)
            return try JSONDecoder().decode(OpenAIEmbeddings.self, from: Data(body))
        } catch is DecodingError {
            throw unreadable
        } catch {
            throw candidateFailure(error, model: model, hasBegun: false)
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
            .broken, Failure(.upstream, "The provider \(name) sent embeddings that cannot be read.")
        )
    }

    // MARK: Failures

    /// Any error on the way, as the router wants it.
    private func candidateFailure(_ error: any Error, model: String, hasBegun: Bool) -> any Error {
        switch error {
        case is CancellationError: return error
        case let error as ProviderError:
            let found = failure(error, model: model, retryAfter: nil)
            return hasBegun ? CandidateFailure(.broken, found.failure) : found
        case let error as CandidateFailure:
            return CandidateFailure(
                error.kind,
                Failure(
                    error.failure.code, "\(name): \(error.failure.message)",
                    cause: error.failure.cause, retryAfter: error.failure.retryAfter))
        case let error as Failure:
            let kind: FailureClass = hasBegun ? .broken : .of(error)
            // Too large is the user's prompt everywhere else; here it is the provider's answer.
            let code: Failure.Code = error.code == .tooLarge ? .upstream : error.code
            return CandidateFailure(
                kind,
                Failure(
                    code, "The provider \(name) failed: \(error.message)", cause: error.cause,
                    retryAfter: error.retryAfter))
        default: return CandidateFailure(error)
        }
    }

    /// The sentence for each class. The provider's own words are passed on where the user can act
    /// on them; where they are about the account, they go to the log.
    private func failure(_ error: ProviderError, model: String, retryAfter: Duration?)
        -> CandidateFailure
    {
        let words = redacted(error.message)
        let kind = error.kind
        let (code, sentence): (Failure.Code, String) =
            switch kind {
            case .throttled: (.rateLimited, "The provider \(name) has had too many calls.")
            case .exhausted:
                (.unavailable, "The account at the provider \(name) has nothing left to spend.")
            case .credential:
                (
                    .unavailable,
                    "The provider \(name) refused its key. The operator can correct"
                        + " inference.providers.\(name).api_key."
                )
            case .context:
                (.tooLarge, "The prompt is longer than \(name)/\(model) reads: \(words)")
            case .content: (.invalid, "The provider \(name) refused the content: \(words)")
            case .caller: callerSentence(error.status, words: words, model: model)
            default:
                (
                    error.status == 503 || error.status == 529 ? .unavailable : .upstream,
                    "The provider \(name) failed with status \(error.status)."
                )
            }
        let cause = ([String(error.status)] + error.codes + [words]).map(redacted)
        return CandidateFailure(
            kind,
            Failure(
                code, sentence, cause: cause.filter { !$0.isEmpty }.joined(separator: " "),
                retryAfter: retryAfter ?? (kind == .throttled ? .seconds(10) : nil)))
    }

    private func callerSentence(_ status: Int, words: String, model: String)
        -> (Failure.Code, String)
    {
        switch status {
        case 404: (.notFound, "The provider \(name) does not know the model \(model). \(words)")
        case 413: (.tooLarge, "The request is larger than the provider \(name) takes. \(words)")
        case 409: (.conflict, "The provider \(name) refused the request. \(words)")
        default: (.invalid, "The provider \(name) refused the request. \(words)")
        }
    }

    /// The provider's words without our key, without line ends, and not too many of them.
    private func redacted(_ text: String) -> String {
        var text = text
        for key in keys.all { text = text.replacingOccurrences(of: key, with: "[key]") }
        // OpenAI repeats a refused key with stars in its middle, which is still the key's ends.
        let words = text.split(whereSeparator: \.isWhitespace)
            .map { $0.contains("sk-") || $0.contains("***") ? "[key]" : String($0) }
        let safe = words.joined(separator: " ").unicodeScalars.filter {
            $0.properties.generalCategory != .control
        }
        return String(String(String.UnicodeScalarView(safe)).prefix(Self.messageCharactersMax))
    }

    /// `retry-after-ms`, or `Retry-After` in seconds; a date is not read.
    private static func retryAfter(_ headers: [HTTPHeader]) -> Duration? {
        let seconds =
            headers["retry-after-ms"].flatMap { Double($0) }.map { $0 / 1000 }
            ?? headers["retry-after"].flatMap { Double($0) }
        guard let seconds, seconds.isFinite, seconds >= 0 else { return nil }
        return .seconds(min(seconds, 86_400))
    }
}
