import Core
import HTTPTypes
import Hummingbird
import OrderedJSON

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
                        "The answer; `x-heptad-cost` has its cost in picodollars, `x-heptad-route` who"
                            + " answered and why. Where a cache is asked, `x-heptad-cache` says hit,"
                            + " miss, joined, similar or stale, and `x-heptad-saved` what an answer"
                            + " that was there would have cost. Of a similar question"
                            + " `x-heptad-cache-question` has the words, percent-encoded, and"
                            + " `x-heptad-cache-similarity` how near it is."),
                    .events("Chunks of the answer, then `[DONE]`, with `stream`."),
                ], handler: complete),
            Route(
                .post, "/v1/embeddings", "Turn texts into vectors, in OpenAI's format.",
                body: .json(.reference("OpenAIEmbeddingsRequest")),
                answers: [.ok(.reference("OpenAIEmbeddingsAnswer"))], handler: embed),
            Route(
                .get, "/v1/models",
                "The models, in OpenAI's format; in Anthropic's, by pages, to a client that sends"
                    + " `anthropic-version`.",
                query: [
                    QueryParameter(
                        name: "limit", schema: .integer, summary: "Anthropic: how many, at most."),
                    QueryParameter(
                        name: "after_id", schema: .string,
                        summary: "Anthropic: only those after this one."),
                    QueryParameter(
                        name: "before_id", schema: .string,
                        summary: "Anthropic: only those before this one."),
                ],
                answers: [
                    .ok(
                        .oneOf([
                            .record(["object": .string, "data": .list("OpenAIModel")]),
                            .reference("AnthropicModels"),
                        ]))
                ], handler: models),
            Route(
                .get, "/v1/models/{name}",
                "One model, in OpenAI's format, or Anthropic's to a client that sends"
                    + " `anthropic-version`.",
                answers: [
                    .ok(
                        .oneOf([.reference("OpenAIModel"), .reference("AnthropicModel")]))
                ], handler: modelNamed),
        ]
    }

    @Sendable private func complete(_ call: Call) async throws -> Response {
        let principal = try call.principal
        let fields = try await call.fields()
        let body = try OpenAIChatRequest(fields)
        let name = try await model.name(asked: body.model)
        let request = try body.call(
            of: principal, model: name, body: fields.value, purpose: Self.purpose)
        let events = body.stream == true ? try streams.stream(for: principal.userID) : nil
        let count = body.choiceCount
        let calls =
            events == nil
            ? OpenCalls(try await open(request, count: count))
            : try await Connection.apart {
                OpenCalls(try await open(request, count: count))
            }
        let header = ChunkHeader(
            id: "chatcmpl-" + environment.identifier().compact,
            created: environment.now().seconds, model: name)
        guard let events else { return try await answer(calls, header, call) }
        return try stream(
            calls, header, call, events, withUsage: body.includesUsage)
    }

    /// One call for each choice. The seeds follow each other, so that a seed means the same choices.
    private func open(_ request: ChatRequest, count: Int) async throws -> [OpenCall] {
        var opened: [OpenCall] = []
        for index in 0..<count {
            var request = request
            request.sampling.seed = request.sampling.seed.map { $0 &+ UInt64(index) }
            // One of several is numbered from 1: it is no answer to who asks for one alone.
            request.choice = count > 1 ? index + 1 : 0
            do {
                opened.append(OpenCall(try await model.open(request)))
            } catch let failure as Failure {
                throw Self.refusal(failure)
            }
        }
        return opened
    }

    static func refusal(_ failure: Failure) -> Refusal {
        switch failure.code {
        case .tooLarge:
            // The surface says 413 of bodies only.
            var refusal = Refusal(failure, status: .badRequest)
            refusal.parameter = "messages"
            refusal.openAICode = "context_length_exceeded"
            return refusal
        case .notFound: return unknownModel(failure)
        case .invalid:
            // What only the model can tell is told by the name of the field.
            var refusal = Refusal(failure)
            let named = failure.message.split(separator: "`").first { text in
                ["response_format", "text.format", "tools["].contains { text.hasPrefix($0) }
            }
            refusal.parameter =
                failure.message.hasPrefix("logit_bias")
                ? "logit_bias" : named.map { String($0.prefix { $0 != "#" }) }
            return refusal
        default: return Refusal(failure)
        }
    }

    private func answer(
        _ calls: OpenCalls, _ header: ChunkHeader, _ call: Call
    ) async throws -> Response {
        let ended = try await call.context.connection.whileOpen {
            try await calls.run { _ in }
        }
        var response = Response.json(
            try OpenAIChatAnswer(
                id: header.id, object: "chat.completion", created: header.created,
                model: header.model,
                choices: ended.map { $0.choice.whole($0.completion.finishReason) },
                usage: OpenAIUsage(ended.map(\.completion.usage))
            ).json())
        let cost = ended.reduce(Int64(0)) { $0 &+ $1.completion.cost.rawValue }
        response.headers[.callCost] = "\(cost)"
        let saved = ended.compactMap(\.completion.saved)
        if !saved.isEmpty {
            response.headers[.callSaved] = "\(saved.reduce(Int64(0)) { $0 &+ $1.rawValue })"
        }
        calls.describe(in: &response.headers)
        return response
    }

    private func stream(
        _ calls: OpenCalls, _ header: ChunkHeader, _ call: Call, _ events: EventStream,
        withUsage: Bool
    ) throws -> Response {
        let chunks = OpenAIChunks(header)
        let opening = try (0..<calls.count).map { index in
            let role = OpenAIChatAnswer.Message(role: "assistant", content: "")
            let text = try chunks.text(OpenAIChatAnswer.Choice(index: index, delta: role))
            return "data: \(text)\n\n"
        }.joined()
        var response = events.response(over: call.context.connection, opening: opening) { sink in
            do {
                let ended = try await calls.run {
                    try await sink.send(text: try chunks.text($0))
                }
                if withUsage {
                    var last = header.chunk(nil)
                    last.usage = OpenAIUsage(ended.map(\.completion.usage))
                    try await sink.send(data: last.json())
                }
            } catch {
                guard !Task.isCancelled else { throw error }
                try await sink.send(data: OpenAIError(Refusal(of: error)))
            }
            try await sink.send(text: "[DONE]")
        }
        calls.describe(in: &response.headers)
        return response
    }

    @Sendable private func embed(_ call: Call) async throws -> Response {
        let principal = try call.principal
        let body = try OpenAIEmbeddingsRequest(try await call.fields())
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
        if isAnthropic(call) {
            return .text(
                try AnthropicModels.page(of: cards, call.query).text, type: "application/json")
        }
        return try .json(OpenAIModelList(data: cards.map { OpenAIModel($0) }))
    }

    @Sendable private func modelNamed(_ call: Call) async throws -> Response {
        let name = call.text("name")
        guard let card = await model.models().first(where: { $0.name == name }) else {
            throw Self.unknownModel(Failure(.notFound, "There is no model of that name."))
        }
        if isAnthropic(call) {
            return .text(AnthropicModels.json(card).text, type: "application/json")
        }
        return try .json(OpenAIModel(card))
    }

    private func isAnthropic(_ call: Call) -> Bool {
        Surface(path: call.request.uri.path, headers: call.request.headers) == .anthropic
    }

    private static func unknownModel(_ failure: Failure) -> Refusal {
        var refusal = Refusal(failure)
        refusal.parameter = "model"
        refusal.openAICode = "model_not_found"
        return refusal
    }
}

