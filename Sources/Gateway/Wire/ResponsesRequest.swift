import Core
import OrderedJSON

/// `POST /v1/responses`, as far as it is spoken here. Answers are not kept: each request brings the
/// whole conversation. Fields that are not named are ignored; those that would change the answer and
/// cannot be honoured are refused.
struct ResponsesRequest {
    let model: String?
    let instructions: String?
    let stream: Bool?
    let outputTokensMax: Int?
    let temperature: Double?
    let topP: Double?
    /// The next four are not in OpenAI's API; they are what Chat Completions has.
    let topK: Int?
    let minP: Double?
    let seed: Int?
    let stop: [String]
    let topLogprobs: Int?
    let include: [String]
    let parallelToolCalls: Bool?
    let truncation: String?
    let store: Bool?
    let background: Bool?
    let previousResponseID: String?
    /// The request in the order of its keys, which schemas are answered in.
    private let body: JSONValue

    /// Throws a refusal that names the field.
    init(_ fields: JSONFields) throws {
        model = try fields.string("model")
        instructions = try fields.string("instructions")
        stream = try fields.bool("stream")
        outputTokensMax = try fields.int("max_output_tokens")
        temperature = try fields.number("temperature")
        topP = try fields.number("top_p")
        topK = try fields.int("top_k")
        minP = try fields.number("min_p")
        seed = try fields.int("seed")
        stop = try fields.oneOrMany("stop")
        topLogprobs = try fields.int("top_logprobs")
        include = try fields.strings("include") ?? []
        parallelToolCalls = try fields.bool("parallel_tool_calls")
        truncation = try fields.string("truncation")
        store = try fields.bool("store")
        background = try fields.bool("background")
        previousResponseID = try fields.string("previous_response_id")
        body = fields.value
    }

    private static let metadataMax = 16
    private static let metadataKeyMax = 64
    private static let metadataValueMax = 512

    /// The call that is asked for. Throws a refusal that names the parameter.
    func call(
        of principal: Principal, model: String, purpose: String
    ) throws -> ChatRequest {
        try refuseUnsupported()
        var messages = try ResponsesInput.messages(body["input"])
        if let instructions { messages.insert(ChatMessage(.system, instructions), at: 0) }
        var call = ChatRequest(
            principal: principal, model: model, messages: messages, sampling: try sampling(),
            purpose: purpose)
        call.tools = try OpenAITools.tools(body["tools"], .flat)
        call.toolChoice = try choice(
            FileSearchTool.functionChoice(body["tool_choice"], hasFunctions: !call.tools.isEmpty),
            &call.tools)
        call.allowsParallelToolCalls = parallelToolCalls ?? true
        call.responseFormat = try OpenAITools.format(
            body["text"]?["format"], .flat, field: "text.format")
        call.reasoning = try OpenAITools.reasoning(
            body["reasoning"]?["effort"], "reasoning.effort")
        call.truncates = truncation == "auto"
        call.streams = stream == true
        return call
    }

    /// The search that is asked for; nil where none is, or `tool_choice` rules it out.
    func fileSearch() throws -> FileSearchTool? {
        try FileSearchTool.tool(
            in: body, includesResults: include.contains("file_search_call.results"))
    }

    /// What the answer repeats. Throws `invalid` for anything but a few short texts.
    func metadata() throws -> JSONValue {
        guard let value = body["metadata"], value != .null else { return .object([]) }
        guard let members = value.members, members.count <= Self.metadataMax,
            members.allSatisfy({ member in
                member.key.utf8.count <= Self.metadataKeyMax
                    && member.value.string.map { $0.utf8.count <= Self.metadataValueMax } ?? false
            })
        else {
            throw OpenAIChatRequest.refusal(
                "metadata",
                "has to be an object of at most \(Self.metadataMax) texts, their keys of"
                    + " \(Self.metadataKeyMax) bytes and they of \(Self.metadataValueMax) at most.")
        }
        return value
    }

    private func sampling() throws -> SamplingOptions {
        var options = SamplingOptions(
            temperature: temperature, topK: topK, topP: topP, minP: minP,
            seed: seed.map { UInt64(bitPattern: Int64($0)) }, stop: stop,
            outputTokensMax: outputTokensMax)
        try options.validate(naming: .responses)
        guard (0...SamplingOptions.topLogprobsMax).contains(topLogprobs ?? 0) else {
            throw OpenAIChatRequest.refusal(
                "top_logprobs", "has to be 0 to \(SamplingOptions.topLogprobsMax).")
        }
        let wantsLogprobs = include.contains("message.output_text.logprobs")
        options.topLogprobs =
            wantsLogprobs ? topLogprobs ?? 0 : topLogprobs.flatMap { $0 > 0 ? $0 : nil }
        return options
    }

    /// `allowed_tools` narrows the tools down to those that may be called.
    private func choice(
        _ value: JSONValue?, _ tools: inout [ToolDefinition]
    ) throws -> ToolChoice {
        guard let value, value["type"]?.string == "allowed_tools" else {
            return try OpenAITools.choice(value, of: tools, .flat)
        }
        let names = (value["tools"]?.array ?? []).map { $0["name"]?.string ?? "" }
        guard !names.isEmpty, names.allSatisfy({ name in tools.contains { $0.name == name } })
        else {
            throw OpenAIChatRequest.refusal(
                "tool_choice.tools", "has to name functions that are among `tools`.")
        }
        guard let mode = value["mode"]?.string, mode == "auto" || mode == "required" else {
            throw OpenAIChatRequest.refusal("tool_choice.mode", "has to be auto or required.")
        }
        tools.removeAll { !names.contains($0.name) }
        return mode == "required" ? .required : .auto
    }

    private func refuseUnsupported() throws {
        guard previousResponseID == nil else {
            throw OpenAIChatRequest.unsupported(
                "previous_response_id",
                "Answers are not kept here, so there is none to go on from. Send the whole"
                    + " conversation as `input`, without `previous_response_id`.")
        }
        guard store != true else {
            throw OpenAIChatRequest.unsupported(
                "store", "Answers are not kept here: send `store` as false, or leave it out.")
        }
        guard background != true else {
            throw OpenAIChatRequest.unsupported(
                "background", "Answers are not kept here, so none can be fetched later.")
        }
        for name in ["conversation", "prompt"] {
            guard let value = body[name], value != .null else { continue }
            throw OpenAIChatRequest.unsupported(
                name, "Nothing is kept here that `\(name)` could name. Send it as `input`.")
        }
        guard ["auto", "disabled"].contains(truncation ?? "disabled") else {
            throw OpenAIChatRequest.refusal("truncation", "has to be auto or disabled.")
        }
    }
}

extension SamplingNames {
    static let responses = SamplingNames(
        temperature: "temperature", topK: "top_k", topP: "top_p", minP: "min_p", stop: "stop",
        outputTokensMax: "max_output_tokens")
}
