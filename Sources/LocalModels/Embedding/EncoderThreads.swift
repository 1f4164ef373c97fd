import CKernels
import Core

/// The threads that embed. They run at a lower priority than those that serve, take one job after
/// the other, and sleep in between. Thread-safe.
final class EncoderThreads: Sendable {
    /// Ten steps below the threads that serve.
    static let niceness: Int32 = 10
    static let countMax = 64

    let count: Int
    // SAFETY: the pool's functions may be called from any thread, `share` from jobs only.
    nonisolated(unsafe) private let pool: OpaquePointer

    init(count: Int) throws {
        self.count = min(max(count, 1), Self.countMax)
        guard let pool = kernel_pool_create(Int32(self.count), Self.niceness) else {
            throw Failure(.unavailable, "The local engine could not start its threads.")
        }
        self.pool = pool
    }

    // Jobs hold the threads they run on, so none is left when this happens.
    deinit { kernel_pool_release(pool) }

    /// Runs `body` after the jobs that came before it. It runs also when the task is cancelled.
    func run<Result: Sendable>(_ body: @escaping @Sendable (EncoderThreads) -> Result) async throws
        -> Result
    {
        try await withCheckedThrowingContinuation { continuation in
            let job = Unmanaged.passRetained(Job { continuation.resume(returning: body(self)) })
            let isQueued = kernel_pool_submit(
                pool,
                { context in
                    guard let context else { return }
                    Unmanaged<Job>.fromOpaque(context).takeRetainedValue().body()
                }, job.toOpaque())
            guard !isQueued else { return }
            job.release()
            continuation.resume(
                throwing: Failure(
                    .unavailable, "The server is out of memory; try again in a moment.",
                    retryAfter: .seconds(1)))
        }
    }

    /// Only inside a job: calls `body` for consecutive parts of `0..<count`, at most `grain` long,
    /// on all threads. The second argument says which of the threads, from 0.
    func share(_ count: Int, grain: Int, _ body: (Range<Int>, Int) -> Void) {
        withoutActuallyEscaping(body) { body in
            withUnsafePointer(to: body) { context in
                kernel_pool_share(
                    pool, count, grain,
                    { context, first, last, worker in
                        guard let context else { return }
                        context.assumingMemoryBound(to: ((Range<Int>, Int) -> Void).self)
                            .pointee(first..<last, Int(worker))
                    }, UnsafeMutableRawPointer(mutating: context))
            }
        }
    }

    private final class Job {
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
    }
}
