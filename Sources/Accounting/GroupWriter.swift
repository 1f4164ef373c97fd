import Core
import GRDB
import Synchronization

/// Puts what concurrent callers write into one transaction, so that they share one wait for the
/// disk. While a commit is under way the next group gathers; a caller alone waits for nobody. What
/// is enqueued first is written first.
///
/// It runs on the database's own queue and not in the callers' tasks, so that a cancelled caller
/// can still settle.
final class GroupWriter: Sendable {
    private struct Job: Sendable {
        let work: @Sendable (Database) throws -> Void
        /// Told once it is committed, or why it is not.
        let finish: @Sendable (Failure?) -> Void
    }

    private let pool: DatabasePool
    private let waiting = Mutex<[Job]>([])

    /// Past this many, callers should wait for what they wrote.
    static let waitingMax = 10_000
    // A transaction of this size takes about 20 ms, which is what a newcomer may have to wait.
    private static let groupMax = 256

    init(_ pool: DatabasePool) { self.pool = pool }

    var isCrowded: Bool { waiting.withLock { $0.count >= Self.waitingMax } }

    /// Has `work` written some time soon, and waits for nothing. It may run again, after a rollback.
    func enqueue(
        _ work: @escaping @Sendable (Database) throws -> Void,
        finish: @escaping @Sendable (Failure?) -> Void
    ) {
        let isFirst = waiting.withLock { waiting in
            waiting.append(Job(work: work, finish: finish))
            return waiting.count == 1
        }
        if isFirst { pool.asyncWriteWithoutTransaction { self.drain($0) } }
    }

    /// Returns when all that was enqueued before is written or has failed.
    func flush() async {
        await withCheckedContinuation { continuation in
            enqueue({ _ in }, finish: { _ in continuation.resume() })
        }
    }

    /// The same for a thread that may wait.
    func flushNow() {
        pool.writeWithoutTransaction { database in
            while waiting.withLock({ !$0.isEmpty }) { drain(database) }
        }
    }

    /// Writes one group. Its caller is whoever found the queue empty, so that one drain is under way
    /// for as long as somebody waits.
    private func drain(_ database: Database) {
        let group = waiting.withLock { Array($0.prefix(Self.groupMax)) }
        if !group.isEmpty {
            let isWritten = failure(of: group, in: database) == nil
            for job in group {
                // Of a group that failed, most can be written by themselves.
                job.finish(isWritten ? nil : failure(of: [job], in: database))
            }
        }
        // Only now, so that whoever comes meanwhile does not start a second drain.
        let isMore = waiting.withLock { waiting in
            waiting.removeFirst(group.count)
            return !waiting.isEmpty
        }
        if isMore { pool.asyncWriteWithoutTransaction { self.drain($0) } }
    }

    private func failure(of group: [Job], in database: Database) -> Failure? {
        do {
            try database.inTransaction(.immediate) {
                for job in group { try job.work(database) }
                return .commit
            }
            return nil
        } catch let failure as Failure {
            return failure
        } catch {
            return Failure(
                .unavailable, "The ledger could not be written. Is the disk full?", cause: error)
        }
    }
}
