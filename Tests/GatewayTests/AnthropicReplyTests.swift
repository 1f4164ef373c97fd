import Core
import OrderedJSON
import TestSupport
import Testing

@testable import Gateway

/// What Anthropic's clients are sent of an answer, without a server.
struct AnthropicReplyTests {
    private func completion(_ reason: Completion.FinishReason) -> Completion {
        Completion(
            candidate: "a/b", finishReason: reason,
            usage: TokenUsage(freshInput: 1, cacheRead: 2, cacheWrite: 3, output: 4, reasoning: 1),
            firstTokenMilliseconds: nil, totalMilliseconds: 0)
    }

    private func run(
        _ events: [ChatEvent], _ reason: Completion.FinishReason = .toolCalls,
        thoughts: AnthropicReply.Thoughts = .shown
    ) throws -> (sent: [String], content: String?) {
        var reply = AnthropicReply(id: "msg_1", model: "m", thoughts: thoughts)
        let sent = try events.flatMap { try reply.receive($0) } + reply.end(completion(reason))
        let shown = sent.dropLast(2).map { event in
            let name = event.name.replacing("content_block_", with: "")
            let index = event.data["index"]?.text ?? ""
            let rest = (event.data["content_block"] ?? event.data["delta"])?.text ?? ""
            return "\(name) \(index) \(rest)"
        }
        return (shown, reply.whole(completion(reason))["content"]?.text)
    }

