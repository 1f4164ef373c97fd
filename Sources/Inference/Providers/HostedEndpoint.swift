import Core
import Egress

/// Where a hosted provider is, and how it is posted to and read, whatever protocol it speaks.
struct HostedEndpoint: Sendable {
    let name: String
    /// Up to and including the version, without a slash at its end.
    let baseURL: String
    /// `host:port`.
    let target: String
    let limits: HTTPLimits
    /// Beside the keys, what must never be shown, though the provider repeats it.
    var secrets: [String] = []
    let keys: ProviderKeys
    private let authorization: @Sendable (String) -> [HTTPHeader]
    private let client: HTTPClient
    private let now: @Sendable () -> Timestamp

    // What is read of an error.
    private static let errorBytesMax = 64 * 1024

    /// Throws `invalid` when the base address is not one.
    /// - Parameter authorization: how a key is shown.
    init(
        _ name: String, _ configuration: ProviderConfiguration, client: HTTPClient,
        environment: Environment,
        authorization: @escaping @Sendable (String) -> [HTTPHeader] = {
            [HTTPHeader("Authorization", "Bearer \($0)")]
        }
    ) throws {
        self.name = name
        self.authorization = authorization
        keys = ProviderKeys(name, configuration, environment: environment)
        self.client = client
        now = environment.now
        var base = configuration.address[...]
        while base.hasSuffix("/") { base.removeLast() }
        baseURL = String(base)
        do { target = try HTTPRequest.target(of: baseURL) } catch {
            throw Failure(
                .invalid,
                "inference.providers.\(name).base_url must be an http or https address without a"
                    + " name and password.")
        }
        var limits = client.limits
        limits.connect = HTTPLimits.duration(configuration.connectTimeoutSeconds)
        limits.firstByte = HTTPLimits.duration(configuration.firstTokenTimeoutSeconds)
        limits.idle = HTTPLimits.duration(configuration.idleTimeoutSeconds)
        limits.total = HTTPLimits.duration(configuration.totalTimeoutSeconds)
        self.limits = limits
    }

    /// Sends JSON and returns once the answer's status says that it went well.
    /// - Parameters:
    ///   - headers: what the protocol wants beside the type of the body and the key.
    ///   - trace: what carries the trace to another server.
    ///   - tokens: about how many the prompt has, for keys that may send so many a minute.
    ///   - wholeTokens: how long an answer may be that comes in one piece at its end; nil for a stream.
    ///   - sign: the headers that are made of all the rest, where there is no key.
    ///   - readError: what the body of an answer says that is an error.
    func post(
        _ path: String, _ body: [UInt8], headers: [HTTPHeader], trace: [String: String],
        model: String, tokens: Int, wholeTokens: Int? = nil,
        sign: (HTTPRequest) throws -> [HTTPHeader] = { _ in [] },
        readError: (HTTPResponse, [UInt8]) -> ProviderError = Self.usualError
    ) async throws -> HTTPResponse {
        try await keys.send(model: model, tokens: tokens) { key in
            try await post(
                path, body, headers: (key.isEmpty ? [] : authorization(key)) + headers,
                trace: trace, model: model, limits(wholeTokens),
                { key.isEmpty ? try sign($0) : [] }, readError)
        }
    }

    /// An answer in one piece begins when it is written: it has the time that its tokens take where
    /// few are written in a second.
    private func limits(_ wholeTokens: Int?) -> HTTPLimits {
        guard let wholeTokens else { return limits }
        var limits = limits
        limits.firstByte = min(
            limits.total,
            limits.firstByte + .seconds(min(wholeTokens, 1 << 20) / Self.tokensPerSecondMin))
        return limits
    }

    private static let tokensPerSecondMin = 10

    /// How long until a call of so many tokens may go out; nil when it may go now.
    func wait(model: String, tokens: Int) -> Duration? { keys.wait(model: model, tokens: tokens) }

    private func post(
        _ path: String, _ body: [UInt8], headers: [HTTPHeader], trace: [String: String],
        model: String, _ limits: HTTPLimits, _ sign: (HTTPRequest) throws -> [HTTPHeader],
        _ readError: (HTTPResponse, [UInt8]) -> ProviderError
    ) async throws -> HTTPResponse {
        let lines =
            [HTTPHeader("Content-Type", "application/json")] + headers
            + trace.sorted { $0.key < $1.key }.map { HTTPHeader($0.key, $0.value) }
        do {
            var request = HTTPRequest(
                "POST", baseURL + path, headers: lines, body: body, limits: limits,
                allowedTargets: [target])
            request.headers += try sign(request)
            let response = try await client.open(request)
            guard response.status == 200 else {
                // An error whose body breaks off is still the error that its status says.
                let body = (try? await response.body.collect(bytesMax: Self.errorBytesMax)) ?? []
                try Task.checkCancellation()
                throw failure(
                    readError(response, body), model: model,
                    retryAfter: RetryAfter.wait(response.headers, at: now()))
            }
            return response
        } catch {
            throw candidateFailure(error, model: model, hasBegun: false)
        }
    }

    /// Reads until the model has begun to answer; the call reads the rest.
    func call(
        _ response: HTTPResponse, _ stream: some AnswerStream, promptEstimate: Int, model: String,
        wholeTokens: Int? = nil
    ) async throws -> ProviderCall {
        var answer = HostedAnswer(response, stream, promptEstimate: promptEstimate, now: now)
        do { try await answer.awaitBeginning(within: limits(wholeTokens).firstByte) } catch {
            answer.close()
            throw failure(error, of: answer, model: model, hasBegun: false)
        }
        let begun = answer
        return ProviderCall(
            run: { emit in
                var answer = begun
                defer { answer.close() }
                while let event = try await next(of: &answer, model: model) {
                    try await emit(event)
                }
                do { return try answer.outcome() } catch {
                    throw failure(error, of: answer, model: model, hasBegun: true)
                }
            },
            abandon: { begun.close() })
    }

    private func next(of answer: inout HostedAnswer<some AnswerStream>, model: String)
        async throws -> ChatEvent?
    {
        do { return try await answer.next() } catch {
            throw failure(error, of: answer, model: model, hasBegun: true)
        }
    }

    /// With what the answer took until then.
    private func failure(
        _ error: any Error, of answer: HostedAnswer<some AnswerStream>, model: String,
        hasBegun: Bool
    ) -> any Error {
        let found = candidateFailure(error, model: model, hasBegun: hasBegun)
        guard var failure = found as? CandidateFailure else { return found }
        failure.usage = answer.usageSoFar
        return failure
    }

    /// `{"error": {...}}` as nearly everyone writes it.
    static func usualError(_ response: HTTPResponse, _ body: [UInt8]) -> ProviderError {
        ProviderError(OpenAIError(body: body), status: response.status)
    }
}
