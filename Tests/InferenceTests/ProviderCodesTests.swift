import Core
import Egress
import TestSupport
import Testing

@testable import Inference

/// What each provider's codes are to the router.
struct ProviderCodesTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let code: String
        var status = 0
        let kind: FailureClass

        var testDescription: String { "\(status) \(code)" }

        init(_ code: String, _ status: Int, _ kind: FailureClass) {
            self.code = code
            self.status = status
            self.kind = kind
        }

        init(_ code: String, _ kind: FailureClass) { self.init(code, 0, kind) }
    }

    static let rows: [Row] = [
        // Google's, with their statuses; in a stream there is none.
        Row("API_KEY_INVALID", 400, .credential), Row("UNAUTHENTICATED", 401, .credential),
        Row("PERMISSION_DENIED", 403, .credential), Row("FAILED_PRECONDITION", 400, .credential),
        Row("RESOURCE_EXHAUSTED", 429, .throttled), Row("quota_per_day", 429, .exhausted),
        Row("INTERNAL", .transient), Row("UNAVAILABLE", .transient),
        Row("DEADLINE_EXCEEDED", 504, .transient), Row("INVALID_ARGUMENT", 400, .caller),
        Row("NOT_FOUND", 404, .caller),
        // AWS's.
        Row("ValidationException", .caller), Row("ResourceNotFoundException", 404, .caller),
        Row("ServiceQuotaExceededException", 400, .exhausted),
        Row("AccessDeniedException", 403, .credential),
        Row("UnrecognizedClientException", 403, .credential),
        Row("ExpiredTokenException", 403, .credential),
        Row("InvalidSignatureException", 403, .credential),
        Row("IncompleteSignatureException", 400, .credential),
        Row("MissingAuthenticationTokenException", 403, .credential),
        Row("ThrottlingException", .throttled), Row("ModelNotReadyException", 429, .transient),
        Row("ModelTimeoutException", 408, .transient), Row("ModelErrorException", 424, .transient),
        Row("ModelStreamErrorException", .transient), Row("InternalServerException", .transient),
        Row("ServiceUnavailableException", .transient),
        // Of those that speak OpenAI's protocol.
        Row("ResponsibleAIPolicyViolation", 400, .content),
        Row("unavailable_error", 503, .transient), Row("tool_use_failed", 400, .broken),
        Row("json_validate_failed", 400, .broken), Row("", 498, .transient),
        Row("invalid_request_error", 400, .caller), Row("invalid_request_error", 0, .caller),
        Row("invalid_request_error", 401, .credential),
        Row("invalid_request_error", 402, .exhausted),
        Row("invalid_request_error", 429, .throttled),
    ]

    @Test("Each code has its class", arguments: rows)
    func kind(row: Row) {
        #expect(FailureClass.of(status: row.status, codes: ["x", row.code]) == row.kind)
    }

    @Test(
        "Ids that a provider refuses are replaced, the same everywhere, by ids that are not taken")
    func callIDs() {
        var asked = ChatMessage(.assistant, "")
        asked.toolCalls = ["one.", "call_1", "two."].map {
            ToolCall(id: $0, name: "f", arguments: "{}")
        }
        var result = ChatMessage(.tool, "")
        result.toolCallID = "two."
        let ids = CallIDs(
            [asked, result, asked], isAllowed: { !$0.contains(".") }, make: { "call_\($0)" })
        #expect(
            ["one.", "call_1", "two.", "unseen"].map { ids[$0] } == [
                "call_2", "call_1", "call_3", "unseen",
            ])
    }

    @Test(
        "Ids of nine letters and digits are Mistral's",
        arguments: [
            ("D681PevKs", true), ("call00001", true), ("call_0001", false), ("short", false),
            ("ninechärs", false), ("", false),
        ])
    func nine(id: String, isAllowed: Bool) {
        #expect(OpenAIDialect.CallIDRule.nine.allows(id) == isAllowed)
        #expect(OpenAIDialect.CallIDRule.nine.allows(OpenAIDialect.CallIDRule.nine.make(12)))
    }

    struct Mistake: Sendable, CustomTestStringConvertible {
        let key: String
        let change: @Sendable (inout ProviderConfiguration) -> Void

        var testDescription: String { key }
    }

    @Test(
        "A configuration that contradicts itself is refused by its key",
        arguments: [
            Mistake(key: "x.preset") { $0.preset = "nobody" },
            Mistake(key: "x.preset") { ($0.kind, $0.preset) = ("gemini", "ollama") },
            Mistake(key: "x.base_url") { $0.kind = "openai-compatible" },
            Mistake(key: "x.base_url") { $0.kind = "azure-openai" },
            Mistake(key: "x.access_key_id") { $0.accessKeyId = "A" },
            Mistake(key: "x.region") { ($0.kind, $0.apiKey) = ("bedrock", "k") },
            Mistake(key: "x.region") { $0.region = "evil.example.com/" },
            Mistake(key: "x: the kind bedrock") { ($0.kind, $0.region) = ("bedrock", "r-1") },
            Mistake(key: "x: the kind bedrock") {
                ($0.kind, $0.region, $0.accessKeyId) = ("bedrock", "r-1", "A")
            },
            Mistake(key: "x: the kind bedrock") {
                ($0.kind, $0.region, $0.apiKey) = ("bedrock", "r-1", "k")
                ($0.accessKeyId, $0.secretAccessKey) = ("A", "s")
            },
            Mistake(key: "x.secret_access_key") {
                ($0.kind, $0.region) = ("bedrock", "r-1")
                ($0.accessKeyId, $0.secretAccessKey) = ("A", "s\n")
            },
        ])
    func mistakes(row: Mistake) {
        var provider = ProviderConfiguration()
        row.change(&provider)
        let failure = #expect(throws: Failure.self) { try provider.validate(name: "x") }
        #expect(failure?.code == .invalid)
        #expect(failure?.message.contains("inference.providers.\(row.key)") == true)
    }

    @Test(
        "Each kind is where it is, unless it is said to be elsewhere",
        arguments: [
            ("openai", "", "https://api.openai.com/v1"),
            ("gemini", "", "https://generativelanguage.googleapis.com/v1beta"),
            ("bedrock", "eu-west-1", "https://bedrock-runtime.eu-west-1.amazonaws.com"),
            ("bedrock", "cn-north-1", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
            ("azure-openai", "", ""), ("openai-compatible", "", ""),
        ])
    func addresses(kind: String, region: String, address: String) throws {
        var provider = ProviderConfiguration()
        (provider.kind, provider.region) = (kind, region)
        #expect(provider.address == address)
        provider.baseUrl = "https://example.com/v1"
        #expect(provider.address == "https://example.com/v1")
    }
}
