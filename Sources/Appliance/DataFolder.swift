import Core
import Foundation
import Synchronization

/// The folder with all that Heptad keeps. One process at a time serves it; the command line finds
/// that process through `run/server.json`.
final class DataFolder: Sendable {
    /// How the command line reaches the running server. The file is readable by its owner only.
    struct Server: Codable, Equatable {
        let pid: Int32
        /// Such as `http://127.0.0.1:8080`.
        let address: String
        /// Acts as the owner account while this process lives.
        let token: String
    }

    let path: String
    private let lock = Mutex<Int32>(-1)

    /// Makes the folder where it is missing. Throws `unavailable` when it cannot.
    init(path: String) throws {
        self.path = path
        do {
            try FileManager.default.createDirectory(
                atPath: path + "/run", withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        } catch {
            throw Failure(
                .unavailable,
                "The data folder \(path) cannot be made. Choose another with --data.",
                cause: error)
        }
    }

    deinit { release() }

    /// Takes the folder for this process until `release` or its end. False when another has it.
    func acquire() throws -> Bool {
        let descriptor = open(path + "/run/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw Failure(
                .unavailable,
                "The data folder \(path) is not writable. Choose another with --data.",
                cause: errno)
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            return false
        }
        lock.withLock { $0 = descriptor }
        return true
    }

    func release() {
        lock.withLock { descriptor in
            guard descriptor >= 0 else { return }
            unlink(serverFile)
            close(descriptor)
            descriptor = -1
        }
    }

    /// Says where this process serves the folder.
    func announce(_ server: Server) throws {
        let temporary = serverFile + ".new"
        let content = try JSONEncoder().encode(server)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw Failure(.unavailable, "\(temporary) cannot be written.", cause: errno)
        }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        try file.write(contentsOf: content)
        guard rename(temporary, serverFile) == 0 else {
            throw Failure(.unavailable, "\(serverFile) cannot be written.", cause: errno)
        }
    }

    /// The process that serves the folder, where it has said so.
    func server() -> Server? {
        guard let content = FileManager.default.contents(atPath: serverFile) else { return nil }
        return try? JSONDecoder().decode(Server.self, from: content)
    }

    private var serverFile: String { path + "/run/server.json" }
}
