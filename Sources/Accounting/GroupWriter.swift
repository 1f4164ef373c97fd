import Core
import GRDB
import Synchronization

/// Puts what concurrent callers write into one transaction, so that they share one wait for the
/// disk. While a commit is under way the next group gathers; a caller alone waits for nobody.
///
/// It runs on the database's own queue and not in the callers' tasks, so that a cancelled caller
/// can still settle.
final class GroupWriter: Sendable {
    private let pool: DatabasePool
    private let waiting = Mutex<[Job]>([])

    /// Past this many, `write` refuses what may be refused.
    static let waitingMax = 10_000
    // A transaction of this size takes about 20 ms, which is what a newcomer may have to wait.
    private static let groupMax = 256

    init(_ pool: DatabasePool) { self.pool = pool }

    /// Runs `work` in a savepoint and returns once it is committed. What `work` throws is rolled
    /// back and thrown here, and the others of its group go on.
    @concurrent
    func write<Value: Sendable>(
        mayRefuse: Bool = false, _ work: @escaping @Sendable (Database) throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            enqueue(Job(continuation, work), mayRefuse: mayRefuse)
        }
    }

    private func enqueue(_ job: Job, mayRefuse: Bool) {
        let (isTaken, isFirst) = waiting.withLock { waiting in
            if mayRefuse, waiting.count >= Self.waitingMax { return (false, false) }
            waiting.append(job)
            return (true, waiting.count == 1)
        }
        guard isTaken else {
            job.fail(
                Failure(
                    .unavailable, "The ledger has more to write than the disk takes. Try again.",
                    retryAfter: .seconds(1)))
            return
        }
        if isFirst { pool.asyncWriteWithoutTransaction { self.drain($0) } }
    }

    /// Writes one group. Its caller is whoever found the queue empty, so that one drain is under way
    /// for as long as somebody waits.
    private func drain(_ database: Database) {
        let (group, isMore) = waiting.withLock { waiting in
            let group = Array(waiting.prefix(Self.groupMax))
            waiting.removeFirst(group.count)
            return (group, !waiting.isEmpty)
        }
        var finishers: [Job.Finish] = []
        do {
            try database.inTransaction(.immediate) {
                for job in group {
                    finishers.append(job.run(database))
                    // A full disk makes SQLite roll back by itself; nothing may be written after.
                    guard database.isInsideTransaction else {
                        throw DatabaseError(resultCode: .SQLITE_ABORT)
                    }
                }
                return .commit
            }
            for finish in finishers { finish(nil) }
        } catch {
            let failure = Failure(
                .unavailable, "The ledger could not be written. Is the disk full?", cause: error)
            for finish in finishers { finish(failure) }
            for job in group.dropFirst(finishers.count) { job.fail(failure) }
        }
        if isMore { pool.asyncWriteWithoutTransaction { self.drain($0) } }
    }
}

/// One caller's write, with its type taken away.
private struct Job: Sendable {
    /// Tells the caller, with the error if the group was not committed.
    typealias Finish = (Failure?) -> Void

    let run: @Sendable (Database) -> Finish
    let fail: @Sendable (Failure) -> Void

    init<Value: Sendable>(
        _ continuation: CheckedContinuation<Value, any Error>,
        _ work: @escaping @Sendable (Database) throws -> Value
    ) {
        fail = { continuation.resume(throwing: $0) }
        run = { database in
            var result = Result<Value, any Error>.failure(CancellationError())
            do {
                try database.inSavepoint {
                    result = .success(try work(database))
                    return .commit
                }
            } catch {
                result = .failure(Failure(error))
            }
            return { failure in
                continuation.resume(with: failure.map { .failure($0) } ?? result)
            }
        }
    }
}
