import Core
import Testing

@testable import Egress

/// AWS's published vector, and others made with botocore.
struct AWSSignatureTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var method = "POST"
        let url: String
        var service = "bedrock"
        var sessionToken = ""
        let uri: String
        var query = ""
        let signature: String

        var hasBody: Bool { method == "POST" }
    }

    private static let bedrock = "https://bedrock-runtime.us-east-1.amazonaws.com"

    static let rows: [Row] = [
        Row(
            testDescription: "get-vanilla", method: "GET", url: "https://example.amazonaws.com/",
            service: "service", uri: "/",
            signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        Row(
            testDescription: "a name with a colon",
            url: bedrock + "/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/converse-stream",
            uri: "/model/anthropic.claude-haiku-4-5-20251001-v1%253A0/converse-stream",
            signature: "4752a99d1056348b70949ea90f6ff9c7b7a54def655f15f3d440c707e290f88f"),
        Row(
            testDescription: "a temporary key",
            url: bedrock + "/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/converse-stream",
            sessionToken: "AQoDYXdzEPT//////////wEXAMPLE==",
            uri: "/model/anthropic.claude-haiku-4-5-20251001-v1%253A0/converse-stream",
            signature: "d0cbbb4fef7a027a73c6342dde495b4c969005510a3d9285fd30d8f61392b216"),
        Row(
            testDescription: "a name with slashes",
            url: bedrock + "/model/"
                + PercentEncoding.segment(
                    "arn:aws:bedrock:us-east-1:123456789012:"
                        + "inference-profile/us.amazon.nova-lite-v1:0") + "/converse-stream",
            uri: "/model/arn%253Aaws%253Abedrock%253Aus-east-1%253A123456789012%253A"
                + "inference-profile%252Fus.amazon.nova-lite-v1%253A0/converse-stream",
            signature: "4030e1af32d87dfe840035cc80b9bc67b5775da1149e1f1ad464f92b165492c1"),
        Row(
            testDescription: "a port and a query",
            url: "http://127.0.0.1:8443/model/m/converse?b=2&a=1&c", uri: "/model/m/converse",
            query: "a=1&b=2&c=",
            signature: "da5a9d0c1dae81642580e17e6ebd3b7de3a085046dea139afed3a79b5ac1454d"),
    ]

    @Test("A request is signed as AWS signs it", arguments: rows)
    func vectors(row: Row) throws {
        let signature = AWSSignature(
            region: "us-east-1", service: row.service, accessKeyID: "AKIDEXAMPLE",
            secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            sessionToken: row.sessionToken)
        let body = #"{"messages":[{"role":"user","content":[{"text":"hi"}]}]}"#
        let request = HTTPRequest(
            row.method, row.url,
            headers: row.hasBody
                ? [
                    HTTPHeader("Content-Type", "application/json"),
                    HTTPHeader("traceparent", "is not signed"),
                ] : [], body: row.hasBody ? Array(body.utf8) : [])
        let lines = try signature.canonicalRequest(request, with: []).text.split(
            separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.prefix(3) == [row.method[...], row.uri[...], row.query[...]])
        // 2015-08-30T12:36:00Z
        let added = try signature.headers(
            for: request, at: Timestamp(microseconds: 1_440_938_160_000_000))
        #expect(added["x-amz-date"] == "20150830T123600Z")
        #expect(
            added["x-amz-security-token"] == (row.sessionToken.isEmpty ? nil : row.sessionToken))
        let names =
            (row.hasBody ? "content-type;" : "") + "host;x-amz-date"
            + (row.sessionToken.isEmpty ? "" : ";x-amz-security-token")
        #expect(
            added["authorization"]
                == "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/\(row.service)/"
                + "aws4_request, SignedHeaders=\(names), Signature=\(row.signature)")
    }

    @Test("A segment of a path has no character that means something in an address")
    func segments() {
        #expect(PercentEncoding.segment("a-b_c.d~9") == "a-b_c.d~9")
        #expect(
            PercentEncoding.segment("a/b:c?d#e%f g\u{1}ü") == "a%2Fb%3Ac%3Fd%23e%25f%20g%01%C3%BC")
    }
}
