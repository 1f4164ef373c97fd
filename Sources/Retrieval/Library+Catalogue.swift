package import Core

extension Library: Catalogue {
    package func collections(for principal: Principal) async throws -> [Core.Collection] {
        try await collections.collections(for: principal)
    }

    package func createCollection(
        named name: String, for principal: Principal
    ) async throws -> Core.Collection {
        try await collections.create(named: Self.collectionName(name), for: principal)
    }

    private static func collectionName(_ name: String) throws -> String {
        let name = TextHygiene.cleanLine(name).trimmed()
        guard (1...nameLengthMax).contains(name.unicodeScalars.count) else {
            throw Failure(
                .invalid, "A collection needs a name of 1 to \(nameLengthMax) characters.")
        }
        return name
    }

    private static let nameLengthMax = 100

    package func changeCollection(
        _ id: Identifier, _ change: CollectionChange, for principal: Principal
    ) async throws -> Core.Collection {
        var change = change
        change.name = try change.name.map { try Self.collectionName($0) }
        try change.settings?.validate()
        try Metadata.check(change.metadata ?? [:])
        guard (0...Self.expiryDaysMax).contains(change.expiresAfterDays ?? 0) else {
            throw Failure(
                .invalid, "A collection expires after 1 to \(Self.expiryDaysMax) days, or never.")
        }
        return try await collections.change(id, change, for: principal)
    }

    private static let expiryDaysMax = 3650

    package func removeCollection(
        _ id: Identifier, keepingDocuments: Bool, for principal: Principal
    ) async throws {
        do {
            try await collections.remove(id, keepingDocuments: keepingDocuments, for: principal)
        } catch {
            throw DiskFailure.told(error)
        }
    }

    package func shares(
        of collection: Identifier, for principal: Principal
    ) async throws -> [Share] {
        try await collections.shares(of: collection, for: principal)
    }

    package func share(
        _ collection: Identifier, with grantee: Identifier, _ access: CollectionAccess?,
        for principal: Principal
    ) async throws {
        try await collections.share(collection, with: grantee, access, for: principal)
    }
}

extension Library: Archive {
    package func documents(
        in collection: Identifier?, for principal: Principal
    ) async throws -> [DocumentSummary] {
        let stored = try await documents.documents(in: collection, for: principal)
        var summaries: [DocumentSummary] = []
        for document in stored {
            let isPending = document.summary.state == .pending
            let summary = isPending ? try await settled(document) : document.summary
            if let summary { summaries.append(summary) }
        }
        return summaries
    }

    package func document(
        _ id: Identifier, for principal: Principal
    ) async throws -> DocumentSummary {
        let stored = try await documents.document(id, for: principal)
        guard stored.summary.state == .pending else { return stored.summary }
        guard let summary = try await settled(stored) else { throw DocumentStore.noDocument }
        return summary
    }

    package func content(
        of document: Identifier, for principal: Principal
    ) async throws -> (DocumentSummary, [UInt8]) {
        let stored = try await documents.document(document, for: principal)
        return (stored.summary, try await documents.bytes(of: stored))
    }

    package func changeDocument(
        _ id: Identifier, _ change: DocumentChange, for principal: Principal
    ) async throws -> DocumentSummary {
        try Metadata.check(change.attributes ?? [:])
        try Metadata.check(tags: change.tags ?? [])
        return try await documents.change(id, change, for: principal)
    }

    package func attach(
        _ document: Identifier, to collection: Identifier, _ isAttached: Bool,
        for principal: Principal
    ) async throws -> DocumentSummary {
        try await documents.attach(document, to: collection, isAttached, for: principal)
    }

    /// A pending document as its job left it: one whose job ended without us is not pending any more.
    /// Nil where the job was cancelled, and the document is gone with it.
    private func settled(_ document: StoredDocument) async throws -> DocumentSummary? {
        let summary = document.summary
        let documents = documents
        switch await jobState(of: document) {
        case .going: return summary
        case .cancelled:
            try await writing.run { try documents.discardPending(document: summary.id) }
            return nil
        case .failed(let sentence):
            // On a full disk this cannot be kept, but it can be said.
            try? await writing.run {
                try documents.fail(document: summary.id, because: sentence)
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

    private func jobState(of document: StoredDocument) async -> JobState {
        let lost = "The server stopped before this file was read. Upload it again."
        guard let jobID = document.jobID else {
            let age = environment.now() - document.summary.createdAt
            return age > Self.jobDelay ? .failed(lost) : .going
        }
        do {
            // A job is seen by whoever sent the file, not by all who see the document.
            let sender = Principal(userID: document.addedBy, role: .member, name: "")
            let job = try await jobs.job(jobID, for: sender)
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
        var summary = DocumentSummary(
            id: id, collectionID: collectionID, name: name, mediaType: mediaType,
            byteCount: byteCount, passageCount: passageCount, state: .failed, failure: sentence,
            createdAt: createdAt, source: source, contentHash: contentHash)
        (summary.tags, summary.attributes) = (tags, attributes)
        (summary.purpose, summary.expiresAt) = (purpose, expiresAt)
        return summary
    }
}
