import Core
import Logging
import Synchronization

/// What is known of the model that embeds.
struct EmbeddingState {
    /// As it is configured, `provider/model`.
    let named: String?
    /// Whose vectors came last, and are made from now on.
    var seen: EmbeddingModel?
    /// Until when the model before is not asked again, because it could not be.
    var oldRestsUntil: Timestamp?
    /// When the next job that makes all vectors anew may be enqueued, and what wait follows it.
    var nextJobAt: Timestamp?
    var jobDelay = Library.jobDelayMin
    /// Whether such a job runs.
    var isReembedding = false

    init(named: String?) { self.named = named }
}

/// Another embedding model than the one the passages' vectors are of: the old vectors are searched,
/// by questions that the old model embeds where it still can, until a job has made all of the new.
extension Library {
    /// Vectors of the model that is configured, which is known from then on.
    func embed(
        _ texts: [String], for principal: Principal, purpose: String
    ) async throws -> [Vector] {
        let vectors = try await embedder.vectors(of: texts, for: principal, purpose: purpose)
        if let first = vectors.first { embedding.withLock { $0.seen = first.model } }
        return vectors
    }

    /// Vectors of passages, one at a time where the model refuses them together, and without those
    /// that it refuses by themselves: words alone find these. Throws where it refuses so many that the
    /// texts cannot be why.
    func embedEach(
        _ group: [VectorStore.Missing], for principal: Principal, purpose: String
    ) async throws -> [(passage: Int64, vector: Vector)] {
        func vectors(_ group: ArraySlice<VectorStore.Missing>) async throws
            -> [(passage: Int64, vector: Vector)]
        {
            let made = try await embed(group.map(\.text), for: principal, purpose: purpose)
            return zip(group, made).map { ($0.passage, $1) }
        }
        do {
            return try await vectors(group[...])
        } catch let failure as Failure where failure.isOfText {
            var made: [(passage: Int64, vector: Vector)] = []
            for place in group.indices {
                do {
                    made += try await vectors(group[place...place])
                } catch let failure as Failure where failure.isOfText {
                    log.notice(
                        "The embedding model refuses a passage, which words alone find.",
                        metadata: ["passage": "\(group[place].passage)", "why": "\(failure)"])
                }
            }
            guard !made.isEmpty || group.count <= Self.refusedTogetherMax else { throw failure }
            return made
        }
    }

    private static let refusedTogetherMax = 4

    /// The candidate that makes vectors from now on, where they are not those that serve.
    func successor(of serving: EmbeddingModel) -> String? {
        embedding.withLock { state in
            guard let seen = state.seen else {
                return state.named == serving.candidate ? nil : state.named
            }
            return seen == serving ? nil : seen.candidate
        }
    }

    /// A question in the space of the vectors that serve; nil where their model is gone.
    func embedQuestion(_ text: String, for principal: Principal) async throws -> Vector? {
        guard let serving = try await vectors.serving() else {
            return try await embed([text], for: principal, purpose: "search").first
        }
        if successor(of: serving) == nil {
            let question = try await embed([text], for: principal, purpose: "search").first
            guard let question, question.model != serving else { return question }
        }
        let now = environment.now()
        guard embedding.withLock({ $0.oldRestsUntil.map { $0 <= now } ?? true }) else { return nil }
        do {
            return try await embedAsBefore([text], serving, for: principal, purpose: "search").first
        } catch {
            if Failure(error).code == .cancelled || Task.isCancelled { throw error }
            embedding.withLock { $0.oldRestsUntil = now + Self.oldRest }
            log.notice(
                "Searching by keywords alone until all passages are embedded again.",
                metadata: ["model": "\(serving.candidate)", "why": "\(error)"])
            return nil
        }
    }

    private static let oldRest = Duration.seconds(60)

    /// Vectors of the model that serves, though another is configured.
    private func embedAsBefore(
        _ texts: [String], _ serving: EmbeddingModel, for principal: Principal, purpose: String
    ) async throws -> [Vector] {
        let vectors = try await embedder.vectors(
            of: texts, for: principal, purpose: purpose, by: serving.candidate)
        guard vectors.allSatisfy({ $0.model == serving }) else {
            throw Failure(.notFound, "The embedding model \(serving.candidate) has changed.")
        }
        return vectors
    }

    /// Gives a document that came meanwhile vectors of the model that still serves, where that can be
    /// had: without them words find it until all is embedded again.
    func embedAsBefore(_ document: StoredDocument) async {
        do {
            guard let serving = try await vectors.serving(), successor(of: serving) != nil else {
                return
            }
            let principal = Principal(userID: document.owner, role: .member, name: "")
            var last: Int64 = 0
            while true {
                let missing = try await vectors.missing(
                    after: last, in: document.number, model: serving,
                    limit: configuration.embeddingBatchMax)
                guard let end = missing.last else { return }
                let made = try await embedAsBefore(
                    missing.map(\.text), serving, for: principal, purpose: "ingest")
                try await vectors.add(zip(missing, made).map { ($0.passage, $1) })
                last = end.passage
            }
        } catch {
            log.debug("A document has no old vectors.", metadata: ["why": "\(error)"])
        }
    }

    /// What an explanation says while another model's vectors are on their way.
    func modelNotes(hasVectors: Bool) async throws -> [String] {
        guard let serving = try await vectors.serving(), let candidate = successor(of: serving)
        else { return [] }
        let (made, all) = try await vectors.progress(of: candidate)
        let progress =
            "All passages are being embedded again, with \(candidate): \(made) of \(all) so far."
        return [
            hasVectors
                ? "\(progress) Until then those of \(serving.candidate) are searched."
                : "\(progress) Until then words alone decide, because \(serving.candidate) cannot"
                    + " embed the question any more."
        ]
    }
}

extension Failure {
    /// Whether another text might fare better.
    fileprivate var isOfText: Bool { code == .invalid || code == .tooLarge }
}
