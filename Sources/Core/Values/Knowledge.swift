package import OrderedJSON

/// A document as it is seen in a list.
package struct DocumentSummary: Hashable, Codable, Sendable {
    package enum State: String, Codable, Sendable { case pending, ready, failed }

    package let id: Identifier
    package let collectionID: Identifier
    package let name: String
    package let mediaType: String
    package let byteCount: Int
    package let passageCount: Int
    package let state: State
    /// The sentence that says why, when `state` is `failed`.
    package let failure: String?
    package let createdAt: Timestamp
    /// The address or the path it came from, and the SHA-256 of its bytes, where they are known.
    package let source: String?, contentHash: String?
    /// Another document of the owner's that says nearly the same.
    package let similarTo: Identifier?
    /// What it can be filtered by.
    package var tags: [String] = []
    package var attributes: [String: AttributeValue] = [:]
    /// What the file was uploaded for through the OpenAI API; nil for what came another way.
    package var purpose: String?
    package var expiresAt: Timestamp?

    package init(
        id: Identifier, collectionID: Identifier, name: String, mediaType: String, byteCount: Int,
        passageCount: Int, state: State, failure: String?, createdAt: Timestamp,
        source: String? = nil, contentHash: String? = nil, similarTo: Identifier? = nil
    ) {
        (self.id, self.collectionID, self.name) = (id, collectionID, name)
        (self.mediaType, self.byteCount, self.passageCount) = (mediaType, byteCount, passageCount)
        (self.state, self.failure, self.createdAt) = (state, failure, createdAt)
        (self.source, self.contentHash, self.similarTo) = (source, contentHash, similarTo)
    }
}

/// A file on its way in.
package struct Upload: Codable, Sendable {
    package let name: String
    /// As the sender says; empty where it did not. The name's extension decides then.
    package let mediaType: String
    package let bytes: [UInt8]
    /// Nil means the principal's default collection, made when it is first needed.
    package let collectionID: Identifier?
    /// The path or the address it comes from; a later one from there replaces it.
    package let source: String?
    /// Set for a file of the OpenAI API, which stays beside others of its name.
    package var purpose: String?
    package var expiresAt: Timestamp?

    package init(
        name: String, mediaType: String, bytes: [UInt8], collectionID: Identifier?,
        source: String? = nil
    ) {
        (self.name, self.mediaType, self.bytes) = (name, mediaType, bytes)
        (self.collectionID, self.source) = (collectionID, source)
    }
}

/// A site whose pages are to be added, by its site map.
package struct SiteRequest: Hashable, Codable, Sendable {
    /// Of the site map, or of a place on the site.
    package let address: String
    package let collectionID: Identifier?
    /// Whether pages of other hosts are added that the site map names.
    package var includesOtherHosts = false
    /// Whether documents that came from the site go when its site map names them no longer.
    package var removesVanished = false

    package init(address: String, collectionID: Identifier?) {
        (self.address, self.collectionID) = (address, collectionID)
    }
}

/// What an accepted upload is called, and the job that indexes it.
package struct Ingestion: Hashable, Codable, Sendable {
    package let documentID: Identifier
    package let jobID: Identifier

    package init(documentID: Identifier, jobID: Identifier) {
        (self.documentID, self.jobID) = (documentID, jobID)
    }
}

/// A piece of a document: what is searched, handed to a model, and cited.
package struct Passage: Hashable, Codable, Sendable {
    package let id: Identifier
    package let documentID: Identifier
    package let documentName: String
    /// Headings from the title down; empty for text without any.
    package let headings: [String]
    package let text: String
    /// Offsets in Unicode scalars of the document's extracted text, end exclusive.
    package let start: Int
    package let end: Int

    package init(
        id: Identifier, documentID: Identifier, documentName: String, headings: [String],
        text: String, start: Int, end: Int
    ) {
        (self.id, self.documentID, self.documentName) = (id, documentID, documentName)
        (self.headings, self.text, self.start, self.end) = (headings, text, start, end)
    }
}

/// A question to the knowledge base.
package struct SearchRequest: Codable, Sendable {
    package let principal: Principal
    package let text: String
    /// Empty means all that the principal may read.
    package let collectionIDs: [Identifier]
    package let limit: Int
    /// What documents have to be like, as OpenAI writes it: `{"type": "eq", "key": …, "value": …}`,
    /// and `and` and `or` of such. The keys `$tag`, `$type`, `$name`, `$owner` and `$date` are of the
    /// document itself, all others are its attributes.
    package var filter: JSONValue?
    /// Other wordings of it, looked up as well.
    package var queries: [String] = []
    /// A document that should be found: an explanation says what became of it.
    package let documentID: Identifier?

    package init(
        principal: Principal, text: String, collectionIDs: [Identifier], limit: Int,
        documentID: Identifier? = nil
    ) {
        (self.principal, self.text, self.collectionIDs) = (principal, text, collectionIDs)
        (self.limit, self.documentID) = (limit, documentID)
    }
}

/// A passage that was found, and why.
package struct SearchHit: Hashable, Codable, Sendable {
    package let passage: Passage
    /// Of both lanes together, or of the reranker; comparable within one result only.
    package let score: Double
    /// Place in the keyword lane, from 1; nil where it was not among the best.
    package let keywordRank: Int?
    /// Place in the vector lane, from 1; nil where it was not among the nearest.
    package let vectorRank: Int?
    /// Cosine of question and passage; nil where one of them has no vector.
    package let similarity: Double?
    /// BM25 of the question's words; nil where none of them is in the passage.
    package let keywordScore: Double?
    /// Whether it holds word for word what the question quotes or names by a code.
    package let isExact: Bool
    /// Place in the whole order, from 1, where that is explained; nil where it is not among the found.
    package var rank: Int?
    /// The reranker's score from 0 to 1, and the place it gave, from 1; nil where it did not read it.
    package var rerankScore: Double?, rerankRank: Int?

    package init(
        passage: Passage, score: Double, keywordRank: Int?, vectorRank: Int?, similarity: Double?,
        keywordScore: Double? = nil, isExact: Bool = false
    ) {
        (self.passage, self.score, self.similarity) = (passage, score, similarity)
        (self.keywordRank, self.vectorRank) = (keywordRank, vectorRank)
        (self.keywordScore, self.isExact) = (keywordScore, isExact)
    }
}

/// A search and how its order came about.
package struct SearchExplanation: Codable, Sendable {
    package let hits: [SearchHit]
    /// Found too, but no word fits and the meaning is too far away. Best first.
    package let dropped: [SearchHit]
    /// What the question looks like: `quoted`, `code` or `prose`.
    package let question: String
    /// What meaning weighed against words; the settings with the look of the question.
    package let vectorShare: Double
    package let similarityMin: Double
    /// False where the question could not be embedded.
    package let hasVectors: Bool
    /// How much was searched.
    package var documentCount = 0, passageCount = 0
    /// What it was looked up as beside its own words.
    package var queries: [String] = []
    /// Who put the best in order once more, as `provider/model`; nil where nobody did.
    package var reranker: String?
    /// What else the reader should know of it, each in a sentence.
    package var notes: [String] = []
    /// What became of the document that was asked about.
    package var expected: DocumentExplanation?

    package init(
        hits: [SearchHit], dropped: [SearchHit], question: String, vectorShare: Double,
        similarityMin: Double, hasVectors: Bool
    ) {
        (self.hits, self.dropped, self.question) = (hits, dropped, question)
        self.vectorShare = vectorShare
        (self.similarityMin, self.hasVectors) = (similarityMin, hasVectors)
    }
}
