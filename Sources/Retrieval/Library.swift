package import Core
package import Egress
import Logging
import Storage
import Synchronization

/// Layer 4: documents in, passages out. Keeps what people upload, cuts it into passages, and finds
/// those that answer a question, by their words and by their meaning.
///
/// Works without an embedding model too: then by words alone, and vectors are made once there is one.
package final class Library: Sendable {
    let configuration: RetrievalConfiguration
    let store: Store
    let collections: CollectionStore
    let documents: DocumentStore
    let passages: PassageStore
    let vectors: VectorStore
    let index: VectorIndex
    let embedder: PassageEmbedder
    let jobs: any JobQueue
    let environment: Environment
    /// For documents that are named by their address.
    let client: HTTPClient
    /// Where files are read and cut: seconds for a large one.
    let reading = WorkQueue("reading")
    /// Where uploads are looked at, which wait for an answer and so never behind a large file.
    let decoding = WorkQueue("decoding")
    /// Where short writes block that must happen though their task was cancelled.
    let writing = WorkQueue("writing")
    let reranker: (any Reranker)?
    /// Rewrites questions, where that is configured.
    let model: (any ChatModel)?
    /// How often in a row it has not answered.
    let rerankFailures = Mutex(0)
    /// Which model embeds, as far as that is known.
    let embedding: Mutex<EmbeddingState>
    let log = Logger(label: "heptad.retrieval")

    /// Opens `knowledge.db` in `folder`. `embedderName` is the candidate that embeds, as
    /// `provider/model`, where that is known before it has: when other vectors are in the database, all
    /// are made again. Throws `invalid` for a configuration that makes no sense,
    /// and `unavailable` where the database cannot be opened.
    package convenience init(
        _ configuration: RetrievalConfiguration, folder: String, embedder: any Embedder,
        embedderName: String? = nil, reranker: (any Reranker)? = nil,
        model: (any ChatModel)? = nil, jobs: any JobQueue, client: HTTPClient,
        environment: Environment
    ) throws {
        try self.init(
            configuration, folder: folder, embedder: embedder, embedderName: embedderName,
            reranker: reranker, model: model, jobs: jobs, client: client, environment: environment,
            limits: .init())
    }

    init(
        _ configuration: RetrievalConfiguration, folder: String, embedder: any Embedder,
        embedderName: String? = nil, reranker: (any Reranker)? = nil,
        model: (any ChatModel)? = nil, jobs: any JobQueue, client: HTTPClient,
        environment: Environment, limits: VectorIndex.Limits
    ) throws {
        try configuration.validate()
        self.configuration = configuration
        self.jobs = jobs
        self.client = client
        self.environment = environment
        self.reranker = reranker
        self.model = model
        embedding = Mutex(EmbeddingState(named: embedderName))
        self.embedder = PassageEmbedder(
            embedder: embedder, model: configuration.embeddingModel,
            batchMax: configuration.embeddingBatchMax)
        store = try Store(
            folder: folder, name: "knowledge.db", durability: .normal, migrations: Migrations.all,
            prepare: KeywordRanking().teach)
        let quota = Quota(configuration)
        collections = CollectionStore(pool: store.pool, environment: environment, quota: quota)
        documents = DocumentStore(pool: store.pool, environment: environment, quota: quota)
        passages = PassageStore(pool: store.pool, environment: environment)
        vectors = VectorStore(pool: store.pool, environment: environment)
        index = VectorIndex(store: vectors, folder: folder, limits: limits)
    }
}
