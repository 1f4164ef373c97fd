import Core
import TestSupport
import Testing

@testable import Inference

/// Where providers are asked to keep what they read.
struct CachePlanTests {
    private static let long = String(repeating: "words ", count: 1000)

    private static func request(_ messages: [ChatMessage], tools: [ToolDefinition] = [])
        -> ProviderRequest
    {
        ProviderRequest(
            principal: .alice, model: "anthropic.claude-opus-4-5", messages: messages,
            sampling: SamplingOptions(outputTokensMax: 100), contextTokens: 10_000, headers: [:],
            tools: tools)
    }

    private static func result(_ text: String) -> ChatMessage {
        var message = ChatMessage(.tool, text)
        message.toolCallID = "a"
        return message
    }

    private static func asking() -> ChatMessage {
        var message = ChatMessage(.assistant, "")
        message.toolCalls = [ToolCall(id: "a", name: "f", arguments: "{}")]
        return message
    }

    private static func marked(_ message: ChatMessage, _ mark: CacheMark) -> ChatMessage {
        var message = message
        message.cacheMark = mark
        return message
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let messages: [ChatMessage]
        let tools: [Int]
        let marks: [Int: CacheMark]
    }

    static let rows = [
        Row(
            testDescription: "a short prompt is not worth it",
            messages: [ChatMessage(.system, "Be brief."), ChatMessage(.user, "Hi")], tools: [],
            marks: [:]),
        Row(
            testDescription: "a first question has tools and system before it",
            messages: [ChatMessage(.system, long), ChatMessage(.user, "Hi")], tools: [1],
            marks: [0: .minutes]),
        Row(
            testDescription: "a conversation has what was said before the newest question",
            messages: [
                ChatMessage(.system, long), ChatMessage(.user, "Hi"), ChatMessage(.assistant, "Yo"),
                ChatMessage(.user, "And?"),
            ], tools: [1], marks: [0: .minutes, 2: .minutes]),
        Row(
            testDescription: "a tool's rounds go on from the newest result",
            messages: [
                ChatMessage(.system, long), ChatMessage(.user, "Hi"), ChatMessage(.assistant, "Yo"),
                ChatMessage(.user, "And?"), asking(), result("x"), asking(), result("y"),
            ], tools: [1], marks: [0: .minutes, 2: .minutes, 7: .minutes]),
        Row(
            testDescription: "what the client says is all that is said",
            messages: [
                ChatMessage(.system, long), marked(ChatMessage(.user, "Hi"), .hour),
                ChatMessage(.assistant, "Yo"), ChatMessage(.user, "And?"),
            ], tools: [], marks: [1: .hour]),
        Row(
            testDescription: "of more than four, the last are said",
            messages: (0..<6).map {
                marked(ChatMessage($0 % 2 == 0 ? .user : .assistant, "x"), .minutes)
            },
            tools: [], marks: [2: .minutes, 3: .minutes, 4: .minutes, 5: .minutes]),
    ]

    @Test("Marks stand where the next call will begin alike, four at most", arguments: rows)
    func plan(row: Row) throws {
        let request = Self.request(
            row.messages, tools: [ToolDefinition(name: "f"), ToolDefinition(name: "g")])
        let plan = CachePlan(request)
        #expect(plan.messages == row.marks)
        #expect(plan.tools.keys.sorted() == row.tools)

        // Both makers say it in their own way, as often.
        let count = row.marks.count + row.tools.count
        let claude = String(
            decoding: AnthropicRequest(request, sampling: request.sampling).bytes, as: UTF8.self)
        let bedrock = String(decoding: try BedrockRequest.body(of: request), as: UTF8.self)
        #expect(claude.ranges(of: #""cache_control":{"type":"ephemeral""#).count == count)
        #expect(bedrock.ranges(of: #"{"cachePoint":{"type":"default""#).count == count)
        #expect(claude.contains(#""ttl":"1h""#) == row.marks.values.contains(.hour))
    }
}
