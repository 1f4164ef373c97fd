import Core
import HTTPTypes
import Hummingbird
import Synchronization

/// The surface that OpenAI's clients speak.
struct OpenAIRoutes: Sendable {
    let model: any ChatModel
    let embedder: any Embedder
    let environment: Core.Environment
    let streams: StreamSlots

    static let purpose = "api"

    var routes: [Route] {
        [
            Route(
                .post, "/v1/chat/completions",
                "Continue a conversation, at once or as a stream, in OpenAI's format.",
                body: .json(.reference("OpenAIChatRequest")),
                answers: [
                    .ok(
                        .reference("OpenAIChatAnswer"),
                        "The answer; `x-heptad-cost` has its cost in picodollars."),
                    .events("Chunks of the answer, then `[DONE]`, with `stream`."),
                ], handler: complete),
            Route(
                .post, "/v1/embeddings", "Turn texts into vectors, in OpenAI's format.",
                body: .json(.reference("OpenAIEmbeddingsRequest")),
                answers: [.ok(.reference("OpenAIEmbeddingsAnswer"))], handler: embed),
            Route(
                .get, "/v1/models", "The models, in OpenAI's format.",
                answers: [
                    .ok(.record(["object": .string, "data": .list("OpenAIModel")]))
                ], handler: models),
            Route(
                .get, "/v1/models/{name}", "One model, in OpenAI's format.",
                answers: [.ok(.reference("OpenAIModel"))], handler: modelNamed),
        ]
    }

    @Sendable private func complete(_ call: Call) async throws -> Response {
        let principal = try call.principal
        let body = try await call.json(OpenAIChatRequest.self)
        let (messages, sampling) = try body.checked()
        let name = try await modelName(body.model)
        let events = body.stream == true ? try streams.stream(for: principal.userID) : nil
        let opened: OpenCall
        do {
            opened = OpenCall(
                try await model.open(
                    ChatRequest(
                        principal: principal, model: name, messages: messages, sampling: sampling,
                        purpose: Self.purpose)))
        } catch let failure as Failure where failure.code == .tooLarge {
            // The surface says 413 of bodies only.
            var refusal = Refusal(failure, status: .badRequest)
            refusal.parameter = "messages"
            refusal.openAICode = "context_length_exceeded"
            throw refusal
        } catch let failure as Failure where failure.code == .notFound {
            throw Self.unknownModel(failure)
        }
        let header = ChunkHeader(
            id: "chatcmpl-" + environment.identifier().description.filter { $0 != "-" },
            created: environment.now().seconds, model: name)
        guard let events else { return try await answer(opened, header, call) }
        return stream(
            opened, header, call, events, withUsage: body.streamOptions?.includeUsage == true)
    }

    private func answer(
        _ opened: OpenCall, _ header: ChunkHeader, _ call: Call
    ) async throws -> Response {
        let (text, completion) = try await call.request.whileConnected {
            let text = Mutex("")
            let completion = try await opened.run { event in
                switch event {
                case .text(let piece): text.withLock { $0 += piece }
                case .toolCall, .logprobs: break
                }
            }
            return (text.withLock { $0 }, completion)
        }
        var response = try Response.json(
            OpenAIChatAnswer(
                id: header.id, object: "chat.completion", created: header.created,
                model: header.model,
                choices: [
                    OpenAIChatAnswer.Choice(
                        message: OpenAIChatAnswer.Message(role: "assistant", content: text),
                        finishReason: completion.finishReason.openAIName)
                ], usage: OpenAIUsage(completion.usage)))
        response.headers[.callCost] = "\(completion.cost.rawValue)"
        response.headers[.connection] = "close"
        return response
    }

    private func stream(
        _ opened: OpenCall, _ header: ChunkHeader, _ call: Call, _ events: EventStream,
        withUsage: Bool
    ) -> Response {
        events.response(to: call.request) { sink in
            do {
                try await sink.send(
                    data: header.chunk(OpenAIChatAnswer.Message(role: "assistant", content: "")))
                let completion = try await opened.run { event in
                    switch event {
                    case .text(let piece):
                        try await sink.send(
                            data: header.chunk(OpenAIChatAnswer.Message(content: piece)))
                    case .toolCall, .logprobs: break
                    }
                }
                try await sink.send(
                    data: header.chunk(
                        OpenAIChatAnswer.Message(),
                        finishReason: completion.finishReason.openAIName))
                if withUsage {
                    var last = header.chunk(nil)
                    last.usage = OpenAIUsage(completion.usage)
                    try await sink.send(data: last)
                }
            } catch {
                guard !Task.isCancelled else { throw error }
                try await sink.send(data: OpenAIError(Refusal(of: error)))
            }
            try await sink.send(text: "[DONE]")
        }
    }

