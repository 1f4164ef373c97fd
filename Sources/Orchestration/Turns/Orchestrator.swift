package import Core
import Instrumentation
import Logging
import ServiceContextModule
import Synchronization
import Tracing

/// Answers questions in chats. Its `run()` is where answers are written: before it is called, and
/// once the server is told to stop, `begin` throws `unavailable`.
package final class Orchestrator: Sendable {
    let configuration: OrchestrationConfiguration
    let store: ConversationStore
    let model: any ChatModel
    let embedder: any Embedder
    let knowledge: any KnowledgeBase
    let environment: Environment
    let turns: TurnRegistry
    let logger = Logger(label: "heptad.orchestration")
    /// Where begun turns are handed to `run()`; nil while it does not take any.
    let intake = Mutex<AsyncStream<BegunTurn>.Continuation?>(nil)

    package init(
        _ configuration: OrchestrationConfiguration, store: OrchestrationStore,
        model: any ChatModel, embedder: any Embedder, knowledge: any KnowledgeBase,
        environment: Environment
    ) throws {
        try configuration.validate()
        self.configuration = configuration
        self.store = ConversationStore(pool: store.pool)
        self.model = model
        self.embedder = embedder
        self.knowledge = knowledge
        self.environment = environment
        turns = TurnRegistry(
            perUserMax: configuration.turnsPerUserMax, max: configuration.turnsMax)
    }

    /// Opens a store of its own. Where a `JobStore` uses the same folder, hand both one
    /// `OrchestrationStore` instead, so that the file has one writer.
    package convenience init(
        _ configuration: OrchestrationConfiguration, folder: String, model: any ChatModel,
        embedder: any Embedder, knowledge: any KnowledgeBase, environment: Environment
    ) throws {
        try self.init(
            configuration, store: OrchestrationStore(folder: folder), model: model,
            embedder: embedder, knowledge: knowledge, environment: environment)
    }
}

/// A turn that is saved and whose model call is open, on its way to the task that writes the answer.
struct BegunTurn: Sendable {
    let turn: LiveTurn
    let call: ChatCall
    let request: TurnRequest
    var prepared: PreparedTurn
    let span: any Span
    let startedAt: Timestamp

    /// What the model wrote of a text that a quotation may stand at the head of.
    func written(_ text: String) -> String {
        guard let lead = prepared.quotation?.lead, text.hasPrefix(lead) else { return text }
        return String(text.dropFirst(lead.count))
    }
}

extension TurnRequest {
    /// The same in these collections.
    func looking(in collections: [Identifier]?) -> TurnRequest {
        TurnRequest(
            principal: principal, chatID: chatID, question: question, model: model,
            collectionIDs: collections, sampling: sampling)
    }
}

extension Orchestrator: Assistant {
    package func begin(_ request: TurnRequest) async throws -> TurnStarted {
        let question = try checked(request.question)
        guard intake.withLock({ $0 != nil }) else { throw Self.notServing }
        let id = environment.identifier()
        let span = startSpan("turn", ofKind: .internal)
        span.attributes["gen_ai.operation.name"] = "invoke_agent"
        span.attributes["gen_ai.conversation.id"] = request.chatID.description
        span.attributes["user.id"] = request.principal.userID.description
        span.attributes["heptad.turn.id"] = id.description
        // The span ends with the answer, in another task; here only where there will be none.
        do {
            return try await ServiceContext.withValue(span.context) {
                try await begin(request, question: question, id: id, span: span)
            }
        } catch {
            span.recordError(error)
            span.setStatus(SpanStatus(code: .error))
            span.end()
            throw error
        }
    }