/// The calls of one request, a choice each.
private struct OpenCalls: Sendable {
    struct Ended: Sendable {
        let choice: OpenAIChoice
        let completion: Completion
    }

    private let calls: [OpenCall]

    init(_ calls: [OpenCall]) { self.calls = calls }

    var count: Int { calls.count }

    /// Of several choices together: a hit where every one was there, and who answers the first.
    func describe(in headers: inout HTTPFields) {
        guard calls.count > 1 else { return calls[0].describe(in: &headers) }
        let uses = Set(calls.map(\.cache))
        let use = uses.count == 1 ? calls[0].cache : uses.contains(.miss) ? .miss : .joined
        headers[.cacheUse] = use?.rawValue
        headers[.route] = calls[0].decision
        headers[.context] = calls[0].context
    }

    /// Runs all at once, and hands `send` what a stream says of them as it comes. When one fails,
    /// the others end with it.
    func run(
        _ send: @escaping @Sendable (OpenAIChatAnswer.Choice) async throws -> Void
    ) async throws -> [Ended] {
        guard calls.count > 1 else { return [try await Self.run(calls[0], at: 0, send)] }
        return try await withThrowingTaskGroup(of: Ended.self) { group in
            for (index, call) in calls.enumerated() {
                group.addTask { try await Self.run(call, at: index, send) }
            }
            var ended: [Ended] = []
            for try await one in group { ended.append(one) }
            return ended.sorted { $0.choice.index < $1.choice.index }
        }
    }

    private static func run(
        _ call: OpenCall, at index: Int,
        _ send: @Sendable (OpenAIChatAnswer.Choice) async throws -> Void
    ) async throws -> Ended {
        var choice = OpenAIChoice(index: index)
        let completion = try await call.run { event in
            if let piece = choice.receive(event) { try await send(piece) }
        }
        try await send(choice.end(completion.finishReason))
        return Ended(choice: choice, completion: completion)
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
