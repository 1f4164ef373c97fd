import Core
import Foundation
import OrderedJSON
import Synchronization

@testable import Gateway

/// All layers behind the Gateway, in memory. What there is belongs to one owner; everyone else is
/// told that it is not there.
final class ScriptedLayers: Sendable {
    struct State {
        var owner: Identifier?
        var turns: [TurnRequest] = []
        var chatRequests: [ChatRequest] = []
        var uploads: [Upload] = []
        var removed: [Identifier] = []
        var cancelled: [Identifier] = []
        var searches: [SearchRequest] = []
        var explanations: [ExplanationRequest] = []
        var passages: [Int?] = []
        var followsRunning = 0
        var runsCancelled = 0
        var abandoned = 0
        var openFailure: Failure?
        var runFailure: Failure?
        var pieces = ["Hello", ", ", "world"]
        /// What a call emits before its pieces of text.
        var events: [ChatEvent] = []
        var finishReason = Completion.FinishReason.stop
        var cache: CacheUse?
        var cached: CachedAnswer?
        var decision = ""
        var change: CandidateSwitch?
        var stallsRun = false
        var keepsTurnOpen = false
        /// Keys of the provider `far` that were set.
        var providerKeys: [String] = []
        var refusedUploads: Set<String> = []
        /// Documents that were shared and are not any more.
        var hidden: Set<Identifier> = []
        /// What a grounded answer says its text rests on.
        var citations: [TextCitation] = []
        var chatCollections: [[Identifier]?] = []
        var sites: [SiteRequest] = []
        var batches: [[Identifier: [String: AttributeValue]?]] = []
    }

    static let chat = fixed(1)
    static let turn = fixed(2)
    static let question = fixed(3)
    static let answer = fixed(4)
    static let collection = fixed(5)
    static let document = fixed(6)
    static let job = fixed(7)
    static let passage = fixed(8)
    static let providerKey = fixed(9)
    static let batch = Identifier("00000000-0000-7000-8000-000000000110") ?? fixed(0)
    static let trace = "0af7651916cd43dd8448eb211c80319c"
    static let time = Timestamp(microseconds: 1_790_000_000_000_000)

    private let state = Mutex(State())

    func with<Value: Sendable>(_ body: (inout sending State) -> sending Value) -> Value {
        state.withLock { body(&$0) }
    }

    static func fixed(_ number: Int) -> Identifier {
        let text = "00000000-0000-7000-8000-00000000010\(number)"
        guard let id = Identifier(text) else { preconditionFailure("Not an identifier: \(text)") }
        return id
    }

    private func check(_ id: Identifier, _ expected: Identifier, _ principal: Principal) throws {
        let owner = state.withLock { $0.owner }
        guard id == expected, principal.userID == owner else {
            throw Failure(.notFound, "There is no such thing.")
        }
    }

    static let samplePassage = Passage(
        id: passage, documentID: document, documentName: "a.md", headings: ["A", "B"],
        text: "Text.", start: 0, end: 5)
    static let usage = TokenUsage(freshInput: 7, cacheRead: 2, output: 3)
    static let completion = completion(.stop)

    static func completion(_ reason: Completion.FinishReason) -> Completion {
        Completion(
            candidate: "local/tiny", finishReason: reason, usage: usage, cost: Picodollars(1234),
            firstTokenMilliseconds: 1.5, totalMilliseconds: 9)
    }

