import Core
import Egress
import OrderedJSON
import TestSupport
import Testing

@testable import Inference

/// Chunks that differ from the one before in their text alone are not read, and say what reading them
/// would say.
@Suite struct RepeatedChunkTests {
    private static let openAI = [
        (#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"content":""#, #""}}]}"#),
        (
            #"{"model": "m", "choices": [{"delta": {"role": "assistant", "content": ""#,
            #""}, "finish_reason": null}], "usage": null}"#
        ),
        // Where the first of its name is another.
        (#"{"note":{"content":"x"},"choices":[{"delta":{"content":""#, #""}}]}"#),
        (#"{"choices":[{"logprobs":{"content":null},"delta":{"content":""#, #""}}]}"#),
        // Where more is said than the text.
        (#"{"choices":[{"delta":{"content":""#, #"","reasoning":"hm"}}]}"#),
        (#"{"choices":[{"delta":{"content":""#, #"","refusal":"no"}}]}"#),
        (#"{"choices":[{"delta":{"content":""#, #""}}],"usage":{"completion_tokens":1}}"#),
        (#"{"choices":[{"delta":{"content":""#, #""}}],"error":{"message":"no"}}"#),
        (#"{"choices":[{"delta":{"content":""#, #""},"finish_reason":"length"}]}"#),
        (#"[{"choices":[{"delta":{"content":""#, #""}}]}]"#),
        // No JSON.
        (#"{"choices":[{"delta":{"content":""#, #""}}]"#),
        (#"{"choices":[{"delta":{"content":"x","content":""#, #""}}]}"#),
    ]

    private static let texts = [
        "Hel", "lo", "a", "é", "🙂", #"\ud83d\ude42"#, #"\ud83d"#, #"say \"hi\""#, #"\\"#, #"\n"#,
        #"\"#, "", " ", "\u{0}", "\n", #"","finish_reason":"stop"#, #""},"x":{"content":""#, "lo",
        #"}}]}{"choices":[{"delta":{"content":"#,
    ]

    @Test("A chunk says the same as it does alone", arguments: openAI.indices)
    func alone(shape: Int) throws {
        let (head, tail) = Self.openAI[shape]
        agree(Self.texts.map { Array((head + $0 + tail).utf8) }) { OpenAIStream() }
    }

    @Test("So does a chunk of which any byte is another's")
    func mutated() {
        var random = SeededGenerator(seed: 7)
        let chunks = (0..<4000).map { _ -> [UInt8] in
            let (head, tail) = Self.openAI[Int.random(in: 0..<3, using: &random)]
            let text = Self.texts.randomElement(using: &random) ?? ""
            var chunk = Array((head + text + tail).utf8)
            guard Bool.random(using: &random),
                let place = chunk.indices.randomElement(using: &random)
            else { return chunk }
            chunk[place] = chunk.randomElement(using: &random) ?? 0
            return chunk
        }
        // Most that are alike follow one another.
        agree(chunks.flatMap { [$0, $0] }) { OpenAIStream() }
        agree(chunks.sorted { $0.count < $1.count }) { OpenAIStream() }
    }

    @Test("Anthropic's pieces of text too")
    func anthropic() {
        func delta(_ type: String, _ key: String, _ text: String, _ index: Int) -> [UInt8] {
            let delta = #"{"type":"\#(type)","\#(key)":"\#(text)"}"#
            return Array(
                #"{"type":"content_block_delta","index":\#(index),"delta":\#(delta)}"#.utf8)
        }
        agree(
            Self.texts.map { delta("text_delta", "text", $0, 0) }
                + Self.texts.map { delta("thinking_delta", "thinking", $0, 1) }
                + Self.texts.map { delta("thinking_delta", "text", $0, 1) }
                + Self.texts.map { delta("text_delta", "text", $0, 2) }
        ) { AnthropicStream() }
    }

    @Test("After the second chunk nothing is read")
    func reads() {
        var chunk = RepeatedChunk(key: "content")
        var count = 0
        func text(_ text: String) -> String? {
            chunk.text(in: Array(#"{"a":1,"content":"\#(text)"}"#.utf8)) { bytes in
                count += 1
                return (try? JSONValue(parsing: bytes))?["content"]?.string
            }
        }
        #expect(text("first") == nil && count == 0)
        chunk.remember(Array(#"{"a":1,"content":"first"}"#.utf8))
        #expect((0..<100).allSatisfy { text("word \($0)") == "word \($0)" })
        #expect(count == 1)
        chunk.forget()
        #expect(text("word") == nil)
    }

    @Test("Where the text is not what its place says, nothing is told")
    func useless() {
        var chunk = RepeatedChunk(key: "content")
        for _ in 0..<3 {
            chunk.remember(Array(#"{"content":"x"}"#.utf8))
            #expect(chunk.text(in: Array(#"{"content":"y"}"#.utf8)) { _ in "of another" } == nil)
        }
    }

    /// Each chunk in a stream, and each in one of its own.
    private func agree<Stream: AnswerStream>(_ chunks: [[UInt8]], _ make: () -> Stream)
    where Stream.Frames == EventStreamParser {
        var stream = make()
        for data in chunks {
            let before = stream
            var alone = make()
            let expected = try? alone.receive(ServerSentEvent(data: data))
            let found = try? stream.receive(ServerSentEvent(data: data))
            #expect(found == expected, "\(String(decoding: data, as: UTF8.self))")
            // A failure or an end is the last of a real stream.
            if found == nil || stream.isDone { stream = before }
        }
    }
}
