package import Core
import Egress
import Foundation
import Synchronization

/// Times what a library does for a search and for an upload, with the model that embeds.
package final class RetrievalBenchmark: Sendable {
    package struct Ingestion: Codable, Sendable {
        package let passages: Int
        package let seconds: Double
        /// What the model alone takes for the same texts.
        package let embedderSeconds: Double
    }

    private let configuration: RetrievalConfiguration
    private let embedder: any Embedder
    private let library: Library
    private let jobs = KeptJobs()

    private static let principal = Principal(
        userID: Identifier(at: Timestamp(microseconds: 0), random: (1, 1)), role: .owner,
        name: "bench")
    private static let passagesPerDocument = 50
    private static let passageWords = 110
    private static let middlesCount = 1000
    private static let hits = 8

    /// Opens the library in `folder`, which may have been filled before.
    package init(
        _ configuration: RetrievalConfiguration, folder: String, embedder: any Embedder
    ) throws {
        self.configuration = configuration
        self.embedder = embedder
        library = try Library(
            configuration, folder: folder, embedder: embedder, jobs: jobs,
            client: HTTPClient(EgressConfiguration()), environment: .system)
    }

    /// Adds so many passages of made text, with made vectors in the space of the model.
    package func fill(passages: Int, seed: UInt64) async throws {
        guard let probe = try await vectors(of: ["A question."]).first else { return }
        var made = MadeText(seed: seed)
        let middles = made.middles(Self.middlesCount, dimensions: probe.elements.count)
        for start in stride(from: 0, to: passages, by: Self.passagesPerDocument) {
            let name = "made-\(seed)-\(start).txt"
            var place = 0
            let drafts = (start..<min(start + Self.passagesPerDocument, passages)).map { _ in
                let text = made.text(words: Self.passageWords)
                let range = place..<place + text.unicodeScalars.count
                place = range.upperBound + 1
                return PassageStore.Draft(
                    headings: [], context: name, text: text, range: range,
                    vector: Vector(
                        candidate: probe.candidate, elements: made.vector(near: middles)))
            }
            let kept = try await library.documents.keep(
                Upload(name: name, mediaType: "text/plain", bytes: [], collectionID: nil),
                mediaType: "text/plain", for: Self.principal)
            try await library.passages.publish(
                drafts, text: drafts.map(\.text).joined(separator: "\n"), as: kept.id,
                for: Self.principal)
        }
        // Lists are trained before anything is timed.
        try await library.index.prepare(probe)
        try await library.index.settle()
        try await library.index.prepare(probe)
    }

    /// Embeds so many questions and looks for nothing, so that the model is there.
    package func embed(questions: Int, seed: UInt64) async throws {
        var made = MadeText(seed: seed)
        for _ in 0..<questions { _ = try await vectors(of: [made.question()]) }
    }

    /// Asks so many questions, one after the other: what each took in milliseconds, from the text to
    /// the passages.
    package func search(questions: Int, seed: UInt64) async throws -> [Double] {
        var made = MadeText(seed: seed)
        var times: [Double] = []
        for _ in 0..<questions {
            let request = SearchRequest(
                principal: Self.principal, text: made.question(), collectionIDs: [],
                limit: Self.hits)
            let began = ContinuousClock.now
            let hits = try await library.search(request)
            times.append((ContinuousClock.now - began).milliseconds)
            guard !hits.isEmpty else { throw Failure(.internalError, "Nothing was found.") }
        }
        return times
    }

    /// Takes so many documents in as uploads are, and embeds the same passages by the model alone.
    package func ingest(documents: Int, seed: UInt64) async throws -> Ingestion {
        var made = MadeText(seed: seed)
        let texts = (0..<documents).map { _ in
            made.text(words: Self.passageWords * Self.passagesPerDocument)
        }
        let tokensMax = configuration.passageTokensMax
        let passages = texts.enumerated().flatMap { place, text in
            Manuscript(title: "upload-\(seed)-\(place)", text: text, tokensMax: tokensMax)
                .drafts.map(\.embedded)
        }
        let alone = ContinuousClock.now
        for start in stride(from: 0, to: passages.count, by: configuration.embeddingBatchMax) {
            let end = min(start + configuration.embeddingBatchMax, passages.count)
            _ = try await vectors(of: Array(passages[start..<end]))
        }
        let embedderSeconds = (ContinuousClock.now - alone).milliseconds / 1000
        let began = ContinuousClock.now
        for (place, text) in texts.enumerated() {
            let ingestion = try await library.ingest(
                Upload(
                    name: "upload-\(seed)-\(place).txt", mediaType: "", bytes: Array(text.utf8),
                    collectionID: nil), for: Self.principal)
            let job = try await jobs.job(ingestion.jobID, for: Self.principal)
            try await library.run(job, for: Self.principal) { _ in }
        }
        return Ingestion(
            passages: passages.count, seconds: (ContinuousClock.now - began).milliseconds / 1000,
            embedderSeconds: embedderSeconds)
    }

    private func vectors(of texts: [String]) async throws -> [Vector] {
        try await library.embedder.vectors(of: texts, for: Self.principal, purpose: "bench")
    }
}

/// Keeps the jobs it is given for whoever runs them.
private final class KeptJobs: JobQueue {
    private let jobs = Mutex<[Identifier: Job]>([:])

    func enqueue(kind: String, payload: String, for principal: Principal) async throws -> Job {
        let environment = Environment.system
        let now = environment.now()
        let job = Job(
            id: environment.identifier(), kind: kind, payload: payload, state: .running, done: 0,
            total: 0, message: "", createdAt: now, updatedAt: now)
        jobs.withLock { $0[job.id] = job }
        return job
    }

    func job(_ id: Identifier, for principal: Principal) async throws -> Job {
        guard let job = jobs.withLock({ $0[id] }) else {
            throw Failure(.notFound, "There is no such job.")
        }
        return job
    }

    func follow(
        _ id: Identifier, for principal: Principal, _ emit: (Job) async throws -> Void
    ) async throws { try await emit(try await job(id, for: principal)) }

    func cancel(_ id: Identifier, for principal: Principal) async throws {}
}
