import Core
import OrderedJSON

/// A document as a file of OpenAI's API.
enum OpenAIFile {
    static let purposes = ["assistants", "user_data"]

    static func json(_ document: DocumentSummary) -> JSONValue {
        let status: JSONValue =
            switch document.state {
            case .pending: "uploaded"
            case .ready: "processed"
            case .failed: "error"
            }
        return [
            "id": .string(OpenAIID.file.text(document.id)), "object": "file",
            "bytes": .of(document.byteCount), "created_at": .of(Int(document.createdAt.seconds)),
            "expires_at": document.expiresAt.map { .of(Int($0.seconds)) } ?? .null,
            "filename": .string(document.name), "purpose": .string(document.purpose ?? "user_data"),
            "status": status, "status_details": document.failure.map { .string($0) } ?? .null,
        ]
    }
}

/// A collection as a vector store of OpenAI's API, and what is in it.
enum OpenAIVectorStore {
    static func json(_ collection: Core.Collection, at now: Timestamp) -> JSONValue {
        let done = collection.documentCount - collection.pendingCount - collection.failedCount
        let isExpired = collection.expiresAt.map { $0 < now } ?? false
        let status: JSONValue =
            isExpired ? "expired" : collection.pendingCount > 0 ? "in_progress" : "completed"
        return [
            "id": .string(OpenAIID.vectorStore.text(collection.id)), "object": "vector_store",
            "created_at": .of(Int(collection.createdAt.seconds)),
            "name": .string(collection.name), "usage_bytes": .of(collection.byteCount),
            "file_counts": counts(
                pending: collection.pendingCount, failed: collection.failedCount, done: done),
            "status": status,
            "expires_after": collection.expiresAfterDays.map {
                ["anchor": "last_active_at", "days": .of($0)]
            } ?? .null,
            "expires_at": collection.expiresAt.map { .of(Int($0.seconds)) } ?? .null,
            "last_active_at": .of(Int(collection.activeAt.seconds)),
            "metadata": JSONValue(collection.metadata.mapValues { .string($0) }),
        ]
    }

    private static func counts(
        pending: Int, failed: Int, done: Int, cancelled: Int = 0
    ) -> JSONValue {
        [
            "in_progress": .of(pending), "completed": .of(done), "failed": .of(failed),
            "cancelled": .of(cancelled), "total": .of(pending + failed + done + cancelled),
        ]
    }

    static func batch(_ batch: FileBatch, in store: Identifier) -> JSONValue {
        let pending = batch.documents.count { $0.state == .pending }
        let failed = batch.documents.count { $0.state == .failed }
        let status: JSONValue =
            batch.isCancelled ? "cancelled" : pending > 0 ? "in_progress" : "completed"
        return [
            "id": .string(OpenAIID.fileBatch.text(batch.id)), "object": "vector_store.files_batch",
            "created_at": .of(Int(batch.createdAt.seconds)),
            "vector_store_id": .string(OpenAIID.vectorStore.text(store)), "status": status,
            "file_counts": counts(
                pending: pending, failed: failed, done: batch.documents.count - pending - failed,
                cancelled: batch.cancelled.count),
        ]
    }

    static func file(
        _ document: DocumentSummary, in store: Identifier, isCancelled: Bool = false
    ) -> JSONValue {
        [
            "id": .string(OpenAIID.file.text(document.id)), "object": "vector_store.file",
            "created_at": .of(Int(document.createdAt.seconds)),
            "vector_store_id": .string(OpenAIID.vectorStore.text(store)),
            "status": .string(isCancelled ? "cancelled" : status(of: document)),
            "usage_bytes": .of(document.byteCount),
            "last_error": document.state == .failed
                ? [
                    "code": "invalid_file",
                    "message": .string(document.failure ?? "The file could not be read."),
                ] : .null, "attributes": attributes(of: document),
            // How a file is cut follows from its text.
            "chunking_strategy": ["type": "other"],
        ]
    }

    static func status(of document: DocumentSummary) -> String {
        switch document.state {
        case .pending: "in_progress"
        case .ready: "completed"
        case .failed: "failed"
        }
    }

    static func attributes(of document: DocumentSummary) -> JSONValue {
        JSONValue(
            document.attributes.mapValues { value in
                switch value {
                case .string(let text): .string(text)
                case .bool(let isTrue): .bool(isTrue)
                case .number(let number):
                    Int(exactly: number).map { .of($0) } ?? .number("\(number)")
                }
            })
    }

    static func result(_ hit: SearchHit, of document: DocumentSummary) -> JSONValue {
        [
            "file_id": .string(OpenAIID.file.text(document.id)),
            "filename": .string(document.name), "score": .number("\(score(of: hit))"),
            "attributes": attributes(of: document),
            "content": [["type": "text", "text": .string(hit.passage.text)]],
        ]
    }

    /// From 0 to 1, as thresholds are written; what holds the exact words may be above it.
    static func score(of hit: SearchHit) -> Double { min(1, max(0, hit.score)) }
}

extension JSONValue {
    /// What OpenAI's API lists things in.
    static func page(
        _ items: [JSONValue], hasMore: Bool, object: String = "list"
    ) -> JSONValue {
        [
            "object": .string(object), "data": .array(items),
            "first_id": items.first?["id"] ?? .null,
            "last_id": items.last?["id"] ?? .null, "has_more": .bool(hasMore),
        ]
    }
}
