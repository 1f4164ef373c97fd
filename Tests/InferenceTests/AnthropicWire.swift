import Core
import OrderedJSON
import TestSupport

@testable import Inference

/// The bytes of a stream of Anthropic's messages, and routers that read them.
enum Messages {
    static func event(_ json: String) -> String {
        let name = json.firstMatch(of: /"type":"([a-z_]+)"/).map { String($0.output.1) } ?? "x"
        return "event: \(name)\ndata: \(json)\n\n"
    }

    static func start(_ usage: String = #"{"input_tokens":7,"output_tokens":1}"#) -> String {
        event(
            #"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","#
                + #""model":"served","content":[],"stop_reason":null,"usage":\#(usage)}}"#)
    }

    static func open(_ index: Int, _ block: String = #"{"type":"text","text":""}"#) -> String {
        event(#"{"type":"content_block_start","index":\#(index),"content_block":\#(block)}"#)
    }

    static func delta(_ index: Int, _ delta: String) -> String {
        event(#"{"type":"content_block_delta","index":\#(index),"delta":\#(delta)}"#)
    }

    static func text(_ text: String, at index: Int = 0) -> String {
        delta(index, #"{"type":"text_delta","text":"\#(text)"}"#)
    }

    static func json(_ piece: String, at index: Int) -> String {
        delta(
            index, #"{"type":"input_json_delta","partial_json":\#(JSONValue.string(piece).text)}"#)
    }

    static func close(_ index: Int = 0) -> String {
        event(#"{"type":"content_block_stop","index":\#(index)}"#)
    }

    static func end(
        _ reason: String = "end_turn", usage: String = #"{"output_tokens":2}"#
    ) -> String {
        event(
            #"{"type":"message_delta","delta":{"stop_reason":"\#(reason)","stop_sequence":null},"#
                + #""usage":\#(usage)}"#)
    }

    static func error(_ type: String, _ message: String = "words of theirs") -> String {
        event(#"{"type":"error","error":{"type":"\#(type)","message":"\#(message)"}}"#)
    }

    static let ping = event(#"{"type":"ping"}"#)
    static let stop = event(#"{"type":"message_stop"}"#)
    static let hello =
        start() + open(0) + ping + text("Hel") + text("lo") + close() + end() + stop

    static func failure(
        _ status: Int, _ type: String, _ message: String = "words of theirs",
        headers: [String] = []
    ) -> [ScriptedServer.Step] {
        ScriptedServer.answer(
            #"{"type":"error","error":{"type":"\#(type)","message":"\#(message)"},"#
                + #""request_id":"req_1"}"#, status: status, headers: headers)
    }
}

extension ModelRouter {
    /// The model `m`, with one candidate for each server, all of which speak Anthropic's messages.
    static func anthropic(
        _ servers: [ScriptedServer], apiKey: String = "sk-ant-secret-key-123",
        tracer: RecordingTracer = RecordingTracer(),
        _ change: (inout InferenceConfiguration) -> Void = { _ in }
    ) throws -> ModelRouter {
        try hosted(servers, apiKey: apiKey, tracer: tracer) { configuration in
            for name in configuration.providers.keys {
                configuration.providers[name]?.kind = "anthropic"
            }
            change(&configuration)
        }
    }
}
