import Core
package import LocalModels
import Storage

/// Which models there are, and who serves them. Empty, every .gguf file in the models folder is a
/// model, and the first folder in it with model.safetensors and vocab.txt makes the embeddings.
package struct InferenceConfiguration: Codable, Sendable, Equatable {
    /// Hosted and self-hosted endpoints, by a name of your choice. `local`, the models folder, is
    /// always there.
    package var providers: [String: ProviderConfiguration] = [:]
    /// What users pick, by its public name.
    package var models: [String: ModelConfiguration] = [:]
    /// The public name that is used where a request names none; empty means the first by alphabet.
    package var defaultModel = ""
    /// Who makes the embeddings, as `provider/model`; empty means the models folder. After a change
    /// all documents are embedded again in the background, and searched by the old vectors until then
    /// as long as their model is there.
    package var embeddingModel = ""
    /// Others that serve the very same model, each as `provider/model`, in the order they are asked
    /// when the first fails. The documents' vectors stay those of `embedding_model`.
    package var embeddingFallbacks: [String] = []
    /// The most that one call for embeddings may cost in dollars, all its texts and attempts together,
    /// such as `0.05`. Empty for no limit but the budget.
    package var embeddingCostMaxDollars = ""
    /// Seals the providers' keys that are set on the page: 64 hexadecimal digits. Write it as
    /// `${VARIABLE}` or `file:PATH`; empty keeps one in `master.key` of the data folder.
    package var masterKey = ""
    /// How often, and how long, one request is tried before it fails.
    package var retries = RetryConfiguration()
    /// When a candidate counts as ill and is left alone for a while.
    package var breaker = BreakerConfiguration()
    /// The models that run in this process.
    package var local = LocalConfiguration()
    /// Answers that are given again where the same user asks the same. Calls of tools are never
    /// kept, nor is anything over a restart.
    package var cache = CacheConfiguration()

    package init() {}

    /// Throws `invalid` where `candidate`, the value of a key elsewhere, names nobody who is here.
    package func check(_ candidate: String, key: String) throws {
        guard !candidate.isEmpty else { return }
        try CandidateName.check(candidate, key: key, providers: providers)
    }

    /// Throws `invalid` where a limit of costs is there and no amount.
    static func check(_ dollars: String, key: String) throws {
        guard !dollars.isEmpty else { return }
        guard let limit = Picodollars(dollars: dollars), limit > .zero else {
            throw Failure(.invalid, "\(key) must be an amount above 0, such as \"0.05\".")
        }
    }

    /// Throws `invalid` with the key that is wrong.
    package func validate() throws {
        for (name, provider) in providers { try provider.validate(name: name) }
        for (name, model) in models {
            try model.validate(name: name, providers: providers)
            try model.context.validate(
                "inference.models.\(name).context", model: name, models: models)
            try model.guards.validate("inference.models.\(name).guards")
        }
        if !defaultModel.isEmpty, !models.isEmpty, models[defaultModel] == nil {
            throw Failure(
                .invalid, "inference.default_model: there is no model \"\(defaultModel)\".")
        }
        if !embeddingModel.isEmpty {
            try CandidateName.check(
                embeddingModel, key: "inference.embedding_model", providers: providers)
        }
        guard embeddingFallbacks.isEmpty || !embeddingModel.isEmpty else {
            throw Failure(
                .invalid, "inference.embedding_fallbacks: name the embedding_model, too.")
        }
        for name in embeddingFallbacks {
            try CandidateName.check(
                name, key: "inference.embedding_fallbacks", providers: providers)
        }
        try Self.check(
            embeddingCostMaxDollars, key: "inference.embedding_cost_max_dollars")
        guard masterKey.isEmpty || SecretBox.isKey(masterKey) else {
            throw Failure(
                .invalid, "inference.master_key must be 64 hexadecimal digits (32 bytes).")
        }
        try retries.validate()
        try breaker.validate()
        try local.validate()
        try validateCache()
    }
}

