package import Core
import Foundation
import GRDB
import Tracing

/// Adds the pages of a site: the jobs of the kind `site`.
package struct SiteReader: JobHandler {
    private let library: Library

    package init(_ library: Library) { self.library = library }

    package static let kind = "site"
    package var kind: String { Self.kind }

    /// What became of the pages.
    private struct Tally {
        var added = 0, changed = 0, unchanged = 0, removed = 0, bytes = 0
        var failures: [String] = []
        var failureCount = 0
        /// Where they went.
        var collection: Identifier?
        /// Why it ended before the last page.
        var stopped: String?

        mutating func fail(_ sentence: String) {
            failureCount += 1
            if failures.count < SiteReader.failuresTold { failures.append(sentence) }
        }
    }

    private static let failuresTold = 5

    package func run(
        _ job: Job, for principal: Principal, report: (JobProgress) async throws -> Void
    ) async throws {
        guard let site = try? JSONDecoder().decode(SiteRequest.self, from: Data(job.payload.utf8))
        else { throw Failure(.invalid, "The job does not name a site.", cause: job.payload) }
        try await withSpan("site", ofKind: .internal) { span in
            let deadline =
                ContinuousClock.now + .seconds(library.configuration.siteSecondsMax)
            let found = try await walk(site, until: deadline).pages(from: site.address) { message in
                try await report(.init(done: 0, total: 0, message: message))
            }
            span.attributes["heptad.site.pages"] = found.pages.count
            var tally = try await add(found, site, until: deadline, job, principal, report)
            if site.removesVanished, !found.isCut, found.failures.isEmpty, tally.stopped == nil {
                tally.removed = try await removeVanished(
                    found, site, from: tally.collection, principal)
            }
            span.attributes["heptad.site.added"] = tally.added + tally.changed
            span.attributes["heptad.site.failed"] = tally.failureCount
            let message = Self.message(tally, found)
            guard tally.added + tally.changed + tally.unchanged > 0 else {
                throw Failure(.invalid, message)
            }
            let count = found.pages.count
            try await report(.init(done: count, total: count, message: message))
        }
    }

    private func walk(
        _ site: SiteRequest, until deadline: ContinuousClock.Instant
    ) -> SiteWalk {
        var limits = SiteWalk.Limits()
        limits.pagesMax = library.configuration.sitePagesMax
        limits.depthMax = library.configuration.siteDepthMax
        limits.includesOtherHosts = site.includesOtherHosts
        limits.deadline = deadline
        return SiteWalk(client: library.client, limits: limits)
    }

    private func add(
        _ found: SiteWalk.Result, _ site: SiteRequest, until deadline: ContinuousClock.Instant,
        _ job: Job, _ principal: Principal, _ report: (JobProgress) async throws -> Void
    ) async throws -> Tally {
        let configuration = library.configuration
        let delay = max(configuration.siteDelaySeconds, found.delaySeconds)
        let count = found.pages.count
        var tally = Tally()
        for (place, page) in found.pages.enumerated() {
            try await report(
                .init(done: place, total: count, message: "Reading \(page.text)."))
            if ContinuousClock.now >= deadline {
                tally.stopped =
                    "It took longer than \(Int(configuration.siteSecondsMax)) seconds; start it again"
                    + " to go on, what is there is not read twice."
                break
            }
            guard tally.bytes < configuration.siteBytesMax else {
                tally.stopped =
                    "The pages have more than \(configuration.siteBytesMax / 1_000_000) MB, the"
                    + " most that one site map adds."
                break
            }
            if place > 0 { try await Task.sleep(for: .seconds(delay)) }
            do {
                try await add(page, site, job, principal, &tally) { message in
                    try await report(.init(done: place, total: count, message: message))
                }
            } catch {
                let failure = Failure(error)
                if failure.code == .cancelled || Task.isCancelled { throw error }
                tally.fail("\(page.text): \(failure.message)")
                // The collection, or the disk, is full: no other page fares better.
                if failure.code == .tooLarge, failure.message.contains("collection") {
                    tally.stopped = failure.message
                    break
                }
            }
        }
        return tally
    }

    private func add(
        _ address: SiteAddress, _ site: SiteRequest, _ job: Job, _ principal: Principal,
        _ tally: inout Tally, _ report: (String) async throws -> Void
    ) async throws {
        let page = try await WebPage.fetch(
            address.text, by: library.client, bytesMax: library.configuration.documentBytesMax)
        guard site.includesOtherHosts || page.host == address.host else {
            throw Failure(.forbidden, "It leads to another host, \(page.host), and was left out.")
        }
        tally.bytes += page.bytes.count
        let kept = try await library.keep(
            Upload(
                name: page.name, mediaType: page.mediaType, bytes: page.bytes,
                collectionID: site.collectionID, source: address.text), for: principal)
        let before = try await library.documents.document(kept.id, for: principal).summary
        tally.collection = before.collectionID
        try await library.documents.setSite(site.address, of: kept.id)
        if kept.isKnown, before.state == .ready {
            tally.unchanged += 1
            return
        }
        let isChange = try await library.documents.hasOther(
            than: kept.id, from: address.text, for: principal)
        try await library.documents.setJob(job.id, of: kept.id, by: principal)
        try await withSpan("ingest", ofKind: .internal) { span in
            span.attributes["heptad.document.id"] = kept.id.description
            try await library.index(kept.id, job, for: principal, span) { progress in
                try await report(progress.message)
            }
        }
        if isChange { tally.changed += 1 } else { tally.added += 1 }
    }

    /// What came by the site map and is not in it any more.
    private func removeVanished(
        _ found: SiteWalk.Result, _ site: SiteRequest, from collection: Identifier?,
        _ principal: Principal
    ) async throws -> Int {
        guard let collection else { return 0 }
        let present = Set(found.pages.map(\.text))
        let vanished = try await library.documents.pages(
            of: site.address, in: collection, for: principal
        ).filter { !present.contains($0.source) }
        for page in vanished { try await library.remove(document: page.id, for: principal) }
        return vanished.count
    }

    private static func message(_ tally: Tally, _ found: SiteWalk.Result) -> String {
        func pages(_ count: Int, _ what: String) -> String? {
            count == 0 ? nil : "\(count) \(count == 1 ? "page" : "pages") \(what)"
        }
        let counts = [
            pages(tally.added, "added"), pages(tally.changed, "changed"),
            pages(tally.unchanged, "unchanged"), pages(tally.removed, "removed"),
            pages(tally.failureCount, "failed"),
            pages(found.otherHosts, "on other hosts left out"),
            pages(found.disallowed, "left out as robots.txt asks"),
            pages(found.unreadable, "without a web address left out"),
        ].compactMap { $0 }
        var sentences = [counts.joined(separator: ", ") + "."]
        if found.isCut {
            sentences.append("The site has more pages than the \(found.pages.count) that are read.")
        }
        if let stopped = tally.stopped { sentences.append(stopped) }
        sentences += tally.failures + found.failures
        return sentences.joined(separator: " ")
    }
}

