package import Core

extension Library: Catalogue {
    package func collections(for principal: Principal) async throws -> [Core.Collection] {
        try await documents.collections(of: principal.userID)
    }

    package func createCollection(
        named name: String, for principal: Principal
    ) async throws -> Core.Collection {
        let name = TextHygiene.cleanLine(name).trimmed()
        guard (1...Self.nameLengthMax).contains(name.unicodeScalars.count) else {
            throw Failure(
                .invalid, "A collection needs a name of 1 to \(Self.nameLengthMax) characters.")
        }
        return try await documents.createCollection(named: name, of: principal.userID)
    }

    private static let nameLengthMax = 100

    package func removeCollection(_ id: Identifier, for principal: Principal) async throws {
        do {
            try await documents.removeCollection(id, of: principal.userID)
        } catch {
            throw DiskFailure.told(error)
        }
    }

    package func documents(
        in collection: Identifier, for principal: Principal
    ) async throws -> [DocumentSummary] {
        let stored = try await documents.documents(in: collection, of: principal.userID)
        var summaries: [DocumentSummary] = []
        for document in stored {
            let isPending = document.summary.state == .pending
            let summary = isPending ? try await settled(document, principal) : document.summary
            if let summary { summaries.append(summary) }
        }
        return summaries
    }

    /// A pending document as its job left it: one whose job ended without us is not pending any more.
    /// Nil where the job was cancelled, and the document is gone with it.
    private func settled(
        _ document: StoredDocument, _ principal: Principal
    ) async throws -> DocumentSummary? {
        let summary = document.summary
        let (documents, owner) = (documents, principal.userID)
        switch await jobState(of: document, principal) {
        case .going: return summary
        case .cancelled:
            try await writing.run { try documents.discardPending(document: summary.id, of: owner) }
            return nil
        case .failed(let sentence):
            // On a full disk this cannot be kept, but it can be said.
            try? await writing.run {
                try documents.fail(document: summary.id, of: owner, because: sentence)
            }
            return summary.failed(because: sentence)
        }
    }

    private enum JobState {
        case going, cancelled
        case failed(String)
    }

    /// How long an upload may be without a job: the time between keeping it and enqueueing.
    private static let jobDelay = Duration.seconds(60)

    private func jobState(of document: StoredDocument, _ principal: Principal) async -> JobState {
        let lost = "The server stopped before this file was read. Upload it again."
        guard let jobID = document.jobID else {
            let age = environment.now() - document.summary.createdAt
            return age > Self.jobDelay ? .failed(lost) : .going
        }
        do {
            let job = try await jobs.job(jobID, for: principal)
            switch job.state {
            case .available, .running, .completed: return .going
            case .cancelled: return .cancelled
            case .failed: return .failed(job.message.isEmpty ? lost : job.message)
            }
        } catch {
            return Failure(error).code == .notFound ? .failed(lost) : .going
        }
    }
}

extension DocumentSummary {
    fileprivate func failed(because sentence: String) -> DocumentSummary {
        DocumentSummary(
            id: id, collectionID: collectionID, name: name, mediaType: mediaType,
            byteCount: byteCount, passageCount: passageCount, state: .failed, failure: sentence,
            createdAt: createdAt, source: source, contentHash: contentHash)
    }
}
