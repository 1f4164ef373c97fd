import Core
import HTTPTypes
import Hummingbird

/// Collections, documents and search.
struct KnowledgeRoutes: Sendable {
    let knowledge: any KnowledgeBase
    let catalogue: any Catalogue
    let uploads: UploadReader

    static let hitsDefault = 8
    static let hitsMax = 50
    static let nameCharactersMax = 200
    static let addressBytesMax = 2000

    var routes: [Route] {
        [
            Route(
                .get, "/api/collections", "Your collections, newest first.",
                answers: [.ok(.record(["collections": .list("Collection")]))],
                handler: collections),
            Route(
                .post, "/api/collections", "Make a collection.",
                body: .json(.record(["name": .string])),
                answers: [.created(.reference("Collection"))], handler: createCollection),
            Route(
                .delete, "/api/collections/{id}", "Take a collection and its documents away.",
                answers: [.noContent], handler: removeCollection),
            Route(
                .get, "/api/collections/{id}/documents", "Its documents, newest first.",
                answers: [.ok(.record(["documents": .list("DocumentSummary")]))],
                handler: documents),
            Route(
                .post, "/api/documents",
                "Upload documents: as `multipart/form-data` with `file` parts after an optional "
                    + "field `collectionID`, or one as the body itself, called `name`.",
                query: [
                    QueryParameter(
                        name: "name", schema: .string, summary: "The file's name, for a raw body."),
                    QueryParameter(
                        name: "collectionID", schema: .identifier,
                        summary: "Where it goes; your default collection otherwise."),
                    QueryParameter(
                        name: "source", schema: .string,
                        summary: "For a raw body: the path it comes from. What comes from the same"
                            + " path later replaces it; without one the name decides."),
                ], body: .upload,
                answers: [.accepted(.record(["ingestions": .list("AcceptedUpload")]))],
                handler: ingest),
            Route(
                .post, "/api/documents/from-url",
                "Fetch a page or a file from the web and add it.",
                body: .json(.record(["url": .string, "collectionID?": .identifier])),
                answers: [.accepted(.record(["ingestions": .list("AcceptedUpload")]))],
                handler: fetch),
            Route(
                .get, "/api/documents/{id}", "A document and the text that was read from it.",
                answers: [
                    .ok(
                        .record([
                            "document": .reference("DocumentSummary"), "text": .string,
                        ]))
                ], handler: document),
            Route(
                .delete, "/api/documents/{id}", "Take a document away.", answers: [.noContent],
                handler: removeDocument),
            Route(
                .post, "/api/search",
                "The best passages for a question, best first; with `explain` also what was found"
                    + " and left out, and what the order rests on.",
                body: .json(.reference("SearchQuery")),
                answers: [.ok(.reference("SearchAnswer"))], handler: search),
        ]
    }

    @Sendable private func collections(_ call: Call) async throws -> Response {
        try .json(["collections": try await catalogue.collections(for: call.principal)])
    }

    @Sendable private func createCollection(_ call: Call) async throws -> Response {
        let body = try await call.json(NewCollectionBody.self)
        let isBlank = body.name.allSatisfy(\.isWhitespace)
        guard !isBlank, body.name.count <= Self.nameCharactersMax else {
            throw Failure(
                .invalid, "A collection's name has 1 to \(Self.nameCharactersMax) characters.")
        }
        let collection = try await catalogue.createCollection(
            named: body.name, for: call.principal)
        return try .json(collection, status: .created)
    }

    @Sendable private func removeCollection(_ call: Call) async throws -> Response {
        try await catalogue.removeCollection(call.id(), for: call.principal)
        return .noContent
    }

    @Sendable private func documents(_ call: Call) async throws -> Response {
        let documents = try await catalogue.documents(in: call.id(), for: call.principal)
        return try .json(["documents": documents])
    }

    @Sendable private func ingest(_ call: Call) async throws -> Response {
        let principal = try call.principal
        var accepted: [AcceptedUpload] = []
        for upload in try await uploads.read(call) {
            do {
                let ingestion = try await knowledge.ingest(upload, for: principal)
                accepted.append(AcceptedUpload(ingestion, name: upload.name))
            } catch {
                // All files of a request are taken, or none is.
                for earlier in accepted {
                    try? await knowledge.remove(document: earlier.documentID, for: principal)
                }
                throw error
            }
        }
        var response = try Response.json(["ingestions": accepted], status: .accepted)
        response.headers[.location] = accepted.first.map { "/api/jobs/\($0.jobID)" }
        return response
    }

    @Sendable private func fetch(_ call: Call) async throws -> Response {
        let principal = try call.principal
        let body = try await call.json(FetchBody.self)
        guard body.url.utf8.count <= Self.addressBytesMax else {
            throw Refusal.invalid("`url` is longer than \(Self.addressBytesMax) bytes.")
        }
        let ingestion = try await knowledge.ingest(
            address: body.url, into: body.collectionID, for: principal)
        var response = try Response.json(
            ["ingestions": [AcceptedUpload(ingestion, name: body.url)]], status: .accepted)
        response.headers[.location] = "/api/jobs/\(ingestion.jobID)"
        return response
    }

    @Sendable private func document(_ call: Call) async throws -> Response {
        let (document, text) = try await knowledge.text(of: call.id(), for: call.principal)
        return try .json(DocumentBody(document: document, text: text))
    }

    @Sendable private func removeDocument(_ call: Call) async throws -> Response {
        try await knowledge.remove(document: call.id(), for: call.principal)
        return .noContent
    }

    @Sendable private func search(_ call: Call) async throws -> Response {
        let principal = try call.principal
        let body = try await call.json(SearchBody.self)
        guard body.text.contains(where: { !$0.isWhitespace }) else {
            throw Refusal.invalid("`text` is empty.")
        }
        let limit = body.limit ?? Self.hitsDefault
        guard (1...Self.hitsMax).contains(limit) else {
            throw Refusal.invalid("`limit` has to be 1 to \(Self.hitsMax).")
        }
        let ids = body.collectionIDs ?? []
        guard ids.count <= ChatRoutes.collectionsMax else {
            throw Refusal.invalid(
                "`collectionIDs` has more than \(ChatRoutes.collectionsMax) entries.")
        }
        let request = SearchRequest(
            principal: principal, text: body.text, collectionIDs: ids, limit: limit)
        guard body.explain == true else {
            return try .json(["hits": try await knowledge.search(request)])
        }
        return try .json(try await knowledge.explain(request))
    }
}

private struct NewCollectionBody: Decodable {
    let name: String
}

private struct FetchBody: Decodable {
    let url: String
    let collectionID: Identifier?
}

private struct SearchBody: Decodable {
    let text: String
    let collectionIDs: [Identifier]?
    let limit: Int?
    let explain: Bool?
}

private struct DocumentBody: Encodable {
    let document: DocumentSummary
    let text: String
}

/// An upload that was taken.
struct AcceptedUpload: Codable {
    let documentID: Identifier
    let jobID: Identifier
    let name: String

    init(_ ingestion: Ingestion, name: String) {
        documentID = ingestion.documentID
        jobID = ingestion.jobID
        self.name = name
    }
}
