import Core
import Foundation

/// Small files that only their owner may read, written as a whole or not at all.
package enum PrivateFile {
    /// On the disk when it returns. Throws `unavailable` when that cannot be, and `conflict` where a
    /// file is there that must not be replaced.
    package static func write(_ bytes: [UInt8], to path: String, replacing: Bool = true) throws {
        let temporary = path + ".new"
        unlink(temporary)
        let descriptor = open(
            temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw refusal(path) }
        let isWritten =
            bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            == bytes.count && fsync(descriptor) == 0
        close(descriptor)
        guard isWritten else {
            let failure = refusal(path)
            unlink(temporary)
            throw failure
        }
        guard replacing else {
            // A link, unlike a new name, never takes the place of what is there.
            let isThere = link(temporary, path) != 0
            unlink(temporary)
            if isThere {
                throw Failure(.conflict, "\(path) is there already; try again.", cause: errno)
            }
            return sync(path)
        }
        guard rename(temporary, path) == 0 else { throw refusal(path) }
        sync(path)
    }

    /// The folder's entry, too, outlives a crash of the machine.
    private static func sync(_ path: String) {
        let folder = open((path as NSString).deletingLastPathComponent, O_RDONLY | O_CLOEXEC)
        guard folder >= 0 else { return }
        fsync(folder)
        close(folder)
    }

    private static func refusal(_ path: String) -> Failure {
        Failure(
            .unavailable, "\(path) cannot be written. Check the folder's rights and its disk.",
            cause: errno)
    }
}
