import Core
import Foundation

/// Files that are replaced as a whole: whoever opens one finds the old one or the new one.
enum WholeFile {
    /// Lets `fill` write a new file and puts it in the place of the one at `path`.
    static func write(to path: String, _ fill: (FileHandle) throws -> Void) throws {
        let temporary = path + ".new-\(getpid())"
        let manager = FileManager.default
        guard
            manager.createFile(
                atPath: temporary, contents: nil, attributes: [.posixPermissions: 0o600]),
            let file = FileHandle(forUpdatingAtPath: temporary)
        else { throw Failure(.unavailable, "The vector index cannot be written.") }
        do {
            try fill(file)
            // The name may only ever mean a whole file, also after a power cut.
            try file.synchronize()
            try file.close()
            guard rename(temporary, path) == 0 else {
                throw Failure(.unavailable, "The vector index cannot be replaced.", cause: errno)
            }
        } catch {
            try? file.close()
            try? manager.removeItem(atPath: temporary)
            throw error
        }
    }
}
