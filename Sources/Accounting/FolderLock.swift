import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Says whether this process is the first to have the ledger open. A second one (a command beside
/// the server) must not take the first one's holds for orphans. The kernel lets go of the lock when
/// the process ends, however it ends.
final class FolderLock: Sendable {
    let isHeld: Bool
    private let descriptor: Int32

    init(path: String) {
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        isHeld = descriptor >= 0 && flock(descriptor, LOCK_EX | LOCK_NB) == 0
    }

    deinit { if descriptor >= 0 { _ = close(descriptor) } }
}
