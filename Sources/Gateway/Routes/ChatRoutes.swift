import Core
import HTTPTypes
import Hummingbird

/// Chats, and the turns in them.
struct ChatRoutes: Sendable {
    let conversations: any Conversations
    let assistant: any Assistant
    let model: any ChatModel
    let knowledge: any KnowledgeBase
    let streams: StreamSlots

    static let titleCharactersMax = 200
    static let collectionsMax = 100

    var routes: [Route] {
        [
            Route(
                .get, "/api/models",
                "The models that a question can name; the first is the default.",
                answers: [.ok(.record(["models": .list("ModelCard")]))], handler: models),
            Route(
                .get, "/api/chats", "Your chats, last used first.", query: .page,
                answers: [.ok(.record(["chats": .list("ChatSummary")]))], handler: chats),
            Route(
                .post, "/api/chats", "Make an empty chat.", body: .json(.reference("NewChat")),
                answers: [.created(.reference("ChatSummary"))], handler: create),
            Route(
                .get, "/api/chats/{id}", "A chat and its messages, oldest first.",
                answers: [
                    .ok(
                        .record([
                            "chat": .reference("ChatSummary"), "entries": .list("ChatEntry"),
                        ]))
                ], handler: entries),
            Route(
                .delete, "/api/chats/{id}", "Take a chat away.", answers: [.noContent],
                handler: remove),
            Route(
                .post, "/api/chats/{id}/turns",
                "Ask a question. With `Accept: text/event-stream` the answer's events follow at once,"
                    + " after a first event `started` with what is otherwise the body.",
                body: .json(.reference("Question")),
                answers: [
                    .created(.reference("TurnStarted")), .events("The events of the answer."),
                ], handler: begin),
            Route(
                .get, "/api/turns/{id}/events",
                "The events of an answer: `passages`, `text`, `notice`, `progress` (of a question that"
                    + " needs documents in full: `done`, `total`, `message`) and last `ended`. Each"
                    + " has its number as `id`; what comes after `Last-Event-ID` or `after` is sent.",
                query: [
                    QueryParameter(
                        name: "after", schema: .integer,
                        summary: "The number of the last event you have.")
                ],
                answers: [
                    .events("The events."),
                    Answer(
                        status: .noContent, summary: "There are no more.", mediaType: "",
                        schema: nil),
                ], handler: follow),
            Route(
                .post, "/api/turns/{id}/cancel", "Stop an answer; what there is of it is kept.",
                answers: [.noContent], handler: cancel),
        ]
    }

    @Sendable private func models(_ call: Call) async throws -> Response {
        try .json(["models": await model.models()])
    }

    @Sendable private func chats(_ call: Call) async throws -> Response {
        let page = try call.page
        let chats = try await conversations.chats(
            for: call.principal, before: page.before, limit: page.limit)
        return try .json(["chats": chats])
    }

    @Sendable private func create(_ call: Call) async throws -> Response {
        let hasBody = call.request.declaredBytes ?? 1 > 0
        let body = hasBody ? try await call.json(NewChatBody.self) : nil
        let title = body?.title ?? ""
        guard title.count <= Self.titleCharactersMax else {
            throw Failure(
                .invalid, "A title has at most \(Self.titleCharactersMax) characters.")
        }
        guard body?.collectionIDs?.count ?? 0 <= Self.collectionsMax else {
            throw Failure(
                .invalid,
                "A chat looks in at most \(Self.collectionsMax) collections; choose fewer, or all.")
        }
        var chat = try await conversations.createChat(titled: title, for: call.principal)
        if let passages = body?.passagesMax {
            try await conversations.setPassages(passages, in: chat.id, for: call.principal)
            chat.passagesMax = passages
        }
        if let collections = body?.collectionIDs {
            try await conversations.setCollections(
                collections, in: chat.id, for: call.principal)
            chat.collectionIDs = collections
        }
        return try .json(chat, status: .created)
    }

    @Sendable private func entries(_ call: Call) async throws -> Response {
        let principal = try call.principal
        let (chat, kept) = try await conversations.entries(in: call.id(), for: principal)
        let hidden = try await hidden(
            kept.flatMap { $0.outcome?.citations ?? [] }.map(\.passage), from: principal)
        let entries = kept.map { entry in
            var entry = entry
            entry.outcome?.hide(hidden)
            return entry
        }
        return try .json(ChatBody(chat: chat, entries: entries))
    }

    /// Passages of documents that were shared, and are not any more.
    private func hidden(
        _ passages: [Passage], from principal: Principal
    ) async throws -> Set<Identifier> {
        try await knowledge.hidden(Set(passages.map(\.documentID)), from: principal)
    }

    @Sendable private func remove(_ call: Call) async throws -> Response {
        try await conversations.removeChat(call.id(), for: call.principal)
        return .noContent
    }

