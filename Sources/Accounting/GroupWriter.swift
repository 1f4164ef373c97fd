import Core
import Dispatch
import GRDB
import Synchronization

/// Puts what concurrent callers write into one transaction, so that they share one wait for the
/// disk: a group gathers for a moment, and while a commit is under way the next one does. What is
/// enqueued first is written first.
///
/// It runs on the database's own queue and not in the callers' tasks, so that a cancelled caller
/// can still settle.
final class GroupWriter: Sendable {
    private struct Job: Sendable {
        let work: @Sendable (Books) throws -> Void
        /// Told once it is committed, or why it is not.
        let finish: @Sendable (Failure?) -> Void
    }

    private let pool: DatabasePool
    private let waiting = Mutex(Waiting())

    private struct Waiting {
        var jobs: [Job] = []
        /// A drain is under way or will be.
        var isDraining = false
    }

    /// Past this many, callers should wait for what they wrote.
    static let waitingMax = 10_000
    // A transaction of this size takes about 20 ms, which is what a newcomer may have to wait.
    private static let groupMax = 256
    // What a power cut can cost, and no more than a person notices.
    private static let gathering = DispatchTimeInterval.milliseconds(10)

    init(_ pool: DatabasePool) { self.pool = pool }

    var isCrowded: Bool { waiting.withLock { $0.jobs.count >= Self.waitingMax } }

    /// Has `work` written some time soon, and waits for nothing. It may run again, after a rollback.
    func enqueue(
        _ work: @escaping @Sendable (Books) throws -> Void,
        finish: @escaping @Sendable (Failure?) -> Void
    ) {
        let isFirst = waiting.withLock { waiting in
            waiting.jobs.append(Job(work: work, finish: finish))
            defer { waiting.isDraining = true }
            return !waiting.isDraining
        }
        guard isFirst else { return }
        DispatchQueue.global().asyncAfter(deadline: .now() + Self.gathering) { self.drainSoon() }
    }

    /// Writes what waits without gathering any more.
    func drainSoon() { pool.asyncWriteWithoutTransaction { self.drain($0) } }

    /// Returns when all that was enqueued before is written or has failed.
    func flush() async {
        await withCheckedContinuation { continuation in
            enqueue({ _ in }, finish: { _ in continuation.resume() })
            // At once; whoever was to come in a moment finds nothing left.
            drainSoon()
        }
    }

    /// The same for a thread that may wait.
    func flushNow() {
        pool.writeWithoutTransaction { database in
            while waiting.withLock({ !$0.jobs.isEmpty }) { drain(database) }
        }
    }

    /// Writes one group, and the next one later, so that others may write meanwhile.
    private func drain(_ database: Database) {
        let group = waiting.withLock { waiting in
            let group = Array(waiting.jobs.prefix(Self.groupMax))
            waiting.jobs.removeFirst(group.count)
            return group
        }
        if !group.isEmpty {
            let isWritten = failure(of: group, in: database) == nil
            for job in group {
                // Of a group that failed, most can be written by themselves.
                job.finish(isWritten ? nil : failure(of: [job], in: database))
            }
        }
        let isMore = waiting.withLock { waiting in
            waiting.isDraining = !waiting.jobs.isEmpty
            return waiting.isDraining
        }
        if isMore { drainSoon() }
    }

    private func failure(of group: [Job], in database: Database) -> Failure? {
        do {
            try database.inTransaction(.immediate) {
                let books = Books(database: database)
                for job in group { try job.work(books) }
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
