import Core

/// How documents are read, cut and searched.
package struct RetrievalConfiguration: Codable, Sendable, Equatable {
    /// The largest file that is taken in, in bytes.
    package var documentBytesMax = 20_000_000
    /// The most that comes out of the archives in one file, a Word file or a ZIP, in bytes.
    package var unpackedBytesMax = 200_000_000
    /// How long one file may be read, in seconds.
    package var readingSecondsMax = 60.0
    /// The program that reads PDF files: a name that is looked for, or an absolute path.
    package var pdfProgram = "pdftotext"
    /// The longest passage, in tokens of the embedding model. The local model reads 256, and the
    /// line that says where the passage stands takes up to 30 of them.
    package var passageTokensMax = 220
    /// The public name of the model that embeds passages and questions; empty means the default.
    package var embeddingModel = ""
    /// How many passages are embedded in one call.
    package var embeddingBatchMax = 32
    /// How deep each lane, keywords and vectors, is read before the two are fused. Also the most
    /// passages a search can return.
    package var candidatesMax = 100
    /// What meaning weighs against words in the order of what was found, from 0 for words alone to 1.
    /// For questions with names of a program, codes or quotations in them it is a fifth less.
    package var vectorShare = 0.5
    /// A passage that no keyword found is left out below this cosine. From -1 to 1.
    package var similarityMin = 0.2
    /// How a question is looked up that goes on with a conversation: `off` as it stands; `terms` also
    /// with the telling words of what was said before; `model` as the default chat model rewrites it,
    /// which is a call more and takes up to four seconds.
    package var queryRewriting = QueryRewriting.terms
    /// A model that puts the best of what was found in order once more.
    package var reranker = RerankerConfiguration()
    /// The most documents, and the most bytes of files, that one collection may hold.
    package var collectionDocumentsMax = 20_000
    package var collectionBytesMax = 10_000_000_000
    /// The same for all collections of one user together.
    package var userDocumentsMax = 50_000
    package var userBytesMax = 20_000_000_000
    /// The most pages, and bytes of them, that one site map adds, how deep its indexes may lie in each
    /// other, and how long all of it may take.
    package var sitePagesMax = 500
    package var siteBytesMax = 200_000_000
    package var siteDepthMax = 3
    package var siteSecondsMax = 1800.0
    /// How long to wait between two pages of a site, where its robots.txt asks for no longer.
    package var siteDelaySeconds = 0.2

    package init() {}

    /// What reading one file may take.
    var readingLimits: ReadingBudget.Limits {
        ReadingBudget.Limits(
            unpackedBytesMax: unpackedBytesMax, seconds: readingSecondsMax, pdfProgram: pdfProgram)
    }

    /// Throws `invalid` with a sentence that names the key.
    package func validate() throws {
        func check(_ isGood: Bool, _ sentence: String) throws {
            guard isGood else { throw Failure(.invalid, sentence) }
        }
        try check(
            (1...1_000_000_000).contains(documentBytesMax),
            "retrieval.document_bytes_max must be between 1 and 1000000000.")
        try check(
            (1...1_000_000_000).contains(unpackedBytesMax),
            "retrieval.unpacked_bytes_max must be between 1 and 1000000000.")
        try check(
            (0.1...3600).contains(readingSecondsMax),
            "retrieval.reading_seconds_max must be between 0.1 and 3600.")
        try check(!pdfProgram.isEmpty, "retrieval.pdf_program must name a program.")
        try check(
            (32...4096).contains(passageTokensMax),
            "retrieval.passage_tokens_max must be between 32 and 4096.")
        try check(
            (1...1024).contains(embeddingBatchMax),
            "retrieval.embedding_batch_max must be between 1 and 1024.")
        try check(
            (1...1000).contains(candidatesMax),
            "retrieval.candidates_max must be between 1 and 1000.")
        try check(
            (0.0...1.0).contains(vectorShare),
            "retrieval.vector_share must be between 0 and 1.")
        try check(
            (-1.0...1.0).contains(similarityMin),
            "retrieval.similarity_min must be between -1 and 1.")
        try reranker.validate()
        try check(
            (0...10).contains(siteDepthMax), "retrieval.site_depth_max must be between 0 and 10.")
        try check(
            (1.0...86_400).contains(siteSecondsMax),
            "retrieval.site_seconds_max must be between 1 and 86400.")
        try check(
            (0.0...60).contains(siteDelaySeconds),
            "retrieval.site_delay_seconds must be between 0 and 60.")
        for (key, value) in [
            ("collection_documents_max", collectionDocumentsMax),
            ("collection_bytes_max", collectionBytesMax),
            ("user_documents_max", userDocumentsMax), ("user_bytes_max", userBytesMax),
            ("site_pages_max", sitePagesMax), ("site_bytes_max", siteBytesMax),
        ] { try check(value >= 1, "retrieval.\(key) must be 1 or more.") }
    }
}

package enum QueryRewriting: String, Codable, Sendable { case off, terms, model }

/// Who reads question and passage together, after both lanes have found what there is.
package struct RerankerConfiguration: Codable, Sendable, Equatable {
    /// As `provider/model`: a provider of `inference.providers` whose server has `POST /rerank` (Cohere,
    /// Jina, vLLM, llama.cpp), or `local/FOLDER`, a cross-encoder of the models folder. Empty for nobody.
    package var model = ""
    /// How many of the passages found it reads, the best of them. The others follow as they were.
    package var candidatesMax = 30
    /// A passage that it scores below this is left out, from 0 to 1; 0 leaves none out.
    package var scoreMin = 0.0
    /// The longest that a search waits for it; then the order stays as it was.
    package var timeoutSeconds = 5.0

    package init() {}

    func validate() throws {
        func check(_ isGood: Bool, _ sentence: String) throws {
            guard isGood else { throw Failure(.invalid, "retrieval.reranker." + sentence) }
        }
        try check(
            model.isEmpty || model.split(separator: "/", maxSplits: 1).count == 2,
            "model must be of the form provider/model.")
        try check(
            (1...1000).contains(candidatesMax), "candidates_max must be between 1 and 1000.")
        try check((0.0...1.0).contains(scoreMin), "score_min must be between 0 and 1.")
        try check(
            (0.01...600).contains(timeoutSeconds),
            "timeout_seconds must be between 0.01 and 600.")
    }
}