    static let verdict: SentenceVerdict = {
        var verdict = SentenceVerdict(
            start: 0, end: 16, support: .weak, number: 1, method: .words, score: 0.5)
        (verdict.evidenceStart, verdict.evidenceEnd) = (0, 5)
        (verdict.wrongNumbers, verdict.reason) = ([9], "It cites passage 9, and there is none.")
        return verdict
    }()
    static let report: SearchReport = {
        var report = SearchReport(text: "Hi", collectionIDs: [collection], passagesMax: 4)
        (report.model, report.documentCount, report.passageCount) = ("tiny", 1, 2)
        report.bestSimilarity = 0.25
        return report
    }()
    static let explanation: AnswerExplanation = {
        var hit = SearchHit(
            passage: samplePassage, score: 0.5, keywordRank: 1, vectorRank: 2, similarity: 0.25,
            keywordScore: 3)
        hit.rank = 1
        var found = SearchExplanation(
            hits: [hit], dropped: [], question: "prose", vectorShare: 0.5, similarityMin: 0.2,
            hasVectors: true)
        found.expected = DocumentExplanation(
            document: documentSummary, excerpt: "Text.", characterCount: 5, isSearched: true,
            passagesWithoutVector: 0, words: ["hi"], missingWords: ["there"], hits: [hit])
        var finding = AnswerExplanation.Finding("It is at rank 1.")
        (finding.action, finding.label, finding.passages) = (.passages, "Give more", 6)
        finding.question = "Hi?"
        return AnswerExplanation(
            question: "Hi", search: report, model: "tiny", passageTokensMax: 800,
            similarityMin: 0.25, found: found,
            rows: [.init(hit: hit, fate: .given, tokens: 3, wasGiven: true)], findings: [finding])
    }()

    static let outcome = TurnOutcome(
        state: .completed, text: "Hello, world [1]",
        citations: [Citation(number: 1, passage: samplePassage, origin: .model)],
        verdicts: [verdict], search: report,
        notices: ["One passage was left out."], completion: completion, failure: nil,
        traceID: trace, totalMilliseconds: 12)
    static let events: [TurnEvent] = [
        TurnEvent(number: 1, kind: .passages([samplePassage])),
        TurnEvent(number: 2, kind: .text("Hello,\n")),
        TurnEvent(number: 3, kind: .notice("One passage was left out.")),
        TurnEvent(number: 4, kind: .text("world")),
        TurnEvent(number: 5, kind: .ended(outcome)),
    ]
    static let chatSummary = ChatSummary(
        id: chat, title: "A chat", createdAt: time, updatedAt: time)
    static var collectionValue: Core.Collection {
        var value = Core.Collection(id: collection, name: "Notes", ownerID: chat, createdAt: time)
        (value.documentCount, value.passageCount, value.expiresAfterDays) = (1, 2, 3)
        value.settings.vectorShare = 0.5
        value.metadata = ["a": "b"]
        return value
    }
    static var documentSummary: DocumentSummary {
        var summary = DocumentSummary(
            id: document, collectionID: collection, name: "a.md", mediaType: "text/markdown",
            byteCount: 5, passageCount: 1, state: .ready, failure: nil, createdAt: time,
            source: "/a.md", contentHash: "00", similarTo: document)
        summary.tags = ["t"]
        summary.attributes = ["a": .string("b"), "n": .number(1.5), "is": .bool(true)]
        return summary
    }
    static let card = ModelCard(
        name: "tiny", candidates: ["local/tiny"], contextTokens: 2048, outputTokensMax: 512,
        isLocal: true,
        price: TokenPrice(
            input: .zero, cacheRead: .zero, cacheWrite: .zero, output: .zero, asOf: "configured"))

    static func job(_ state: Job.State) -> Job {
        Job(
            id: job, kind: "ingest", payload: "{}", state: state, done: 1, total: 2,
            message: "Reading", createdAt: time, updatedAt: time)
    }
}

extension ScriptedLayers: Assistant, Conversations {
    func begin(_ request: TurnRequest) async throws -> TurnStarted {
        try check(request.chatID, Self.chat, request.principal)
        state.withLock { $0.turns.append(request) }
        return TurnStarted(turnID: Self.turn, questionID: Self.question, answerID: Self.answer)
    }

    func follow(
        turn: Identifier, after number: Int, for principal: Principal,
        _ emit: (TurnEvent) async throws -> Void
    ) async throws {
        try check(turn, Self.turn, principal)
        state.withLock { $0.followsRunning += 1 }
        defer { state.withLock { $0.followsRunning -= 1 } }
        let staysOpen = state.withLock { $0.keepsTurnOpen }
        for event in Self.events where event.number > number {
            if staysOpen, event.number == 5 { try await Task.sleep(for: .seconds(60)) }
            try await emit(event)
        }
    }