/// An endpoint that answers for models.
package struct ProviderConfiguration: Codable, Sendable, Equatable {
    /// `openai`, or `openai-compatible`, for everything that speaks OpenAI's chat completions
    /// (OpenAI, OpenRouter, Groq, Mistral, vLLM, llama.cpp, Ollama, another Heptad); `azure-openai`,
    /// `anthropic`, `gemini` and `bedrock`; `local` only for the name `local`.
    package var kind = "openai"
    /// Whose server it is, of the kinds `openai` and `openai-compatible`: `ollama`, `vllm`,
    /// `llama.cpp`, `mistral`, `deepseek`, `groq`, `openrouter`, `together` or `heptad`. It says
    /// where the server is and what it understands; empty goes by `base_url`.
    package var preset = ""
    /// Up to and including the version, such as `https://api.openai.com/v1` or
    /// `http://127.0.0.1:11434/v1`; empty means the kind's own. What stands here may be reached even
    /// if it is private.
    package var baseUrl = ""
    /// Sent as the kind has it, such as a bearer token; empty sends none. Write it as `${VARIABLE}`
    /// or `file:PATH`.
    package var apiKey = ""
    /// More keys of the same account or of others. A key that is refused or throttled rests, and the
    /// next is used.
    package var apiKeys: [String] = []
    /// Of Azure's interface; not used where `base_url` ends in `/openai/v1`.
    package var apiVersion = "2024-10-21"
    /// Of AWS, such as `eu-central-1`.
    package var region = ""
    /// Of the AWS keys that sign calls of Bedrock where there is no `api_key`.
    package var accessKeyId = ""
    /// Belongs to `access_key_id`. Write it as `${VARIABLE}` or `file:PATH`.
    package var secretAccessKey = ""
    /// Only of temporary keys. Write it as `${VARIABLE}` or `file:PATH`.
    package var sessionToken = ""
    /// From the start of a call to a connection that is ready.
    package var connectTimeoutSeconds = 10.0
    /// From the start of a call to the first piece of an answer; a server that loads a model first
    /// needs long.
    package var firstTokenTimeoutSeconds = 120.0
    /// Between two pieces of an answer.
    package var idleTimeoutSeconds = 60.0
    /// A whole call.
    package var totalTimeoutSeconds = 600.0
    /// Calls that may run at this provider at once; the next wait.
    package var concurrencyMax = 128
    /// Calls that may wait for it; the next is refused, or goes to another candidate.
    package var waitingMax = 256
    /// The longest that a call waits for its place.
    package var waitingSecondsMax = 20.0

    package init() {}

    /// Where it is: empty when neither is set nor is the kind at one place.
    var address: String { baseUrl.isEmpty ? ProviderFactory.address(of: self) : baseUrl }
    /// All keys, `api_key` first.
    var keys: [String] { ([apiKey] + apiKeys).filter { !$0.isEmpty } }

    func validate(name: String) throws {
        let key = "inference.providers.\(name)"
        let isName =
            !name.isEmpty
            && name.unicodeScalars.allSatisfy {
                $0.isASCII && ($0.properties.isAlphabetic || $0 == "-" || $0 == "_" || $0 == ".")
                    || ("0"..."9").contains($0)
            }
        guard isName else {
            throw Failure(
                .invalid, "\(key): a provider's name has letters, digits, dots and dashes only.")
        }
        guard (kind == "local") == (name == CandidateName.local) else {
            throw Failure(
                .invalid, "\(key).kind: the provider `local`, and no other, is of the kind local.")
        }
        guard ProviderFactory.kinds.contains(kind) else {
            throw Failure(
                .invalid,
                "\(key).kind: \"\(kind)\" is none of"
                    + " \(ProviderFactory.kinds.joined(separator: ", ")).")
        }
        try validateKind(key)
        if kind != CandidateName.local, !address.hasPrefix("http://"),
            !address.hasPrefix("https://")
        {
            throw Failure(.invalid, "\(key).base_url must begin with https:// or http://.")
        }
        let words =
            keys.map { ("api_key", $0) } + [
                ("access_key_id", accessKeyId), ("secret_access_key", secretAccessKey),
                ("session_token", sessionToken), ("api_version", apiVersion),
            ]
        for (name, text) in words where text.contains(where: { $0.isNewline || $0.isWhitespace }) {
            throw Failure(.invalid, "\(key).\(name) must not have spaces or line ends.")
        }
        guard (1...100_000).contains(concurrencyMax), (0...100_000).contains(waitingMax) else {
            throw Failure(
                .invalid,
                "\(key).concurrency_max must be between 1 and 100000, and waiting_max at most that."
            )
        }
        let timeouts = [
            ("connect_timeout_seconds", connectTimeoutSeconds),
            ("first_token_timeout_seconds", firstTokenTimeoutSeconds),
            ("idle_timeout_seconds", idleTimeoutSeconds),
            ("total_timeout_seconds", totalTimeoutSeconds),
            ("waiting_seconds_max", waitingSecondsMax),
        ]
        for (name, seconds) in timeouts where !(0.001...86_400).contains(seconds) {
            throw Failure(.invalid, "\(key).\(name) must be between 0.001 and 86400 seconds.")
        }
    }
}

