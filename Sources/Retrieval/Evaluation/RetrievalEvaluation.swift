package import Core
import Egress
import Foundation
import Tracing

/// Measures searching over a set of questions with known answers: a library of its own is filled and
/// asked as any other is, by the code that serves people.
package struct RetrievalEvaluation: Sendable {
    /// What one way of searching came to, over all questions.
    package struct Figures: Codable, Sendable {
        /// `keyword` and `vector` are the two lanes by themselves, in their own order.
        package let lane: String
        package let metrics: RankingMetrics
        package let millisecondsPerQuery: Double
    }

    package struct Report: Codable, Sendable {
        package let dataset: String
        package let documents: Int
        package let passages: Int
        package let queries: Int
        package let model: String
        /// Searching alone: the questions' vectors are made before.
        package let figures: [Figures]
    }

    private let configuration: RetrievalConfiguration
    private let embedder: any Embedder

    package init(_ configuration: RetrievalConfiguration, embedder: any Embedder) {
        self.configuration = configuration
        self.embedder = embedder
    }

    /// Throws what the embedder throws: words alone would make other figures.
    package func run(
        _ dataset: RetrievalDataset, progress: (_ what: String, _ done: Int, _ total: Int) -> Void
    ) async throws -> Report {
        let folder = NSTemporaryDirectory() + "heptad-eval-\(Environment.system.identifier())"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        let library = try Library(
            configuration, folder: folder, embedder: embedder, jobs: NoJobs(),
            client: HTTPClient(EgressConfiguration()), environment: .system)
        let passages = try await fill(library, with: dataset.corpus, progress)
        var model = ""
        for start in stride(from: 0, to: dataset.queries.count, by: batchMax) {
            progress("questions embedded", start, dataset.queries.count)
            let batch = dataset.queries[start..<min(start + batchMax, dataset.queries.count)]
            let vectors = try await library.embedder.vectors(
                of: batch.map { Library.embedded($0.text) }, for: Self.principal, purpose: "eval")
            model = vectors.first?.candidate ?? model
        }
        var figures: [Figures] = []
        for lanes in Library.Lanes.allCases {
            figures.append(try await measure(library, lanes, dataset.queries, progress))
        }
        return Report(
            dataset: dataset.name, documents: dataset.corpus.count, passages: passages,
            queries: dataset.queries.count, model: model, figures: figures)
    }

    private static let principal = Principal(
        userID: Environment.system.identifier(), role: .owner, name: "eval")

    private var batchMax: Int { configuration.embeddingBatchMax }

    // MARK: Filling

    /// Each entry is a document, cut into passages as any other. Returns how many passages there are.
    private func fill(
        _ library: Library, with corpus: [RetrievalDataset.Entry],
        _ progress: (String, Int, Int) -> Void
    ) async throws -> Int {
        var passages = 0
        for start in stride(from: 0, to: corpus.count, by: batchMax) {
            progress("documents embedded", start, corpus.count)
            let entries = corpus[start..<min(start + batchMax, corpus.count)]
            let tokensMax = configuration.passageTokensMax
            var manuscripts = try await library.reading.run {
                entries.map {
                    Manuscript(title: $0.title, text: $0.text, tokensMax: tokensMax)
                }
            }
            let vectors = try await library.embedder.vectors(
                of: manuscripts.flatMap { $0.drafts.map(\.embedded) }, for: Self.principal,
                purpose: "eval")
            var rest = vectors[...]
            for place in manuscripts.indices {
                for draft in manuscripts[place].drafts.indices {
                    manuscripts[place].drafts[draft].vector = rest.popFirst()
                }
            }
            for (entry, manuscript) in zip(entries, manuscripts) where !manuscript.drafts.isEmpty {
                try await publish(manuscript, as: entry.id, in: library)
                passages += manuscript.drafts.count
            }
        }
        return passages
    }

    private func publish(
        _ manuscript: Manuscript, as name: String, in library: Library
    ) async throws {
        let kept = try await library.documents.keep(
            Upload(name: name, mediaType: "text/plain", bytes: [], collectionID: nil),
            mediaType: "text/plain", for: Self.principal)
        try await library.passages.publish(
            manuscript.drafts, text: manuscript.text, as: kept.id, for: Self.principal)
    }

    // MARK: Asking

    private func measure(
        _ library: Library, _ lanes: Library.Lanes, _ queries: [RetrievalDataset.Query],
        _ progress: (String, Int, Int) -> Void
    ) async throws -> Figures {
        var all: [RankingMetrics] = []
        var spent = Duration.zero
        for (place, query) in queries.enumerated() {
            if place % 50 == 0 { progress("questions, \(lanes.rawValue)", place, queries.count) }
            let request = SearchRequest(
                principal: Self.principal, text: query.text, collectionIDs: [],
                limit: configuration.candidatesMax)
            let began = ContinuousClock.now
            let ranking = try await withSpan("eval", ofKind: .internal) { span in
                try await library.ranking(request, lanes: lanes, span)
            }
            spent += ContinuousClock.now - began
            guard lanes == .keyword || ranking.question != nil else {
                throw Failure(.unavailable, "A question could not be embedded.")
            }
            let candidates = Self.order(ranking, lanes)
            let hits = try await library.hits(candidates[...], for: Self.principal)
            all.append(
                RankingMetrics(of: Self.documents(hits), grades: query.grades))
        }
        return Figures(
            lane: lanes == .both ? "hybrid" : lanes.rawValue, metrics: RankingMetrics(mean: all),
            millisecondsPerQuery: spent.milliseconds / Double(queries.count))
    }

    /// A lane by itself has its own order, without threshold.
    private static func order(
        _ ranking: Library.Ranking, _ lanes: Library.Lanes
    ) -> [Fusion.Candidate] {
        let rank: (Fusion.Candidate) -> Int?
        switch lanes {
        case .both: return ranking.kept
        case .keyword: rank = { $0.keywordRank }
        case .vector: rank = { $0.vectorRank }
        }
        return (ranking.kept + ranking.dropped).filter { rank($0) != nil }
            .sorted { rank($0) ?? .max < rank($1) ?? .max }
    }

    /// A document stands where its best passage does.
    private static func documents(_ hits: [SearchHit]) -> [String] {
        var seen: Set<String> = []
        return hits.map(\.passage.documentName).filter { seen.insert($0).inserted }
    }
}

/// A library that is filled directly never has a job.
private struct NoJobs: JobQueue {
    private static let refusal = Failure(.unsupported, "There are no jobs while measuring.")

    func enqueue(kind: String, payload: String, for principal: Principal) async throws -> Job {
        throw Self.refusal
    }

    func job(_ id: Identifier, for principal: Principal) async throws -> Job { throw Self.refusal }

    func follow(
        _ id: Identifier, for principal: Principal, _ emit: (Job) async throws -> Void
    ) async throws { throw Self.refusal }

    func cancel(_ id: Identifier, for principal: Principal) async throws { throw Self.refusal }
}
