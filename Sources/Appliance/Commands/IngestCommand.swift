import ArgumentParser
import Core
import Egress
import Foundation

struct IngestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ingest", abstract: "Add documents: files, or folders with files.",
        discussion: "Works while the server runs (through it) and while it does not.")

    @OptionGroup var common: CommonOptions

    @Argument(help: "Files and folders.")
    var paths: [String]

    @Option(name: .long, help: "The collection to add to, made where it is missing.")
    var collection: String?

    @Option(name: .long, help: "Add for this user. Default: the owner.")
    var user: String?

    func validate() throws {
        guard !paths.isEmpty else { throw ValidationError("Name at least one file or folder.") }
    }

    func run() async throws {
        let files = try Self.files(in: paths)
        guard !files.isEmpty else {
            throw Failure(.notFound, "There is no file in \(paths.joined(separator: ", ")).")
        }
        let failed = try await ServerConnection.open(common, as: user) { server in
            let collectionID = try await collectionID(server)
            var failed = 0
            for file in files {
                do {
                    try await ingest(file, into: collectionID, server)
                } catch let failure as Failure where files.count > 1 {
                    failed += 1
                    Terminal.note("\(file): \(failure.message)")
                }
            }
            return failed
        }
        if failed > 0 {
            throw Failure(.invalid, "\(failed) of \(files.count) files were not added.")
        }
    }

    private func ingest(
        _ file: String, into collection: Identifier?, _ server: ServerConnection
    ) async throws {
        guard let content = FileManager.default.contents(atPath: file) else {
            throw Failure(.notFound, "\(file) cannot be read.")
        }
        let name = URL(fileURLWithPath: file).lastPathComponent
        let accepted = try await server.upload(name, content, collection: collection)
        var last: Job?
        try await server.events("/api/jobs/\(accepted.jobID)/events") { event in
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

    private func collectionID(_ server: ServerConnection) async throws -> Identifier? {
        guard let collection else { return nil }
        let known: Collections = try await server.get("/api/collections")
        if let found = known.collections.first(where: { $0.name == collection }) {
            return found.id
        }
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
