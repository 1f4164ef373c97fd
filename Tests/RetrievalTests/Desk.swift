import Core
import TestSupport

@testable import Retrieval

/// A library with everything around it, for one test.
struct Desk {
    let folder: TemporaryFolder
    let clock = ManualClock()
    let embedder: ScriptedEmbedder
    let jobs: ScriptedJobQueue
    let library: Library

    init(
        embedder: ScriptedEmbedder = ScriptedEmbedder(), limits: VectorIndex.Limits = .init(),
        _ change: (inout RetrievalConfiguration) -> Void = { _ in }
    ) throws {
        var configuration = RetrievalConfiguration()
        change(&configuration)
        folder = try TemporaryFolder()
        self.embedder = embedder
        let environment = Environment.manual(clock)
        jobs = ScriptedJobQueue(environment: environment)
        library = try Library(
            configuration, folder: folder.path, embedder: embedder, jobs: jobs,
            environment: environment, limits: limits)
    }

    /// The same files opened a second time, as another process or after a restart.
    func another(limits: VectorIndex.Limits = .init()) throws -> Library {
        try Library(
            RetrievalConfiguration(), folder: folder.path, embedder: embedder, jobs: jobs,
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
        limit: Int = 10
    ) async throws -> [SearchHit] {
        try await library.search(
            SearchRequest(
                principal: principal, text: text, collectionIDs: collections, limit: limit))
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