    func cancel(turn: Identifier, for principal: Principal) async throws {
        try check(turn, Self.turn, principal)
        state.withLock { $0.cancelled.append(turn) }
    }

    func explain(_ request: ExplanationRequest) async throws -> AnswerExplanation {
        if let id = request.turnID { try check(id, Self.turn, request.principal) }
        if let id = request.documentID { try check(id, Self.document, request.principal) }
        for id in request.collectionIDs ?? [] { try check(id, Self.collection, request.principal) }
        state.withLock { $0.explanations.append(request) }
        return Self.explanation
    }

    func setCollections(
        _ collections: [Identifier]?, in chat: Identifier, for principal: Principal
    ) async throws {
        try check(chat, Self.chat, principal)
        state.withLock { $0.chatCollections.append(collections) }
    }

    func setPassages(_ max: Int?, in chat: Identifier, for principal: Principal) async throws {
        try check(chat, Self.chat, principal)
        state.withLock { $0.passages.append(max) }
    }

    func chats(for principal: Principal, before: Timestamp?, limit: Int) async throws
        -> [ChatSummary]
    { principal.userID == state.withLock { $0.owner } ? [Self.chatSummary] : [] }

    func createChat(titled title: String, for principal: Principal) async throws -> ChatSummary {
        ChatSummary(id: Self.chat, title: title, createdAt: Self.time, updatedAt: Self.time)
    }

    func entries(in chat: Identifier, for principal: Principal) async throws
        -> (ChatSummary, [ChatEntry])
    {
        try check(chat, Self.chat, principal)
        return (
            Self.chatSummary,
            [ChatEntry(id: Self.question, role: .user, text: "Hi", createdAt: Self.time)]
        )
    }

    func removeChat(_ id: Identifier, for principal: Principal) async throws {
        try check(id, Self.chat, principal)
    }
}

extension ScriptedLayers: KnowledgeBase, Catalogue, Archive {
    func queries(
        for question: String, after conversation: [ChatMessage], for principal: Principal
    ) async -> [String] { [question] }

    func search(_ request: SearchRequest) async throws -> [SearchHit] {
        for id in request.collectionIDs { try check(id, Self.collection, request.principal) }
        state.withLock { $0.searches.append(request) }
        return [
            SearchHit(
                passage: Self.samplePassage, score: 0.5, keywordRank: 1, vectorRank: nil,
                similarity: 0.25)
        ]
    }

    func explain(_ request: SearchRequest) async throws -> SearchExplanation {
        SearchExplanation(
            hits: try await search(request), dropped: [], question: "prose", vectorShare: 0.5,
            similarityMin: 0.2, hasVectors: false)
    }

    func searched(by request: SearchRequest, max: Int) async throws -> [DocumentSummary]? {
        [Self.documentSummary]
    }

    func ingest(_ upload: Upload, for principal: Principal) async throws -> Ingestion {
        if let id = upload.collectionID { try check(id, Self.collection, principal) }
        let isRefused = state.withLock { state in
            state.uploads.append(upload)
            return state.refusedUploads.contains(upload.name)
        }
        guard !isRefused else {
            throw Failure(.unsupported, "\(upload.name) is of a type that cannot be read.")
        }
        return Ingestion(documentID: Self.document, jobID: Self.job)
    }

    func ingest(address: String, into collection: Identifier?, for principal: Principal)
        async throws -> Ingestion
    {
        try await ingest(
            Upload(
                name: address, mediaType: "", bytes: [], collectionID: collection, source: address),
            for: principal)
    }

    func ingest(site: SiteRequest, for principal: Principal) async throws -> Identifier {
        if let id = site.collectionID { try check(id, Self.collection, principal) }
        state.withLock { $0.sites.append(site) }
        return Self.job
    }

    func renew(
        document: Identifier, vectorsOnly: Bool, for principal: Principal
    ) async throws -> Ingestion {
        try check(document, Self.document, principal)
        return Ingestion(documentID: document, jobID: Self.job)
    }

    func remove(document: Identifier, for principal: Principal) async throws {
        try check(document, Self.document, principal)
        state.withLock { $0.removed.append(document) }
    }

