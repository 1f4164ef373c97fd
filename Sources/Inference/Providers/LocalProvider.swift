import Core
import LocalModels
import Synchronization

/// The models that run in this process.
struct LocalProvider: Provider {
    let telemetryName = "heptad.local"
    let isLocal = true
    private let shelf: ModelShelf
    private let line: WaitingLine
    private let environment: Environment

    // No token of any vocabulary we read has more bytes, so a prompt past this many bytes a token
    // does not fit, and need not be tokenized to know it.
    private static let bytesPerTokenMax = 128

    init(_ shelf: ModelShelf, waitingMax: Int, environment: Environment) {
        self.shelf = shelf
        line = WaitingLine(max: waitingMax)
        self.environment = environment
    }

    func open(_ request: ProviderRequest) async throws -> ProviderCall {
        guard let engine = shelf.chatModels[request.model] else {
            throw Failure(.unavailable, shelf.chatAdvice(request.model))
        }
        let context = request.contextTokens
        let bytes = request.messages.reduce(0) { $0 + $1.text.utf8.count }
        guard bytes / Self.bytesPerTokenMax < context else {
            throw tooLarge(bytes / Self.bytesPerTokenMax, context, atLeast: true)
        }
        let prompt = try engine.prompt(request.messages)
        guard prompt.count < context else { throw tooLarge(prompt.count, context, atLeast: false) }
        var sampling = request.sampling
        let room = context - prompt.count
        sampling.outputTokensMax = min(sampling.outputTokensMax ?? room, room)
        let place = try line.enter()
        let (now, options) = (environment.now, sampling)
        return ProviderCall(
            run: { emit in
                defer { place.leave() }
                var firstTextAt: Timestamp?
                let generation = try await engine.generate(prompt, options) { text in
                    if firstTextAt == nil { firstTextAt = now() }
                    try await emit(text)
                }
                return ProviderOutcome(
                    finishReason: generation.finishReason,
                    usage: TokenUsage(
                        freshInput: generation.promptTokens - generation.promptTokensReused,
                        cacheRead: generation.promptTokensReused, output: generation.outputTokens),
                    responseModel: engine.name, firstTextAt: firstTextAt)
            },
            abandon: { place.leave() })
    }

    func embed(_ texts: [String], model: String, headers: [String: String]) async throws
        -> ProviderEmbeddings
    {
        guard let embedder = shelf.embedders[model] else {
            throw Failure(.unavailable, shelf.embedderAdvice(model))
        }
        let (values, tokens) = try await embedder.embed(texts)
        return ProviderEmbeddings(
            values: values, dimensions: embedder.dimensions,
            usage: TokenUsage(freshInput: tokens), responseModel: embedder.name)
    }

    func countTokens(_ texts: [String], model: String) throws -> [Int] {
        guard let engine = shelf.chatModels[model] else {
            throw Failure(.unavailable, shelf.chatAdvice(model))
        }
        return texts.map(engine.countTokens)
    }

    private func tooLarge(_ tokens: Int, _ context: Int, atLeast: Bool) -> Failure {
        Failure(
            .tooLarge,
            "The prompt has \(atLeast ? "more than " : "")\(tokens) tokens; this model reads fewer"
                + " than \(context), its answer included. Shorten it, or pick a model with more"
                + " context.")
    }
}

/// Who waits for a local model, or runs on one. One call runs at a time, so a line without end
/// would be answers that nobody waits for any more.
final class WaitingLine: Sendable {
    private let max: Int
    private let count = Mutex(0)

    init(max: Int) { self.max = max }

    /// A place that is given back once left or let go of. Throws `unavailable` when the line is
    /// full.
    func enter() throws -> Place {
        let isFull = count.withLock { count in
            guard count < max else { return true }
            count += 1
            return false
        }
        guard !isFull else {
            throw Failure(
                .unavailable, "Too many calls wait for the local model; try again in a moment.",
                retryAfter: .seconds(5))
        }
        return Place(line: self)
    }

    final class Place: Sendable {
        private let line: WaitingLine
        private let isTaken = Mutex(true)

        init(line: WaitingLine) { self.line = line }

        deinit { leave() }

        func leave() {
            let wasTaken = isTaken.withLock { isTaken in
                defer { isTaken = false }
                return isTaken
            }
            if wasTaken { line.count.withLock { $0 -= 1 } }
        }
    }
}
