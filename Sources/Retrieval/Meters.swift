import Metrics

/// What the layer counts.
enum Meters {
    static let uploads = Counter(label: "heptad_retrieval_uploads_total")
    static let documentsIndexed = Counter(label: "heptad_retrieval_documents_indexed_total")
    static let documentsFailed = Counter(label: "heptad_retrieval_documents_failed_total")
    static let passagesIndexed = Counter(label: "heptad_retrieval_passages_indexed_total")
    static let ingestDuration = Metrics.Timer(label: "heptad_retrieval_ingest_duration")
    static let searches = Counter(label: "heptad_retrieval_searches_total")
    static let searchesWithoutVectors = Counter(
        label: "heptad_retrieval_searches_without_vectors_total")
    static let searchesNotReranked = Counter(
        label: "heptad_retrieval_searches_not_reranked_total")
    static let searchDuration = Metrics.Timer(label: "heptad_retrieval_search_duration")
    static let searchHits = Recorder(label: "heptad_retrieval_search_hits")
}
