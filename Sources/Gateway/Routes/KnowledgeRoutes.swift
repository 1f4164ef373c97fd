import Core
import HTTPTypes
import Hummingbird
import OrderedJSON

/// Documents and search.
struct KnowledgeRoutes: Sendable {
    let knowledge: any KnowledgeBase
    let archive: any Archive
    let uploads: UploadReader

    static let hitsDefault = 8
    static let hitsMax = 50
    static let addressBytesMax = 2000

    var routes: [Route] {
        [
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
                .post, "/api/documents/from-sitemap",
                "Add the pages of a site, by the address of its site map or of a place on it. A job"
                    + " reads them, as far as robots.txt lets it; what has not changed since is left"
                    + " alone.",
                body: .json(
                    .record([
                        "url": .string, "collectionID?": .identifier, "otherHosts?": .boolean,
                        "removeVanished?": .boolean,
                    ])), answers: [.accepted(.record(["jobID": .identifier]))],
                handler: fetchSite),
            Route(
                .get, "/api/documents/{id}", "A document and the text that was read from it.",
                answers: [
                    .ok(
                        .record([
                            "document": .reference("DocumentSummary"), "text": .string,
                        ]))
                ], handler: document),
            Route(
                .get, "/api/documents/{id}/content", "A document's file, as it was uploaded.",
                answers: [.text("application/octet-stream", "The bytes.")], handler: content),
            Route(
                .patch, "/api/documents/{id}",
                "Move a document to another collection, or say what it can be filtered by.",
                body: .json(
                    .record([
                        "collectionID?": .identifier, "tags?": .array(.string),
                        "attributes?": .map(.attribute),
                    ])), answers: [.ok(.reference("DocumentSummary"))], handler: change),
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

    @Sendable private func fetchSite(_ call: Call) async throws -> Response {
        let principal = try call.principal
        let body = try await call.json(SiteBody.self)
        guard body.url.utf8.count <= Self.addressBytesMax else {
            throw Refusal.invalid("`url` is longer than \(Self.addressBytesMax) bytes.")
        }
        var site = SiteRequest(address: body.url, collectionID: body.collectionID)
        site.includesOtherHosts = body.otherHosts ?? false
        site.removesVanished = body.removeVanished ?? false
        let job = try await knowledge.ingest(site: site, for: principal)
        var response = try Response.json(["jobID": job], status: .accepted)
        response.headers[.location] = "/api/jobs/\(job)"
        return response
    }

    @Sendable private func document(_ call: Call) async throws -> Response {
        let (document, text) = try await knowledge.text(of: call.id(), for: call.principal)
        return try .json(DocumentBody(document: document, text: text))
    }

    @Sendable private func content(_ call: Call) async throws -> Response {
        let (document, bytes) = try await archive.content(of: call.id(), for: call.principal)
        return .download(bytes, name: document.name)
    }

    @Sendable private func change(_ call: Call) async throws -> Response {
        let change = try await call.json(DocumentChange.self)
        return try .json(
            try await archive.changeDocument(call.id(), change, for: call.principal))
    }

    @Sendable private func removeDocument(_ call: Call) async throws -> Response {
        try await knowledge.remove(document: call.id(), for: call.principal)
        return .noContent
    }

    @Sendable private func search(_ call: Call) async throws -> Response {
        let principal = try call.principal
        let body = try await call.fields()
        let text = try body.required("text", try body.string("text"))
        guard text.contains(where: { !$0.isWhitespace }) else {
            throw Refusal.invalid("`text` is empty.")
        }
        let limit = try body.int("limit") ?? Self.hitsDefault
        guard (1...Self.hitsMax).contains(limit) else {
            throw Refusal.invalid("`limit` has to be 1 to \(Self.hitsMax).")
        }
        let ids = try (body.strings("collectionIDs") ?? []).map { text in
            guard let id = Identifier(text) else {
                throw Refusal.invalid("`collectionIDs` holds what is no identifier.")
            }
            return id
        }
        guard ids.count <= ChatRoutes.collectionsMax else {
            throw Refusal.invalid(
                "`collectionIDs` has more than \(ChatRoutes.collectionsMax) entries.")
        }
        var request = SearchRequest(
            principal: principal, text: text, collectionIDs: ids, limit: limit)
        request.filter = try SearchFilter.filter(body)
        guard try body.bool("explain") == true else {
            return try .json(["hits": try await knowledge.search(request)])
        }
        return try .json(try await knowledge.explain(request))
    }
}

/// The filters of a native search, as one filter.
enum SearchFilter {
    private static let namesMax = 50

    static func filter(_ body: JSONFields) throws -> JSONValue? {
        var parts: [JSONValue] = []
        if let tags = try names("tags", body) {
            parts.append(["type": "in", "key": "$tag", "value": tags])
        }
        if let types = try names("types", body) {
            parts.append(["type": "in", "key": "$type", "value": types])
        }
        if let owners = try names("owners", body) {
            parts.append(["type": "in", "key": "$owner", "value": owners])
        }
        if let from = try body.string("from") {
            parts.append(["type": "gte", "key": "$date", "value": .string(from)])
        }
        if let until = try body.string("until") {
            parts.append(["type": "lt", "key": "$date", "value": .string(until)])
        }
        if let filter = try body.object("filter") { parts.append(filter) }
        return parts.isEmpty ? nil : ["type": "and", "filters": .array(parts)]
    }

    /// Any of these; none named is no filter.
    private static func names(_ key: String, _ body: JSONFields) throws -> JSONValue? {
        guard let names = try body.strings(key), !names.isEmpty else { return nil }
        guard names.count <= namesMax else {
            throw body.refusal(key, "has more than \(namesMax) entries.")
        }
        return .array(names.map { .string($0) })
    }
}

private struct FetchBody: Decodable {
    let url: String
    let collectionID: Identifier?
}

private struct SiteBody: Decodable {
    let url: String
    let collectionID: Identifier?
    let otherHosts: Bool?
    let removeVanished: Bool?
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
