package import Core
import Foundation
import Metrics

extension Library: KnowledgeBase {
    package func ingest(_ upload: Upload, for principal: Principal) async throws -> Ingestion {
        let kept = try await keep(upload, for: principal)
        do {
            return try await enqueue(kept.id, isKnown: kept.isKnown, for: principal)
        } catch {
            throw DiskFailure.told(error)
        }
    }

    /// Keeps what could be made searchable; true where it was there already.
    func keep(_ upload: Upload, for principal: Principal) async throws
        -> (id: Identifier, isKnown: Bool)
    {
        var named = try Upload(
            name: Self.name(of: upload), mediaType: upload.mediaType, bytes: upload.bytes,
            collectionID: upload.collectionID, source: upload.source)
        (named.purpose, named.expiresAt) = (upload.purpose, upload.expiresAt)
        let upload = named
        let format = try await check(upload)
        do {
            return try await documents.keep(
                upload, mediaType: format.mediaType, for: principal)
        } catch {
            throw DiskFailure.told(error)
        }
    }

    /// A known document gets a job as well: it ends at once where there is nothing left to do.
    private func enqueue(
        _ document: Identifier, isKnown: Bool, for principal: Principal
    ) async throws -> Ingestion {
        do {
            let payload = try JSONEncoder().encode(IngestPayload(documentID: document))
            let job = try await jobs.enqueue(
                kind: kind, payload: String(decoding: payload, as: UTF8.self), for: principal)
            try await documents.setJob(job.id, of: document, by: principal)
            Meters.uploads.increment()
            return Ingestion(documentID: document, jobID: job.id)
        } catch  where !isKnown {
            // Without a job nobody would ever read it.
            let documents = documents
            try await writing.run { try documents.discardPending(document: document) }
            throw error
        }
    }

    /// What can be seen at once is refused at once; the rest is for the job.
    private func check(_ upload: Upload) async throws -> DocumentFormat {
        guard !upload.bytes.isEmpty else {
            throw Failure(.invalid, "“\(upload.name)” is empty.")
        }
        guard upload.bytes.count <= configuration.documentBytesMax else {
            throw Failure(
                .tooLarge,
                "“\(upload.name)” is larger than \(Self.size(configuration.documentBytesMax)), the"
                    + " most that is taken. Split it into parts.")
        }
        let pdfProgram = configuration.pdfProgram
        return try await decoding.run {
            let format = try DocumentFormat(
                of: upload.bytes, name: upload.name, mediaType: upload.mediaType)
            if format == .pdf, ChildProcess.path(of: pdfProgram) == nil {
                throw PDFReader.isMissing
            }
            if format.isText { _ = try TextDecoding.text(of: upload.bytes, name: upload.name) }
            return format
        }
    }

    private static func size(_ bytes: Int) -> String {
        bytes >= 1_000_000 ? "\(bytes / 1_000_000) MB" : "\(bytes) bytes"
    }

    private static let nameLengthMax = 255

    private static func name(of upload: Upload) throws -> String {
        let name = TextHygiene.cleanLine(upload.name).trimmed()
        guard !name.isEmpty, name.unicodeScalars.count <= nameLengthMax else {
            throw Failure(
                .invalid, "A file needs a name of at most \(nameLengthMax) characters.")
        }
        return name
    }

    package func ingest(
        address: String, into collection: Identifier?, for principal: Principal
    ) async throws -> Ingestion {
        let page = try await WebPage.fetch(
            address, by: client, bytesMax: configuration.documentBytesMax)
        return try await ingest(
            Upload(
                name: page.name, mediaType: page.mediaType, bytes: page.bytes,
                collectionID: collection, source: address), for: principal)
    }

    package func renew(
        document id: Identifier, vectorsOnly: Bool, for principal: Principal
    ) async throws -> Ingestion {
        let document = try await documents.document(
            id, for: principal, atLeast: .write
        ).summary
        if !vectorsOnly || document.state != .ready {
            try await documents.reset(document: id, for: principal)
        }
        // A job of a document that is ready makes the vectors that are missing, and nothing else.
        return try await enqueue(id, isKnown: true, for: principal)
    }

    package func remove(document: Identifier, for principal: Principal) async throws {
        do {
            try await documents.remove(document: document, for: principal)
        } catch {
            throw DiskFailure.told(error)
        }
    }

    package func text(of document: Identifier, for principal: Principal) async throws
        -> (DocumentSummary, String)
    {
        let (stored, text) = try await documents.text(of: document, for: principal)
        return (stored.summary, text)
    }

    package func hidden(
        _ documents: Set<Identifier>, from principal: Principal
    ) async throws -> Set<Identifier> {
        documents.isEmpty ? [] : try await self.documents.hidden(documents, from: principal)
    }
}

/// What an `ingest` job carries.
struct IngestPayload: Codable {
    let documentID: Identifier
}
