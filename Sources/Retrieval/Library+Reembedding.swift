package import Core
import Logging
import Synchronization
import Tracing

/// The job that makes all vectors anew after the embedding model has changed.
extension Library {
    /// Sees to it that there is a job where the model has changed, and that what is left of models
    /// before goes where it has not.
    func followModel() async {
        do {
            try await vectors.forgetServingWithoutVectors()
            guard let serving = try await vectors.serving() else { return }
            guard let candidate = successor(of: serving) else {
                return try await removeUnusedVectors(besides: nil)
            }
            try await removeUnusedVectors(besides: candidate)
            try await enqueueReembedding(with: candidate, instead: serving)
        } catch {
            log.warning("Passages are not embedded again.", metadata: ["why": "\(error)"])
        }
    }

    private func enqueueReembedding(
        with candidate: String, instead serving: EmbeddingModel
    ) async throws {
        if let last = try await vectors.reembedding(), last.candidate == candidate {
            let principal = Principal(userID: last.owner, role: .member, name: "")
            let job = try? await jobs.job(last.job, for: principal)
            if let job, !job.state.isFinal { return }
        }
        let now = environment.now()
        let isDue = embedding.withLock { state in
            guard state.nextJobAt.map({ $0 <= now }) ?? true else { return false }
            state.nextJobAt = now + state.jobDelay
            state.jobDelay = min(state.jobDelay * 2, Self.jobDelayMax)
            return true
        }
        guard isDue, let owner = try await vectors.owners().first else { return }
        let job = try await jobs.enqueue(
            kind: Reembedding.kind, payload: "{}",
            for: Principal(userID: owner, role: .member, name: ""))
        try await vectors.set(.init(candidate: candidate, job: job.id, owner: owner))
        log.notice(
            "The embedding model has changed: all passages are embedded again.",
            metadata: [
                "from": "\(serving.candidate)", "to": "\(candidate)", "job": "\(job.id)",
            ])
    }

    /// A job that fails is tried again, after a minute first and then ever more rarely.
    static let jobDelayMin = Duration.seconds(60)
    private static let jobDelayMax = Duration.seconds(3600)

    /// A transaction of so many holds others up for some milliseconds.
    private static let removalMax = 2000

    private func removeUnusedVectors(besides candidate: String?) async throws {
        while !Task.isCancelled {
            let (gone, count) = try await vectors.removeUnused(
                besides: candidate, limit: Self.removalMax)
            for model in gone { index.forget(model) }
            guard count == Self.removalMax else { return }
        }
    }

    // MARK: The job

    package var reembedding: any JobHandler { Reembedding(library: self) }

    /// Goes on where it was cut off: what is there already is not made again.
    fileprivate func reembed(_ report: (JobProgress) async throws -> Void) async throws {
        let isFirst = embedding.withLock { state in
            defer { state.isReembedding = true }
            return !state.isReembedding
        }
        guard isFirst else {
            return try await report(
                .init(done: 1, total: 1, message: "Another job does this already."))
        }
        defer { embedding.withLock { $0.isReembedding = false } }
        guard let probe = try await probe(), let serving = try await vectors.serving(),
            probe.model != serving
        else {
            return try await report(
                .init(done: 1, total: 1, message: "All passages have their vectors already."))
        }
        var left = Left()
        for _ in 0..<Self.roundsMax {
            try await makeAll(like: probe, &left, report)
            // Otherwise the next search would wait for what is read here.
            try await index.prepare(probe)
            let isDone = try await vectors.switchOver(
                to: probe.model, leaving: left.owners, passages: left.passages)
            guard isDone else { continue }
            let count = try await vectors.count(of: probe.model)
            log.notice(
                "Searches compare the vectors of the new embedding model now.",
                metadata: ["model": "\(probe.candidate)", "passages": "\(count)"])
            embedding.withLock { ($0.nextJobAt, $0.jobDelay) = (nil, Self.jobDelayMin) }
            try await removeUnusedVectors(besides: nil)
            var without =
                left.owners.isEmpty ? "" : " Words alone find those that no budget was left for."
            if !left.passages.isEmpty {
                without += " The model refuses \(left.passages.count), which words alone find."
            }
            return try await report(
                .init(
                    done: count, total: count,
                    message: "\(count) passages have vectors of \(probe.candidate).\(without)"))
        }
        throw Failure(.conflict, "Documents came faster than they could be embedded again.")
    }

