import CKernels
import Core

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The threads of one engine: a lead that takes jobs in order, and helpers that share its loops.
/// They sleep between jobs.
final class WorkerPool: Sendable {
    static let threadsMax = 64
    /// Serving stays responsive while a model runs: a thread at 10 gets about a tenth of a core
    /// that one at 0 wants too.
    static let niceness: Int32 = 10

    let threads: Int
    // SAFETY: the C pool locks what its functions touch, and frees itself when its last thread ends.
    nonisolated(unsafe) private let pool: OpaquePointer

    /// `threads` of 0 means one for every core.
    init(threads: Int) throws {
        let wished = threads > 0 ? threads : max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        self.threads = min(wished, Self.threadsMax)
        guard let pool = kernel_pool_create(Int32(self.threads), Self.niceness) else {
            throw Failure(.unavailable, "There are no threads left for the local engine.")
        }
        self.pool = pool
    }

    deinit { kernel_pool_release(pool) }

    /// Runs `job` on the lead thread after those before it.
    func submit(_ job: @escaping @Sendable () -> Void) throws {
        let box = Unmanaged.passRetained(Box(job))
        let isSubmitted = kernel_pool_submit(
            pool,
            { context in
                guard let context else { return }
                Unmanaged<Box>.fromOpaque(context).takeRetainedValue().job()
            }, box.toOpaque())
        guard isSubmitted else {
            box.release()
            throw Failure(.unavailable, "There is no memory left for the local engine.")
        }
    }

    /// Only from a job: calls `body` with consecutive ranges of `0..<count` on all threads at once,
    /// and returns when all are done. The second argument numbers the thread.
    func share(_ count: Int, grain: Int, _ body: (Range<Int>, Int) -> Void) {
        withoutActuallyEscaping(body) { body in
            withUnsafePointer(to: body) { context in
                kernel_pool_share(
                    pool, count, grain,
                    { context, first, last, worker in
                        context?.assumingMemoryBound(to: ((Range<Int>, Int) -> Void).self)
                            .pointee(first..<last, Int(worker))
                    }, UnsafeMutableRawPointer(mutating: context))
            }
        }
    }

    private final class Box {
        let job: @Sendable () -> Void
        init(_ job: @escaping @Sendable () -> Void) { self.job = job }
    }
}
