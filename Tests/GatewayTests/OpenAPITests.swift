import Core
import Foundation
import HTTPTypes
import OrderedJSON
import TestSupport
import Testing

@testable import Gateway

@Suite(.serialized) struct OpenAPITests {
    private static func makeTable() throws -> RouteTable {
        let folder = try TemporaryFolder()
        let identity = try IdentityStore(
            folder: folder.path, environment: .manual(), cost: .weak)
        return GatewayServer.table(
            GatewayConfiguration(), ScriptedLayers().all, identity: identity,
            environment: .manual(), isReady: { true })
    }

    private func document() async throws -> JSONValue {
        try await TestServer.run { server in
            try await server.request("GET", "/api/openapi.json").json(JSONValue.self)
        }
    }

    @Test("Every registered route is described, with what it takes and gives")
    func everyRoute() async throws {
        let document = try await document()
        #expect(document["openapi"] == "3.1.0")
        let table = try Self.makeTable()
        #expect(table.routes.count > 35)
        var operationIDs: Set<JSONValue> = []
        for route in table.routes {
            let operation = document["paths"]?[OpenAPI.path(of: route)]?[
                route.method.rawValue.lowercased()]
            let described = try #require(operation, "\(route.method) \(route.path)")
            #expect(described["summary"] == .string(route.summary))
            #expect(described["responses"]?["default"] != nil)
            #expect(!route.answers.isEmpty)
            let takesBody = if case .none = route.body { false } else { true }
            #expect((described["requestBody"] != nil) == takesBody)
            #expect(operationIDs.insert(try #require(described["operationId"])).inserted)
        }
    }

    @Test("The contract's routes are all there")
    func contract() throws {
        let contract = [
            "GET /api/setup/{token}", "POST /api/setup", "POST /api/login", "POST /api/logout",
            "GET /api/session", "GET /api/models", "GET /api/chats", "POST /api/chats",
            "GET /api/chats/{id}", "DELETE /api/chats/{id}", "POST /api/chats/{id}/turns",
            "PATCH /api/chats/{id}", "POST /api/search/explain", "POST /api/documents/{id}/renew",
            "GET /api/turns/{id}/events", "POST /api/turns/{id}/cancel", "GET /api/collections",
            "POST /api/collections", "DELETE /api/collections/{id}",
            "GET /api/collections/{id}/documents", "POST /api/documents",
            "POST /api/documents/from-url",
            "GET /api/documents/{id}", "DELETE /api/documents/{id}", "POST /api/search",
            "GET /api/jobs/{id}", "GET /api/jobs/{id}/events", "POST /api/jobs/{id}/cancel",
            "GET /api/traces", "GET /api/traces/{traceID}", "GET /api/spend", "GET /api/keys",
            "POST /api/keys", "DELETE /api/keys/{id}", "GET /api/openapi.json", "GET /healthz",
            "GET /api/admin/models", "POST /api/admin/providers/{provider}/keys",
            "PUT /api/admin/providers/{provider}/keys/{id}",
            "DELETE /api/admin/providers/{provider}/keys/{id}",
            "GET /readyz", "GET /metrics", "POST /v1/chat/completions", "POST /v1/responses",
            "POST /v1/embeddings",
            "GET /v1/models", "GET /v1/models/{name}", "POST /v1/messages",
            "POST /v1/messages/count_tokens",
            "PATCH /api/collections/{id}", "GET /api/collections/{id}/shares",
            "PUT /api/collections/{id}/shares", "DELETE /api/collections/{id}/shares/{grantee}",
            "PUT /api/collections/{id}/documents/{document}",
            "DELETE /api/collections/{id}/documents/{document}", "GET /api/teams",
            "GET /api/documents/{id}/content", "PATCH /api/documents/{id}",
            "POST /v1/files", "GET /v1/files", "GET /v1/files/{id}", "GET /v1/files/{id}/content",
            "DELETE /v1/files/{id}", "POST /v1/vector_stores", "GET /v1/vector_stores",
            "GET /v1/vector_stores/{id}", "POST /v1/vector_stores/{id}",
            "DELETE /v1/vector_stores/{id}", "POST /v1/vector_stores/{id}/search",
            "POST /v1/vector_stores/{id}/files", "GET /v1/vector_stores/{id}/files",
            "GET /v1/vector_stores/{id}/files/{file}", "POST /v1/vector_stores/{id}/files/{file}",
            "DELETE /v1/vector_stores/{id}/files/{file}",
            "GET /v1/vector_stores/{id}/files/{file}/content",
            "POST /v1/vector_stores/{id}/file_batches",
            "GET /v1/vector_stores/{id}/file_batches/{batch}",
            "POST /v1/vector_stores/{id}/file_batches/{batch}/cancel",
            "GET /v1/vector_stores/{id}/file_batches/{batch}/files",
            "POST /api/documents/from-sitemap", "GET /api/admin/users", "POST /api/admin/teams",
            "DELETE /api/admin/teams/{team}", "PUT /api/admin/teams/{team}/members/{user}",
            "DELETE /api/admin/teams/{team}/members/{user}",
            "GET /{file*}",
        ]
        let registered = try Self.makeTable().routes.map { "\($0.method.rawValue) \($0.path)" }
        #expect(Set(registered) == Set(contract))
        #expect(registered.count == contract.count)
    }

