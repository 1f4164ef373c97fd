import Foundation
import TestSupport
import Testing

/// A hosted provider's protocol as its server speaks it: a thought, a text in two pieces and a call
/// of a tool, with tokens of every kind that it knows. A stream is a stream, and what is asked for in
/// one piece comes in one.
struct HostedUpstream: Sendable, CustomTestStringConvertible {
    /// As the ledger has them.
    struct Tokens: Hashable, Sendable {
        var fresh = 1000
        var read = 3000
        var written = 200
        var output = 77
        var reasoning = 40
    }

    let testDescription: String
    /// Of its configuration, without its address.
    let settings: String
    var tokens = Tokens()
    let mediaType: String
    let events: [[UInt8]]
    let whole: String
    /// What marks a request for a stream: in the path, or in the body.
    let streamMark: String

    static let all = [openAI, compatible, groq, deepSeek, azure, anthropic, gemini, bedrock]

    func server() throws -> ScriptedServer {
        try ScriptedServer { request in
            let body = request.text.filter { !$0.isWhitespace }
            guard (request.path + body).contains(streamMark) else {
                return ScriptedServer.answer(whole)
            }
            return [ScriptedServer.head(type: mediaType)] + events.map { .send($0) }
        }
    }

    /// Falls silent after the first piece of text.
    func stallingServer() throws -> ScriptedServer {
        try ScriptedServer { _ in
            let text = events.firstIndex { String(decoding: $0, as: UTF8.self).contains("Hel") }
            let begun = events.prefix((text ?? 0) + 1)
            return [ScriptedServer.head(type: mediaType)] + begun.map { .send($0) }
                + [.untilClosed]
        }
    }

    // MARK: Protocols

