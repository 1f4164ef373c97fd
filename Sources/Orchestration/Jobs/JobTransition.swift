import Core

/// What can happen to a job.
enum JobEvent: Equatable, Sendable {
    /// A runner takes it.
    case claimed
    case succeeded
    case failed(message: String)
    /// Its owner cancelled it: at once while it waits, at the handler's next step while it runs.
    case cancelled
    /// The server stops in good order; this is not held against the job.
    case released
    /// It was running when a process died, for the `crashes`th time.
    case crashed(crashes: Int, max: Int, isCancelled: Bool)
}

extension Job.State {
    /// The state after an event and the message that goes with it; nil message keeps the one there
    /// is. Nil where the event cannot happen in this state, and then nothing changes.
    func after(_ event: JobEvent) -> (state: Job.State, message: String?)? {
        switch (self, event) {
        case (.available, .claimed): (.running, "")
        case (.available, .cancelled), (.running, .cancelled): (.cancelled, "Cancelled.")
        case (.running, .succeeded): (.completed, nil)
        case (.running, .failed(let message)): (.failed, message)
        // A job of a kind that nobody handles any more.
        case (.available, .failed(let message)): (.failed, message)
        case (.running, .released): (.available, "")
        case (.running, .crashed(_, _, isCancelled: true)): (.cancelled, "Cancelled.")
        case (.running, .crashed(let crashes, let max, _)) where crashes >= max:
            (
                .failed,
                "The server went down \(crashes) times while it did this, so it is not tried again."
            )
        case (.running, .crashed): (.available, "")
        default: nil
        }
    }
}
