package import Core
import Foundation
import Logging
import Metrics
import Synchronization
import Tracing

extension Library: JobHandler {
    package var kind: String { "ingest" }

    package func run(
        _ job: Job, for principal: Principal, report: (JobProgress) async throws -> Void
    ) async throws {
        guard
            let payload = try? JSONDecoder().decode(
                IngestPayload.self, from: Data(job.payload.utf8))
        else { throw Failure(.invalid, "The job does not name a document.", cause: job.payload) }
        let began = ContinuousClock.now
        try await withSpan("ingest", ofKind: .internal) { span in
            span.attributes["heptad.document.id"] = payload.documentID.description
            try await index(payload.documentID, job, for: principal, span, report)
        }
        Meters.ingestDuration.recordNanoseconds((ContinuousClock.now - began).microseconds * 1000)
    }

    func index(
        _ id: Identifier, _ job: Job, for principal: Principal, _ span: any Span,
        _ report: (JobProgress) async throws -> Void
    ) async throws {
        let stored = try await documents.document(id, for: principal, atLeast: .write)
        let document = stored.summary
        do {
            // The job may come a second time, after a restart or for the same file sent twice.
            if document.state == .ready, !stored.isStale {
                // While another model's are on their way, a job makes them.
                let serving = try await vectors.serving()
                let isChanging = serving.flatMap { successor(of: $0) } != nil
                let model = isChanging ? nil : embedding.withLock { $0.seen }
                try await finish(
                    document, document.passageCount, nil, principal, model: model, report)
                if let model { _ = try await vectors.switchOver(to: model) }
                return
            }
            try await report(.init(done: 0, total: 0, message: "Reading “\(document.name)”."))
            let manuscript = try await read(document, principal, span)
            let (drafts, reason) = try await embed(manuscript.drafts, document, principal, report)
            try await passages.publish(
                drafts, text: manuscript.text, likeness: manuscript.likeness, as: id,
                for: principal)
            Meters.documentsIndexed.increment()
            Meters.passagesIndexed.increment(by: drafts.count)
            try await finish(document, drafts.count, reason, principal, report)
        } catch {
            throw await settle(error, id, job, principal)
        }
    }

    private func read(
        _ document: DocumentSummary, _ principal: Principal, _ span: any Span
    ) async throws -> Manuscript {
        let stored = try await documents.document(document.id, for: principal)
        let bytes = try await documents.bytes(of: stored)
        let tokensMax =
            try await documents.settings(of: stored).passageTokensMax
            ?? configuration.passageTokensMax
        let limits = configuration.readingLimits
        let manuscript = try await withSpan("ingest.read", ofKind: .internal) { _ in
            try await reading.run {
                try Manuscript(
                    bytes: bytes, name: document.name, mediaType: document.mediaType,
                    tokensMax: tokensMax, limits: limits)
            }
        }
        span.attributes["heptad.document.bytes"] = bytes.count
        span.attributes["heptad.document.passages"] = manuscript.drafts.count
        return manuscript
    }

    // MARK: Vectors

    /// The drafts with their vectors. Where the model cannot be had, without them and with the
    /// sentence that says why: words find the document all the same.
    private func embed(
        _ drafts: [PassageStore.Draft], _ document: DocumentSummary, _ principal: Principal,
        _ report: (JobProgress) async throws -> Void
    ) async throws -> ([PassageStore.Draft], reason: String?) {
        var drafts = drafts
        return try await withSpan("ingest.embed", ofKind: .internal) { span in
            var done = 0
            while done < drafts.count {
                try await report(
                    .init(
                        done: done, total: drafts.count,
                        message: "Embedding the passages of “\(document.name)”."))
                let batch = done..<min(done + configuration.embeddingBatchMax, drafts.count)
                do {
                    let vectors = try await embed(
                        drafts[batch].map(\.embedded), for: principal, purpose: "ingest")
                    for (place, vector) in zip(batch, vectors) { drafts[place].vector = vector }
                } catch {
                    let failure = Failure(error)
                    if failure.code == .cancelled || Task.isCancelled { throw error }
                    log.notice("Passages are not embedded.", metadata: ["why": "\(failure)"])
                    span.attributes["error.type"] = failure.code.rawValue
                    return (drafts, failure.message)
                }
                done = batch.upperBound
            }
            return (drafts, nil)
        }
    }

