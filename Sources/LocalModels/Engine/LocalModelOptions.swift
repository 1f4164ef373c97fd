/// How a local model is run.
package struct LocalModelOptions: Sendable {
    /// 0 means one for every core.
    package var threads: Int
    /// A model that could read more reads no more than this.
    package var contextTokensMax = 8192
    /// Calls that run together, and that wait.
    package var limits = EngineLimits()
    /// How long what was read is kept for reuse after the last call.
    package var cacheKept = Duration.seconds(600)
    /// The arithmetic of a chat model.
    package var precision = ChatPrecision.auto
    /// Whether answers are drafted.
    package var speculation = Speculation.auto
    /// The arithmetic of an embedding model.
    package var embeddingPrecision = EmbeddingPrecision.auto
    /// What all models that share it may take together.
    package var memory: MemoryBudget

    package init(threads: Int = 0, memory: MemoryBudget = .ofMachine()) {
        self.threads = threads
        self.memory = memory
    }
}

/// How many calls an engine takes.
package struct EngineLimits: Hashable, Sendable {
    /// As many as the network gives logits for at once.
    package static let sequencesLimit = Transformer.logitRowsMax
    package static let waitingLimit = 1024

    /// Calls that run together.
    package let sequencesMax: Int
    /// Calls that wait.
    package let waitingMax: Int

    package init(sequencesMax: Int = 8, waitingMax: Int = 32) {
        self.sequencesMax = max(1, min(sequencesMax, Self.sequencesLimit))
        self.waitingMax = max(1, min(waitingMax, Self.waitingLimit))
    }

    /// One principal leaves room in the line for others.
    var waitingMaxPerPrincipal: Int { (waitingMax + 1) / 2 }
}