    func text(of document: Identifier, for principal: Principal) async throws
        -> (DocumentSummary, String)
    {
        try check(document, Self.document, principal)
        return (Self.documentSummary, "Text.")
    }

    func collections(for principal: Principal) async throws -> [Core.Collection] {
        principal.userID == state.withLock { $0.owner } ? [Self.collectionValue] : []
    }

    func createCollection(named name: String, for principal: Principal) async throws
        -> Core.Collection
    { Self.collectionValue }

    func removeCollection(
        _ id: Identifier, keepingDocuments: Bool, for principal: Principal
    ) async throws {
        try check(id, Self.collection, principal)
    }

    func changeCollection(
        _ id: Identifier, _ change: CollectionChange, for principal: Principal
    ) async throws -> Core.Collection {
        try check(id, Self.collection, principal)
        return Self.collectionValue
    }

    func shares(of collection: Identifier, for principal: Principal) async throws -> [Share] {
        try check(collection, Self.collection, principal)
        return [Share(granteeID: Self.chat, access: .read)]
    }

    func share(
        _ collection: Identifier, with grantee: Identifier, _ access: CollectionAccess?,
        for principal: Principal
    ) async throws { try check(collection, Self.collection, principal) }

    func documents(in collection: Identifier?, for principal: Principal) async throws
        -> [DocumentSummary]
    {
        try check(collection ?? Self.collection, Self.collection, principal)
        return [Self.documentSummary]
    }

    func document(_ id: Identifier, for principal: Principal) async throws -> DocumentSummary {
        try check(id, Self.document, principal)
        return Self.documentSummary
    }

    func content(of document: Identifier, for principal: Principal) async throws
        -> (DocumentSummary, [UInt8])
    {
        try check(document, Self.document, principal)
        return (Self.documentSummary, Array("<b>Text.</b>".utf8))
    }

    func changeDocument(
        _ id: Identifier, _ change: DocumentChange, for principal: Principal
    ) async throws -> DocumentSummary {
        try check(id, Self.document, principal)
        return Self.documentSummary
    }

    func attach(
        _ document: Identifier, to collection: Identifier, _ isAttached: Bool,
        for principal: Principal
    ) async throws -> DocumentSummary {
        try check(collection, Self.collection, principal)
        try check(document, Self.document, principal)
        return Self.documentSummary
    }

    func hidden(_ documents: Set<Identifier>, from principal: Principal) async throws
        -> Set<Identifier>
    { documents.intersection(state.withLock { $0.hidden }) }
}

extension ScriptedLayers: JobQueue {
    func enqueue(kind: String, payload: String, for principal: Principal) async throws -> Job {
        Self.job(.available)
    }

    func job(_ id: Identifier, for principal: Principal) async throws -> Job {
        try check(id, Self.job, principal)
        return Self.job(.running)
    }

    func follow(
        _ id: Identifier, for principal: Principal, _ emit: (Job) async throws -> Void
    ) async throws {
        try check(id, Self.job, principal)
        try await emit(Self.job(.running))
        try await emit(Self.job(.completed))
    }

    func cancel(_ id: Identifier, for principal: Principal) async throws {
        try check(id, Self.job, principal)
        state.withLock { $0.cancelled.append(id) }
    }
}

extension ScriptedLayers: ModelGateway {
    private func check(administrator principal: Principal, provider: String = "far") throws {
        guard principal.isAdministrator else {
            throw Failure(.forbidden, "It is for administrators.")
        }
        guard provider == "far" else { throw Failure(.notFound, "There is no such provider.") }
    }

    func overview(for principal: Principal) async throws -> JSONValue {
        try check(administrator: principal)
        return ["since": "2026-11-24T00:00:00.000Z", "problems": [], "providers": [], "routes": []]
    }

    func setKey(
        _ key: String, replacing id: Identifier?, of provider: String, for principal: Principal
    ) async throws -> JSONValue {
        try check(administrator: principal, provider: provider)
        guard id == nil || id == Self.providerKey else { throw Failure(.notFound, "No.") }
        state.withLock { $0.providerKeys.append(key) }
        return [
            "source": "page", "id": .string(Self.providerKey.description), "hint": "",
            "isUsed": true, "rests": [],
        ]
    }

