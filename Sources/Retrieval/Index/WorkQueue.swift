import Dispatch

/// A thread of its own for arithmetic and for reading large files, so that neither ever holds one of
/// the few threads that serve requests. Work is done one piece after another.
struct WorkQueue: Sendable {
    private let queue: DispatchQueue

    init(_ name: String) { queue = DispatchQueue(label: "heptad.retrieval.\(name)") }

    /// Does `work` on the queue when its turn comes.
    func start(_ work: @escaping @Sendable () -> Void) { queue.async(execute: work) }

    /// What `work` returns, done on the queue. `@concurrent`, as everywhere that a generic function
    /// throws and ends with a continuation: without it Swift 6.3 resumes the caller outside the
    /// caller's actor, in release builds only.
    @concurrent
    func run<Result: Sendable>(
        _ work: @escaping @Sendable () throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Swift.Result { try work() }) }
        }
    }
}
