import Core
import Foundation
import HTTPTypes
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
            "GET /api/turns/{id}/events", "POST /api/turns/{id}/cancel", "GET /api/collections",
            "POST /api/collections", "DELETE /api/collections/{id}",
            "GET /api/collections/{id}/documents", "POST /api/documents",
            "GET /api/documents/{id}", "DELETE /api/documents/{id}", "POST /api/search",
            "GET /api/jobs/{id}", "GET /api/jobs/{id}/events", "POST /api/jobs/{id}/cancel",
            "GET /api/traces", "GET /api/traces/{traceID}", "GET /api/spend", "GET /api/keys",
            "POST /api/keys", "DELETE /api/keys/{id}", "GET /api/openapi.json", "GET /healthz",
            "GET /readyz", "GET /metrics", "POST /v1/chat/completions", "POST /v1/responses",
            "POST /v1/embeddings",
            "GET /v1/models", "GET /v1/models/{name}", "POST /v1/messages",
            "POST /v1/messages/count_tokens",
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
        ("TurnOutcome", ScriptedLayers.outcome), ("Collection", ScriptedLayers.collectionValue),
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
                similarity: 0.5)
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
                lastUsedAt: ScriptedLayers.time)
        ),
        ("OpenAIModel", OpenAIModel(ScriptedLayers.card)),
    ]

    @Test("What is sent fits its schema", arguments: samples.indices)
    func samplesFit(index: Int) throws {
        let (name, value) = Self.samples[index]
        let json = try JSONValue(parsing: try JSON.encode(value))
        #expect(mismatch(json, try #require(Schema.components[name]).json, at: name) == nil)
    }

    /// Where a value does not fit a schema of the kinds that we write; nil when it fits. A member
    /// the schema does not know is a mismatch too, so that a new one has to be described.
    private func mismatch(_ value: JSONValue, _ schema: JSONValue, at path: String) -> String? {
        if case .string(let reference)? = schema["$ref"] {
            let name = reference.split(separator: "/").last.map(String.init) ?? ""
            guard let target = Schema.components[name] else { return "\(path): no \(name)" }
            return mismatch(value, target.json, at: path)
        }
        if case .array(let choices)? = schema["oneOf"] {
            let fits = choices.contains { mismatch(value, $0, at: path) == nil }
            return fits ? nil : "\(path): none fits"
        }
        if case .array(let allowed)? = schema["enum"], !allowed.contains(value) {
            return "\(path): \(value) is not allowed"
        }
        switch (schema["type"], value) {
        case ("string"?, .string), ("boolean"?, .bool), ("number"?, .number): return nil
        case (.array?, .string), (.array?, .null): return nil
        case ("integer"?, .number):
            return value.int != nil ? nil : "\(path): not whole"
        case ("array"?, .array(let elements)):
            let element = schema["items"] ?? .null
            return elements.lazy.compactMap { mismatch($0, element, at: "\(path)[]") }.first
        case ("object"?, .object(let members)):
            if let any = schema["additionalProperties"] {
                return members.lazy.compactMap {
                    mismatch($0.value, any, at: "\(path).\($0.key)")
                }.first
            }
            if case .array(let required)? = schema["required"] {
                for case .string(let name) in required where value[name] == nil {
                    return "\(path): no \(name)"
                }
            }
            return members.lazy.compactMap { member -> String? in
                guard let schema = schema["properties"]?[member.key] else {
                    return "\(path): \(member.key) is not described"
                }
                return mismatch(member.value, schema, at: "\(path).\(member.key)")
            }.first
        default: return "\(path): \(value) is not \(schema["type"] ?? .null)"
        }
    }
}