    @Sendable private func begin(_ call: Call) async throws -> Response {
        let chat = try call.id()
        let principal = try call.principal
        let question = try await call.json(QuestionBody.self)
        let request = try question.request(in: chat, for: principal)
        // Before the turn begins: a stream that is refused must not leave an answer running.
        let stream = call.wantsEvents ? try streams.stream(for: principal.userID) : nil
        let started = try await assistant.begin(request)
        let location = "/api/turns/\(started.turnID)/events"
        guard let stream else {
            var response = try Response.json(started, status: .created)
            response.headers[.location] = location
            return response
        }
        let turn = started.turnID
        var response = stream.response(over: call.context.connection) { sink in
            try await sink.send(event: "started", data: started)
            await send(turn, after: 0, for: principal, to: sink)
        }
        response.headers[.contentLocation] = location
        return response
    }

    @Sendable private func follow(_ call: Call) async throws -> Response {
        let turn = try call.id()
        let principal = try call.principal
        let last = try call.request.headers[.lastEventID] ?? call.query["after"] ?? "0"
        guard let number = Int(last), number >= 0 else {
            throw Refusal.invalid("`after` has to be the number of an event.")
        }
        let stream = try streams.stream(for: principal.userID)
        let probe = try await probed { emit in
            try await assistant.follow(turn: turn, after: number, for: principal) { _ in
                try await emit()
            }
        }
        // An EventSource comes again when a stream ends, unless it is told so.
        guard probe != .ended else { return .noContent }
        return stream.response(over: call.context.connection) { sink in
            await send(turn, after: number, for: principal, to: sink)
        }
    }

    @Sendable private func cancel(_ call: Call) async throws -> Response {
        try await assistant.cancel(turn: call.id(), for: call.principal)
        return .noContent
    }

    private func send(
        _ turn: Identifier, after number: Int, for principal: Principal, to sink: EventSink
    ) async {
        await sink.reportingFailures {
            try await assistant.follow(turn: turn, after: number, for: principal) { event in
                switch event.kind {
                case .passages(let found):
                    let hidden = try await hidden(found, from: principal)
                    let passages = found.map { $0.hidden(among: hidden) }
                    try await sink.send(
                        id: event.number, event: "passages", data: ["passages": passages])
                case .text(let text):
                    try await sink.send(id: event.number, event: "text", data: ["text": text])
                case .notice(let notice):
                    try await sink.send(
                        id: event.number, event: "notice", data: ["notice": notice])
                case .progress(let progress):
                    try await sink.send(id: event.number, event: "progress", data: progress)
                case .ended(var outcome):
                    outcome.hide(
                        try await hidden(outcome.citations.map(\.passage), from: principal))
                    try await sink.send(id: event.number, event: "ended", data: outcome)
                }
            }
        }
    }
}

extension TurnOutcome {
    fileprivate mutating func hide(_ hidden: Set<Identifier>) {
        guard !hidden.isEmpty else { return }
        for place in citations.indices {
            citations[place].passage = citations[place].passage.hidden(among: hidden)
        }
    }
}

extension Passage {
    /// Without its words where its document is among those that are hidden.
    fileprivate func hidden(among documents: Set<Identifier>) -> Passage {
        guard documents.contains(documentID) else { return self }
        return Passage(
            id: id, documentID: documentID, documentName: "A document that is not shared any more",
            headings: [], text: "", start: 0, end: 0)
    }
}

private struct NewChatBody: Decodable {
    let title: String?
    let passagesMax: Int?
    let collectionIDs: [Identifier]?
}

private struct ChatBody: Encodable {
    let chat: ChatSummary
    let entries: [ChatEntry]
}

private struct QuestionBody: Decodable {
    struct Sampling: Decodable {
        let temperature: Double?
        let topK: Int?
        let topP: Double?
        let minP: Double?
        let seed: UInt64?
        let stop: [String]?
        let outputTokensMax: Int?
    }

    let question: String
    let model: String?
    let collectionIDs: [Identifier]?
    let sampling: Sampling?

    func request(in chat: Identifier, for principal: Principal) throws -> TurnRequest {
        guard question.contains(where: { !$0.isWhitespace }) else {
            throw Refusal.invalid("`question` is empty.")
        }
        guard (collectionIDs ?? []).count <= ChatRoutes.collectionsMax else {
            throw Refusal.invalid(
                "`collectionIDs` has more than \(ChatRoutes.collectionsMax) entries.")
        }
        let options = SamplingOptions(
            temperature: sampling?.temperature, topK: sampling?.topK, topP: sampling?.topP,
            minP: sampling?.minP, seed: sampling?.seed, stop: sampling?.stop ?? [],
            outputTokensMax: sampling?.outputTokensMax)
        try options.validate(naming: .native)
        return TurnRequest(
            principal: principal, chatID: chat, question: question,
            model: model.flatMap { $0.isEmpty ? nil : $0 }, collectionIDs: collectionIDs,
            sampling: options)
    }
}
