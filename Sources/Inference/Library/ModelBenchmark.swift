import Core
import Foundation
package import LocalModels

/// What this machine does with a model, measured in this process and without a server.
package struct ModelBenchmark: Sendable {
    /// A figure with what it was measured on.
    package struct Figures: Hashable, Codable, Sendable {
        package var model: String
        package var kind: ModelSummary.Kind
        package var threads: Int
        package var kernels: String
        package var loadSeconds: Double
        package var chat: Chat?
        package var embedding: Embedding?
        package var memory: Memory
    }

    package struct Chat: Hashable, Codable, Sendable {
        package var promptTokens: Int
        package var promptTokensPerSecond: Double
        package var questionTokens: Int
        package var firstTokenSeconds: Double
        package var decodeTokensPerSecond: Double
        /// The same question with drafts, as answers are given unless `speculation` is off.
        package var draftedTokensPerSecond: Double
        /// An answer that repeats its prompt, without drafts and with them, and which share of the
        /// drafted tokens was right.
        package var quoteTokensPerSecond: Double
        package var quoteDraftedTokensPerSecond: Double
        package var quoteDraftsAccepted: Double
        /// Weights that decoding reads in a second, which the memory's bandwidth bounds.
        package var decodeBytesPerSecond: Double
        package var streams: Int
        package var streamsTokensPerSecond: Double
    }

    package struct Embedding: Hashable, Codable, Sendable {
        package var tokensPerSentence: Double
        package var oneByOneSentencesPerSecond: Double
        package var batch: Int
        package var batchSentencesPerSecond: Double
    }

    /// Of this process, in bytes, as Linux counts it; zero where it does not.
    package struct Memory: Hashable, Codable, Sendable {
        package var before: Int
        package var afterLoad: Int
        package var peak: Int
        /// Of what is resident at the end: pages of mapped files, and the rest.
        package var files: Int
        package var own: Int
    }

    static let promptTokens = 512
    static let streams = 4
    static let batch = 32
    static let probeTokens = 8
    static let answerTokensMax = 256
    static let roundsMax = 1000

    private let threads: Int
    private let budget: Duration
    private let report: @Sendable (String) -> Void
    private let clock = ContinuousClock()

    /// - Parameters:
    ///   - threads: 0 means one for each core.
    ///   - seconds: about how long all of it takes; a slow model takes longer, since everything is
    ///     measured once at least.
    ///   - report: told what is measured now.
    package init(threads: Int, seconds: Double, report: @escaping @Sendable (String) -> Void) {
        self.threads = threads > 0 ? threads : ProcessInfo.processInfo.activeProcessorCount
        budget = .seconds(seconds)
        self.report = report
    }

    /// Throws like `LocalChatModel` and `LocalEmbedder` for a model that cannot be run.
    package func run(_ summary: ModelSummary, at path: String) async throws -> Figures {
        let before = ProcessMemory.now
        report("loading \(summary.name)")
        let began = clock.now
        var figures = Figures(
            model: summary.name, kind: summary.kind, threads: threads,
            kernels: EngineKernels.name, loadSeconds: 0,
            memory: Memory(before: before.resident, afterLoad: 0, peak: 0, files: 0, own: 0))
        func loaded() {
            figures.loadSeconds = seconds(since: began)
            figures.memory.afterLoad = ProcessMemory.now.resident
        }
        func measured() {
            let after = ProcessMemory.now
            figures.memory.peak = after.peak
            figures.memory.files = after.files
            figures.memory.own = max(0, after.resident - after.files)
        }
        switch summary.kind {
        case .chat:
            let model = try LocalChatModel(path: path, threads: threads)
            // A load is over when the first token can come: pages that are mapped are not read yet.
            _ = try await answer(model, [.init(.user, "Hello")], tokens: 1)
            loaded()
            figures.chat = try await measure(model, decodeBytes: Self.decodeBytes(summary))
            // The model must not be let go of before.
            withExtendedLifetime(model) { measured() }
        case .embedding:
            let model = try LocalEmbedder(folder: path, threads: threads)
            _ = try await model.embed(["Hello"])
            loaded()
            figures.embedding = try await measure(model)
            withExtendedLifetime(model) { measured() }
        case .reranker:
            throw Failure(
                .unsupported, "\(summary.name) puts passages in order; name another model.")
        }
        return figures
    }

    // MARK: Chat

    private func measure(_ model: LocalChatModel, decodeBytes: Int) async throws -> Chat {
        report("how fast it reads: prompts of \(Self.promptTokens) tokens")
        let length = min(Self.promptTokens, model.contextTokens / 2)
        var prompts: [(tokens: Int, seconds: Double)] = []
        try await repeating(for: 0.25) { round in
            let prompt = try longPrompt(model, tokens: length, round: round)
            let done = try await generate(model, prompt, tokens: 1)
            prompts.append(
                (done.promptTokens - done.promptTokensReused, done.promptMilliseconds / 1000))
        }
        let promptRate = Self.median(prompts.map { Double($0.tokens) / max($0.seconds, 1e-9) })

        report("how soon it begins, and how fast it writes")
        let probe = try await answer(model, question(0), tokens: Self.probeTokens)
        let perToken = Self.decodeSeconds(probe) / Double(max(1, probe.outputTokens - 1))
        let share = (budget / .seconds(1)) * 0.15
        let tokens = min(
            Self.answerTokensMax, max(Self.probeTokens, Int(share / max(perToken, 1e-6))))
        var first: [Double] = []
        var rates: [Double] = []
        var questionTokens = 0
        var draftedRates: [Double] = []
        try await repeating(for: 0.3) { round in
            let done = try await answer(model, question(round + 1), tokens: tokens)
            questionTokens = done.promptTokens
            if let milliseconds = done.firstTokenMilliseconds { first.append(milliseconds / 1000) }
            rates += Self.rate(done)
            draftedRates += Self.rate(
                try await answer(model, question(round + 1), tokens: tokens, isSpeculative: true))
        }
        let decodeRate = Self.median(rates)

        report("how fast it quotes")
        let quotes = try await measureQuotes(model, tokens: tokens)

        report("\(Self.streams) streams together")
        var together: [Double] = []
        try await repeating(for: 0.2) { round in
            let began = clock.now
            let answers = try await withThrowingTaskGroup(of: Int.self) { group in
                for stream in 0..<Self.streams {
                    group.addTask {
                        try await answer(
                            model, question(1000 + round * Self.streams + stream), tokens: tokens
                        ).outputTokens
                    }
                }
                return try await group.reduce(0, +)
            }
            together.append(Double(answers) / max(seconds(since: began), 1e-9))
        }
        return Chat(
            promptTokens: length, promptTokensPerSecond: promptRate,
            questionTokens: questionTokens, firstTokenSeconds: Self.median(first),
            decodeTokensPerSecond: decodeRate,
            draftedTokensPerSecond: Self.median(draftedRates),
            quoteTokensPerSecond: quotes.alone, quoteDraftedTokensPerSecond: quotes.drafted,
            quoteDraftsAccepted: quotes.accepted,
            decodeBytesPerSecond: decodeRate * Double(decodeBytes), streams: Self.streams,
            streamsTokensPerSecond: Self.median(together))
    }

    private func measureQuotes(_ model: LocalChatModel, tokens: Int) async throws
        -> (alone: Double, drafted: Double, accepted: Double)
    {
        var (alone, drafted): ([Double], [Double]) = ([], [])
        var (guessed, right) = (0, 0)
        try await repeating(for: 0.15) { round in
            let question = [
                ChatMessage(
                    .user, "\(round): Repeat the following text word for word:\n\n\(Self.passage)")
            ]
            alone += Self.rate(try await answer(model, question, tokens: tokens))
            let done = try await answer(model, question, tokens: tokens, isSpeculative: true)
            drafted += Self.rate(done)
            guessed += done.draftTokens
            right += done.draftTokensAccepted
        }
        return (
            Self.median(alone), Self.median(drafted), Double(right) / Double(max(1, guessed))
        )
    }

    private static let passage = """
        The harbour of the town lies behind a long wall of grey stone, and forty boats have their \
        places in it. In the morning the fishermen bring what they caught to the hall at the quay, \
        where it is weighed, sold and laid on ice before eight o'clock. The ferry to the island leaves \
        at nine and at four; in winter it stays when the wind comes from the north. Whoever misses it \
        finds a bed in the old customs house, which a widow keeps with her two sons.
        """

    /// No two questions begin alike, so that none is known already.
    private func question(_ number: Int) -> [ChatMessage] {
        [
            .init(
                .user,
                "\(number): write a long story, in many sentences, about a traveller who comes"
                    + " home after years at sea.")
        ]
    }

    private func longPrompt(_ model: LocalChatModel, tokens: Int, round: Int) throws -> [Int32] {
        let sentence =
            " The appliance keeps a ledger of every request and answers questions about documents."
        var repeats = tokens / 8 + 1
        while repeats <= tokens * 4 {
            let text = "\(round)" + String(repeating: sentence, count: repeats)
            let prompt = try model.prompt(for: [.init(.user, text)])
            if prompt.count >= tokens { return Array(prompt.prefix(tokens)) }
            repeats *= 2
        }
        throw Failure(.internalError, "A prompt of \(tokens) tokens could not be made.")
    }

    private func answer(
        _ model: LocalChatModel, _ messages: [ChatMessage], tokens: Int, isSpeculative: Bool = false
    ) async throws -> Generation {
        try await generate(
            model, model.prompt(for: messages), tokens: tokens, isSpeculative: isSpeculative)
    }

    private func generate(
        _ model: LocalChatModel, _ prompt: [Int32], tokens: Int, isSpeculative: Bool = false
    ) async throws -> Generation {
        var sampling = SamplingOptions(temperature: 0)
        sampling.outputTokensMax = tokens
        return try await model.generate(
            GenerationRequest(prompt: prompt, sampling: sampling, isSpeculative: isSpeculative)
        ) { _ in }
    }

    /// Tokens a second after the first; nothing of an answer that has no more.
    private static func rate(_ done: Generation) -> [Double] {
        guard done.outputTokens > 1 else { return [] }
        return [Double(done.outputTokens - 1) / max(decodeSeconds(done), 1e-9)]
    }

    private static func decodeSeconds(_ generation: Generation) -> Double {
        (generation.totalMilliseconds - generation.promptMilliseconds) / 1000
    }

    /// What one token reads: all weights, but of the embedding a single row. Where output and
    /// embedding are one tensor it is read as the output.
    private static func decodeBytes(_ summary: ModelSummary) -> Int {
        summary.types.reduce(0) { $0 + $1.bytes } - (summary.embeddingBytesUnread ?? 0)
    }

    // MARK: Embeddings

    private func measure(_ model: LocalEmbedder) async throws -> Embedding {
        func sentences(_ count: Int, _ round: Int) -> [String] {
            (0..<count).map {
                "Sentence \(round * Self.batch + $0) is about the lamps of the harbour at night."
            }
        }
        var tokens = 0.0
        var one: [Double] = []
        var many: [Double] = []
        report("sentences one by one")
        try await repeating(for: 0.4) { round in
            let began = clock.now
            for sentence in sentences(8, round) { _ = try await model.embed([sentence]) }
            one.append(8 / max(seconds(since: began), 1e-9))
        }
        report("sentences in batches of \(Self.batch)")
        try await repeating(for: 0.5) { round in
            let began = clock.now
            let made = try await model.embed(sentences(Self.batch, round))
            tokens = Double(made.tokens) / Double(Self.batch)
            many.append(Double(Self.batch) / max(seconds(since: began), 1e-9))
        }
        return Embedding(
            tokensPerSentence: tokens, oneByOneSentencesPerSecond: Self.median(one),
            batch: Self.batch, batchSentencesPerSecond: Self.median(many))
    }

    // MARK: Time

    /// Once at least, and again as long as its share of the time lasts.
    private func repeating(for share: Double, _ body: (Int) async throws -> Void) async throws {
        let end = clock.now + budget * share
        for round in 0..<Self.roundsMax {
            try Task.checkCancellation()
            try await body(round)
            if clock.now >= end { return }
        }
    }

    private func seconds(since start: ContinuousClock.Instant) -> Double {
        (clock.now - start) / .seconds(1)
    }

    /// Zero of nothing.
    static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return 0 }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1
            ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}

/// What Linux says of this process in `/proc/self/status`, in bytes.
struct ProcessMemory {
    var resident = 0
    var files = 0
    var peak = 0

    static var now: ProcessMemory {
        guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else {
            return ProcessMemory()
        }
        var memory = ProcessMemory()
        for line in text.split(separator: "\n") {
            let parts = line.split(whereSeparator: { $0 == ":" || $0 == " " || $0 == "\t" })
            guard parts.count >= 2, let kilobytes = Int(parts[1]), kilobytes < 1 << 40 else {
                continue
            }
            switch parts[0] {
            case "VmRSS": memory.resident = kilobytes * 1024
            case "RssFile": memory.files = kilobytes * 1024
            case "VmHWM": memory.peak = kilobytes * 1024
            default: break
            }
        }
        return memory
    }
}