    private static let chatUsage =
        #"""
        {"prompt_tokens":4200,"completion_tokens":77,"total_tokens":4277,\#
        "prompt_tokens_details":{"cached_tokens":3000,"cache_write_tokens":200},\#
        "completion_tokens_details":{"reasoning_tokens":40}}
        """#
    private static let chatFunction =
        #""type":"function","function":{"name":"weather","arguments":"#

    /// - Parameters:
    ///   - usage: what a whole answer has at its end.
    ///   - streamed: the chunk that has it in a stream, where it is another.
    private static func chat(
        _ name: String, _ settings: String, tokens: Tokens = Tokens(), usage: String = chatUsage,
        streamed: String? = nil, thought: String = "reasoning_content"
    ) -> HostedUpstream {
        func chunk(_ delta: String, reason: String = "null") -> String {
            #"{"id":"c","object":"chat.completion.chunk","created":1,"model":"served","choices":"#
                + #"[{"index":0,"delta":\#(delta),"finish_reason":\#(reason)}]}"#
        }
        let events = [
            chunk(#"{"role":"assistant","content":""}"#), chunk(#"{"\#(thought)":"Hm."}"#),
            chunk(#"{"content":"Hel"}"#), chunk(#"{"content":"lo"}"#),
            chunk(#"{"tool_calls":[{"index":0,"id":"call_1",\#(chatFunction)"{\"ci"}}]}"#),
            chunk(#"{"tool_calls":[{"index":0,"function":{"arguments":"ty\":\"Oslo\"}"}}]}"#),
            chunk("{}", reason: #""tool_calls""#),
            streamed
                ?? #"{"id":"c","object":"chat.completion.chunk","choices":[],"usage":\#(usage)}"#,
            "[DONE]",
        ]
        return HostedUpstream(
            testDescription: name, settings: settings, tokens: tokens,
            mediaType: "text/event-stream", events: events.map { Array("data: \($0)\n\n".utf8) },
            whole: #"""
                {"id":"c","object":"chat.completion","created":1,"model":"served","choices":\#
                [{"index":0,"message":{"role":"assistant","content":"Hello",\#
                "\#(thought)":"Hm.","tool_calls":[{"id":"call_1",\#
                \#(chatFunction)"{\"city\":\"Oslo\"}"}}]},\#
                "finish_reason":"tool_calls"}],"usage":\#(usage)}
                """#,
            streamMark: #""stream":true"#)
    }

    static let openAI = chat("openai", "kind: openai")
    static let compatible = chat("openai-compatible", "kind: openai-compatible")
    static let azure = chat("azure-openai", "kind: azure-openai")
    static let groq = chat(
        "groq", "{kind: openai, preset: groq}",
        streamed: #"{"choices":[],"x_groq":{"id":"r","usage":\#(chatUsage)}}"#,
        thought: "reasoning")
    static let deepSeek = chat(
        "deepseek", "{kind: openai, preset: deepseek}",
        tokens: Tokens(fresh: 1200, written: 0),
        usage: #"""
            {"prompt_tokens":4200,"completion_tokens":77,"total_tokens":4277,\#
            "prompt_cache_hit_tokens":3000,"prompt_cache_miss_tokens":1200,\#
            "completion_tokens_details":{"reasoning_tokens":40}}
            """#)

    static let anthropic: HostedUpstream = {
        let input =
            #""input_tokens":1000,"cache_creation_input_tokens":200,"#
            + #""cache_read_input_tokens":3000"#
        let output = #""output_tokens":77,"output_tokens_details":{"thinking_tokens":40}"#
        let message = #""id":"m","type":"message","role":"assistant","model":"served""#
        func block(_ index: Int, _ start: String, _ deltas: String...) -> [String] {
            [#"{"type":"content_block_start","index":\#(index),"content_block":\#(start)}"#]
                + deltas.map {
                    #"{"type":"content_block_delta","index":\#(index),"delta":\#($0)}"#
                } + [#"{"type":"content_block_stop","index":\#(index)}"#]
        }
        let events =
            [
                #"{"type":"message_start","message":{\#(message),"content":[],"stop_reason":null,"#
                    + #""usage":{\#(input),"output_tokens":1}}}"#, #"{"type":"ping"}"#,
            ]
            + block(
                0, #"{"type":"thinking","thinking":"","signature":""}"#,
                #"{"type":"thinking_delta","thinking":"Hm."}"#,
                #"{"type":"signature_delta","signature":"EqQB"}"#)
            + block(
                1, #"{"type":"text","text":""}"#, #"{"type":"text_delta","text":"Hel"}"#,
                #"{"type":"text_delta","text":"lo"}"#)
            + block(
                2, #"{"type":"tool_use","id":"toolu_1","name":"weather","input":{}}"#,
                #"{"type":"input_json_delta","partial_json":"{\"ci"}"#,
                #"{"type":"input_json_delta","partial_json":"ty\":\"Oslo\"}"}"#)
            + [
                #"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"#
                    + #""usage":{\#(output)}}"#, #"{"type":"message_stop"}"#,
            ]
        return HostedUpstream(
            testDescription: "anthropic", settings: "kind: anthropic",
            mediaType: "text/event-stream",
            events: events.map { event in
                let name = event.split(separator: "\"").dropFirst(3).first ?? ""
                return Array("event: \(name)\ndata: \(event)\n\n".utf8)
            },
            whole: #"""
                {\#(message),"content":[{"type":"thinking","thinking":"Hm.",\#
                "signature":"EqQB"},{"type":"text","text":"Hello"},{"type":"tool_use",\#
                "id":"toolu_1","name":"weather","input":{"city":"Oslo"}}],\#
                "stop_reason":"tool_use","stop_sequence":null,"usage":{\#(input),\#(output)}}
                """#,
            streamMark: #""stream":true"#)
    }()

    static let gemini: HostedUpstream = {
        func answer(_ parts: String, end: Bool = false) -> String {
            let reason = end ? #","finishReason":"STOP""# : ""
            let counts =
                end
                ? #"{"promptTokenCount":4000,"cachedContentTokenCount":3000,"#
                    + #""candidatesTokenCount":37,"thoughtsTokenCount":40,"totalTokenCount":4077}"#
                : #"{"promptTokenCount":4000,"cachedContentTokenCount":3000}"#
            return #"{"candidates":[{"content":{"role":"model","parts":[\#(parts)]}\#(reason)}],"#
                + #""usageMetadata":\#(counts),"modelVersion":"served"}"#
        }
        let thought = #"{"text":"Hm.","thought":true}"#
        let call = #"{"functionCall":{"id":"f1","name":"weather","args":{"city":"Oslo"}}}"#
        let events = [
            answer(thought), answer(#"{"text":"Hel"}"#), answer(#"{"text":"lo"}"#),
            answer(call, end: true),
        ]
        return HostedUpstream(
            testDescription: "gemini", settings: "kind: gemini", tokens: Tokens(written: 0),
            mediaType: "text/event-stream",
            events: events.map { Array("data: \($0)\r\n\r\n".utf8) },
            whole: answer(#"\#(thought),{"text":"Hello"},\#(call)"#, end: true),
            streamMark: ":streamGenerateContent")
    }()

    static let bedrock: HostedUpstream = {
        let usage =
            #""usage":{"inputTokens":1000,"outputTokens":77,"totalTokens":4277,"#
            + #""cacheReadInputTokens":3000,"cacheWriteInputTokens":200}"#
        func delta(_ index: Int, _ delta: String) -> (String, String) {
            ("contentBlockDelta", #"{"contentBlockIndex":\#(index),"delta":\#(delta)}"#)
        }
        func stop(_ index: Int) -> (String, String) {
            ("contentBlockStop", #"{"contentBlockIndex":\#(index)}"#)
        }
        let events: [(String, String)] = [
            ("messageStart", #"{"role":"assistant"}"#),
            delta(0, #"{"reasoningContent":{"text":"Hm."}}"#), stop(0),
            delta(1, #"{"text":"Hel"}"#), delta(1, #"{"text":"lo"}"#), stop(1),
            (
                "contentBlockStart",
                #"{"contentBlockIndex":2,"start":{"toolUse":{"toolUseId":"t1","name":"weather"}}}"#
            ),
            delta(2, #"{"toolUse":{"input":"{\"ci"}}"#),
            delta(2, #"{"toolUse":{"input":"ty\":\"Oslo\"}"}}"#), stop(2),
            ("messageStop", #"{"stopReason":"tool_use"}"#),
            ("metadata", #"{\#(usage),"metrics":{"latencyMs":12}}"#),
        ]
        return HostedUpstream(
            testDescription: "bedrock", settings: "{kind: bedrock, region: eu-north-1}",
            tokens: Tokens(reasoning: 0), mediaType: "application/vnd.amazon.eventstream",
            events: events.map { AWSFrame.event($0, $1) },
            whole: #"""
                {"output":{"message":{"role":"assistant","content":[\#
                {"reasoningContent":{"reasoningText":{"text":"Hm.","signature":"c2ln"}}},\#
                {"text":"Hello"},{"toolUse":{"toolUseId":"t1","name":"weather",\#
                "input":{"city":"Oslo"}}}]}},"stopReason":"tool_use",\#(usage)}
                """#,
            streamMark: "/converse-stream")
    }()
}

/// A frame of AWS's event stream, made without the code that reads it.
private enum AWSFrame {
    static func event(_ type: String, _ payload: String) -> [UInt8] {
        var head: [UInt8] = []
        for (name, value) in [
            (":event-type", type), (":content-type", "application/json"),
            (":message-type", "event"),
        ] {
            head += [UInt8(name.utf8.count)] + Array(name.utf8)
            head += [7, 0, UInt8(value.utf8.count)] + Array(value.utf8)
        }
        let body = head + Array(payload.utf8)
        let lengths = number(UInt32(body.count + 16)) + number(UInt32(head.count))
        let content = lengths + number(crc32(lengths)) + body
        return content + number(crc32(content))
    }

    private static func number(_ number: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
    }
}
