import Core
import OrderedJSON
import TestSupport
import Testing

@testable import Inference

/// How models are asked to think, and what of their thoughts comes back to them.
struct ReasoningTests {
    private typealias Effort = ReasoningRequest.Effort

    struct Row: Sendable, CustomTestStringConvertible {
        let kind: String
        let model: String
        let asked: ReasoningRequest
        /// What of the body says it, by the member's path; null for nothing.
        let path: String
        let sent: String

        var testDescription: String { "\(model) \(asked)" }
    }

    static let rows = [
        Row(
            kind: "anthropic", model: "claude-sonnet-4-5-20250929",
            asked: ReasoningRequest(budgetTokens: 2000), path: "thinking",
            sent: #"{"type":"enabled","budget_tokens":2000}"#),
        Row(
            kind: "anthropic", model: "claude-sonnet-4-20250514",
            asked: ReasoningRequest(budgetTokens: 9000), path: "thinking",
            sent: #"{"type":"enabled","budget_tokens":4095}"#),
        Row(
            kind: "anthropic", model: "claude-opus-4-7", asked: ReasoningRequest(effort: .high),
            path: "thinking", sent: #"{"type":"adaptive","display":"summarized"}"#),
        Row(
            kind: "anthropic", model: "claude-opus-5", asked: ReasoningRequest(effort: .minimal),
            path: "output_config", sent: #"{"effort":"low"}"#),
        Row(
            kind: "anthropic", model: "claude-opus-5", asked: ReasoningRequest(budgetTokens: 0),
            path: "thinking", sent: #"{"type":"disabled"}"#),
        Row(
            kind: "bedrock", model: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
            asked: ReasoningRequest(effort: .low), path: "additionalModelRequestFields",
            sent: #"{"thinking":{"type":"enabled","budget_tokens":1024}}"#),
        Row(
            kind: "bedrock", model: "amazon.nova-pro-v1:0", asked: ReasoningRequest(effort: .low),
            path: "additionalModelRequestFields", sent: "null"),
        Row(
            kind: "gemini", model: "gemini-2.5-flash", asked: ReasoningRequest(effort: .medium),
            path: "generationConfig.thinkingConfig",
            sent: #"{"includeThoughts":true,"thinkingBudget":8192}"#),
        Row(
            kind: "gemini", model: "gemini-3-flash", asked: ReasoningRequest(effort: .xhigh),
            path: "generationConfig.thinkingConfig",
            sent: #"{"includeThoughts":true,"thinkingLevel":"high"}"#),
        Row(
            kind: "gemini", model: "gemini-3-flash", asked: ReasoningRequest(),
            path: "generationConfig.thinkingConfig", sent: #"{"includeThoughts":true}"#),
        Row(
            kind: "gemini", model: "gemini-2.5-flash", asked: ReasoningRequest(budgetTokens: 0),
            path: "generationConfig.thinkingConfig",
            sent: #"{"includeThoughts":false,"thinkingBudget":0}"#),
        Row(
            kind: "gemini", model: "gemini-2.0-flash", asked: ReasoningRequest(effort: .high),
            path: "generationConfig.thinkingConfig", sent: "null"),
        Row(
            kind: "openai", model: "gpt-5.4", asked: ReasoningRequest(effort: .low),
            path: "reasoning_effort", sent: #""low""#),
        Row(
            kind: "openai", model: "gpt-4o", asked: ReasoningRequest(budgetTokens: 2000),
            path: "reasoning_effort", sent: "null"),
    ]

    @Test("Each model is asked to think in its own words", arguments: rows)
    func asked(row: Row) async throws {
        // What it answers does not matter; that it was asked does.
        let server = try ScriptedServer(Wire.failure(400))
        let router = try ModelRouter.hosted(server, kind: row.kind, model: row.model)
        var request = ChatRequest.hello()
        request.reasoning = row.asked
        request.sampling.temperature = 0.5
        request.sampling.outputTokensMax = 4096
        await #expect(throws: Failure.self) { try await router.answer(request) }
        let body = try server.body()
        let found = row.path.split(separator: ".").reduce(body as JSONValue?) { $0?[String($1)] }
        #expect((found ?? .null).text == row.sent)
        // A Claude that thinks refuses to be told how to pick its words.
        let thinks = body["thinking"].map { $0["type"]?.string != "disabled" } ?? false
        if row.kind == "anthropic" { #expect((body["temperature"] == nil) == thinks) }
    }

    @Test("A thought that cannot be had beside what else is asked is left out")
    func impossible() throws {
        var request = ProviderRequest(
            principal: .alice, model: "claude-opus-4-5", messages: [ChatMessage(.user, "Hi")],
            sampling: SamplingOptions(outputTokensMax: 4096), contextTokens: 10_000, headers: [:])
        request.reasoning = ReasoningRequest(effort: .high)
        #expect(ClaudeThinking(request, outputTokensMax: 4096, isForced: false) != nil)
        #expect(ClaudeThinking(request, outputTokensMax: 4096, isForced: true) == nil)
        #expect(ClaudeThinking(request, outputTokensMax: 1024, isForced: false) == nil)
        request.messages.append(ChatMessage(.assistant, "Half an answer"))
        #expect(ClaudeThinking(request, outputTokensMax: 4096, isForced: false) == nil)
    }

    @Test("Thoughts come with their seals, and go back as they were, each in its place")
    func sealed() async throws {
        let stream =
            Messages.start()
            + Messages.open(0, #"{"type":"thinking","thinking":"","signature":""}"#)
            + Messages.delta(0, #"{"type":"thinking_delta","thinking":"Hm."}"#)
            + Messages.delta(0, #"{"type":"signature_delta","signature":"EqQB+/="}"#)
            + Messages.close(0) + Messages.open(1, #"{"type":"redacted_thinking","data":"c2Vj"}"#)
            + Messages.close(1) + Messages.open(2) + Messages.text("Yes", at: 2)
            + Messages.close(2) + Messages.end() + Messages.stop
        let server = try ScriptedServer(Wire.stream(stream))
        let router = try ModelRouter.anthropic([server])
        var request = ChatRequest.hello()
        var answer = ChatMessage(.assistant, "Yes.\nSo.")
        answer.thoughts = [
            Thought("Hm.", .signature("EqQB+/="), at: 0), Thought("", .redacted("c2Vj"), at: 4),
        ]
        request.messages += [answer, ChatMessage(.user, "Go on.")]
        let (events, _) = try await router.everything(request)
        #expect(
            events == [
                .reasoning("Hm."), .seal(.signature("EqQB+/=")), .seal(.redacted("c2Vj")),
                .text("Yes"),
            ])
        #expect(
            try server.body()["messages"]?.array?[1]["content"]?.text
                == #"""
                [{"type":"thinking","thinking":"Hm.","signature":"EqQB+/="},\#
                {"type":"text","text":"Yes."},{"type":"redacted_thinking","data":"c2Vj"},\#
                {"type":"text","text":"\nSo."}]
                """#)
    }

    @Test("The text that ended an answer is told")
    func stopSequence() async throws {
        let end = Messages.event(
            #"{"type":"message_delta","delta":{"stop_reason":"stop_sequence","#
                + #""stop_sequence":"END"},"usage":{"output_tokens":2}}"#)
        let server = try ScriptedServer(
            Wire.stream(
                Messages.start() + Messages.open(0) + Messages.text("Hi") + Messages.close() + end
                    + Messages.stop))
        let (_, completion) = try await ModelRouter.anthropic([server]).answer()
        #expect(completion.finishReason == .stop && completion.stopSequence == "END")
    }

    @Test(
        "What OpenRouter says that a call cost is kept to the picodollar; what others say is not",
        arguments: [
            (#""cost":0.000123456789"#, "openrouter", 123_456_789 as Int64?),
            (
                #""cost":1e-05,"is_byok":true,"cost_details":{"upstream_inference_cost":0.02}"#,
                "openrouter", 20_010_000_000
            ), (#""cost":-1"#, "openrouter", nil), (#""cost":"much""#, "openrouter", nil),
            (#""cost":0.5"#, "vllm", nil),
        ])
    func statedCost(usage: String, preset: String, picodollars: Int64?) async throws {
        let last =
            #"data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,\#(usage)}}"#
            + "\n\n"
        let server = try ScriptedServer(
            Wire.stream(Wire.text("Hi") + Wire.finish() + last + Wire.done))
        let router = try ModelRouter.hosted(server, kind: "openai") { $0.preset = preset }
        let usage = try await router.answer().1.usage
        #expect(usage.statedCost?.rawValue == picodollars)
        #expect(usage.freshInput == 7 && usage.output == 2)
    }
}