    @Test("Every reference leads to a schema, and every schema is referred to or is an error's")
    func references() async throws {
        let document = try await document()
        var found: Set<String> = []
        func walk(_ value: JSONValue) {
            switch value {
            case .object(let members):
                if case .string(let target)? = value["$ref"] { found.insert(target) }
                for member in members { walk(member.value) }
            case .array(let values): values.forEach(walk)
            default: break
            }
        }
        walk(document)
        let defined = Schema.components.keys.map { "#/components/schemas/\($0)" }
        #expect(found == Set(defined))
    }

    private static let samples: [(String, any Encodable & Sendable)] = [
        ("ModelCard", ScriptedLayers.card), ("ChatSummary", ScriptedLayers.chatSummary),
        (
            "ChatEntry",
            ChatEntry(
                id: ScriptedLayers.answer, role: .assistant, text: "a",
                createdAt: ScriptedLayers.time, turnID: ScriptedLayers.turn,
                turnState: .completed, outcome: ScriptedLayers.outcome)
        ),
        ("TurnOutcome", ScriptedLayers.outcome), ("AnswerExplanation", ScriptedLayers.explanation),
        ("Collection", ScriptedLayers.collectionValue),
        ("DocumentSummary", ScriptedLayers.documentSummary),
        ("Job", ScriptedLayers.job(.running)), ("TraceSpan", ScriptedLayers.span),
        (
            "TurnStarted",
            TurnStarted(
                turnID: ScriptedLayers.turn, questionID: ScriptedLayers.question,
                answerID: ScriptedLayers.answer)
        ),
        (
            "SearchHit",
            SearchHit(
                passage: ScriptedLayers.samplePassage, score: 1, keywordRank: 1, vectorRank: 2,
                similarity: 0.5, keywordScore: 3)
        ),
        (
            "SearchAnswer",
            SearchExplanation(
                hits: [], dropped: [], question: "code", vectorShare: 0.4, similarityMin: 0.2,
                hasVectors: true)
        ),
        (
            "AcceptedUpload",
            AcceptedUpload(
                Ingestion(documentID: ScriptedLayers.document, jobID: ScriptedLayers.job),
                name: "a")
        ),
        ("Problem", Problem(Refusal(Failure(.notFound, "No.")), traceID: ScriptedLayers.trace)),
        ("OpenAIError", OpenAIError(Refusal(Failure(.notFound, "No.")))),
        (
            "AnthropicError",
            AnthropicError(Refusal(Failure(.notFound, "No.")), requestID: ScriptedLayers.trace)
        ),
        ("Session", SessionBody(.alice, csrfToken: "t")),
        (
            "KeySummary",
            KeySummary(
                id: ScriptedLayers.job, name: "k", prefix: "hp_", createdAt: ScriptedLayers.time,
                lastUsedAt: ScriptedLayers.time, collectionIDs: [ScriptedLayers.collection])
        ),
        ("OpenAIModel", OpenAIModel(ScriptedLayers.card)),
        (
            "Collection",
            CollectionBody(collection: ScriptedLayers.collectionValue, ownerName: "Ann")
        ),
        ("Team", Team(id: ScriptedLayers.chat, name: "Crew", members: ["Ann"])),
        (
            "Share",
            ShareBody(granteeID: ScriptedLayers.chat, access: .write, user: "Ann", team: nil)
        ),
    ]

    @Test("What is sent fits its schema", arguments: samples.indices)
    func samplesFit(index: Int) throws {
        let (name, value) = Self.samples[index]
        try fits(try JSONValue(parsing: try JSON.encode(value)), name)
    }

    @Test("What OpenAI's clients are sent fits its schema")
    func vectorStoresFit() throws {
        let store = ScriptedLayers.collectionValue
        let file = ScriptedLayers.documentSummary
        try fits(OpenAIVectorStore.json(store, at: ScriptedLayers.time), "OpenAIVectorStore")
        try fits(OpenAIVectorStore.file(file, in: store.id), "OpenAIVectorStoreFile")
        try fits(OpenAIFile.json(file), "OpenAIFile")
    }

    private func fits(_ json: JSONValue, _ name: String) throws {
        #expect(SchemaCheck(Schema.components.mapValues(\.json)).mismatch(json, name) == nil)
    }
}
