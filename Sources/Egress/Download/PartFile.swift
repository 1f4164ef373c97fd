import Core
import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A file that is not complete yet, and a note beside it (`PATH.json`) of what it is a part of. One
/// process at a time has it. Left alone it stays, and the next download goes on from its end.
package final class PartFile {
    /// What the bytes belong to.
    struct Note: Codable, Equatable {
        var url: String
        /// A strong entity tag or a date, for `If-Range`.
        var validator: String?
        var sha256: String?
        var bytes: Int?
    }

    package let path: String
    private(set) var count: Int
    private(set) var note: Note?
    private let descriptor: Int32
    private var sum: SHA256
    // How many of the bytes the sum has seen; those of an earlier run are read before new ones come.
    private var summed = 0

    private static let pieceBytes = 1 << 20
    private static let noteBytesMax = 64 * 1024

    /// Throws `conflict` when another process has the file, and `unavailable` when it cannot be
    /// written.
    package init(path: String) throws {
        self.path = path
        sum = try SHA256()
        // Not through a link: whoever may write into the folder must not choose another place.
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else {
            throw Failure(
                .unavailable, "\(path) cannot be written: \(String(cString: strerror(errno))).")
        }
        count = 0
        var status = stat()
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw Failure(.conflict, "Another download is writing \(path) now.")
        }
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            let size = Int(exactly: status.st_size)
        else { throw Failure(.unavailable, "\(path) is not a file.") }
        // The command line's mask keeps databases to their owner; a model is no secret, and the
        // server that reads it may run as another user.
        fchmod(descriptor, 0o644)
        count = size
        note = Self.readNote(path)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Begins again from nothing, as a part of what `note` says.
    func restart(_ note: Note) throws {
        guard ftruncate(descriptor, 0) == 0 else { throw Self.writeFailure(path) }
        count = 0
        summed = 0
        sum = try SHA256()
        self.note = note
        let content = try JSONEncoder().encode(note)
        do {
            try content.write(to: URL(fileURLWithPath: path + ".json"), options: .atomic)
        } catch {
            throw Failure(.unavailable, "\(path).json cannot be written.", cause: error)
        }
    }

    func append(_ bytes: [UInt8]) throws {
        try sumWhatIsThere()
        try bytes.withUnsafeBytes { bytes in
            var written = 0
            while written < bytes.count {
                let result = pwrite(
                    descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written,
                    off_t(count + written))
                if result < 0, errno == EINTR { continue }
                guard result > 0 else { throw Self.writeFailure(path) }
                written += result
            }
            sum.update(bytes)
            summed += bytes.count
            count += bytes.count
        }
    }

    /// The first bytes, as many as there are of `wanted`.
    func beginning(_ wanted: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: min(wanted, count))
        guard try read(into: &bytes, at: 0) == bytes.count else { throw Self.readFailure(path) }
        return bytes
    }

    /// SHA-256 of all bytes, in hexadecimal.
    func sha256() throws -> String {
        try sumWhatIsThere()
        return sum.hexadecimal
    }

    /// Makes the part the file at `target`, complete on disk before it has the name.
    package func publish(as target: String) throws {
        guard fsync(descriptor) == 0 else { throw Self.writeFailure(path) }
        guard rename(path, target) == 0 else {
            throw Failure(
                .unavailable,
                "\(path) cannot become \(target): \(String(cString: strerror(errno))).")
        }
        unlink(path + ".json")
        let folder = open(
            URL(fileURLWithPath: target).deletingLastPathComponent().path, O_RDONLY | O_CLOEXEC)
        guard folder >= 0 else { return }
        fsync(folder)
        close(folder)
    }

    /// Takes the part away.
    package func discard() {
        unlink(path)
        unlink(path + ".json")
    }

    private func sumWhatIsThere() throws {
        guard summed < count else { return }
        var piece = [UInt8](repeating: 0, count: Self.pieceBytes)
        while summed < count {
            try Task.checkCancellation()
            let read = try read(into: &piece, at: summed)
            let wanted = min(read, count - summed)
            guard wanted > 0 else { throw Self.readFailure(path) }
            piece.withUnsafeBytes { sum.update(UnsafeRawBufferPointer(rebasing: $0[..<wanted])) }
            summed += wanted
        }
    }

    private func read(into buffer: inout [UInt8], at offset: Int) throws -> Int {
        let descriptor = descriptor
        return buffer.withUnsafeMutableBytes { buffer in
            while true {
                let result = pread(descriptor, buffer.baseAddress, buffer.count, off_t(offset))
                guard result < 0, errno == EINTR else { return result }
            }
        }
    }

    private static func readNote(_ path: String) -> Note? {
        guard let file = FileHandle(forReadingAtPath: path + ".json"),
            let content = try? file.read(upToCount: noteBytesMax)
        else { return nil }
        return try? JSONDecoder().decode(Note.self, from: content)
    }

    private static func writeFailure(_ path: String) -> Failure {
        let code = errno
        return code == ENOSPC || code == EDQUOT
            ? Failure(
                .unavailable,
                "The disk is full. Make room and run the command again; it goes on where it ended.")
            : Failure(
                .unavailable, "\(path) cannot be written: \(String(cString: strerror(code))).")
    }

    private static func readFailure(_ path: String) -> Failure {
        Failure(.unavailable, "\(path) cannot be read: \(String(cString: strerror(errno))).")
    }
}
