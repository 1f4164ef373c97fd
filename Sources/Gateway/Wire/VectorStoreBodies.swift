import Core
import OrderedJSON

/// What requests to vector stores say.
enum VectorStoreBody {
    static let daysMax = 365
    static let textMax = 512

    static func change(_ fields: JSONFields) throws -> CollectionChange {
        var change = CollectionChange()
        if let name = try fields.string("name"), !name.isEmpty { change.name = name }
        if let metadata = try fields.fields("metadata") {
            change.metadata = try texts(metadata)
        }
        if let expiry = try fields.fields("expires_after") {
            guard try expiry.string("anchor") == "last_active_at" else {
                throw expiry.refusal("anchor", "has to be `last_active_at`.")
            }
            let days = try expiry.required("days", try expiry.int("days"))
            guard (1...daysMax).contains(days) else {
                throw expiry.refusal("days", "has to be 1 to \(daysMax).")
            }
            change.expiresAfterDays = days
        } else if fields.value["expires_after"] != nil {
            // Null takes the limit away.
            change.expiresAfterDays = 0
        }
        return change
    }

    private static func texts(_ fields: JSONFields) throws -> [String: String] {
        var texts: [String: String] = [:]
        for member in fields.value.members ?? [] {
            texts[member.key] = try fields.required(member.key, try fields.string(member.key))
        }
        return texts
    }

    /// Nil where there are none.
    static func attributes(_ fields: JSONFields) throws -> [String: AttributeValue]? {
        guard let given = try fields.fields("attributes") else { return nil }
        var attributes: [String: AttributeValue] = [:]
        for member in given.value.members ?? [] {
            switch member.value {
            case .string(let text): attributes[member.key] = .string(text)
            case .bool(let isTrue): attributes[member.key] = .bool(isTrue)
            case .number: attributes[member.key] = member.value.double.map { .number($0) }
            case .null, .array, .object:
                throw given.refusal(member.key, "has to be a string, a number, true or false.")
            }
        }
        return attributes
    }

    /// Files are cut when they are uploaded, along their own structure.
    static func checkChunking(_ fields: JSONFields) throws {
        guard let strategy = try fields.fields("chunking_strategy") else { return }
        guard try strategy.string("type") == "auto" else {
            throw fields.refusal(
                "chunking_strategy",
                "has to be `auto`; how long passages are is a setting of the collection.")
        }
    }
}

/// A search in a vector store.
struct VectorStoreSearch {
    let queries: [String]
    let limit: Int
    let filter: JSONValue?
    let scoreMin: Double

    static let limitDefault = 10
    private static let rankers = ["none", "auto", "default-2024-11-15"]

    init(_ fields: JSONFields) throws {
        if let query = fields["query"]?.string {
            queries = [query]
        } else {
            queries = try fields.required("query", try fields.strings("query"))
        }
        guard (1...VectorStoreRoutes.queriesMax).contains(queries.count),
            queries.allSatisfy({ $0.contains { !$0.isWhitespace } })
        else {
            throw fields.refusal(
                "query",
                "has to be a question, or 1 to \(VectorStoreRoutes.queriesMax) of them.")
        }
        limit = try fields.int("max_num_results") ?? Self.limitDefault
        guard (1...VectorStoreRoutes.resultsMax).contains(limit) else {
            throw fields.refusal(
                "max_num_results", "has to be 1 to \(VectorStoreRoutes.resultsMax).")
        }
        filter = try fields.object("filters")
        // Questions are searched as they are: they need no other words here.
        _ = try fields.bool("rewrite_query")
        scoreMin = try Self.scoreMin(fields)
    }

    /// What `ranking_options` leaves of the hits.
    static func scoreMin(_ fields: JSONFields) throws -> Double {
        let ranking = try fields.fields("ranking_options")
        let scoreMin = try ranking?.number("score_threshold") ?? 0
        guard (0...1).contains(scoreMin) else {
            throw fields.refusal("ranking_options.score_threshold", "has to be 0 to 1.")
        }
        if let ranker = try ranking?.string("ranker"), !rankers.contains(ranker) {
            throw fields.refusal("ranking_options.ranker", "has to be `auto` or `none`.")
        }
        return scoreMin
    }
}
