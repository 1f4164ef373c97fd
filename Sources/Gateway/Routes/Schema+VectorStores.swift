import OrderedJSON

extension Schema {
    private static let textOrNull = Schema(["type": ["string", "null"]])
    private static let integerOrNull = orNull(.integer)
    private static let expiry = record([
        "anchor": .choice(["last_active_at"]), "days": .integer,
    ])

    private static func orNull(_ schema: Schema) -> Schema {
        oneOf([schema, Schema(["type": "null"])])
    }

    private static let counts = record([
        "in_progress": .integer, "completed": .integer, "failed": .integer,
        "cancelled": .integer, "total": .integer,
    ])

    static let vectorStores: [String: Schema] = [
        "OpenAIFile": .record([
            "id": .string, "object": .choice(["file"]), "bytes": .integer, "created_at": .integer,
            "expires_at": integerOrNull, "filename": .string, "purpose": .string,
            "status": .choice(["uploaded", "processed", "error"]), "status_details": textOrNull,
        ]),
        "OpenAIDeleted": .record(["id": .string, "object": .string, "deleted": .boolean]),
        "OpenAIVectorStoreRequest": .record([
            "name?": .string, "file_ids?": .array(.string), "metadata?": .map(.string),
            "description?": .string,
            "chunking_strategy?": .record(["type": .choice(["auto"])]),
            "expires_after?": expiry,
        ]),
        "OpenAIVectorStore": .record([
            "id": .string, "object": .choice(["vector_store"]), "created_at": .integer,
            "name": .string, "usage_bytes": .integer,
            "file_counts": counts, "status": .choice(["expired", "in_progress", "completed"]),
            "expires_after": orNull(expiry), "expires_at": integerOrNull,
            "last_active_at": integerOrNull, "metadata": .map(.string),
        ]),
        "OpenAIVectorStoreFileRequest": .record([
            "file_id": .string, "attributes?": .map(.attribute),
            "chunking_strategy?": .record(["type": .choice(["auto"])]),
        ]),
        "OpenAIVectorStoreFile": .record([
            "id": .string, "object": .choice(["vector_store.file"]), "created_at": .integer,
            "vector_store_id": .string,
            "status": .choice(["in_progress", "completed", "failed", "cancelled"]),
            "usage_bytes": .integer,
            "last_error": orNull(.record(["code": .string, "message": .string])),
            "attributes": .map(.attribute), "chunking_strategy": .record(["type": .string]),
        ]),
        "OpenAIFileBatchRequest": .record([
            "file_ids?": .array(.string), "files?": .list("OpenAIVectorStoreFileRequest"),
            "attributes?": .map(.attribute),
            "chunking_strategy?": .record(["type": .choice(["auto"])]),
        ]),
        "OpenAIFileBatch": .record([
            "id": .string, "object": .choice(["vector_store.files_batch"]),
            "created_at": .integer, "vector_store_id": .string,
            "status": .choice(["in_progress", "completed", "cancelled", "failed"]),
            "file_counts": counts,
        ]),
        "OpenAISearchRequest": .record([
            "query": .oneOf([.string, .array(.string)]), "max_num_results?": .integer,
            "filters?": .record(
                [
                    "type": .choice([
                        "eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "and", "or",
                    ]), "key?": .string,
                    "value?": .oneOf([.string, .number, .boolean, .array(.attribute)]),
                    "filters?": .array(anyObject),
                ], "A comparison of an attribute, or `and` or `or` of several filters."),
            "ranking_options?": .record([
                "ranker?": .string, "score_threshold?": .number,
            ]), "rewrite_query?": .boolean,
        ]),
        "OpenAISearchAnswer": .record([
            "object": .choice(["vector_store.search_results.page"]),
            "search_query": .array(.string),
            "data": .array(
                .record([
                    "file_id": .string, "filename": .string, "score": .number,
                    "attributes": .map(.attribute),
                    "content": .array(.record(["type": .string, "text": .string])),
                ])), "has_more": .boolean, "next_page": Schema(["type": "null"]),
        ]),
    ]
}
