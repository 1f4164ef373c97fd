import Core
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// What the identity file said of keys, for as long as nobody has written to it, whatever process
/// that is: every commit changes the size or the time of the write-ahead log, and checkpoints those
/// of the file itself. A key that was revoked elsewhere is found out by the next request.
final class IdentityMemory: Sendable {
    /// What a key is remembered as.
    struct Entry: Sendable {
        let principal: Principal
        let lastUsedAt: Timestamp?
    }

    /// How the files stood when they were read.
    struct Stamp: Hashable, Sendable {
        fileprivate struct File: Hashable {
            var inode: UInt64 = 0
            var size: Int64 = 0
            var changedAt: Int64 = 0
        }

        fileprivate let files: [File]
        /// No write may share the time of the last one any more: clocks of file systems tick in
        /// milliseconds.
        fileprivate let isSettled: Bool
    }

    private struct State {
        var files: [Stamp.File] = []
        var entries: [[UInt8]: Entry] = [:]
    }

    private let paths: [String]
    private let state = Mutex(State())

    private static let entriesMax = 10_000
    private static let tickNanoseconds: Int64 = 50_000_000

    init(path: String) { paths = [path, path + "-wal"] }

    var stamp: Stamp {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let files = paths.map { path in
            var status = stat()
            guard stat(path, &status) == 0 else { return Stamp.File() }
            #if canImport(Darwin)
                let time = status.st_mtimespec
            #else
                let time = status.st_mtim
            #endif
            return Stamp.File(
                inode: UInt64(status.st_ino), size: Int64(status.st_size),
                changedAt: Self.nanoseconds(time))
        }
        let age = Self.nanoseconds(now) - (files.map(\.changedAt).max() ?? 0)
        return Stamp(files: files, isSettled: age > Self.tickNanoseconds)
    }

    func entry(of hash: [UInt8], at stamp: Stamp) -> Entry? {
        state.withLock { $0.files == stamp.files ? $0.entries[hash] : nil }
    }

    /// - Parameter stamp: taken before the file was read.
    func remember(_ entry: Entry, of hash: [UInt8], at stamp: Stamp) {
        guard stamp.isSettled else { return }
        state.withLock { state in
            if state.files != stamp.files || state.entries.count >= Self.entriesMax {
                state = State(files: stamp.files)
            }
            state.entries[hash] = entry
        }
    }

    private static func nanoseconds(_ time: timespec) -> Int64 {
        Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}