    @Sendable private func embed(_ call: Call) async throws -> Response {
        let principal = try call.principal
        let body = try await call.json(OpenAIEmbeddingsRequest.self)
        let texts = try body.texts()
        let name = body.model.flatMap { $0.isEmpty ? nil : $0 }
        let embeddings: Embeddings
        do {
            embeddings = try await embedder.embed(
                EmbeddingRequest(
                    principal: principal, model: name, texts: texts, purpose: Self.purpose))
        } catch let failure as Failure where failure.code == .notFound {
            throw Self.unknownModel(failure)
        }
        guard body.dimensions ?? embeddings.dimensions == embeddings.dimensions else {
            throw OpenAIChatRequest.refusal(
                "dimensions", "has to be \(embeddings.dimensions) for this model, or left out.")
        }
        var response = try Response.json(
            OpenAIEmbeddingsAnswer(
                embeddings, model: name ?? embeddings.candidate,
                asBase64: body.encodingFormat == "base64"))
        response.headers[.callCost] = "\(embeddings.cost.rawValue)"
        return response
    }

    @Sendable private func models(_ call: Call) async throws -> Response {
        let cards = await model.models()
        return try .json(OpenAIModelList(data: cards.map { OpenAIModel($0) }))
    }

    @Sendable private func modelNamed(_ call: Call) async throws -> Response {
        let name = call.text("name")
        guard let card = await model.models().first(where: { $0.name == name }) else {
            throw Self.unknownModel(Failure(.notFound, "There is no model of that name."))
        }
        return try .json(OpenAIModel(card))
    }

    private func modelName(_ asked: String?) async throws -> String {
        if let asked, !asked.isEmpty { return asked }
        guard let name = await model.models().first?.name else {
            throw Failure(.unavailable, "No model is configured.")
        }
        return name
    }

    private static func unknownModel(_ failure: Failure) -> Refusal {
        var refusal = Refusal(failure)
        refusal.parameter = "model"
        refusal.openAICode = "model_not_found"
        return refusal
    }
}

/// What all chunks of one answer share.
private struct ChunkHeader: Sendable {
    let id: String
    let created: Int64
    let model: String

    /// Without a message, the chunk has no choice: that is the one with the usage.
    func chunk(
        _ delta: OpenAIChatAnswer.Message?, finishReason: String? = nil
    ) -> OpenAIChatAnswer {
        let choices = delta.map { delta in
            [OpenAIChatAnswer.Choice(delta: delta, finishReason: finishReason)]
        }
        return OpenAIChatAnswer(
            id: id, object: "chat.completion.chunk", created: created, model: model,
            choices: choices ?? [])
    }
}

/// A call that is given up when nobody runs it: a client may be gone before its answer begins, and
/// then Hummingbird drops the response without a word.
private final class OpenCall: Sendable {
    private let call: Mutex<ChatCall?>

    init(_ call: ChatCall) { self.call = Mutex(call) }

    deinit {
        guard let call = take() else { return }
        // Under nobody, since nobody is left: it gives reserved money back and ends.
        Task { await call.abandon() }
    }

    func run(_ emit: (ChatEvent) async throws -> Void) async throws -> Completion {
        guard let call = take() else {
            throw Failure(.internalError, "The answer was begun twice.")
        }
        return try await call.run(emit)
    }

    private func take() -> ChatCall? {
        call.withLock { held in
            defer { held = nil }
            return held
        }
    }
}

struct OpenAIModelList: Encodable {
    let object = "list"
    let data: [OpenAIModel]
}

struct OpenAIModel: Encodable {
    let id: String
    let object = "model"
    /// The API wants a time; ours have none.
    let created = 0
    let ownedBy: String
    let contextWindow: Int

    enum CodingKeys: String, CodingKey {
        case id, object, created
        case ownedBy = "owned_by"
        case contextWindow = "context_window"
    }

    init(_ card: ModelCard) {
        id = card.name
        ownedBy = card.isLocal ? "local" : "heptad"
        contextWindow = card.contextTokens
    }
}
