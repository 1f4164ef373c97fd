import Core
import Storage
import Synchronization

/// What the identity file said of keys, for as long as nobody has committed to it, whatever process
/// that is: the first request after a key was revoked finds out.
final class IdentityMemory: Sendable {
    /// What a key is remembered as.
    struct Entry: Sendable {
        let principal: Principal
        let lastUsedAt: Timestamp?
    }

    private struct State {
        var version = 0
        var entries: [[UInt8]: Entry] = [:]
    }

    private let commits: CommitWatch
    private let state = Mutex(State())

    private static let entriesMax = 10_000

    /// Throws when the file cannot be opened.
    init(path: String) throws { commits = try CommitWatch(path: path) }

    func close() { commits.close() }

    /// How often others had committed; nil where the file cannot be read.
    var version: Int? { commits.version }

    func entry(of hash: [UInt8], at version: Int?) -> Entry? {
        state.withLock { $0.version == version ? $0.entries[hash] : nil }
    }

    /// - Parameter version: as it was before the file was read.
    func remember(_ entry: Entry, of hash: [UInt8], at version: Int?) {
        guard let version else { return }
        state.withLock { state in
            if state.version != version || state.entries.count >= Self.entriesMax {
                state = State(version: version)
            }
            state.entries[hash] = entry
        }
    }
}