extension ProviderConfiguration {
    /// What one kind needs and others do not have.
    private func validateKind(_ key: String) throws {
        let speaksOpenAI = [ProviderFactory.openAI, ProviderFactory.compatible].contains(kind)
        let presets = OpenAIDialect.presets.keys.sorted()
        guard preset.isEmpty || speaksOpenAI && presets.contains(preset) else {
            throw Failure(
                .invalid,
                "\(key).preset: \"\(preset)\" is none of \(presets.joined(separator: ", ")), or the"
                    + " kind is not openai.")
        }
        guard region.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }) else {
            throw Failure(.invalid, "\(key).region has letters, digits and dashes only.")
        }
        guard kind == ProviderFactory.bedrock else {
            guard accessKeyId.isEmpty, secretAccessKey.isEmpty, sessionToken.isEmpty else {
                throw Failure(
                    .invalid, "\(key).access_key_id: only the kind bedrock signs its calls.")
            }
            return
        }
        guard !region.isEmpty || !apiKey.isEmpty && !baseUrl.isEmpty else {
            throw Failure(.invalid, "\(key).region: the kind bedrock needs one.")
        }
        guard apiKey.isEmpty != (accessKeyId.isEmpty && secretAccessKey.isEmpty),
            accessKeyId.isEmpty == secretAccessKey.isEmpty
        else {
            throw Failure(
                .invalid,
                "\(key): the kind bedrock needs either api_key, or access_key_id and"
                    + " secret_access_key.")
        }
    }
}

/// A model as users pick it: one or more candidates that can answer for it.
package struct ModelConfiguration: Codable, Sendable, Equatable {
    /// Each as `provider/model`, in the order they are tried.
    package var candidates: [String] = []
    /// Who of them is asked first: `fallback` takes them in their order; `weighted` splits
    /// conversations by `weights`, and each stays where it began; `tiered` asks the first, which is
    /// the cheapest, unless the question is difficult; `fastest` asks the one whose first word comes
    /// soonest; `least_busy` the one with the fewest calls. The others follow when it fails.
    package var policy = RoutePolicy.fallback
    /// With `weighted`: a number for each candidate, such as `[9, 1]`.
    package var weights: [String] = []
    /// With `tiered`: from which difficulty on, between 0 and 1, the next candidate is asked.
    package var difficultyThreshold = 0.35
    /// With `tiered`: whether the next candidate is asked when a cheaper one refuses, answers in the
    /// wrong form, or is unsure. Its answer is shown when it is complete, not as it is written.
    package var escalates = true
    /// With `tiered`: the mean probability of an answer's tokens below which it counts as unsure;
    /// 0 does not ask for them.
    package var confidenceMin = 0.0
    /// What happens to an answer whose candidate breaks off in the middle: `error` ends it with an
    /// error; `continue` has the next candidate write on from the text so far, and says so.
    package var afterFirstToken = AfterFirstToken.error
    /// A model of the models folder that answers when every candidate is down, and says so; empty
    /// for none.
    package var degradeTo = ""
    /// Whether, when nobody can answer, an answer is given again that was kept for the same request,
    /// though its time is over; it says so.
    package var degradeToCache = false
    /// `cache.semantic` of this model: `inherit`, `off`, `deterministic` or `always`.
    package var semanticCache = ModelCacheScope.inherit
    /// `cache.similarity_min` of this model; 0 means the same.
    package var similarityMin = 0.0
    /// Tokens that prompt and answer may have together; 0 means the file's own for local models, what
    /// the price book says for hosted ones, and 32768 where it does not.
    package var contextTokens = 0
    /// The most that one request may cost in dollars, all its attempts together, such as `0.05`: who
    /// could cost more than is left of it is not asked. Empty for no limit but the budget.
    package var costMaxDollars = ""
    /// The longest answer; 0 means `local.output_tokens_max` for local models and 4096 for hosted.
    package var outputTokensMax = 0
    /// What happens to a prompt that has no room.
    package var context = ContextConfiguration()
    /// What is refused, taken out or marked before a candidate sees a request.
    package var guards = GuardsConfiguration()

    package init() {}

    func validate(name: String, providers: [String: ProviderConfiguration]) throws {
        let key = "inference.models.\(name)"
        guard !candidates.isEmpty else {
            throw Failure(.invalid, "\(key).candidates needs at least one provider/model.")
        }
        for candidate in candidates {
            try CandidateName.check(candidate, key: "\(key).candidates", providers: providers)
        }
        guard contextTokens >= 0, outputTokensMax >= 0 else {
            throw Failure(.invalid, "\(key): counts of tokens cannot be negative.")
        }
        try InferenceConfiguration.check(costMaxDollars, key: "\(key).cost_max_dollars")
        try validatePolicy(key)
    }

    var costMax: Picodollars? { Picodollars(dollars: costMaxDollars) }
}

