import ArgumentParser
import Core
import Egress
import Foundation

struct IngestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ingest", abstract: "Add documents: files, folders, and pages of the web.",
        discussion: "What has not changed since it was added is left alone, what has changed is"
            + " replaced. Works while the server runs (through it) and while it does not.")

    @OptionGroup var common: CommonOptions

    @Argument(help: "Files, folders, and addresses of pages (https://…).")
    var paths: [String]

    @Option(name: .long, help: "The collection to add to, made where it is missing.")
    var collection: String?

    @Option(name: .long, help: "Add for this user. Default: the owner.")
    var user: String?

    @Flag(
        name: .long,
        help: """
            Remove documents whose file is gone from a folder that is named, or whose page a site \
            map names no longer.
            """)
    var prune = false

    @Flag(
        name: .long,
        help: """
            Addresses are site maps, or sites that have one: add all pages that they name, as far as \
            robots.txt lets us.
            """)
    var sitemap = false

    @Flag(name: .long, help: "With --sitemap: also pages on other hosts than the site map's.")
    var otherHosts = false

    func validate() throws {
        guard !paths.isEmpty else { throw ValidationError("Name at least one file or folder.") }
        guard sitemap || !otherHosts else {
            throw ValidationError("--other-hosts is for --sitemap.")
        }
        guard !sitemap || paths.allSatisfy(Self.isAddress) else {
            throw ValidationError("With --sitemap name addresses only (https://…).")
        }
    }

    func run() async throws {
        let addresses = paths.filter(Self.isAddress)
        let local = paths.filter { !Self.isAddress($0) }
        let files = try Self.files(in: local)
        guard !files.isEmpty || !addresses.isEmpty || prune else {
            throw Failure(.notFound, "There is no file in \(paths.joined(separator: ", ")).")
        }
        let total = files.count + addresses.count
        let failed = try await ServerConnection.open(common, as: user) { server in
            let collectionID = try await collectionID(server)
            let known = try await documents(in: collectionID, server)
            var failed = 0
            for item in files + addresses {
                do {
                    try await ingest(item, into: collectionID, known, server)
                } catch let failure as Failure where total > 1 {
                    failed += 1
                    Terminal.note("\(item): \(failure.message)")
                }
            }
            if prune { try await removeVanished(from: local, keeping: files, known, server) }
            return failed
        }
        if failed > 0 {
            throw Failure(.invalid, "\(failed) of \(total) files were not added.")
        }
    }

    private static func isAddress(_ path: String) -> Bool {
        path.hasPrefix("https://") || path.hasPrefix("http://")
    }

    private func ingest(
        _ item: String, into collection: Identifier?, _ known: [String: DocumentSummary],
        _ server: ServerConnection
    ) async throws {
        if sitemap {
            let job = try await server.fetchSite(
                item, collection: collection, otherHosts: otherHosts, removesVanished: prune)
            return try await follow(job: job, item, server)
        }
        if Self.isAddress(item) {
            let accepted = try await server.fetch(item, collection: collection)
            return try await follow(job: accepted.jobID, item, server)
        }
        guard let content = FileManager.default.contents(atPath: item) else {
            throw Failure(.notFound, "\(item) cannot be read.")
        }
        let file = URL(fileURLWithPath: item)
        let source = file.standardizedFileURL.path
        if let document = known[source], document.state == .ready,
            document.contentHash == (try Self.sum(of: content))
        {
            return Terminal.say("\(file.lastPathComponent): unchanged.")
        }
        let accepted = try await server.upload(
            file.lastPathComponent, content, collection: collection, source: source)
        try await follow(job: accepted.jobID, file.lastPathComponent, server)
    }

    private func follow(
        job id: Identifier, _ name: String, _ server: ServerConnection
    ) async throws {
        var last: Job?
        try await server.events("/api/jobs/\(id)/events") { event in
            guard event.name == "job" else { return }
            let job = try server.decode(Job.self, event.data)
            last = job
            Terminal.progress("\(name): \(job.message) \(job.done)/\(job.total)")
        }
        Terminal.endProgress()
        guard let last, last.state == .completed else {
            throw Failure(.invalid, last?.message ?? "The server stopped reporting.")
        }
        Terminal.say("\(name): \(last.message)")
    }

    private static func sum(of content: Data) throws -> String {
        let sum = try SHA256()
        content.withUnsafeBytes { sum.update($0) }
        return sum.hexadecimal
    }

    /// What came from these folders and is there no longer.
    private func removeVanished(
        from paths: [String], keeping files: [String], _ known: [String: DocumentSummary],
        _ server: ServerConnection
    ) async throws {
        let folders = paths.map { URL(fileURLWithPath: $0).standardizedFileURL.path + "/" }
        let present = Set(files.map { URL(fileURLWithPath: $0).standardizedFileURL.path })
        for (source, document) in known.sorted(by: { $0.key < $1.key }) {
            guard !present.contains(source), folders.contains(where: { source.hasPrefix($0) })
            else { continue }
            try await server.delete("/api/documents/\(document.id)")
            Terminal.say("\(document.name): removed, its file is gone.")
        }
    }

    /// The documents of the collection by the path they came from.
    private func documents(
        in collection: Identifier?, _ server: ServerConnection
    ) async throws -> [String: DocumentSummary] {
        struct Documents: Decodable { let documents: [DocumentSummary] }
        var id = collection
        if id == nil {
            // Where uploads go when no collection is named.
            let all: Collections = try await server.get("/api/collections")
            id = all.collections.first { $0.name == "Documents" && $0.access == .own }?.id
        }
        guard let id else { return [:] }
        let answer: Documents = try await server.get("/api/collections/\(id)/documents")
        // Newest first: the last one is what counts.
        return Dictionary(
            answer.documents.compactMap { document in document.source.map { ($0, document) } },
            uniquingKeysWith: { first, _ in first })
    }

    private func collectionID(_ server: ServerConnection) async throws -> Identifier? {
        guard let collection else { return nil }
        if let found = try await server.collection(named: collection) { return found.id }
        let made: Collection = try await server.post("/api/collections", ["name": collection])
        return made.id
    }

    private struct Collections: Decodable { let collections: [Collection] }

    // A folder given by mistake (a home folder, say) must not be read for ever.
    private static let filesMax = 10_000

    /// Files as given, and those inside folders, hidden ones left out, in the order of their paths.
    private static func files(in paths: [String]) throws -> [String] {
        var files: [String] = []
        for path in paths {
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
                throw Failure(.notFound, "There is no file or folder \(path).")
            }
            guard isFolder.boolValue else {
                files.append(path)
                continue
            }
            let inside = FileManager.default.enumerator(
                at: URL(fileURLWithPath: path), includingPropertiesForKeys: [.isRegularFileKey],
                options: [.skipsHiddenFiles])
            var found: [String] = []
            while let file = inside?.nextObject() as? URL {
                let values = try? file.resourceValues(forKeys: [.isRegularFileKey])
                if values?.isRegularFile == true { found.append(file.path) }
                guard found.count <= filesMax else {
                    throw Failure(
                        .tooLarge,
                        "\(path) holds more than \(filesMax) files; add its folders singly.")
                }
            }
            files += found.sorted()
        }
        return files
    }
}
