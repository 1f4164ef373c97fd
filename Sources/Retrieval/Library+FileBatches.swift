package import Core
import Storage

extension Library: FileBatches {
    private var batches: FileBatchStore {
        FileBatchStore(pool: store.pool, environment: environment)
    }

    package func createBatch(
        of files: [(document: Identifier, attributes: [String: AttributeValue]?)],
        in collection: Identifier, for principal: Principal
    ) async throws -> FileBatch {
        for file in files { try Metadata.check(file.attributes ?? [:]) }
        let before = Set(
            try await documents.documents(in: collection, for: principal).map(\.summary.id))
        var attached: [Identifier] = []
        do {
            for file in files {
                _ = try await documents.attach(
                    file.document, to: collection, true, for: principal)
                if !before.contains(file.document) { attached.append(file.document) }
            }
            for file in files {
                guard let attributes = file.attributes else { continue }
                var change = DocumentChange()
                change.attributes = attributes
                _ = try await documents.change(file.document, change, for: principal)
            }
            let id = try await batches.create(
                of: files.map(\.document), in: collection, for: principal)
            return try await batch(id, in: collection, for: principal)
        } catch {
            // All of a batch is in the collection, or none.
            for document in attached {
                _ = try? await documents.attach(document, to: collection, false, for: principal)
            }
            throw DiskFailure.told(error)
        }
    }

    package func batch(
        _ id: Identifier, in collection: Identifier, for principal: Principal
    ) async throws -> FileBatch {
        let stored = try await batches.batch(id, in: collection, for: principal)
        let known = Dictionary(
            try await documents(in: collection, for: principal).map { ($0.id, $0) },
            uniquingKeysWith: { first, _ in first })
        var cancelled: [DocumentSummary] = []
        for document in stored.documents where stored.cancelled.contains(document) {
            // It is not in the collection any more, and for its owner it is still there.
            if let found = try? await self.document(document, for: principal) {
                cancelled.append(found)
            }
        }
        return FileBatch(
            id: id, createdAt: stored.createdAt, isCancelled: stored.isCancelled,
            documents: stored.documents.filter { !stored.cancelled.contains($0) }
                .compactMap { known[$0] }, cancelled: cancelled)
    }

    package func cancelBatch(
        _ id: Identifier, in collection: Identifier, for principal: Principal
    ) async throws -> FileBatch {
        let current = try await batch(id, in: collection, for: principal)
        var taken: [Identifier] = []
        for document in current.documents where document.state == .pending {
            do {
                _ = try await documents.attach(document.id, to: collection, false, for: principal)
                taken.append(document.id)
            } catch let failure as Failure
                where failure.code == .notFound || failure.code == .conflict
            {
                // Gone meanwhile, or at home here, where it stays.
                continue
            }
        }
        try await batches.cancel(id, taken, in: collection, for: principal)
        return try await batch(id, in: collection, for: principal)
    }
}
