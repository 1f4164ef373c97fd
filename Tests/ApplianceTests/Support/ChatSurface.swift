import Core
import Foundation
import OrderedJSON

/// One of the surfaces that clients speak: how it is asked, and what its answers say.
enum ChatSurface: String, CaseIterable, Sendable {
    case chat, responses, messages

    var path: String {
        switch self {
        case .chat: "/v1/chat/completions"
        case .responses: "/v1/responses"
        case .messages: "/v1/messages"
        }
    }

    /// A request with a tool, as this surface has it.
    func body(model: String, isStreamed: Bool) -> String {
        let schema = #"{"type":"object","properties":{"city":{"type":"string"}}}"#
        let rest =
            switch self {
            case .chat:
                #"""
                "messages":[{"role":"user","content":"Hi"}],\#
                "stream_options":{"include_usage":true},"tools":[{"type":"function",\#
                "function":{"name":"weather","parameters":\#(schema)}}]
                """#
            case .responses:
                #""input":"Hi","tools":[{"type":"function","name":"weather","#
                    + #""parameters":\#(schema)}]"#
            case .messages:
                #"""
                "messages":[{"role":"user","content":"Hi"}],"max_tokens":2000,\#
                "thinking":{"type":"enabled","budget_tokens":1024},\#
                "tools":[{"name":"weather","input_schema":\#(schema)}]
                """#
            }
        return #"{"model":"\#(model)","stream":\#(isStreamed),\#(rest)}"#
    }

    /// What an answer says, however it came.
    struct Answer: Hashable {
        var text = ""
        var thought = ""
        var arguments = ""
        var ending: String?
        /// As the surface tells it.
        var usage = JSONValue.null
    }

    func whole(_ value: JSONValue) -> Answer {
        var answer = Answer()
        switch self {
        case .chat:
            let choice = value["choices"]?.array?.first
            let message = choice?["message"]
            answer.text = message?["content"]?.string ?? ""
            answer.thought = message?["reasoning_content"]?.string ?? ""
            let call = message?["tool_calls"]?.array?.first
            answer.arguments = call?["function"]?["arguments"]?.string ?? ""
            answer.ending = choice?["finish_reason"]?.string
        case .responses:
            for item in value["output"]?.array ?? [] {
                let text = item["content"]?.array?.first?["text"]?.string ?? ""
                if item["type"]?.string == "message" { answer.text += text }
                if item["type"]?.string == "reasoning" { answer.thought += text }
                answer.arguments += item["arguments"]?.string ?? ""
            }
            answer.ending = value["status"]?.string
        case .messages:
            for block in value["content"]?.array ?? [] {
                answer.text += block["text"]?.string ?? ""
                answer.thought += block["thinking"]?.string ?? ""
                answer.arguments += block["input"]?.text ?? ""
            }
            answer.ending = value["stop_reason"]?.string
        }
        answer.usage = value["usage"] ?? .null
        return answer
    }

    func streamed(_ events: [JSONValue]) -> Answer {
        var answer = Answer()
        for event in events {
            switch self {
            case .chat:
                let choice = event["choices"]?.array?.first
                let delta = choice?["delta"]
                answer.text += delta?["content"]?.string ?? ""
                answer.thought += delta?["reasoning_content"]?.string ?? ""
                let call = delta?["tool_calls"]?.array?.first
                answer.arguments += call?["function"]?["arguments"]?.string ?? ""
                answer.ending = choice?["finish_reason"]?.string ?? answer.ending
                if let usage = event["usage"], usage != .null { answer.usage = usage }
            case .responses:
                let piece = event["delta"]?.string ?? ""
                switch event["type"]?.string {
                case "response.output_text.delta": answer.text += piece
                case "response.reasoning_text.delta": answer.thought += piece
                case "response.function_call_arguments.delta": answer.arguments += piece
                case "response.completed":
                    answer.ending = event["response"]?["status"]?.string
                    answer.usage = event["response"]?["usage"] ?? .null
                default: break
                }
            case .messages:
                let delta = event["delta"]
                answer.text += delta?["text"]?.string ?? ""
                answer.thought += delta?["thinking"]?.string ?? ""
                answer.arguments += delta?["partial_json"]?.string ?? ""
                answer.ending = delta?["stop_reason"]?.string ?? answer.ending
                // What the end says goes before what the start said.
                if let usage = event["usage"] { answer.usage = usage }
            }
        }
        return answer
    }

    /// The data of each event that is JSON.
    static func events(_ text: String) -> [JSONValue] {
        text.split(separator: "\n").compactMap { line in
            guard line.hasPrefix("data: {") else { return nil }
            return try? JSONValue(parsing: line.dropFirst(6).utf8)
        }
    }

    /// The usage that this surface has to tell of these tokens.
    func usage(of tokens: HostedUpstream.Tokens) -> JSONValue {
        func number(_ count: Int) -> JSONValue { .number("\(count)") }
        func object(_ members: [(String, JSONValue)]) -> JSONValue {
            .object(members.map { .init($0, $1) })
        }
        let input = tokens.fresh + tokens.read + tokens.written
        let cached: [(String, JSONValue)] = [
            ("cached_tokens", number(tokens.read)), ("cache_write_tokens", number(tokens.written)),
        ]
        let reasoning = object([("reasoning_tokens", number(tokens.reasoning))])
        return switch self {
        case .chat:
            object([
                ("prompt_tokens", number(input)), ("completion_tokens", number(tokens.output)),
                ("total_tokens", number(input + tokens.output)),
                ("prompt_tokens_details", object(cached)),
                ("completion_tokens_details", reasoning),
            ])
        case .responses:
            object([
                ("input_tokens", number(input)), ("input_tokens_details", object(cached)),
                ("output_tokens", number(tokens.output)), ("output_tokens_details", reasoning),
                ("total_tokens", number(input + tokens.output)),
            ])
        case .messages:
            object([
                ("input_tokens", number(tokens.fresh)),
                ("cache_creation_input_tokens", number(tokens.written)),
                ("cache_read_input_tokens", number(tokens.read)),
                ("output_tokens", number(tokens.output)),
                (
                    "output_tokens_details",
                    object([("thinking_tokens", number(tokens.reasoning))])
                ),
            ])
        }
    }
}
