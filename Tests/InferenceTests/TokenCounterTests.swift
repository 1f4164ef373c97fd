import Core
import Egress
import OrderedJSON
import TestSupport
import Testing

@testable import Inference

struct TokenCounterTests {
    private static let prose =
        "The harbour master keeps a log of every ship that enters after dusk, and the pilots read it"
        + " before they go out again in the morning."
    private static let code =
        "func total(_ counts: [Int]) -> Int {\n"
        + "    counts.reduce(0) { min($0 + max(0, $1), limit) }\n}\n"
    private static let json =
        #"{"name": "weather", "parameters": {"type": "object", "properties": {"city": "#
        + #"{"type": "string"}}}}"#
    private static let chinese = "港口管理员记录每一艘在黄昏后进港的船只，领航员早上出发前会阅读这些记录。"
    private static let russian =
        "Начальник порта ведёт журнал всех судов, которые входят после заката."
    private static let digits = "3141592653 58979 323846 2643383 27950 288419716"

    // What the published tokenizers make of them, o200k, cl100k, Claude's, Qwen's and Mistral's.
    @Test(
        "An estimate is near what the tokenizers make of it, whatever kind of text it is",
        arguments: [
            (prose, [28, 28, 28, 28, 29]), (code, [33, 33, 36, 33, 33]),
            (json, [28, 28, 28, 28, 28]), (chinese, [32, 42, 43, 24, 36]),
            (russian, [18, 29, 34, 21, 22]), (digits, [21, 21, 18, 47, 47]),
        ])
    func estimates(text: String, counts: [Int]) {
        let models = ["gpt-5.4", "llama-3.3-70b", "claude-haiku-4-5", "qwen3", "mistral-large"]
        let shares = zip(models, counts).map { model, count in
            Double(TokenFamily(model: model).tokens(TextShape(text))) / Double(count)
        }
        #expect(shares.allSatisfy { (0.75...1.6).contains($0) }, "\(shares)")
    }

    @Test("Counts of parts add up to the count of the whole")
    func parts() {
        var parts = TextShape()
        for text in [Self.prose, Self.code, Self.chinese] { parts.add(text) }
        #expect(parts == TextShape([Self.prose, Self.code, Self.chinese].joined(separator: " ")))
    }

    @Test("What a text is made of is counted by its scalars, whatever their width in bytes")
    func scalars() {
        var shape = TextShape("Grüße, Ελλάδα и मन — 漢字漢 😀!! ab123456 internationally\n\n  x\r\n==>")
        var expected = TextShape()
        (expected.words, expected.longLetters) = (5, 9)
        (expected.digits, expected.digitGroups) = (6, 2)
        (expected.signs, expected.breaks) = (5, 2)
        (expected.ideographs, expected.accented, expected.cyrillic) = (3, 2, 7)
        (expected.foreign, expected.rare) = (2, 1)
        #expect(shape == expected)
        shape.add("")
        #expect(shape == expected)
    }

    @Test(
        "A model's family goes by its name, whoever serves it",
        arguments: [
            ("gpt-4o-mini", TokenFamily.openAI), ("openai/gpt-5.4", .openAI), ("o3-mini", .openAI),
            ("gpt-4-turbo", .llama), ("gpt-3.5-turbo", .llama),
            ("meta-llama/llama-3.3-70b", .llama),
            ("deepseek-r1-distill-llama-70b", .llama), ("anthropic.claude-opus-5-v1:0", .claude),
            ("Qwen3-8B", .qwen), ("deepseek-chat", .qwen), ("gemini-2.5-flash", .mistral),
            ("somebody-s", .other), ("", .other),
        ])
    func families(model: String, family: TokenFamily) {
        #expect(TokenFamily(model: model) == family)
    }

    private func candidate(_ model: String = "gpt-5.4") throws -> Candidate {
        var provider = ProviderConfiguration()
        provider.baseUrl = "http://127.0.0.1:1"
        return Candidate(
            name: CandidateName(provider: "far", model: model),
            provider: try ProviderFactory.make(
                "far", provider, client: HTTPClient(EgressConfiguration()), environment: .system),
            limits: ModelLimits(contextTokens: 1000, outputTokensMax: 100))
    }

    private func request(_ text: String) -> ChatRequest {
        ChatRequest(
            principal: .alice, model: "m", messages: [ChatMessage(.user, text)], purpose: "api")
    }

    @Test(
        "What the provider counts corrects the next estimates, within bounds",
        arguments: [(1.3, 1.3), (0.8, 0.8), (9, 2), (0.01, 0.5)])
    func learns(truth: Double, learned: Double) throws {
        let counter = TokenCounter()
        let candidate = try candidate()
        let long = request(String(repeating: Self.prose, count: 20))
        let estimate = try counter.tokens(long, at: candidate)
        for _ in 0..<40 {
            counter.learn(
                TokenUsage(freshInput: Int(Double(estimate) * truth)), of: long, at: candidate)
        }
        #expect(abs(counter.factor(candidate.name) - learned) < 0.02)
        #expect(
            abs(Double(try counter.tokens(long, at: candidate)) / Double(estimate) - learned) < 0.02
        )
        #expect(counter.factor(CandidateName(provider: "far", model: "other")) == 1)
    }

    @Test(
        "One call moves an estimate by a fifth of its error; short prompts and guesses by nothing")
    func oneCall() throws {
        let counter = TokenCounter()
        let candidate = try candidate()
        let long = request(String(repeating: Self.prose, count: 20))
        let estimate = try counter.tokens(long, at: candidate)
        counter.learn(TokenUsage(freshInput: 5000), of: request("Hi"), at: candidate)
        counter.learn(
            TokenUsage(freshInput: estimate * 2, isEstimated: true), of: long, at: candidate)
        #expect(counter.factor(candidate.name) == 1)
        counter.learn(TokenUsage(cacheRead: estimate * 3 / 2), of: long, at: candidate)
        #expect(abs(counter.factor(candidate.name) - 1.1) < 0.01)
    }

    @Test("Tools, the form of the answer and images count")
    func everything() throws {
        let counter = TokenCounter()
        let candidate = try candidate()
        var asked = request("Hi")
        var counts = [try counter.tokens(asked, at: candidate)]
        asked.tools = [
            ToolDefinition(name: "weather", parameters: try JSONValue(parsing: Self.json.utf8))
        ]
        counts.append(try counter.tokens(asked, at: candidate))
        asked.responseFormat = .jsonSchema(
            name: "x", schema: try JSONValue(parsing: Self.json.utf8), isStrict: true)
        counts.append(try counter.tokens(asked, at: candidate))
        asked.messages.append(
            ChatMessage(.user, [.image(ChatImage(.address("https://example.org/a.png")))]))
        counts.append(try counter.tokens(asked, at: candidate))
        let steps = zip(counts.dropFirst(), counts).map { $0 - $1 }
        #expect(steps[0] > 30 && steps[1] > 25 && steps[2] > 1000)
    }
}