/// How models run in this process.
package struct LocalConfiguration: Codable, Sendable, Equatable {
    /// Threads of one model; 0 means one for each core.
    package var threads = 0
    /// The most tokens that a conversation with a local model may have, its answer included. A model
    /// whose file says less reads less.
    package var contextTokensMax = 8192
    /// The longest answer of a local model, where the model's own entry does not say.
    package var outputTokensMax = 1024
    /// Calls that one model answers together; the next wait.
    package var sequencesMax = 8
    /// Calls that may wait for one model; the next is refused. One user may have half of them.
    package var waitingMax = 32
    /// The memory that chat models may take together, beside their mapped files: `2GiB`, `800MiB`
    /// or a number of bytes. Empty means three quarters of the machine's, or of its container's. A
    /// model that needs more for one conversation is refused when it is loaded.
    package var memory = ""
    /// How long what was read of conversations is kept in memory after the last call, so that the
    /// next turn need not read it again.
    package var cacheSeconds = 600.0
    /// The arithmetic of the chat models: `auto` is the fastest that gives the answers llama.cpp would,
    /// `precise` is nearly as exact as single precision, in about twice the time.
    package var chatPrecision = ChatPrecision.auto
    /// Whether the next tokens of an answer are guessed from where its last ones stood before, in the
    /// prompt or the answer, and verified several at a time: `auto` where that is faster, or `off`.
    /// The answer is the same.
    package var speculation = Speculation.auto
    /// The arithmetic of the embedding model: `auto` is the fastest that keeps vectors nearly as they
    /// are, `float32` computes them as the model was trained, in about twice the time.
    package var embeddingPrecision = EmbeddingPrecision.auto

    package init() {}

    func validate() throws {
        guard (0...1024).contains(threads) else {
            throw Failure(.invalid, "inference.local.threads must be between 0 and 1024.")
        }
        guard (1...EngineLimits.sequencesLimit).contains(sequencesMax) else {
            throw Failure(
                .invalid,
                "inference.local.sequences_max must be between 1 and"
                    + " \(EngineLimits.sequencesLimit).")
        }
        guard (1...EngineLimits.waitingLimit).contains(waitingMax) else {
            throw Failure(
                .invalid,
                "inference.local.waiting_max must be between 1 and \(EngineLimits.waitingLimit).")
        }
        guard outputTokensMax > 0, contextTokensMax > 0 else {
            throw Failure(
                .invalid,
                "inference.local: output_tokens_max and context_tokens_max must be at least 1.")
        }
        guard (0...604_800).contains(cacheSeconds) else {
            throw Failure(
                .invalid, "inference.local.cache_seconds must be between 0 and 604800.")
        }
        _ = try memoryBudget()
    }

    /// What all models of the folder share.
    func modelOptions() throws -> LocalModelOptions {
        var options = LocalModelOptions(threads: threads, memory: try memoryBudget())
        options.contextTokensMax = contextTokensMax
        options.limits = EngineLimits(sequencesMax: sequencesMax, waitingMax: waitingMax)
        options.cacheKept = .seconds(cacheSeconds)
        options.precision = chatPrecision
        options.speculation = speculation
        options.embeddingPrecision = embeddingPrecision
        return options
    }

    private func memoryBudget() throws -> MemoryBudget {
        do {
            return try MemoryBudget.bytes(of: memory).map { MemoryBudget(bytes: $0) }
                ?? .ofMachine()
        } catch {
            throw Failure(.invalid, "inference.local.memory: \(Failure(error).message)")
        }
    }
}
