import Core
import HTTPTypes
import Hummingbird
import OrderedJSON

/// `/v1/vector_stores/{id}/file_batches`: files that are put into a vector store together.
struct FileBatchRoutes: Sendable {
    let batches: any FileBatches

    private static let path = VectorStoreRoutes.path + "/{id}/file_batches"
    private static let limitDefault = 20
    private static let limitMax = 100

    var routes: [Route] {
        let one = Self.path + "/{batch}"
        let answer = [Answer.ok(.reference("OpenAIFileBatch"))]
        return [
            Route(
                .post, Self.path, "Put several of your files into a vector store.",
                body: .json(.reference("OpenAIFileBatchRequest")), answers: answer,
                handler: create),
            Route(.get, one, "How far a batch is.", answers: answer, handler: batch),
            Route(
                .post, one + "/cancel",
                "Take those of its files out of the vector store that are not read yet.",
                answers: answer, handler: cancel),
            Route(
                .get, one + "/files", "The files of a batch.",
                query: OpenAIPage.parameters + [VectorStoreRoutes.statusFilter],
                answers: [.ok(FileRoutes.list("OpenAIVectorStoreFile"))], handler: files),
        ]
    }

    @Sendable private func create(_ call: Call) async throws -> Response {
        let (store, principal) = (try store(call), try call.principal)
        let body = try await call.fields()
        let batch = try await batches.createBatch(
            of: try Self.files(body), in: store, for: principal)
        return .json(OpenAIVectorStore.batch(batch, in: store))
    }

    /// `file_ids` with attributes for all, or `files` with their own.
    private static func files(_ body: JSONFields) throws -> [(
        document: Identifier, attributes: [String: AttributeValue]?
    )] {
        let files = try body.list("files")
        let ids = try body.strings("file_ids")
        guard (files == nil) != (ids == nil) else {
            throw body.refusal("file_ids", "or `files` has to be there, and not both.")
        }
        let count = files?.count ?? ids?.count ?? 0
        guard (1...VectorStoreRoutes.filesMax).contains(count) else {
            throw body.refusal(
                files == nil ? "file_ids" : "files",
                "has to have 1 to \(VectorStoreRoutes.filesMax) entries.")
        }
        if let ids {
            try VectorStoreBody.checkChunking(body)
            let attributes = try VectorStoreBody.attributes(body)
            return try ids.map { (try OpenAIID.file.named($0), attributes) }
        }
        return try (files ?? []).map { file in
            try VectorStoreBody.checkChunking(file)
            let id = try file.required("file_id", try file.string("file_id"))
            return (try OpenAIID.file.named(id), try VectorStoreBody.attributes(file))
        }
    }

    private func store(_ call: Call) throws -> Identifier {
        try OpenAIID.vectorStore.named(call.text("id"))
    }

    private func found(_ call: Call) async throws -> (Identifier, FileBatch) {
        let store = try store(call)
        let id = try OpenAIID.fileBatch.named(call.text("batch"))
        return (store, try await batches.batch(id, in: store, for: call.principal))
    }

    @Sendable private func batch(_ call: Call) async throws -> Response {
        let (store, batch) = try await found(call)
        return .json(OpenAIVectorStore.batch(batch, in: store))
    }

    @Sendable private func cancel(_ call: Call) async throws -> Response {
        let store = try store(call)
        let id = try OpenAIID.fileBatch.named(call.text("batch"))
        let batch = try await batches.cancelBatch(id, in: store, for: call.principal)
        return .json(OpenAIVectorStore.batch(batch, in: store))
    }

    @Sendable private func files(_ call: Call) async throws -> Response {
        let page = try OpenAIPage(
            call, limitDefault: Self.limitDefault, limitMax: Self.limitMax)
        let (store, batch) = try await found(call)
        let status = try call.query["filter"]
        let cancelled = Set(batch.cancelled.map(\.id))
        // As they were added: identifiers grow with time.
        let all = (batch.documents + batch.cancelled).sorted { $1.id < $0.id }.filter {
            let own =
                cancelled.contains($0.id) ? "cancelled" : OpenAIVectorStore.status(of: $0)
            return status == nil || own == status
        }
        let shown = page.of(all) { OpenAIID.file.text($0.id) }
        return .json(
            .page(
                shown.items.map {
                    OpenAIVectorStore.file(
                        $0, in: store, isCancelled: cancelled.contains($0.id))
                }, hasMore: shown.hasMore))
    }
}