    @Test("Thoughts, text and calls are blocks, one after the other")
    func blocks() throws {
        let (sent, content) = try run([
            .reasoning("H"), .reasoning("m."), .text("Hi"), .text("!"),
            .logprobs([TokenLogprob(token: "!", bytes: [33], logprob: 0)]),
            .toolCall(ToolCallPiece(index: 0, id: "t1", name: "f")),
            .toolCall(ToolCallPiece(index: 0, arguments: #"{"z":"#)),
            .toolCall(ToolCallPiece(index: 0, arguments: "1.50}")),
            .toolCall(ToolCallPiece(index: 1, id: "t2", name: "g", arguments: "{}")),
            .text("So."),
        ])
        #expect(
            sent == [
                #"start 0 {"type":"thinking","thinking":"","signature":""}"#,
                #"delta 0 {"type":"thinking_delta","thinking":"H"}"#,
                #"delta 0 {"type":"thinking_delta","thinking":"m."}"#, "stop 0 ",
                #"start 1 {"type":"text","text":""}"#,
                #"delta 1 {"type":"text_delta","text":"Hi"}"#,
                #"delta 1 {"type":"text_delta","text":"!"}"#, "stop 1 ",
                #"start 2 {"type":"tool_use","id":"t1","name":"f","input":{}}"#,
                #"delta 2 {"type":"input_json_delta","partial_json":"{\"z\":"}"#,
                #"delta 2 {"type":"input_json_delta","partial_json":"1.50}"}"#, "stop 2 ",
                #"start 3 {"type":"tool_use","id":"t2","name":"g","input":{}}"#,
                #"delta 3 {"type":"input_json_delta","partial_json":"{}"}"#, "stop 3 ",
                #"start 4 {"type":"text","text":""}"#,
                #"delta 4 {"type":"text_delta","text":"So."}"#, "stop 4 ",
            ])
        #expect(
            content
                == #"""
                [{"type":"thinking","thinking":"Hm.","signature":""},\#
                {"type":"text","text":"Hi!"},\#
                {"type":"tool_use","id":"t1","name":"f","input":{"z":1.50}},\#
                {"type":"tool_use","id":"t2","name":"g","input":{}},\#
                {"type":"text","text":"So."}]
                """#)
    }

    @Test("Calls that come in turn wait for each other, and none of their pieces is lost")
    func interleaved() throws {
        let (sent, content) = try run([
            .toolCall(ToolCallPiece(index: 0, id: "t1", name: "f", arguments: "{")),
            .toolCall(ToolCallPiece(index: 1, name: "g", arguments: "{\"a\"")),
            .toolCall(ToolCallPiece(index: 0, arguments: "}")),
            .toolCall(ToolCallPiece(index: 1, arguments: ":1}")),
        ])
        #expect(
            sent == [
                #"start 0 {"type":"tool_use","id":"t1","name":"f","input":{}}"#,
                #"delta 0 {"type":"input_json_delta","partial_json":"{"}"#,
                #"delta 0 {"type":"input_json_delta","partial_json":"}"}"#, "stop 0 ",
                #"start 1 {"type":"tool_use","id":"toolu_1_1","name":"g","input":{}}"#,
                #"delta 1 {"type":"input_json_delta","partial_json":"{\"a\":1}"}"#, "stop 1 ",
            ])
        #expect(content?.contains(#""name":"g","input":{"a":1}"#) == true)
        let ended = ToolCallPiece(index: 0, id: "t", name: "f", arguments: "{}")
        #expect(throws: Failure.self) {
            try run([.toolCall(ended), .text("a"), .toolCall(ToolCallPiece(index: 0))])
        }
    }

    @Test("A seal ends its thought; what may not be read is a block of its own")
    func seals() throws {
        let events: [ChatEvent] = [
            .reasoning("Hm."), .seal(.signature("EqQB")), .seal(.redacted("c2Vj")),
            .reasoning("So."), .text("Yes"),
        ]
        let (sent, content) = try run(events, .stop)
        #expect(
            sent == [
                #"start 0 {"type":"thinking","thinking":"","signature":""}"#,
                #"delta 0 {"type":"thinking_delta","thinking":"Hm."}"#,
                #"delta 0 {"type":"signature_delta","signature":"EqQB"}"#, "stop 0 ",
                #"start 1 {"type":"redacted_thinking","data":"c2Vj"}"#, "stop 1 ",
                #"start 2 {"type":"thinking","thinking":"","signature":""}"#,
                #"delta 2 {"type":"thinking_delta","thinking":"So."}"#, "stop 2 ",
                #"start 3 {"type":"text","text":""}"#,
                #"delta 3 {"type":"text_delta","text":"Yes"}"#, "stop 3 ",
            ])
        #expect(
            content
                == #"""
                [{"type":"thinking","thinking":"Hm.","signature":"EqQB"},\#
                {"type":"redacted_thinking","data":"c2Vj"},\#
                {"type":"thinking","thinking":"So.","signature":""},\#
                {"type":"text","text":"Yes"}]
                """#)
        // Who wants none of its text gets what goes back to the model all the same.
        #expect(
            try run(events, .stop, thoughts: .sealed).content
                == #"[{"type":"thinking","thinking":"","signature":"EqQB"},"#
                + #"{"type":"redacted_thinking","data":"c2Vj"},{"type":"text","text":"Yes"}]"#)
        #expect(
            try run(events, .stop, thoughts: .hidden).content == #"[{"type":"text","text":"Yes"}]"#)
    }

    @Test("The text that ended an answer is named, unless something else did")
    func stopSequence() throws {
        for (reason, word) in [
            (Completion.FinishReason.stop, #""stop_sequence""#), (.toolCalls, #""tool_use""#),
        ] {
            var ended = completion(reason)
            ended.stopSequence = "END"
            var reply = AnthropicReply(id: "msg_1", model: "m", thoughts: .hidden)
            _ = try reply.receive(.text("Hi"))
            let delta = reply.end(ended).first { $0.name == "message_delta" }?.data["delta"]
            let named = reason == .stop ? #""END""# : "null"
            #expect(delta?.text == #"{"stop_reason":\#(word),"stop_sequence":\#(named)}"#)
            #expect(reply.whole(ended)["stop_sequence"]?.text == named)
        }
    }

    @Test("Another candidate is told of in a ping, which clients pass over")
    func switched() throws {
        var reply = AnthropicReply(id: "msg_1", model: "m", thoughts: .hidden)
        let events = try reply.receive(
            .switched(
                CandidateSwitch(
                    from: "far/a", usage: TokenUsage(), to: "near/b", isContinued: true)))
        #expect(events.map(\.name) == ["ping"])
        #expect(
            events.first?.data.text
                == #"{"type":"ping","heptad_switched":{"from":"far/a","to":"near/b","#
                + #""is_continued":true}}"#)
    }

    @Test("Thoughts are shown to those who asked for them")
    func hiddenThoughts() throws {
        let (sent, content) = try run(
            [.reasoning("Hm."), .text("Hi"), .reasoning("Hm."), .text("!")], .stop,
            thoughts: .hidden)
        #expect(sent.count == 4)
        #expect(content == #"[{"type":"text","text":"Hi!"}]"#)
    }

    @Test("A call that was cut off, or takes nothing, is an object all the same")
    func cutCalls() throws {
        let (_, content) = try run(
            [
                .toolCall(ToolCallPiece(index: 0, id: "a", name: "f", arguments: #"{"cut"#)),
                .toolCall(ToolCallPiece(index: 1, id: "b", name: "g")),
            ], .length)
        #expect(
            content
                == #"[{"type":"tool_use","id":"a","name":"f","input":{"arguments":"{\"cut"}},"#
                + #"{"type":"tool_use","id":"b","name":"g","input":{}}]"#)
    }

    @Test(
        "Each way to end has its word",
        arguments: [
            (Completion.FinishReason.stop, "end_turn"), (.length, "max_tokens"),
            (.contentFilter, "refusal"), (.toolCalls, "tool_use"),
        ])
    func reasons(reason: Completion.FinishReason, word: String) {
        var reply = AnthropicReply(id: "msg_1", model: "m", thoughts: .shown)
        let last = reply.end(completion(reason))
        #expect(last.map(\.name) == ["message_delta", "message_stop"])
        #expect(last[0].data["delta"]?["stop_reason"]?.string == word)
        let whole = reply.whole(completion(reason))
        #expect(whole["stop_reason"]?.string == word && whole["content"]?.text == "[]")
        // Streamed or not, the tokens are the same.
        #expect(whole["usage"]?.text == last[0].data["usage"]?.text)
        #expect(
            whole["usage"]?.text
                == #"""
                {"input_tokens":1,"cache_creation_input_tokens":3,\#
                "cache_read_input_tokens":2,"output_tokens":4,\#
                "output_tokens_details":{"thinking_tokens":1}}
                """#)
    }
}
