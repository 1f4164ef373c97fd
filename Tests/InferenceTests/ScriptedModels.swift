import Core
import Egress
import LocalModels
import Synchronization
import TestSupport

@testable import Inference

/// The bytes of an OpenAI-compatible stream, and routers that read them.
enum Wire {
    static func text(_ text: String) -> String {
        #"data: {"id":"1","model":"served","choices":[{"index":0,"delta":{"content":"\#(text)"}}]}"#
            + "\n\n"
    }

    static func finish(_ reason: String = "stop") -> String {
        #"data: {"choices":[{"index":0,"delta":{},"finish_reason":"\#(reason)"}]}"# + "\n\n"
    }

    static func usage(prompt: Int, output: Int) -> String {
        #"data: {"choices":[],"usage":{"prompt_tokens":\#(prompt),"completion_tokens":\#(output)}}"#
            + "\n\n"
    }

    static func error(_ message: String, code: String) -> String {
        #"data: {"error":{"message":"\#(message)","type":"x","code":\#(code)}}"# + "\n\n"
    }

    static let role =
        #"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"# + "\n\n"
    static let done = "data: [DONE]\n\n"
    static let hello =
        role + text("Hel") + text("lo") + finish() + usage(prompt: 7, output: 2) + done

    /// A whole stream with the end of the connection as its end.
    static func stream(_ text: String) -> [ScriptedServer.Step] {
        [ScriptedServer.head(), .text(text)]
    }

    /// A stream whose rest comes when `gate` is opened.
    static func stream(_ text: String, then rest: String, after gate: Gate)
        -> [ScriptedServer.Step]
    {
        [ScriptedServer.head(), .text(text), .until { gate.isOpen }, .text(rest)]
    }

    static func failure(
        _ status: Int, code: String = "", message: String = "words of theirs",
        headers: [String] = []
    ) -> [ScriptedServer.Step] {
        ScriptedServer.answer(
            #"{"error":{"message":"\#(message)","type":"t","code":"\#(code)"}}"#, status: status,
            headers: headers)
    }
}

/// Something that a test opens once.
final class Gate: Sendable {
    private let state = Mutex(false)

    var isOpen: Bool { state.withLock { $0 } }

    func open() { state.withLock { $0 = true } }
}

extension ModelRouter {
    /// The model `m`, with one candidate for each server: `p0/model`, `p1/model`, and so on. Each is
    /// asked once, as long as `change` does not say otherwise.
    static func hosted(
        _ servers: [ScriptedServer], apiKey: String = "sk-secret-key-123",
        tracer: RecordingTracer = RecordingTracer(), shelf: ModelShelf? = nil,
        environment: Environment = .system, waits: Waits = Waits(), dataFolder: String? = nil,
        pricing: (any Pricing)? = nil,
        _ change: (inout InferenceConfiguration) -> Void = { _ in }
    ) throws -> ModelRouter {
        var configuration = InferenceConfiguration()
        var model = ModelConfiguration()
        for (number, server) in servers.enumerated() {
            var provider = ProviderConfiguration()
            provider.baseUrl = "\(server.url)/v1/"
            provider.apiKey = apiKey
            configuration.providers["p\(number)"] = provider
            model.candidates.append("p\(number)/model")
        }
        configuration.models["m"] = model
        configuration.retries.attemptsMax = max(1, servers.count)
        change(&configuration)
        return try ModelRouter(
            configuration, shelf: shelf ?? ModelShelf(folder: "/models"), dataFolder: dataFolder,
            client: HTTPClient(EgressConfiguration()), environment: environment, pricing: pricing,
            tracer: tracer,
            wait: { duration in
                // Holds the servers for as long as anyone may call them.
                _ = servers
                try await waits.wait(duration)
            })
    }
}

/// True as often as it was told.
final class Counts: Sendable {
    private let left: Mutex<Int>

    init(_ count: Int) { left = Mutex(count) }

    func take() -> Bool {
        left.withLock { left in
            defer { left -= 1 }
            return left > 0
        }
    }
}

/// What a router waited between its attempts: nothing in truth, but the clock goes on.
final class Waits: Sendable {
    private let clock: ManualClock?
    private let seen = Mutex<[Duration]>([])

    init(_ clock: ManualClock? = nil) { self.clock = clock }

    var all: [Duration] { seen.withLock { $0 } }

    @Sendable func wait(_ duration: Duration) async throws {
        seen.withLock { $0.append(duration) }
        clock?.advance(by: duration)
    }
}

extension ChatRequest {
    static func hello(_ model: String = "m") -> ChatRequest {
        ChatRequest(
            principal: .alice, model: model, messages: [ChatMessage(.user, "Hello?")],
            purpose: "api")
    }
}

extension ChatModel {
    /// Opens and runs: the pieces of text, and how it ended.
    func answer(_ request: ChatRequest = .hello()) async throws -> ([String], Completion) {
        var pieces: [String] = []
        let completion = try await open(request).run { event in
            if case .text(let text) = event { pieces.append(text) }
        }
        return (pieces, completion)
    }
}

/// What a scripted model was asked.
typealias Requests = Box<[GenerationRequest]>

final class Box<Value: Sendable>: Sendable {
    private let value: Mutex<Value>

    init(_ value: Value) { self.value = Mutex(value) }

    var current: Value { value.withLock { $0 } }

    func withLock(_ body: (inout Value) -> Void) { value.withLock { body(&$0) } }
}

extension ModelShelf {
    /// Chat models that answer with `pieces`, or refuse; a token is a character.
    static func scripted(
        _ names: [String], contextTokens: Int = 100, pieces: [String] = ["Hel", "lo"],
        reused: Int = 0, refusal: Failure? = nil, requests: Requests? = nil,
        cancelled: @escaping @Sendable () -> Void = {}, embedder: String? = nil
    ) -> ModelShelf {
        var shelf = ModelShelf(folder: "/models")
        for name in names {
            shelf.chatModels[name] = LocalEngine(
                name: name, contextTokens: contextTokens, countTokens: { $0.count },
                prompt: { messages, _, _ in
                    messages.flatMap { $0.text.utf8.map { Int32($0) } }
                },
                open: { request in
                    if let refusal { throw refusal }
                    requests?.withLock { $0.append(request) }
                    return LocalEngine.Call(
                        run: { emit in
                            for piece in pieces { try await emit(GenerationPiece(text: piece)) }
                            var generation = Generation(
                                promptTokens: request.prompt.count, promptTokensReused: reused,
                                outputTokens: request.sampling.outputTokensMax ?? -1,
                                finishReason: .length, waitedMilliseconds: 250,
                                promptMilliseconds: 1, firstTokenMilliseconds: 1,
                                totalMilliseconds: 2, batchMean: 3.5)
                            generation.draftTokens = 8
                            generation.draftTokensAccepted = 5
                            return generation
                        }, cancel: cancelled)
                })
        }
        if let embedder {
            shelf.embedders[embedder] = LocalEmbedding(
                name: embedder, dimensions: 2, countTokens: { $0.count },
                embed: { texts in (texts.flatMap { _ in [Float(1), 0] }, texts.count * 3) })
        }
        return shelf
    }
}
