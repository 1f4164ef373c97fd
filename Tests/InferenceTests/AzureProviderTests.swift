import Core
import OrderedJSON
import TestSupport
import Testing

@testable import Inference

/// Azure's OpenAI against scripted bytes on a real connection.
struct AzureProviderTests {
    private static let filters =
        #"""
        data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":\#
        [{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":\#
        "safe"}}}]}
        """# + "\n\n"

    private static func text(_ text: String) -> String {
        #"""
        data: {"choices":[{"content_filter_results":{"hate":{"filtered":false}},"delta":\#
        {"content":"\#(text)"},"finish_reason":null,"index":0,"logprobs":null}],\#
        "model":"gpt-4o-2024-11-20","usage":null}
        """# + "\n\n"
    }

    private static let hello =
        filters + Wire.role + text("Hel") + text("lo") + Wire.finish()
        + Wire.usage(prompt: 7, output: 2) + Wire.done

    @Test(
        "A deployment is called at its address, with the key in its own header",
        arguments: [
            (
                "", "2024-10-21",
                "/openai/deployments/my%20model/chat/completions?api-version=2024-10-21"
            ),
            (
                "/openai", "2025-01-01-preview",
                "/openai/deployments/my%20model/chat/completions?api-version=2025-01-01-preview"
            ), ("/openai/v1/", "2024-10-21", "/openai/v1/chat/completions"),
        ])
    func address(base: String, version: String, path: String) async throws {
        let server = try ScriptedServer(Wire.stream(Self.hello))
        let router = try ModelRouter.hosted(
            server, kind: "azure-openai", base: base, model: "my model"
        ) { $0.apiVersion = version }
        var request = ChatRequest.hello()
        request.sampling.topK = 4
        request.sampling.outputTokensMax = 50
        let (events, completion) = try await router.everything(request)
        #expect(events == [.text("Hel"), .text("lo")])
        #expect(completion.usage == TokenUsage(freshInput: 7, output: 2))
        let seen = try #require(server.requests.first)
        #expect(seen.path == path)
        #expect(seen.headers["api-key"] == "sk-secret-key-123")
        #expect(seen.headers["authorization"] == nil)
        let body = try server.body()
        #expect(body["model"]?.string == "my model" && body["top_k"] == nil)
        #expect(body["max_completion_tokens"]?.int == 50)
    }

    @Test("What the filter says of the prompt is no first token")
    func filterIsNoBeginning() async throws {
        let gate = Gate()
        let server = try ScriptedServer(
            Wire.stream(Self.filters + Wire.role, then: Self.hello, after: gate))
        let router = try ModelRouter.hosted(server, kind: "azure-openai")
        let isOpen = Gate()
        let opening = Task {
            let call = try await router.open(.hello())
            isOpen.open()
            return call
        }
        #expect(await eventually { server.bytesSent > 300 })
        try await Task.sleep(for: .milliseconds(50))
        #expect(!isOpen.isOpen)
        gate.open()
        _ = try await opening.value.run { _ in }
        #expect(isOpen.isOpen)
    }

    @Test("A filter alone, and then nothing, is an answer that broke off")
    func filterOnly() async throws {
        let server = try ScriptedServer(Wire.stream(Self.filters))
        let router = try ModelRouter.hosted(server, kind: "azure-openai")
        let failure = await #expect(throws: Failure.self) { try await router.open(.hello()) }
        #expect(failure?.code == .upstream)
        #expect(failure?.message.contains("broke off") == true)
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var status = 0
        let body: String
        let code: Failure.Code

        var steps: [ScriptedServer.Step] {
            status == 0 ? Wire.stream(body) : ScriptedServer.answer(body, status: status)
        }
    }

    static let refusals: [Refusal] = [
        Refusal(
            testDescription: "a blocked prompt", status: 400,
            body: #"""
                {"error":{"message":"The response was filtered.","type":null,"param":"prompt",\#
                "code":"content_filter","status":400,"innererror":{"code":\#
                "ResponsibleAIPolicyViolation","content_filter_result":{}}}}
                """#, code: .invalid),
        Refusal(
            testDescription: "an error in a stream with 200",
            body: filters + #"data: {"error":{"code":"429","message":"Too many requests"}}"#
                + "\n\n", code: .rateLimited),
        Refusal(
            testDescription: "a filter that ends a stream",
            body: filters
                + #"data: {"error":{"message":"filtered","code":"content_filter","status":400}}"#
                + "\n\n", code: .invalid),
        Refusal(
            testDescription: "no such deployment", status: 404,
            body: #"{"error":{"code":"DeploymentNotFound","message":"It does not exist."}}"#,
            code: .notFound),
        Refusal(
            testDescription: "a wrong key", status: 401,
            body: #"{"error":{"code":"401","message":"Access denied"}}"#, code: .unavailable),
        Refusal(
            testDescription: "a wrong key, at the door", status: 401,
            body: #"{"statusCode":401,"message":"Unauthorized. Access token is missing."}"#,
            code: .unavailable),
        Refusal(
            testDescription: "too many calls", status: 429,
            body: #"{"error":{"code":"429","message":"exceeded call rate limit"}}"#,
            code: .rateLimited),
        Refusal(testDescription: "down", status: 503, body: "", code: .unavailable),
        Refusal(
            testDescription: "an end in mid-answer", body: filters + text("Hel"), code: .upstream),
        Refusal(testDescription: "garbage", body: filters + "data: {?\n\n", code: .upstream),
    ]

    @Test("What goes wrong ends in a failure that says so", arguments: refusals)
    func refusal(row: Refusal) async throws {
        let server = try ScriptedServer(row.steps)
        let router = try ModelRouter.hosted(server, kind: "azure-openai")
        let failure = await #expect(throws: Failure.self) { try await router.answer() }
        #expect(failure?.code == row.code, "\(failure?.description ?? "")")
    }

    @Test("Embeddings have a deployment too")
    func embeddings() async throws {
        let server = try ScriptedServer(
            ScriptedServer.answer(
                #"{"data":[{"index":0,"embedding":[3,4]}],"usage":{"prompt_tokens":2}}"#))
        let router = try ModelRouter.hosted(server, kind: "azure-openai")
        let made = try await router.embed(
            EmbeddingRequest(principal: .alice, texts: ["a"], purpose: "test"))
        #expect(Array(made[0]) == [0.6, 0.8])
        #expect(
            server.requests.first?.path
                == "/openai/deployments/embedder/embeddings?api-version=2024-10-21")
    }
}
