import Core
import Foundation

/// Files that are replaced as a whole: whoever opens one finds the old one or the new one.
enum WholeFile {
    /// Lets `fill` write a new file and puts it in the place of the one at `path`.
    static func write(to path: String, _ fill: (FileHandle) throws -> Void) throws {
        let temporary = path + mark + "\(getpid())"
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

    /// Removes the new files that a process left behind which was killed while it wrote them. Those of
    /// a process that lives are let be for an hour; this process writes none yet.
    static func removeAbandoned(in folder: String, prefix: String) {
        let manager = FileManager.default
        let names = (try? manager.contentsOfDirectory(atPath: folder)) ?? []
        for name in names where name.hasPrefix(prefix) {
            guard let place = name.range(of: mark, options: .backwards),
                let process = Int32(name[place.upperBound...]), process > 0
            else { continue }
            let path = "\(folder)/\(name)"
            let isAnothers = process != getpid() && (kill(process, 0) == 0 || errno == EPERM)
            let changed = try? manager.attributesOfItem(atPath: path)[.modificationDate] as? Date
            let age = -(changed ?? .distantPast).timeIntervalSinceNow
            guard !isAnothers || age > writingSecondsMax else { continue }
            try? manager.removeItem(atPath: path)
        }
    }

    private static let mark = ".new-"
    private static let writingSecondsMax = 3600.0
}
