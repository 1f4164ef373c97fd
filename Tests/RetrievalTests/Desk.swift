import Core
import Egress
import OrderedJSON
import TestSupport

@testable import Retrieval

/// A library with everything around it, for one test.
struct Desk {
    let folder: TemporaryFolder
    let clock = ManualClock()
    let embedder: ScriptedEmbedder
    let jobs: ScriptedJobQueue
    let library: Library
    let client: HTTPClient

    init(
        embedder: ScriptedEmbedder = ScriptedEmbedder(), reranker: (any Reranker)? = nil,
        model: (any ChatModel)? = nil, limits: VectorIndex.Limits = .init(),
        allowedTargets: [String] = [],
        _ change: (inout RetrievalConfiguration) -> Void = { _ in }
    ) throws {
        var egress = EgressConfiguration()
        egress.allowedTargets = allowedTargets
        client = HTTPClient(egress)
        var configuration = RetrievalConfiguration()
        change(&configuration)
        folder = try TemporaryFolder()
        self.embedder = embedder
        let environment = Environment.manual(clock)
        jobs = ScriptedJobQueue(environment: environment)
        library = try Library(
            configuration, folder: folder.path, embedder: embedder, reranker: reranker,
            model: model, jobs: jobs, client: client, environment: environment, limits: limits)
    }

    /// The same files opened a second time, as another process or after a restart.
    func another(
        limits: VectorIndex.Limits = .init(), embedderName: String? = nil
    ) throws -> Library {
        try Library(
            RetrievalConfiguration(), folder: folder.path, embedder: embedder,
            embedderName: embedderName, jobs: jobs, client: client,
            environment: .manual(clock, seed: 99), limits: limits)
    }

    /// Uploads a text and runs its job to the end. Gives the document and what the job reported.
    @discardableResult
    func add(
        _ text: String, as name: String = "notes.txt", for principal: Principal = .alice,
        in collection: Identifier? = nil
    ) async throws -> (document: Identifier, reports: [JobProgress]) {
        let ingestion = try await upload(text, as: name, for: principal, in: collection)
        let reports = try await jobs.run(ingestion.jobID, with: library, for: principal)
        return (ingestion.documentID, reports)
    }

    @discardableResult
    func upload(
        _ text: String, as name: String = "notes.txt", for principal: Principal = .alice,
        in collection: Identifier? = nil
    ) async throws -> Ingestion {
        try await library.ingest(
            Upload(name: name, mediaType: "", bytes: Array(text.utf8), collectionID: collection),
            for: principal)
    }

    func search(
        _ text: String, for principal: Principal = .alice, in collections: [Identifier] = [],
        where filter: JSONValue? = nil, limit: Int = 10
    ) async throws -> [SearchHit] {
        var request = SearchRequest(
            principal: principal, text: text, collectionIDs: collections, limit: limit)
        request.filter = filter
        return try await library.search(request)
    }

    func documents(for principal: Principal = .alice) async throws -> [DocumentSummary] {
        var all: [DocumentSummary] = []
        for collection in try await library.collections(for: principal) {
            all += try await library.documents(in: collection.id, for: principal)
        }
        return all
    }
}

extension ScriptedEmbedder {
    /// As on a machine without an embedding model.
    static var missing: ScriptedEmbedder {
        ScriptedEmbedder(failing: Failure(.unavailable, "No embedding model is there."))
    }
}

/// Runs something that must fail, and gives the failure.
func failure(of work: () async throws -> Void) async -> Failure? {
    do {
        try await work()
        return nil
    } catch {
        return Failure(error)
    }
}

/// A text read as a file of a format, which its name says.
func extracted(_ text: String, _ format: DocumentFormat) throws -> ExtractedText {
    let suffixes: [DocumentFormat: String] = [
        .plain: "txt", .markdown: "md", .html: "html", .code: "swift", .csv: "csv", .json: "json",
        .jsonLines: "jsonl", .mail: "eml",
    ]
    return try DocumentReader(ReadingBudget()).text(
        of: Array(text.utf8), name: "a.\(suffixes[format] ?? "txt")", mediaType: "")
}

extension ExtractedText {
    /// A line for each block, its kind before it.
    var outline: [String] { blocks.map { "\($0.kind): \(string($0.range))" } }
}
