package import Core
import Synchronization

/// A language model of this machine: a GGUF file, mapped and not copied. Calls run together, up to
/// a limit, and others wait in line. Thread-safe.
package final class LocalChatModel: Sendable {
    /// How long an answer may get where the caller did not say: small models can go on for ever.
    package static let outputTokensDefault = 1024

    /// What the file's name says without `.gguf`, such as `SmolLM2-135M-Instruct.Q4_1`.
    package let name: String
    /// Tokens that prompt and answer may have together.
    package let contextTokens: Int

    private let tokenizer: Tokenizer
    private let template: ChatTemplate
    private let environment: Environment
    private let engine: Engine
    private let speculation: Speculation
    private let tokenTrie = Mutex<TokenTrie?>(nil)

    /// Maps the file and reads its tables; the weights are not touched yet. Throws `notFound` when
    /// there is no file, `invalid` with what is wrong when it is truncated or corrupt,
    /// `unsupported` with what is missing when this engine cannot run it, and `unavailable` with
    /// the numbers when one conversation would not fit into the memory that is allowed.
    package convenience init(
        path: String, options: LocalModelOptions, environment: Environment = .system
    ) throws {
        try self.init(MappedModel(path: path), options: options, environment: environment)
    }

    package convenience init(path: String, threads: Int) throws {
        try self.init(path: path, options: LocalModelOptions(threads: threads))
    }

    convenience init(
        _ file: MappedModel, threads: Int, contextTokensMax: Int? = nil,
        environment: Environment = .system
    ) throws {
        var options = LocalModelOptions(threads: threads)
        if let contextTokensMax { options.contextTokensMax = contextTokensMax }
        try self.init(file, options: options, environment: environment)
    }

    init(_ file: MappedModel, options: LocalModelOptions, environment: Environment = .system) throws
    {
        let gguf = try GGUF(file)
        let shape = try ModelShape(gguf, contextTokensMax: options.contextTokensMax)
        let tokenizer = try Tokenizer(gguf)
        let vocabulary = tokenizer.vocabulary.count
        let weights = try ModelWeights(gguf, shape, vocabulary: vocabulary)
        let contextTokens = max(1, min(shape.contextTokens, options.contextTokensMax))
        let pool = try WorkerPool(threads: options.threads)
        name = file.name.hasSuffix(".gguf") ? String(file.name.dropLast(5)) : file.name
        self.contextTokens = contextTokens
        self.tokenizer = tokenizer
        speculation = options.speculation
        self.environment = environment
        template = try ChatTemplate(gguf, tokenizer.vocabulary)
        engine = try Engine(
            shape, weights, name: name, vocabulary: vocabulary, contextTokens: contextTokens,
            pool: pool, options: options, environment: environment)
        // All of it was read; of the texts of tokens, few are needed again.
        if let start = file.bytes.baseAddress,
            let end = gguf.tensors.values.map(\.bytes.lowerBound).min()
        {
            file.forget(start, count: end)
        }
    }

    /// How many tokens the text has, control tokens in it read as plain text.
    package func countTokens(_ text: String) -> Int { tokenizer.tokens(of: text).count }

    /// The prompt that the file's own chat template makes of the messages, in tokens. Throws
    /// `invalid` for a conversation the template does not allow.
    package func prompt(
        for messages: [ChatMessage], tools: [ToolDefinition] = [], thinking: Bool? = nil
    ) throws -> [Int32] {
        try template.tokens(of: messages, tools: tools, thinking: thinking, tokenizer)
    }

    /// Puts a call in line, or starts it. Throws `tooLarge` with both lengths when the prompt leaves
    /// no room for an answer, `invalid` for options that mean nothing, and `unavailable`, with the
    /// time after which to try again, when too many calls wait already.
    package func open(_ request: GenerationRequest) throws -> LocalCall {
        let vocabulary = Int32(tokenizer.vocabulary.count)
        guard !request.prompt.isEmpty,
            request.prompt.allSatisfy({ (0..<vocabulary).contains($0) })
        else { throw Failure(.invalid, "A prompt needs tokens of the model that reads it.") }
        try Sampler.validate(request.sampling, vocabulary: Int(vocabulary))
        let wanted = request.sampling.outputTokensMax ?? Self.outputTokensDefault
        let prompt = try prompt(of: request, outputTokens: wanted)
        let outputTokensMax = min(wanted, contextTokens - prompt.count)
        let constraint = request.output.map {
            OutputConstraint($0.grammar, trie: trie(), endTokens: tokenizer.endTokens)
        }
        let sampler = try Sampler(
            request.sampling, prompt: prompt, outputTokensMax: outputTokensMax,
            constraint: constraint, random: environment.random)
        let answer = Answer(
            promptTokens: prompt.count, promptTokensDropped: request.prompt.count - prompt.count,
            outputTokensMax: outputTokensMax, sampler: sampler, stops: request.sampling.stop,
            endTokens: tokenizer.endTokens, tokenizer: tokenizer,
            speculator: speculation == .auto && request.isSpeculative
                ? Speculator(
                    prompt, tokensMax: prompt.count + outputTokensMax,
                    endTokens: tokenizer.endTokens) : nil,
            environment: environment)
        return try engine.submit(
            answer, prompt: prompt, outputTokensMax: outputTokensMax, principal: request.principal)
    }

    /// Opens a call and runs it.
    package func generate(
        _ request: GenerationRequest, _ emit: (GenerationPiece) async throws -> Void
    ) async throws -> Generation {
        try Task.checkCancellation()
        return try await open(request).run(emit)
    }

    package func generate(
        from prompt: [Int32], sampling: SamplingOptions,
        _ emit: (String) async throws -> Void
    ) async throws -> Generation {
        try await generate(GenerationRequest(prompt: prompt, sampling: sampling)) { piece in
            if !piece.text.isEmpty { try await emit(piece.text) }
        }
    }

    /// The vocabulary by its bytes. Made by the first who asks.
    private func trie() -> TokenTrie {
        tokenTrie.withLock { held in
            if let held { return held }
            let made = TokenTrie(count: tokenizer.vocabulary.count) { answerBytes(of: $0) }
            held = made
            return made
        }
    }

    /// How many calls run and wait now.
    package var load: EngineLoad { engine.load }

    /// Gives up what is kept of calls that have ended, and its memory, unless calls run.
    package func clearCache() throws { try engine.clearCache() }

    /// How this family of models writes calls of tools.
    package var toolSyntax: ToolSyntax { ToolSyntax(template.capabilities.callShape) }

    /// The bytes that a token adds to a text: none for one that only marks something up.
    package func bytes(of token: Int32) -> [UInt8] { tokenizer.bytes(of: token) }

    /// The bytes of a token in an answer that may call tools: what announces a call is one of its
    /// texts there, though it is a control token in some vocabularies.
    private func answerBytes(of token: Int32) -> [UInt8] {
        let bytes = tokenizer.bytes(of: token)
        guard bytes.isEmpty else { return bytes }
        return ToolSyntax.markup.first { tokenizer.vocabulary.controls[$0] == token }
            .map { Array($0.utf8) } ?? []
    }

    /// What a text is in tokens, control tokens in it read as plain text.
    func tokens(of text: String) -> [Int32] { tokenizer.tokens(of: text) }

    /// The bytes that tokens add to a text.
    func bytes(of tokens: [Int32]) -> [UInt8] { tokens.flatMap { tokenizer.bytes(of: $0) } }

    /// Runs `body` on the engine's thread, with a reader of its own. For tests that look at logits.
    func inspect<T: Sendable>(_ body: @escaping @Sendable (SequenceReader) -> T) async throws -> T {
        try await engine.inspect(body)
    }

    /// The prompt as it is read: all of it, or what is left where the caller allows that.
    private func prompt(of request: GenerationRequest, outputTokens: Int) throws -> [Int32] {
        let prompt = request.prompt
        guard prompt.count >= contextTokens else { return prompt }
        guard case .oldestDropped(let first) = request.truncation else {
            throw Failure(
                .tooLarge,
                "The conversation has \(prompt.count) tokens; \(name) can read \(contextTokens), "
                    + "its answer included. Shorten it.")
        }
        // Half of the context is for reading, however long the answer may get.
        let length = max(1, contextTokens - min(outputTokens, contextTokens / 2))
        let kept = max(0, min(first, length / 2))
        return prompt.prefix(kept) + prompt.suffix(length - kept)
    }
}
