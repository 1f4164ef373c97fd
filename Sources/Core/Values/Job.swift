/// Work that outlives the request that asked for it.
package struct Job: Hashable, Codable, Sendable {
    package enum State: String, Codable, Sendable {
        case available, running, completed, failed, cancelled

        package var isFinal: Bool { self == .completed || self == .failed || self == .cancelled }
    }

    package let id: Identifier
    /// Which handler runs it, such as `ingest`.
    package let kind: String
    /// The handler's own words: JSON it wrote when it was enqueued.
    package let payload: String
    package let state: State
    /// Steps done and steps in all; zero in all while that is not known.
    package let done: Int
    package let total: Int
    /// What it is doing, in a few words, or the sentence that says why it failed.
    package let message: String
    package let createdAt: Timestamp
    package let updatedAt: Timestamp

    package init(
        id: Identifier, kind: String, payload: String, state: State, done: Int, total: Int,
        message: String, createdAt: Timestamp, updatedAt: Timestamp
    ) {
        (self.id, self.kind, self.payload, self.state) = (id, kind, payload, state)
        (self.done, self.total, self.message, self.createdAt) = (done, total, message, createdAt)
        self.updatedAt = updatedAt
    }
}

/// How far a running job is.
package struct JobProgress: Hashable, Codable, Sendable {
    package let done: Int
    package let total: Int
    package let message: String

    package init(done: Int, total: Int, message: String) {
        (self.done, self.total, self.message) = (done, total, message)
    }
}
