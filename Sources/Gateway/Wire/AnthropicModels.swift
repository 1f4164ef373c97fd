import Core
import OrderedJSON

/// The models as Anthropic's clients page through them, and one of them.
enum AnthropicModels {
    private static let limitDefault = 20
    private static let limitMax = 1000

    /// What stands between `before_id` and `after_id`, as many as are asked for. Throws a refusal for a
    /// limit out of range, and for an id that is no model's.
    static func page(of cards: [ModelCard], _ query: QueryParameters) throws -> JSONValue {
        let limit = query["limit"].map { Int($0) ?? 0 } ?? limitDefault
        guard (1...limitMax).contains(limit) else {
            throw JSONFields.refusal("limit", "has to be 1 to \(limitMax).")
        }
        func place(_ key: String) throws -> Int? {
            guard let id = query[key], !id.isEmpty else { return nil }
            guard let place = cards.firstIndex(where: { $0.name == id }) else {
                throw JSONFields.refusal(key, "is the id of no model.")
            }
            return place
        }
        let rest: ArraySlice<ModelCard>
        let page: ArraySlice<ModelCard>
        if let end = try place("before_id") {
            rest = cards[..<end]
            page = rest.suffix(limit)
        } else {
            rest = cards[(try place("after_id").map { $0 + 1 } ?? 0)...]
            page = rest.prefix(limit)
        }
        return [
            "data": .array(page.map(json)), "has_more": .bool(page.count < rest.count),
            "first_id": page.first.map { .string($0.name) } ?? .null,
            "last_id": page.last.map { .string($0.name) } ?? .null,
        ]
    }

    static func json(_ card: ModelCard) -> JSONValue {
        [
            "type": "model", "id": .string(card.name), "display_name": .string(card.name),
            // The API wants a time; ours have none.
            "created_at": "1970-01-01T00:00:00Z",
            "max_input_tokens": .init(integerLiteral: card.contextTokens),
            "max_tokens": .init(integerLiteral: card.outputTokensMax),
        ]
    }
}
