extension WorkerPool {
    /// What `body` returns, run on the lead thread after the jobs before it; also when the task is
    /// cancelled while it waits.
    ///
    /// `@concurrent` makes the caller return to its own actor. Without it Swift 6.3 forgets to, in
    /// release builds only: a generic function that throws and ends with a continuation resumes its
    /// caller outside the caller's actor.
    @concurrent
    func run<Result: Sendable>(_ body: @escaping @Sendable (WorkerPool) -> Result) async throws
        -> Result
    {
        try await withCheckedThrowingContinuation { continuation in
            do {
                try submit { continuation.resume(returning: body(self)) }
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }
}