    /// What is not embedded again: passages of those who have nothing left to spend, and passages
    /// that the model refuses.
    private struct Left {
        var owners: Set<Identifier> = []
        var passages: Set<Int64> = []
    }

    /// The model's first vector, at the expense of the first who can pay for it.
    private func probe() async throws -> Vector? {
        var refusal: Failure?
        for owner in try await vectors.owners() {
            let principal = Principal(userID: owner, role: .member, name: "")
            do {
                return try await embed([Self.probe], for: principal, purpose: "reembed").first
            } catch let failure as Failure where failure.code == .budgetExceeded {
                refusal = failure
            }
        }
        if let refusal { throw refusal }
        return nil
    }

    private static let probe = "A text of any length has as many numbers as any other."
    /// How often it is looked for passages that came while others were embedded.
    private static let roundsMax = 100

    /// Vectors that are read into the index together: so many it keeps in memory until it has written
    /// them.
    private static let unreadMax = 2048
    /// More refusals than this are not the texts' fault.
    private static let refusedMax = 100

    private func makeAll(
        like probe: Vector, _ left: inout Left, _ report: (JobProgress) async throws -> Void
    ) async throws {
        let model = probe.model
        var last: Int64 = 0
        var unread = 0
        var (done, all) = try await vectors.progress(of: model.candidate)
        var told = all == 0 ? 0 : done * 10 / all
        while true {
            try await report(
                .init(
                    done: min(done, all), total: all,
                    message: "Embedding all passages again, with \(model.candidate)."))
            let missing = try await vectors.missing(
                after: last, model: model, limit: configuration.embeddingBatchMax)
            guard let end = missing.last else { return }
            for (owner, group) in Dictionary(grouping: missing, by: \.owner)
            where !left.owners.contains(owner) {
                let group = group.filter { !left.passages.contains($0.passage) }
                do {
                    left.passages.formUnion(try await make(group, of: model, for: owner))
                    guard left.passages.count <= Self.refusedMax else {
                        throw Failure(
                            .upstream,
                            "\(model.candidate) refuses too many passages. Is it set up right?")
                    }
                } catch let failure as Failure where failure.code == .budgetExceeded {
                    // Nobody else waits for whoever has nothing left to spend.
                    left.owners.insert(owner)
                    log.notice(
                        "A user's passages are not embedded again.",
                        metadata: [
                            "user": "\(owner)", "why": "\(failure)",
                        ])
                }
            }
            done += missing.count
            unread += missing.count
            last = end.passage
            if unread >= Self.unreadMax {
                try await index.prepare(probe)
                unread = 0
            }
            guard all > 0, done * 10 / all > told else { continue }
            told = done * 10 / all
            log.info("Passages are embedded again.", metadata: ["done": "\(done)", "of": "\(all)"])
        }
    }

    /// The passages of the group that the model refuses. Waits for money that running calls hold.
    private func make(
        _ group: [VectorStore.Missing], of model: EmbeddingModel, for owner: Identifier
    ) async throws -> Set<Int64> {
        let principal = Principal(userID: owner, role: .member, name: "")
        guard !group.isEmpty else { return [] }
        for attempt in 1... {
            do {
                let made = try await embedEach(group, for: principal, purpose: "reembed")
                guard made.allSatisfy({ $0.vector.model == model }) else {
                    throw Failure(.conflict, "The embedding model has changed once more.")
                }
                try await vectors.add(made)
                return Set(group.map(\.passage)).subtracting(made.map(\.passage))
            } catch let failure as Failure where failure.code == .budgetExceeded {
                guard let wait = failure.retryAfter, attempt < Self.attemptsMax else {
                    throw failure
                }
                try await Task.sleep(for: wait)
            }
        }
        return []
    }

    private static let attemptsMax = 30
}

/// Runs the job that embeds all passages again.
struct Reembedding: JobHandler {
    static let kind = "reembed"

    let library: Library
    var kind: String { Self.kind }

    func run(
        _ job: Job, for principal: Principal, report: (JobProgress) async throws -> Void
    ) async throws {
        try await withSpan("reembed", ofKind: .internal) { _ in
            try await library.reembed(report)
        }
    }
}
