/// Answers requests that bring their whole conversation from documents. Made by Orchestration.
package protocol GroundedModel: Sendable {
    /// Searches as `search` says for the last question of the conversation (its own text is left
    /// aside), and opens the model with what was found. A limit of zero is as many as are
    /// configured; hits below `scoreMin` are left out. Throws what a search and `ChatModel.open` do.
    func open(_ request: ChatRequest, searching search: SearchRequest, scoreMin: Double)
        async throws -> GroundedCall
}

/// A call that is open, and what its model was given.
package struct GroundedCall: Sendable {
    package let query: String
    /// The first is what the answer cites as 1.
    package let hits: [SearchHit]
    /// Its text comes without marks.
    package let call: ChatCall
    /// What the text that came so far rests on, in its order.
    package let citations: @Sendable () async -> [TextCitation]

    package init(
        query: String, hits: [SearchHit], call: ChatCall,
        citations: @escaping @Sendable () async -> [TextCitation]
    ) {
        (self.query, self.hits, self.call, self.citations) = (query, hits, call, citations)
    }
}

/// A place in a text, in Unicode scalars, and the number of what bears out the words before it.
package struct TextCitation: Hashable, Codable, Sendable {
    package let offset: Int
    package let number: Int

    package init(offset: Int, number: Int) { (self.offset, self.number) = (offset, number) }
}
