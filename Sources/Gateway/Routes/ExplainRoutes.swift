import Core
import HTTPTypes
import Hummingbird
import OrderedJSON

/// Why an answer has the passages it has, and what changes it.
struct ExplainRoutes: Sendable {
    let assistant: any Assistant
    let conversations: any Conversations
    let knowledge: any KnowledgeBase

    static let rowsDefault = 20
    static let rowsMax = 100

    var routes: [Route] {
        [
            Route(
                .post, "/api/search/explain",
                "Why an answer has the passages it has: of the turn `turnID`, or as `question` would"
                    + " have them. With `documentID` also what became of that document, and what"
                    + " would let it be found. Only documents of the tags, types, owners and dates"
                    + " that are named are looked at, as in `/api/search`.",
                body: .json(.reference("ExplanationQuery")),
                answers: [.ok(.reference("AnswerExplanation"))], handler: explain),
            Route(
                .post, "/api/documents/{id}/renew",
                "Read a document's file once more or, with `vectorsOnly`, make the vectors that its"
                    + " passages lack. While it is read it cannot be found.",
                body: .json(.record(["vectorsOnly?": .boolean])),
                answers: [.accepted(.reference("Ingestion"))], handler: renew),
            Route(
                .patch, "/api/chats/{id}",
                "Set how many passages the chat's answers are given, null for as many as are"
                    + " configured; and which collections its questions look in that name none, null"
                    + " for all.",
                body: .json(
                    .record([
                        "passagesMax?": Schema(["type": ["integer", "null"]]),
                        "collectionIDs?": .oneOf([
                            .array(.identifier), Schema(["type": "null"]),
                        ]),
                    ])),
                answers: [.noContent], handler: change),
        ]
    }

    @Sendable private func explain(_ call: Call) async throws -> Response {
        let bytes = try await call.body()
        let body = try JSON.decode(ExplanationBody.self, from: bytes)
        let isAsking = body.question?.contains { !$0.isWhitespace } == true
        guard body.turnID != nil || isAsking else {
            throw Refusal.invalid("`question` or `turnID` is needed.")
        }
        guard (body.collectionIDs ?? []).count <= ChatRoutes.collectionsMax else {
            throw Refusal.invalid(
                "`collectionIDs` has more than \(ChatRoutes.collectionsMax) entries.")
        }
        var request = ExplanationRequest(principal: try call.principal)
        request.limit = body.limit ?? Self.rowsDefault
        guard (1...Self.rowsMax).contains(request.limit) else {
            throw Refusal.invalid("`limit` has to be 1 to \(Self.rowsMax).")
        }
        request.turnID = body.turnID
        request.question = isAsking ? body.question : nil
        request.model = body.model.flatMap { $0.isEmpty ? nil : $0 }
        request.collectionIDs = body.collectionIDs
        request.passagesMax = body.passagesMax
        request.documentID = body.documentID
        request.filter = try SearchFilter.filter(JSONFields(JSON.value(of: bytes)))
        return try .json(try await assistant.explain(request))
    }

    @Sendable private func renew(_ call: Call) async throws -> Response {
        let body = try await call.json(RenewalBody.self)
        let ingestion = try await knowledge.renew(
            document: call.id(), vectorsOnly: body.vectorsOnly ?? false, for: call.principal)
        var response = try Response.json(ingestion, status: .accepted)
        response.headers[.location] = "/api/jobs/\(ingestion.jobID)"
        return response
    }

    @Sendable private func change(_ call: Call) async throws -> Response {
        let (chat, principal) = (try call.id(), try call.principal)
        let body = try await call.fields()
        // What is not named stays as it is; null takes a choice back.
        if let named = body.value["collectionIDs"] {
            var collections: [Identifier]?
            if named != .null {
                collections = try body.strings("collectionIDs")?.map { text in
                    guard let id = Identifier(text) else {
                        throw body.refusal("collectionIDs", "holds what is no identifier.")
                    }
                    return id
                }
            }
            try await conversations.setCollections(collections, in: chat, for: principal)
        }
        if body.value["passagesMax"] != nil || body.value["collectionIDs"] == nil {
            try await conversations.setPassages(
                try body.int("passagesMax"), in: chat, for: principal)
        }
        return .noContent
    }
}

private struct ExplanationBody: Decodable {
    let turnID: Identifier?
    let question: String?
    let documentID: Identifier?
    let model: String?
    let collectionIDs: [Identifier]?
    let passagesMax: Int?
    let limit: Int?
}

private struct RenewalBody: Decodable {
    let vectorsOnly: Bool?
}
