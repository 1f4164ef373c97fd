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
        guard isDue, let owner = try await vectors.firstOwner() else { return }
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
    fileprivate func reembed(
        for principal: Principal, _ report: (JobProgress) async throws -> Void
    ) async throws {
        let probe = try await embed([Self.probe], for: principal, purpose: "reembed").first
        guard let probe, let serving = try await vectors.serving(), probe.model != serving else {
            return try await report(
                .init(done: 1, total: 1, message: "All passages have their vectors already."))
        }
        var left: Set<Identifier> = []
        for _ in 0..<Self.roundsMax {
            try await makeAll(of: probe.model, &left, report)
            // Otherwise the next search would wait for what is read here.
            try await index.prepare(probe)
            guard try await vectors.switchOver(to: probe.model, leaving: left) else { continue }
            let count = try await vectors.count(of: probe.model)
            log.notice(
                "Searches compare the vectors of the new embedding model now.",
                metadata: ["model": "\(probe.candidate)", "passages": "\(count)"])
            embedding.withLock { ($0.nextJobAt, $0.jobDelay) = (nil, Self.jobDelayMin) }
            try await removeUnusedVectors(besides: nil)
            let without = left.isEmpty ? "" : " Words alone find those that no budget was left for."
            return try await report(
                .init(
                    done: count, total: count,
                    message: "\(count) passages have vectors of \(probe.candidate).\(without)"))
        }
        throw Failure(.conflict, "Documents came faster than they could be embedded again.")
    }

    private static let probe = "A text of any length has as many numbers as any other."
    /// How often it is looked for passages that came while others were embedded.
    private static let roundsMax = 100

    private func makeAll(
        of model: EmbeddingModel, _ left: inout Set<Identifier>,
        _ report: (JobProgress) async throws -> Void
    ) async throws {
        var last: Int64 = 0
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
            where !left.contains(owner) {
                do {
                    try await make(group, of: model, for: owner)
                } catch let failure as Failure where failure.code == .budgetExceeded {
                    // Nobody else waits for whoever has nothing left to spend.
                    left.insert(owner)
                    log.notice(
                        "A user's passages are not embedded again.",
                        metadata: [
                            "user": "\(owner)", "why": "\(failure)",
                        ])
                }
            }
            done += missing.count
            last = end.passage
            guard all > 0, done * 10 / all > told else { continue }
            told = done * 10 / all
            log.info("Passages are embedded again.", metadata: ["done": "\(done)", "of": "\(all)"])
        }
    }

    private func make(
        _ group: [VectorStore.Missing], of model: EmbeddingModel, for owner: Identifier
    ) async throws {
        let principal = Principal(userID: owner, role: .member, name: "")
        let made = try await embed(group.map(\.text), for: principal, purpose: "reembed")
        guard made.allSatisfy({ $0.model == model }) else {
            throw Failure(.conflict, "The embedding model has changed once more.")
        }
        try await vectors.add(zip(group, made).map { ($0.passage, $1) })
    }
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
            try await library.reembed(for: principal, report)
        }
    }
}
