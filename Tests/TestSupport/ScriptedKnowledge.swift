package import Core
import Synchronization

/// A knowledge base that finds the same passages for every question.
package final class ScriptedKnowledge: KnowledgeBase {
    private let hits: [SearchHit]
    private let failure: Failure?
    /// What an explanation says was found and left out, and of the document that is asked about.
    private let dropped: [SearchHit]
    private let expected: DocumentExplanation?
    /// What it has in full.
    private let texts: [(document: DocumentSummary, text: String)]
    private let recorded = Mutex<[SearchRequest]>([])

    package init(
        hits: [SearchHit] = [], failure: Failure? = nil, dropped: [SearchHit] = [],
        expected: DocumentExplanation? = nil,
        texts: [(document: DocumentSummary, text: String)] = []
    ) {
        self.texts = texts
        self.hits = hits
        self.dropped = dropped
        self.expected = expected
        self.failure = failure
    }

    /// Each text becomes a passage of a document of its own: `doc-1.txt`, `doc-2.txt` and so on.
    package convenience init(passages texts: [String]) {
        self.init(
            hits: texts.enumerated().map { place, text in
                SearchHit(
                    passage: .sample(text, number: place + 1), score: 1 / Double(place + 60),
                    keywordRank: place + 1, vectorRank: place + 1, similarity: 0.5)
            })
    }

    /// Collections that are not there, or may not be read.
    private let gone = Mutex<Set<Identifier>>([])

    package func lose(_ collections: Set<Identifier>) { gone.withLock { $0 = collections } }

    private func check(_ request: SearchRequest) throws {
        guard gone.withLock({ $0.isDisjoint(with: request.collectionIDs) }) else {
            throw Failure(.notFound, "There is no such collection.")
        }
        if let failure { throw failure }
    }

    package var requests: [SearchRequest] { recorded.withLock { $0 } }

    package func search(_ request: SearchRequest) async throws -> [SearchHit] {
        try check(request)
        recorded.withLock { $0.append(request) }
        return Array(hits.prefix(max(0, request.limit)))
    }

    package func explain(_ request: SearchRequest) async throws -> SearchExplanation {
        var explanation = SearchExplanation(
            hits: try await search(request), dropped: dropped, question: "prose", vectorShare: 0.5,
            similarityMin: 0, hasVectors: true)
        explanation.documentCount = Set((hits + dropped).map(\.passage.documentID)).count
        explanation.passageCount = hits.count + dropped.count
        if request.documentID != nil { explanation.expected = expected }
        return explanation
    }

    /// What it is looked up as beside itself, after anything else was said.
    package func queries(
        for question: String, after conversation: [ChatMessage], for principal: Principal
    ) async -> [String] {
        conversation.isEmpty ? [question] : [question, "\(question) (reworded)"]
    }

    package func searched(by request: SearchRequest, max: Int) async throws -> [DocumentSummary]? {
        try check(request)
        return texts.count <= max ? texts.map(\.document) : nil
    }

    package func renew(
        document: Identifier, vectorsOnly: Bool, for principal: Principal
    ) async throws -> Ingestion {
        throw Failure(.notFound, "There is no such document.")
    }

    package func ingest(_ upload: Upload, for principal: Principal) async throws -> Ingestion {
        throw Failure(.unsupported, "A scripted knowledge base takes no documents.")
    }

    package func ingest(
        address: String, into collection: Identifier?, for principal: Principal
    ) async throws -> Ingestion {
        throw Failure(.unsupported, "A scripted knowledge base takes no documents.")
    }

    package func ingest(site: SiteRequest, for principal: Principal) async throws -> Identifier {
        throw Failure(.unsupported, "A scripted knowledge base takes no documents.")
    }

    package func remove(document: Identifier, for principal: Principal) async throws {
        throw Failure(.notFound, "There is no such document.")
    }

    package func text(of document: Identifier, for principal: Principal) async throws
        -> (DocumentSummary, String)
    {
        guard let known = texts.first(where: { $0.document.id == document }) else {
            throw Failure(.notFound, "There is no such document.")
        }
        return (known.document, known.text)
    }

    package func hidden(_ documents: Set<Identifier>, from principal: Principal) async throws
        -> Set<Identifier>
    { [] }
}

extension Passage {
    /// A passage that is the whole of a document called `doc-N.txt`.
    package static func sample(
        _ text: String, number: Int = 1, name: String? = nil, headings: [String] = []
    ) -> Passage {
        func id(_ kind: UInt64) -> Identifier {
            Identifier(at: Timestamp(microseconds: 0), random: (UInt16(number & 0xFFF), kind))
        }
        return Passage(
            id: id(1), documentID: id(2), documentName: name ?? "doc-\(number).txt",
            headings: headings, text: text, start: 0, end: text.unicodeScalars.count)
    }
}