    func removeKey(_ id: Identifier, of provider: String, for principal: Principal) async throws {
        try check(administrator: principal, provider: provider)
        guard id == Self.providerKey else { throw Failure(.notFound, "No.") }
        state.withLock { $0.removed.append(id) }
    }
}

extension ScriptedLayers: ChatModel, Embedder {
    func open(_ request: ChatRequest) async throws -> ChatCall {
        let failure = state.withLock { state in
            state.chatRequests.append(request)
            return state.openFailure
        }
        if let failure { throw failure }
        guard request.model == "tiny" else {
            throw Failure(.notFound, "There is no model \(request.model).")
        }
        return ChatCall(
            candidate: "local/tiny", decision: state.withLock { $0.decision },
            cache: state.withLock { $0.cache }, cached: state.withLock { $0.cached },
            run: { emit in
                let (events, pieces, change, failure, stalls) = self.state.withLock {
                    ($0.events, $0.pieces, $0.change, $0.runFailure, $0.stallsRun)
                }
                for event in events { try await emit(event) }
                for piece in pieces { try await emit(.text(piece)) }
                if let change { try await emit(.switched(change)) }
                if let failure { throw failure }
                if stalls {
                    do {
                        try await Task.sleep(for: .seconds(60))
                    } catch {
                        self.state.withLock { $0.runsCancelled += 1 }
                        throw error
                    }
                }
                return Self.completion(self.state.withLock { $0.finishReason })
            }, abandon: { self.state.withLock { $0.abandoned += 1 } })
    }

    func models() async -> [ModelCard] { [Self.card] }

    func countTokens(_ texts: [String], model: String) async throws -> [Int] {
        texts.map(\.count)
    }

    func embed(_ request: EmbeddingRequest) async throws -> Embeddings {
        guard request.model ?? "mini" == "mini" else {
            throw Failure(.notFound, "There is no such model.")
        }
        return Embeddings(
            candidate: "local/mini", dimensions: 2,
            values: request.texts.flatMap { _ in [Float(1), Float(-0.5)] },
            usage: TokenUsage(freshInput: 4), cost: Picodollars(5))
    }
}

extension ScriptedLayers: Ledger, TraceReader, AssetSource {
    func quote(_ request: ChatRequest) async throws -> Quote {
        Quote(model: request.model, ceiling: .zero, remaining: nil)
    }

    func spend(of principal: Principal) async throws -> Spend {
        Spend(
            month: "2026-11", total: Picodollars(9), reserved: .zero, budget: Picodollars(100),
            lines: [
                Spend.Line(
                    candidate: "local/tiny", calls: 1, inputTokens: 2, outputTokens: 3,
                    cost: Picodollars(9))
            ])
    }

    func traces(for principal: Principal, before: Timestamp?, limit: Int) async throws
        -> [TraceSummary]
    {
        [
            TraceSummary(
                traceID: Self.trace, name: "GET /", startedAt: Self.time,
                durationMilliseconds: 1, spanCount: 1, hasError: false)
        ]
    }

    func trace(_ traceID: String, for principal: Principal) async throws -> [TraceSpan] {
        guard traceID == Self.trace, principal.userID == state.withLock({ $0.owner }) else {
            throw Failure(.notFound, "There is no such trace.")
        }
        return [Self.span]
    }

    static let span = TraceSpan(
        spanID: "b7ad6b7169203331", parentID: nil, name: "GET /", kind: "server", startedAt: time,
        durationMilliseconds: 1, attributes: ["a": "b"],
        events: [TraceSpan.Event(name: "e", at: time, attributes: [:])], error: nil)

    func metricsText() async -> String { "# TYPE up gauge\nup 1\n" }

    func asset(at path: String) -> Asset? {
        switch path {
        case "/": Asset(bytes: Array("<p>Hi".utf8), mediaType: "text/html", entityTag: "\"a1\"")
        case "/app.js": Asset(bytes: [], mediaType: "text/javascript", entityTag: "\"b2\"")
        default: nil
        }
    }
}
