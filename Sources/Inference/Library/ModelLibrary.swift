import Core
package import Egress
import Foundation
package import LocalModels

/// The models folder as its keeper sees it: what is in it, what comes, and what goes. A server maps
/// what it finds when it starts, so that changes wait for its next start and do not disturb it.
package struct ModelLibrary: Sendable {
    package enum Entry: Hashable, Sendable {
        case model(ModelSummary)
        /// What is there and cannot be read.
        case damaged(name: String, bytes: Int, problem: String)
        /// A download that has not come to its end.
        case part(name: String, bytes: Int)

        package var name: String {
            switch self {
            case .model(let summary): summary.name
            case .damaged(let name, _, _), .part(let name, _): name
            }
        }

        package var bytes: Int {
            switch self {
            case .model(let summary): summary.bytes
            case .damaged(_, let bytes, _), .part(_, let bytes): bytes
            }
        }
    }

    package let folder: String

    private static let part = ".part"

    package init(folder: String) { self.folder = folder }

    // MARK: What is there

    /// By name. Throws `notFound` when there is no such folder.
    package func entries() throws -> [Entry] { try fileNames().compactMap(entry) }

    /// The model of that name, with or without `.gguf`. Throws `notFound` with the names there are.
    package func summary(of name: String) throws -> ModelSummary {
        try Self.summary(at: path(of: name))
    }

    /// Where the model of that name is. Throws like `summary(of:)`.
    package func path(of name: String) throws -> String {
        guard let file = try fileName(of: name), !file.hasSuffix(Self.part) else {
            throw try missing(name)
        }
        return "\(folder)/\(file)"
    }

    /// A file or an embedding model's folder anywhere. Throws like `ModelSummary`.
    package static func summary(at path: String) throws -> ModelSummary {
        isFolder(path) ? try ModelSummary(folder: path) : try ModelSummary(file: path)
    }

    // MARK: What comes

    /// Fetches a model into the folder. It gets its name when it is complete, has the right sum, and
    /// can be run.
    ///
    /// - Parameters:
    ///   - sha256: what the file must have; nil leaves it to what the hub says.
    ///   - token: for the hub, and sent to nobody else.
    ///   - force: replaces a model of the same name, and keeps one that cannot be run here.
    ///
    /// Throws `conflict` where there is a model of the name, `unsupported` for one that cannot be
    /// run (and then its part stays), `invalid` for what is no model at all, and like
    /// `FileDownload.run`.
    package func pull(
        _ source: ModelSource, sha256: String?, token: String?, force: Bool,
        client: HTTPClient, freeBytes: @escaping @Sendable (String) -> Int? = Self.freeBytes,
        _ report: (FileDownload.Event) -> Void
    ) async throws -> ModelSummary {
        let target = "\(folder)/\(source.fileName)"
        guard force || !FileManager.default.fileExists(atPath: target) else {
            throw Failure(
                .conflict,
                "\(target) is there already. --force replaces it; --name takes another name."
            )
        }
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw Failure(.unavailable, "The folder \(folder) cannot be made.", cause: error)
        }
        var download = FileDownload(
            url: source.url, sha256: sha256, magic: Array("GGUF".utf8), freeBytes: freeBytes)
        if source.isHub, let token, !token.isEmpty {
            download.headers = [HTTPHeader("Authorization", "Bearer \(token)")]
        }
        let part = try PartFile(path: target + Self.part)
        try await download.run(into: part, with: client, report)
        var summary: ModelSummary
        do {
            summary = try ModelSummary(file: part.path)
        } catch let failure as Failure where failure.code == .invalid {
            part.discard()
            throw failure
        }
        if let refusal = summary.refusal, !force {
            throw Failure(
                .unsupported,
                "\(refusal)\nWhat came is kept as \(part.path): --force makes it a model all the same,"
                    + " `heptad models remove \(source.fileName)\(Self.part)` throws it away.")
        }
        try part.publish(as: target)
        summary.name = String(source.fileName.dropLast(ModelSource.suffix.count))
        return summary
    }

    /// How many bytes are free for us where a file is.
    @Sendable package static func freeBytes(_ path: String) -> Int? {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let values = try? FileManager.default.attributesOfFileSystem(forPath: folder)
        return (values?[.systemFreeSize] as? NSNumber)?.intValue
    }

    // MARK: What goes

    /// What `remove` would take away. Throws `notFound`, and `forbidden` for a path that leads out
    /// of the folder.
    package func removable(_ name: String) throws -> Entry {
        guard let file = try fileName(of: name), let entry = entry(file) else {
            throw try missing(name)
        }
        return entry
    }

    /// Takes a model, or what came of one, out of the folder. A server that runs keeps what it has
    /// mapped until its next start. Throws like `removable`.
    package func remove(_ name: String) throws {
        guard let file = try fileName(of: name) else { throw try missing(name) }
        let path = "\(folder)/\(file)"
        do {
            // Of a link only the link goes.
            try FileManager.default.removeItem(atPath: path)
            if file.hasSuffix(Self.part) {
                try? FileManager.default.removeItem(atPath: path + ".json")
            }
        } catch {
            throw Failure(.unavailable, "\(path) cannot be removed.", cause: error)
        }
    }

    /// The names of what is a model, a model's folder or a part of one.
    private func fileNames() throws -> [String] {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
            throw Failure(
                .notFound,
                "There is no models folder at \(folder). `heptad models pull` makes it, --models names"
                    + " another.")
        }
        return names.sorted().filter { name in
            name.lowercased().hasSuffix(ModelSource.suffix)
                || name.hasSuffix(ModelSource.suffix + Self.part)
                || Self.isEmbedder("\(folder)/\(name)")
        }
    }

    private func entry(_ file: String) -> Entry? {
        let path = "\(folder)/\(file)"
        let bytes = Self.bytes(at: path)
        if file.hasSuffix(Self.part) { return .part(name: file, bytes: bytes) }
        do {
            var summary = try Self.summary(at: path)
            summary.bytes = bytes
            return .model(summary)
        } catch {
            let name =
                file.hasSuffix(ModelSource.suffix)
                ? String(file.dropLast(ModelSource.suffix.count)) : file
            return .damaged(name: name, bytes: bytes, problem: Failure(error).message)
        }
    }

    /// The entry somebody means: by its name, with or without `.gguf`, or by its path.
    private func fileName(of name: String) throws -> String? {
        var wanted = name
        if name.contains("/") {
            let path = URL(fileURLWithPath: name).standardizedFileURL
            let home = URL(fileURLWithPath: folder).standardizedFileURL.path
            guard path.deletingLastPathComponent().path == home else {
                throw Failure(.forbidden, "\(name) is not in the models folder \(folder).")
            }
            wanted = path.lastPathComponent
        }
        let names = try fileNames()
        return [wanted, wanted + ModelSource.suffix].first { names.contains($0) }
    }

    private func missing(_ name: String) throws -> Failure {
        let names = try fileNames().map { file in
            file.hasSuffix(ModelSource.suffix)
                ? String(file.dropLast(ModelSource.suffix.count)) : file
        }
        return Failure(
            .notFound,
            "There is no model \(name) in \(folder)"
                + (names.isEmpty
                    ? ", which is empty." : ". There is: \(names.joined(separator: ", "))."))
    }

    private static func isFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
            && isFolder.boolValue
    }

    private static func isEmbedder(_ path: String) -> Bool {
        ["model.safetensors", "vocab.txt"].allSatisfy {
            FileManager.default.fileExists(atPath: "\(path)/\($0)")
        }
    }

    private static func bytes(at path: String) -> Int {
        let files = FileManager.default
        func size(_ path: String) -> Int {
            let values = try? files.attributesOfItem(atPath: path)
            return (values?[.size] as? NSNumber)?.intValue ?? 0
        }
        guard isFolder(path) else { return size(path) }
        return (files.enumerator(atPath: path)?.compactMap { $0 as? String } ?? [])
            .reduce(0) { $0 + size("\(path)/\($1)") }
    }
}