    /// The last word on a document that can be searched now; passages that were left without vectors
    /// before get theirs; with a `model`, those that it has made none of.
    private func finish(
        _ document: DocumentSummary, _ count: Int, _ reason: String?, _ principal: Principal,
        model: EmbeddingModel? = nil, _ report: (JobProgress) async throws -> Void
    ) async throws {
        var reason = reason
        if reason == nil {
            do {
                let stored = try await documents.document(document.id, for: principal)
                _ = try await embedMissing(of: stored.owner, model: model)
                await embedAsBefore(stored)
            } catch {
                if Task.isCancelled { throw error }
                reason = Failure(error).message
            }
        }
        let passages = count == 1 ? "1 passage" : "\(count) passages"
        var ready = "“\(document.name)” is ready: \(passages)."
        if let other = try? await similar(to: document.id, for: principal) {
            ready += " It says nearly the same as “\(other.name)”."
        }
        let message = reason.map { "\(ready) Found by keywords only for now. \($0)" } ?? ready
        try await report(.init(done: count, total: count, message: message))
    }

    private func similar(
        to id: Identifier, for principal: Principal
    ) async throws -> DocumentSummary? {
        guard let other = try await documents.document(id, for: principal).summary.similarTo else {
            return nil
        }
        return try await documents.document(other, for: principal).summary
    }

    /// Makes the vectors that passages lack, of one owner or of all. Returns how many it made; throws
    /// what the embedder throws, with those made before kept. Nobody waits for an owner who has
    /// nothing left to spend.
    func embedMissing(of owner: Identifier?, model: EmbeddingModel?) async throws -> Int {
        var made = 0
        var last: Int64 = 0
        var refusals: [Identifier: Failure] = [:]
        while true {
            let missing = try await vectors.missing(
                after: last, of: owner, model: model,
                limit: configuration.embeddingBatchMax)
            guard let end = missing.last else {
                if made > 0 { try await vectors.markComplete() }
                if let refusal = refusals.values.first { throw refusal }
                return made
            }
            for (owner, group) in Dictionary(grouping: missing, by: \.owner)
            where refusals[owner] == nil {
                let principal = Principal(userID: owner, role: .member, name: "")
                do {
                    let new = try await embedEach(group, for: principal, purpose: "ingest")
                    try await vectors.add(new)
                    made += new.count
                } catch let failure as Failure where failure.code == .budgetExceeded {
                    refusals[owner] = failure
                }
            }
            last = end.passage
        }
    }

    // MARK: When it went wrong

    /// Leaves the document as the error means it: gone where the user called it off, waiting where
    /// the server stops, failed with the sentence otherwise. Returns what is to be thrown.
    private func settle(
        _ error: any Error, _ id: Identifier, _ job: Job, _ principal: Principal
    ) async -> any Error {
        let failure = Self.told(error)
        let documents = documents
        do {
            if failure.code == .cancelled {
                if await isCalledOff(job, principal) {
                    try await writing.run {
                        try documents.discardPending(document: id)
                        try documents.keepAsItIs(document: id)
                    }
                }
                return error
            }
            Meters.documentsFailed.increment()
            try await writing.run {
                try documents.fail(document: id, because: failure.message)
                try documents.keepAsItIs(document: id)
            }
        } catch {
            // The job still says why; the list of documents asks it.
            log.error("A document could not be marked.", metadata: ["error": "\(error)"])
        }
        return failure
    }

    private static func told(_ error: any Error) -> Failure {
        let failure = Failure(DiskFailure.told(error))
        guard failure.code == .notFound else { return failure }
        return Failure(.notFound, "The document was removed or replaced before it was indexed.")
    }

    /// Whether the user cancelled the job, rather than the server stopping in the middle of it.
    private func isCalledOff(_ job: Job, _ principal: Principal) async -> Bool {
        guard Task.isCancelled else { return true }
        // A task of its own, because in this one, cancelled as it is, no question gets an answer.
        let question = Task { try await jobs.job(job.id, for: principal).state }
        return (try? await question.value) == .cancelled
    }
}