    private func begin(_ request: TurnRequest, question: String, id: Identifier, span: any Span)
        async throws -> TurnStarted
    {
        let startedAt = environment.now()
        var prepared: PreparedTurn
        let call: ChatCall
        let history = try await store.history(
            of: request.chatID, limit: historyRead, for: request.principal)
        try turns.claim(id, chat: request.chatID, for: request.principal)
        do {
            prepared = try await prepareInChat(request, question: question, history: history)
            span.attributes["gen_ai.request.model"] = prepared.chat.model
            span.attributes["heptad.passages.count"] = prepared.passages.count
            span.attributes["heptad.history.count"] = prepared.historyCount
            span.attributes["heptad.whole.parts"] = prepared.whole?.parts.count
            call = try await model.open(prepared.chat)
            if let notice = call.notice { prepared.notices.append(notice) }
        } catch {
            turns.release(id)
            throw error
        }
        let new = NewTurn(
            id: id, chatID: request.chatID, questionID: environment.identifier(),
            answerID: environment.identifier(), question: question, events: prepared.events,
            traceID: TraceContext.traceID(of: span.context), startedAt: startedAt)
        let turn = LiveTurn(
            id: id, chatID: request.chatID, ownerID: request.principal.userID,
            events: prepared.events)
        do {
            turns.fill(turn)
            try await store.save(new, for: request.principal)
        } catch {
            turns.release(id)
            await abandon(call)
            throw error
        }
        let started = TurnStarted(
            turnID: id, questionID: new.questionID, answerID: new.answerID)
        let begun = BegunTurn(
            turn: turn, call: call, request: request, prepared: prepared, span: span,
            startedAt: startedAt)
        guard hand(begun) else {
            // The server was told to stop in these last moments: what is saved says so.
            await abandon(call)
            await close(begun, outcome(of: begun, .stopped(.shutdown), nil, nil))
            return started
        }
        return started
    }

    package func follow(
        turn id: Identifier, after number: Int, for principal: Principal,
        _ emit: (TurnEvent) async throws -> Void
    ) async throws {
        if let turn = turns[id] {
            guard turn.ownerID == principal.userID else { throw ConversationStore.noTurn }
            return try await follow(turn, after: number, emit)
        }
        var number = max(number, 0)
        while true {
            let page = try await store.log(of: id, after: number, for: principal)
            for event in page.events {
                try await emit(event)
                if case .ended = event.kind { return }
                number = event.number
            }
            guard page.events.count == ConversationStore.eventsPerPage else {
                // Running, and not here: the process it ran in is gone, and `run()` has not yet
                // come to write its end.
                if page.state == .running { throw Self.notServing }
                return
            }
        }
    }

    private func follow(
        _ turn: LiveTurn, after number: Int, _ emit: (TurnEvent) async throws -> Void
    ) async throws {
        try turn.addFollower()
        defer { turn.removeFollower() }
        var number = number
        while true {
            let events = await turn.events(after: number)
            try Task.checkCancellation()
            if events.isEmpty { return }
            for event in events {
                try await emit(event)
                if case .ended = event.kind { return }
                number = event.number
            }
        }
    }

    package func cancel(turn id: Identifier, for principal: Principal) async throws {
        if let turn = turns[id], turn.ownerID == principal.userID { return turn.stop(.user) }
        guard try await store.owns(turn: id, principal) else { throw ConversationStore.noTurn }
    }

    static let notServing = Failure(
        .unavailable, "The server is starting or stopping. Try again in a moment.",
        retryAfter: .seconds(2))

    func checked(_ question: String) throws -> String {
        let limit = configuration.questionCharactersMax
        // A scalar has at most four bytes: what is longer than that is not counted out.
        guard question.utf8.count <= limit * 4, question.unicodeScalars.count <= limit else {
            throw Failure(
                .tooLarge,
                "The question is longer than \(limit) characters; shorten it, or upload"
                    + " the text as a document and ask about it.")
        }
        guard let first = question.firstIndex(where: { !$0.isWhitespace }),
            let last = question.lastIndex(where: { !$0.isWhitespace })
        else { throw Failure(.invalid, "The question is empty; write one.") }
        return String(question[first...last])
    }

    /// Enough for either kind of model; which one answers is not known yet.
    private var historyRead: Int {
        max(configuration.local.historyMessagesMax, configuration.hosted.historyMessagesMax)
    }

    private func hand(_ begun: BegunTurn) -> Bool {
        intake.withLock { intake in
            guard let intake else { return false }
            intake.yield(begun)
            return true
        }
    }

    private func abandon(_ call: ChatCall) async {
        do {
            try await shielded { await call.abandon() }
        } catch {
            logger.error("A model call could not be abandoned", metadata: ["error": "\(error)"])
        }
    }
}
