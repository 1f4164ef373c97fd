import Core
import OrderedJSON

/// How a server's way to speak OpenAI's chat completions differs from the rest: many refuse what they
/// do not know, and some know it under another name.
struct OpenAIDialect: Sendable {
    /// Ids of calls that are taken from other providers' conversations.
    enum CallIDRule: Sendable {
        /// OpenAI refuses more than 40 characters.
        case short
        /// Nine letters and digits, as Mistral makes them.
        case nine

        func allows(_ id: String) -> Bool {
            switch self {
            case .short: (1...40).contains(id.utf8.count)
            case .nine:
                id.utf8.count == 9 && id.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber) }
            }
        }

        func make(_ number: Int) -> String {
            let digits = String(number)
            switch self {
            case .short: return "call_\(digits)"
            case .nine:
                return "call" + String(repeating: "0", count: max(0, 5 - digits.count)) + digits
            }
        }
    }

    /// What traces call the provider; empty means by its own name.
    var telemetryName = ""
    /// Where it is when the configuration does not say.
    let address: String
    /// Fields of a request that are left out.
    var omissions: Set<String> = []
    /// Fields that have another name there.
    var names: [String: String] = [:]
    /// Fields that only this server has.
    var additions: [JSONValue.Member] = []
    var callIDs = CallIDRule.short
    /// It knows the form `json_schema`. To others the schema is told in words, and that it be JSON
    /// by `json_object`.
    var readsSchemas = true
    /// Messages may have the name of who speaks, and tools may be strict.
    var namesSpeakers = true
    var marksStrictTools = true
    /// It pads its events unless it is asked not to.
    var pads = false
    /// Its usage has what the call cost, in dollars.
    var statesCost = false

    func says(_ field: String) -> Bool { !omissions.contains(field) }

    /// A field in this dialect; nil for one that it does not have.
    func said(_ member: JSONValue.Member) -> JSONValue.Member? {
        guard says(member.key) else { return nil }
        return names[member.key].map { JSONValue.Member($0, member.value) } ?? member
    }

    // What OpenAI's own interface does not have, and most that are hosted do not.
    private static let openSampling: Set<String> = ["top_k", "min_p", "repetition_penalty"]

    /// OpenAI's own.
    static let openAI = OpenAIDialect(
        telemetryName: "openai", address: "https://api.openai.com/v1", omissions: openSampling,
        names: ["max_tokens": "max_completion_tokens"], pads: true)

    /// OpenAI's, as Microsoft serves it.
    static let azure = OpenAIDialect(
        telemetryName: "azure.ai.openai", address: "", omissions: openSampling,
        names: ["max_tokens": "max_completion_tokens"])

    /// Of a server that nobody described.
    static let common = OpenAIDialect(address: "")

    /// By what stands as `preset` in a provider's configuration.
    static let presets: [String: OpenAIDialect] = [
        "ollama": OpenAIDialect(
            telemetryName: "ollama", address: "http://127.0.0.1:11434/v1",
            omissions: openSampling.union([
                "tool_choice", "logit_bias", "logprobs", "top_logprobs", "parallel_tool_calls",
            ]), namesSpeakers: false, marksStrictTools: false),
        "vllm": OpenAIDialect(telemetryName: "vllm", address: "http://127.0.0.1:8000/v1"),
        "llama.cpp": OpenAIDialect(
            telemetryName: "llama.cpp", address: "http://127.0.0.1:8080/v1",
            names: ["repetition_penalty": "repeat_penalty"]),
        "mistral": OpenAIDialect(
            telemetryName: "mistral_ai", address: "https://api.mistral.ai/v1",
            // It tells the usage unasked, and refuses to be asked.
            omissions: openSampling.union([
                "logit_bias", "logprobs", "top_logprobs", "stream_options", "reasoning_effort",
            ]), names: ["seed": "random_seed"], callIDs: .nine, namesSpeakers: false),
        "deepseek": OpenAIDialect(
            telemetryName: "deepseek", address: "https://api.deepseek.com/v1",
            omissions: openSampling.union([
                "seed", "logit_bias", "parallel_tool_calls", "reasoning_effort",
            ]),
            readsSchemas: false, marksStrictTools: false),
        "groq": OpenAIDialect(
            telemetryName: "groq", address: "https://api.groq.com/openai/v1",
            omissions: openSampling.union(["logit_bias", "logprobs", "top_logprobs"]),
            names: ["max_tokens": "max_completion_tokens"], namesSpeakers: false),
        "openrouter": OpenAIDialect(
            telemetryName: "openrouter", address: "https://openrouter.ai/api/v1",
            additions: [.init("usage", .of("include", .bool(true)))], statesCost: true),
        "together": OpenAIDialect(
            telemetryName: "together", address: "https://api.together.xyz/v1",
            // Its log probabilities are in an older form.
            omissions: ["logprobs", "top_logprobs", "parallel_tool_calls"], namesSpeakers: false,
            marksStrictTools: false),
        "heptad": OpenAIDialect(telemetryName: "heptad", address: "http://127.0.0.1:8080/v1"),
    ]

    /// The one that is asked for, or else the one of the server at this address.
    static func of(preset: String, baseURL: String) -> OpenAIDialect {
        if let dialect = presets[preset] { return dialect }
        let host = host(of: baseURL)
        return ([openAI] + presets.values).first {
            $0.address.hasPrefix("https://") && Self.host(of: $0.address) == host
        } ?? common
    }

    private static func host(of address: String) -> String {
        address.split(separator: "/").dropFirst().first.map { $0.lowercased() } ?? ""
    }
}

extension ProviderRequest {
    /// The same request with its schema in words, for servers that know JSON but no schemas.
    func tellingItsSchema() -> ProviderRequest {
        guard case .jsonSchema(_, let schema, _) = responseFormat else { return self }
        var told = self
        told.responseFormat = .jsonObject
        let rule = "Answer with JSON that follows this JSON schema: \(schema.text)"
        told.messages.insert(
            ChatMessage(.system, rule), at: messages.prefix { $0.role == .system }.count)
        return told
    }
}
