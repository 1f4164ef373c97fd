import Core
import HTTPTypes
import Hummingbird
import NIOCore
import OrderedJSON

/// `/v1/files`: documents as OpenAI's clients upload and list them.
struct FileRoutes: Sendable {
    let knowledge: any KnowledgeBase
    let archive: any Archive
    let uploads: UploadReader
    let environment: Core.Environment

    private static let limitMax = 10_000
    private static let expirySeconds = 3600...2_592_000

    var routes: [Route] {
        [
            Route(
                .post, "/v1/files",
                "Upload a file, as `multipart/form-data` with `file` and `purpose` (assistants or"
                    + " user_data). It is a document of your default collection.",
                body: .upload, answers: [.ok(.reference("OpenAIFile"))], handler: create),
            Route(
                .get, "/v1/files", "Your files: all documents of your collections.",
                query: OpenAIPage.parameters + [
                    QueryParameter(
                        name: "purpose", schema: .string, summary: "Only those for this purpose.")
                ], answers: [.ok(Self.list("OpenAIFile"))], handler: list),
            Route(
                .get, "/v1/files/{id}", "One file.", answers: [.ok(.reference("OpenAIFile"))],
                handler: file),
            Route(
                .get, "/v1/files/{id}/content", "The bytes of a file, as they were uploaded.",
                answers: [.text("application/octet-stream", "The bytes.")], handler: content),
            Route(
                .delete, "/v1/files/{id}", "Take a file away, from all vector stores.",
                answers: [.ok(.reference("OpenAIDeleted"))], handler: remove),
        ]
    }

    static func list(_ name: String) -> Schema {
        .record([
            "object": .string, "data": .list(name), "has_more": .boolean,
            "first_id": Schema(["type": ["string", "null"]]),
            "last_id": Schema(["type": ["string", "null"]]),
        ])
    }

    @Sendable private func create(_ call: Call) async throws -> Response {
        let principal = try call.principal
        var (upload, fields) = try await uploads.readFile(call)
        guard let purpose = fields["purpose"] else {
            throw JSONFields.refusal("purpose", "is missing.")
        }
        guard OpenAIFile.purposes.contains(purpose) else {
            throw JSONFields.refusal(
                "purpose", "has to be `assistants` or `user_data`: files here are for searching.")
        }
        upload.purpose = purpose
        if let seconds = fields["expires_after[seconds]"] {
            guard let seconds = Int(seconds), Self.expirySeconds.contains(seconds),
                fields["expires_after[anchor]"] ?? "created_at" == "created_at"
            else {
                throw JSONFields.refusal(
                    "expires_after",
                    "has to have the anchor `created_at` and 3600 to 2592000 seconds.")
            }
            upload.expiresAt = environment.now() + .seconds(seconds)
        }
        let ingestion = try await knowledge.ingest(upload, for: principal)
        return .json(
            OpenAIFile.json(try await archive.document(ingestion.documentID, for: principal)))
    }

    @Sendable private func list(_ call: Call) async throws -> Response {
        let page = try OpenAIPage(
            call, limitDefault: Self.limitMax, limitMax: Self.limitMax)
        let purpose = try call.query["purpose"]
        let documents = try await archive.documents(in: nil, for: call.principal).filter {
            purpose == nil || $0.purpose ?? "user_data" == purpose
        }
        let shown = page.of(documents) { OpenAIID.file.text($0.id) }
        return .json(.page(shown.items.map { OpenAIFile.json($0) }, hasMore: shown.hasMore))
    }

    @Sendable private func file(_ call: Call) async throws -> Response {
        let id = try OpenAIID.file.named(call.text("id"))
        return .json(OpenAIFile.json(try await archive.document(id, for: call.principal)))
    }

    @Sendable private func content(_ call: Call) async throws -> Response {
        let id = try OpenAIID.file.named(call.text("id"))
        let (document, bytes) = try await archive.content(of: id, for: call.principal)
        return .download(bytes, name: document.name)
    }

    @Sendable private func remove(_ call: Call) async throws -> Response {
        let id = try OpenAIID.file.named(call.text("id"))
        try await knowledge.remove(document: id, for: call.principal)
        return .json([
            "id": .string(OpenAIID.file.text(id)), "object": "file", "deleted": true,
        ])
    }
}

extension Response {
    /// Somebody's bytes, which no browser may take for a page of ours.
    static func download(_ bytes: [UInt8], name: String) -> Response {
        let encoded = PercentEncoding.encode(name, bytesMax: 1024)
        return Response(
            status: .ok,
            headers: [
                .contentType: "application/octet-stream",
                .contentDisposition: "attachment; filename*=UTF-8''\(encoded)",
            ], body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}
