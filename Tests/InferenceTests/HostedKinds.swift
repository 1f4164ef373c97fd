import Core
import Egress
import OrderedJSON
import TestSupport

@testable import Inference

extension ModelRouter {
    /// The model `m` with one candidate, of a kind or preset, at a scripted server.
    static func hosted(
        _ server: ScriptedServer, kind: String, base: String = "", model: String = "model",
        tracer: RecordingTracer = RecordingTracer(),
        _ change: (inout ProviderConfiguration) -> Void = { _ in }
    ) throws -> ModelRouter {
        try hosted([server], tracer: tracer) { configuration in
            guard var provider = configuration.providers["p0"] else { return }
            provider.kind = kind
            provider.baseUrl = server.url + base
            change(&provider)
            configuration.providers["p0"] = provider
            configuration.models["m"]?.candidates = ["p0/\(model)"]
            configuration.embeddingModel = "p0/embedder"
        }
    }
}

extension ChatModel {
    /// Opens and runs: everything it says, and how it ended.
    func everything(_ request: ChatRequest = .hello()) async throws -> ([ChatEvent], Completion) {
        var events: [ChatEvent] = []
        let completion = try await open(request).run { events.append($0) }
        return (events, completion)
    }
}

extension ChatRequest {
    /// A question with a picture, an answer with two calls, and their results.
    static func conversation() throws -> ChatRequest {
        var request = ChatRequest.hello()
        var asked = ChatMessage(.assistant, "Wait.")
        asked.toolCalls = [
            ToolCall(id: "call.1", name: "weather", arguments: #"{"city":"Oslo"}"#),
            ToolCall(id: "b", name: "time", arguments: ""),
        ]
        var first = ChatMessage(.tool, #"{"degrees":7}"#)
        first.toolCallID = "call.1"
        var second = ChatMessage(.tool, "noon")
        second.toolCallID = "b"
        request.messages = [
            ChatMessage(.system, "Be brief."),
            ChatMessage(
                .user,
                [
                    .text("What is this?"),
                    .image(ChatImage(.inline(mediaType: "image/png", base64: "iVBORw=="))),
                ]),
            asked, first, second, ChatMessage(.user, "Go on."),
        ]
        request.tools = [
            ToolDefinition(
                name: "weather", description: "d",
                parameters: try JSONValue(parsing: Self.schema.utf8), isStrict: true),
            ToolDefinition(name: "time"),
        ]
        return request
    }

    static let schema = #"{"type":"object","properties":{"z":{"const":1.50},"a":{}}}"#
}

extension ScriptedServer {
    /// The body of the first request.
    func body() throws -> JSONValue { try JSONValue(parsing: requests.first?.body ?? []) }
}
