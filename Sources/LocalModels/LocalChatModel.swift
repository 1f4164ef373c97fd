package import Core
import Synchronization

/// A language model of this machine: a GGUF file, mapped and not copied. One call runs at a time;
/// others wait in line. Thread-safe.
package final class LocalChatModel: Sendable {
    /// How many calls may wait while one runs. The last of them waits for seconds, not minutes.
    package static let waitingMax = 16
    /// How long an answer may get where the caller did not say: small models can go on for ever.
    package static let outputTokensDefault = 1024

    /// What the file's name says without `.gguf`, such as `SmolLM2-135M-Instruct.Q4_1`.
    package let name: String
    /// Tokens that prompt and answer may have together.
    package let contextTokens: Int

    private let tokenizer: BytePairTokenizer
    private let template: ChatTemplate
    private let endTokens: Set<Int32>
    private let environment: Environment
    private let pool: WorkerPool
    private let line = WaitingLine(limit: waitingMax)
    // Only jobs of the pool's lead thread take the lock, one after the other, so nobody ever waits
    // for it; it is how the compiler knows that nobody else touches the session.
    private let session: Mutex<Session>

    /// Maps the file and reads its tables; the weights are not touched yet. Throws `notFound` when
    /// there is no file, `invalid` with what is wrong when it is truncated or corrupt, and
    /// `unsupported` with what is missing when this engine cannot run it.
    ///
    /// `threads` of 0 means one for every core. A model that could read more than
    /// `contextTokensMax` reads no more than that.
    package convenience init(
        path: String, threads: Int, contextTokensMax: Int = 8192,
        environment: Environment = .system
    ) throws {
        try self.init(
            MappedModel(path: path), threads: threads, contextTokensMax: contextTokensMax,
            environment: environment)
    }

    init(
        _ file: MappedModel, threads: Int, contextTokensMax: Int = 8192,
        environment: Environment = .system
    ) throws {
        let gguf = try GGUF(file)
        let shape = try ModelShape(gguf)
        let tokenizer = try BytePairTokenizer(gguf)
        let weights = try ModelWeights(gguf, shape, vocabulary: tokenizer.vocabulary.count)
        let contextTokens = max(1, min(shape.contextTokens, contextTokensMax))
        let pool = try WorkerPool(threads: threads)
        name = file.name.hasSuffix(".gguf") ? String(file.name.dropLast(5)) : file.name
        self.contextTokens = contextTokens
        self.tokenizer = tokenizer
        self.environment = environment
        self.pool = pool
        template = try ChatTemplate(gguf, tokenizer.vocabulary)
        endTokens = try Self.endTokens(gguf, tokenizer.vocabulary)
        let pageCount = (contextTokens + KeyValuePages.positions - 1) / KeyValuePages.positions
        let pages = try KeyValuePages(shape, count: pageCount)
        session = Mutex(
            Session(
                Transformer(shape, weights, pages: pages, pool: pool),
                pages: pageCount, vocabulary: tokenizer.vocabulary.count))
    }

    /// How many tokens the text has, control tokens in it read as plain text.
    package func countTokens(_ text: String) -> Int { tokenizer.tokens(of: text).count }

    /// The prompt that the file's own chat template makes of the messages, in tokens. Throws
    /// `invalid` for a conversation the template does not allow.
    package func prompt(for messages: [ChatMessage]) throws -> [Int32] {
        try template.tokens(of: messages, tokenizer)
    }

    /// Generates from `prompt` and hands every piece of text to `emit` (whole UTF-8 characters,
    /// stop strings held back). Throws `tooLarge` when the prompt leaves no room, `invalid` for
    /// options that mean nothing, and `unavailable` when too many calls wait already. Cancelling
    /// the task, or throwing from `emit`, ends the generation within one token.
    package func generate(
        from prompt: [Int32], sampling: SamplingOptions,
        _ emit: (String) async throws -> Void
    ) async throws -> Generation {
        let task = try generationTask(prompt, sampling)
        let handover = Handover()
        try await onEngine { session in
            handover.end(Result { try task.run(session, handover) })
        }
        return try await withTaskCancellationHandler {
            var refusal: (any Error)?
            while true {
                switch await handover.next() {
                case .text(let piece):
                    guard refusal == nil else { continue }
                    do {
                        try Task.checkCancellation()
                        try await emit(piece)
                    } catch {
                        refusal = error
                        handover.cancel()
                    }
                case .ended(let outcome):
                    // Also when it had ended by itself: the caller did not get all of it.
                    if let refusal { throw refusal }
                    return try outcome.get()
                }
            }
        } onCancel: {
            handover.cancel()
        }
    }

    /// What a text is in tokens, control tokens in it read as plain text.
    func tokens(of text: String) -> [Int32] { tokenizer.tokens(of: text) }

    /// The bytes that tokens add to a text.
    func bytes(of tokens: [Int32]) -> [UInt8] { tokens.flatMap { tokenizer.bytes(of: $0) } }

    /// How many calls wait for the one that runs.
    var waitingCount: Int { line.count }

    /// Runs `body` on the engine's thread. For tests that look at logits.
    func inspect<T: Sendable>(_ body: @escaping @Sendable (Session) -> T) async throws -> T {
        let (results, result) = AsyncStream.makeStream(of: T.self)
        try await onEngine { session in
            result.yield(body(session))
            result.finish()
        }
        for await result in results { return result }
        throw CancellationError()
    }

    /// Waits for the caller's turn and starts `job`. The next one in line follows when the job is
    /// done, not when a slow reader has taken all of its text.
    private func onEngine(_ job: @escaping @Sendable (Session) -> Void) async throws {
        try await line.enter()
        do {
            try pool.submit { [self] in
                session.withLock { job($0) }
                line.leave()
            }
        } catch {
            line.leave()
            throw error
        }
    }

    private func generationTask(_ prompt: [Int32], _ sampling: SamplingOptions) throws
        -> GenerationTask
    {
        let vocabulary = Int32(tokenizer.vocabulary.count)
        guard !prompt.isEmpty, prompt.allSatisfy({ (0..<vocabulary).contains($0) }) else {
            throw Failure(.invalid, "A prompt needs tokens of the model that reads it.")
        }
        guard prompt.count < contextTokens else {
            throw Failure(
                .tooLarge,
                "The conversation has \(prompt.count) tokens; \(name) can read \(contextTokens), "
                    + "its answer included. Shorten it.")
        }
        return GenerationTask(
            prompt: prompt,
            outputTokensMax: min(
                sampling.outputTokensMax ?? Self.outputTokensDefault, contextTokens - prompt.count),
            sampler: try Sampler(sampling, random: environment.random),
            stops: sampling.stop, endTokens: endTokens, tokenizer: tokenizer,
            environment: environment, askedAt: environment.now())
    }

    /// The tokens that end an answer: what the file names, and what models are trained to end with.
    private static func endTokens(_ gguf: GGUF, _ vocabulary: Vocabulary) throws -> Set<Int32> {
        var tokens: Set<Int32> = []
        for key in ["eos_token_id", "eot_token_id", "eom_token_id"] {
            guard let token = try gguf.integerIfPresent("tokenizer.ggml.\(key)") else { continue }
            guard (0..<vocabulary.count).contains(token) else {
                throw GGUF.damaged(gguf.file.name, "\(key) is not a token")
            }
            tokens.insert(Int32(token))
        }
        for text in ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end|>"] {
            if let token = vocabulary.controls[text] { tokens.insert(token) }
        }
        return tokens
    }
}

/// What a generation took, and why it ended.
package struct Generation: Hashable, Sendable {
    package let promptTokens: Int
    /// How many of them the engine had read for the call before, and did not read again.
    package let promptTokensReused: Int
    package let outputTokens: Int
    package let finishReason: Completion.FinishReason
    package let promptMilliseconds: Double
    package let firstTokenMilliseconds: Double?
    package let totalMilliseconds: Double

    package init(
        promptTokens: Int, promptTokensReused: Int = 0, outputTokens: Int,
        finishReason: Completion.FinishReason, promptMilliseconds: Double,
        firstTokenMilliseconds: Double?, totalMilliseconds: Double
    ) {
        self.promptTokens = promptTokens
        self.promptTokensReused = promptTokensReused
        self.outputTokens = outputTokens
        self.finishReason = finishReason
        self.promptMilliseconds = promptMilliseconds
        self.firstTokenMilliseconds = firstTokenMilliseconds
        self.totalMilliseconds = totalMilliseconds
    }
}
