import Core
import OrderedJSON

/// A search that was made: what the answer says of it.
struct FileSearchResult: Sendable {
    let query: String
    let includesResults: Bool
    /// In the order in which the answer cites them.
    let hits: [SearchHit]
    /// What was removed meanwhile is not among them.
    let documents: [Identifier: DocumentSummary]

    func item(_ id: String, _ status: String) -> JSONValue {
        [
            "id": .string(id), "type": "file_search_call", "status": .string(status),
            "queries": [.string(query)],
            "results": includesResults && status == "completed"
                ? .array(hits.compactMap(result)) : .null,
        ]
    }

    private func result(_ hit: SearchHit) -> JSONValue? {
        guard let document = documents[hit.passage.documentID] else { return nil }
        return [
            "file_id": .string(OpenAIID.file.text(document.id)),
            "filename": .string(document.name),
            "score": .number("\(OpenAIVectorStore.score(of: hit))"),
            "attributes": OpenAIVectorStore.attributes(of: document),
            "text": .string(hit.passage.text),
        ]
    }

    /// Nil for a number that nothing has any more.
    func annotation(_ citation: TextCitation) -> JSONValue? {
        guard hits.indices.contains(citation.number - 1),
            let document = documents[hits[citation.number - 1].passage.documentID]
        else { return nil }
        return [
            "type": "file_citation", "index": .of(citation.offset),
            "file_id": .string(OpenAIID.file.text(document.id)),
            "filename": .string(document.name),
        ]
    }
}