extension Library {
    package func ingest(site: SiteRequest, for principal: Principal) async throws -> Identifier {
        let address = try SiteAddress(site.address)
        if let collection = site.collectionID {
            try await documents.checkWritable(collection, for: principal)
        }
        var checked = SiteRequest(address: address.text, collectionID: site.collectionID)
        (checked.includesOtherHosts, checked.removesVanished) = (
            site.includesOtherHosts, site.removesVanished
        )
        let payload = try JSONEncoder().encode(checked)
        return try await jobs.enqueue(
            kind: SiteReader.kind, payload: String(decoding: payload, as: UTF8.self),
            for: principal
        ).id
    }
}

extension DocumentStore {
    /// Throws `notFound` or `forbidden` where nothing may be added.
    func checkWritable(_ collection: Identifier, for principal: Principal) async throws {
        try await pool.read { database in
            _ = try Access(principal).collection(collection, atLeast: .write, database)
        }
    }

    /// By which site map a page came last.
    func setSite(_ address: String, of document: Identifier) async throws {
        try await pool.write { database in
            try database.execute(
                sql: "UPDATE document SET site = ? WHERE id = ?", arguments: [address, document])
        }
    }

    /// The pages at home in a collection that came by a site map.
    func pages(
        of site: String, in collection: Identifier, for principal: Principal
    ) async throws -> [(id: Identifier, source: String)] {
        try await pool.read { database in
            let place = try Access(principal).collection(collection, atLeast: .write, database)
            return try Row.fetchAll(
                database,
                sql: """
                    SELECT id, source FROM document
                    WHERE collection = ? AND site = ? AND source IS NOT NULL
                    """, arguments: [place.number, site]
            ).map { ($0["id"], $0["source"]) }
        }
    }

    /// Whether the collection of a document has an older one from the same place.
    func hasOther(
        than id: Identifier, from source: String, for principal: Principal
    ) async throws -> Bool {
        try await pool.read { database in
            let document = try Access(principal).document(id, atLeast: .read, database)
            return try Bool.fetchOne(
                database,
                sql: """
                    SELECT EXISTS (SELECT 1 FROM document
                        WHERE collection = ? AND source = ? AND number <> ?)
                    """, arguments: [document.collection, source, document.number]) ?? false
        }
    }
}
