import Core

/// What administrators are shown of the model gateway; the API's schemas describe it. No key is in it.
struct ModelsOverview: Codable, Sendable {
    /// Counts and times are of what happened since.
    let since: Timestamp
    let problems: [String]
    let providers: [ProviderState]
    let routes: [RouteState]
}

struct ProviderState: Codable, Sendable {
    let name: String
    let kind: String
    let isLocal: Bool
    /// Calls that have a place, those that wait for one, and how many may; of this machine's models,
    /// each of which has a line of its own, all together and without limits.
    let running: Int
    let runningMax: Int?
    let waiting: Int
    let waitingMax: Int?
    let keys: [ProviderKeyState]
    let models: [ModelState]
}

struct ProviderKeyState: Codable, Sendable {
    enum Source: String, Codable, Sendable { case configuration, page }

    struct Rest: Codable, Sendable {
        let model: String
        let until: Timestamp
        let reason: String
    }

    let source: Source
    /// Of one that was set on the page.
    let id: Identifier?
    let hint: String
    let setAt: Timestamp?
    let setBy: String?
    /// Others are used in its place, or it cannot be opened.
    let isUsed: Bool
    let rests: [Rest]

    init(_ note: SealedKeys.Note, isUsed: Bool = true, rests: [Rest] = []) {
        source = .page
        id = note.id
        hint = note.hint
        setAt = note.setAt
        setBy = note.setBy
        self.isUsed = isUsed
        self.rests = rests
    }

    /// One of the configuration.
    init(hint: String, isUsed: Bool, rests: [Rest]) {
        source = .configuration
        id = nil
        self.hint = hint
        setAt = nil
        setBy = nil
        self.isUsed = isUsed
        self.rests = rests
    }
}

struct ModelState: Codable, Sendable {
    struct Breaker: Codable, Sendable {
        /// `closed`, `open`, or `half_open` while a call finds out.
        let state: String
        /// Nil where it never changed.
        let since: Timestamp?
        /// When the next call may find out; nil for a closed one.
        let nextProbeAt: Timestamp?
        /// Of the window; of an open one, what opened it.
        let calls: Int
        let failures: Int
    }

    struct Room: Codable, Sendable {
        let remaining: Int
        let resetAt: Timestamp
    }

    let name: String
    /// Nil for a model of this machine.
    let breaker: Breaker?
    let running: Int
    /// What is left of the provider's limits, where it says so.
    let requests: Room?
    let tokens: Room?
    let firstTokenMilliseconds: Percentiles
    let totalMilliseconds: Percentiles
}

struct RouteState: Codable, Sendable {
    let name: String
    /// `chat` or `embeddings`.
    let kind: String
    let policy: String
    let costMax: Picodollars?
    let arms: [ArmState]
}

struct ArmState: Codable, Sendable {
    let candidate: String
    /// Its share in percent with the policy `weighted`.
    let share: Double?
    /// It answers only when all others are down.
    let isLastResort: Bool
    let calls: Int
    let answers: Int
    let failures: Int
    /// Answers that were not shown, since another candidate had to give them again.
    let rejections: Int
    /// Answers that say no, or were filtered.
    let refusals: Int
    let running: Int
    let inputTokens: Int
    let outputTokens: Int
    /// At the prices of when it was called; the ledger has what was booked.
    let cost: Picodollars
    let firstTokenMilliseconds: Percentiles
    let totalMilliseconds: Percentiles
}
