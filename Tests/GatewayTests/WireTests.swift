import Core
import Foundation
import HTTPTypes
import NIOCore
import OrderedJSON
import TestSupport
import Testing

@testable import Gateway

@Suite struct WireTests {
    @Test(
        "Percent-encoding is decoded or refused, never guessed",
        arguments: [
            ("a%20b", "a b"), ("%C3%A9", "é"), ("a+b", "a+b"), ("%", nil), ("%2", nil),
            ("%zz", nil), ("%00", nil), ("%C3", nil), ("%FF", nil), ("%2e%2E", ".."),
        ] as [(String, String?)])
    func percent(text: String, expected: String?) {
        #expect(PercentEncoding.decode(text) == expected)
    }

    @Test("Any text can be written into a header, whole characters of it, and read again")
    func percentEncoded() {
        let text = "a-._~ %\u{1F600}\r\n\"é"
        let encoded = PercentEncoding.encode(text, bytesMax: 100)
        #expect(encoded == "a-._~%20%25%F0%9F%98%80%0D%0A%22%C3%A9")
        #expect(PercentEncoding.decode(encoded) == text)
        #expect(PercentEncoding.encode(text, bytesMax: 22) == "a-._~%20%25")
        #expect(PercentEncoding.encode("ab", bytesMax: 1) == "a")
    }

    @Test(
        "A chunk's text is that of its JSON, whether it brings text alone or more",
        arguments: [
            OpenAIChatAnswer.Choice(delta: .init(content: "a \"quoted\" \n\\ text\u{1F600}")),
            OpenAIChatAnswer.Choice(delta: .init(content: "")),
            OpenAIChatAnswer.Choice(delta: .init(role: "assistant", content: "")),
            OpenAIChatAnswer.Choice(delta: .init(content: "a", reasoning: "b")),
            OpenAIChatAnswer.Choice(index: 1, delta: .init(content: "a")),
            OpenAIChatAnswer.Choice(delta: .init(content: "a"), finishReason: "stop"),
            OpenAIChatAnswer.Choice(
                delta: .init(content: "a"),
                logprobs: OpenAILogprobs([
                    TokenLogprob(token: "a", bytes: [97], logprob: -1, top: [])
                ])),
            OpenAIChatAnswer.Choice(delta: .init()),
        ])
    func chunk(choice: OpenAIChatAnswer.Choice) throws {
        let header = ChunkHeader(id: "c", created: 7, model: #"m","content":"""#)
        #expect(
            try OpenAIChunks(header).text(choice) == header.chunk(choice).json().text)
    }

    @Test(
        "Hosts are read with and without ports",
        arguments: [
            ("localhost", "localhost", nil), ("LOCALHOST:80", "localhost", 80),
            ("[::1]:8080", "::1", 8080), ("a.b.", "a.b", nil), ("", nil, nil), (":80", nil, nil),
            ("a b", nil, nil), ("a:99999", nil, nil), ("[nonsense]", nil, nil), ("[::1", nil, nil),
            ("a/b", nil, nil), ("a@b", nil, nil), ("a:-1", nil, nil),
        ] as [(String, String?, Int?)])
    func authority(text: String, host: String?, port: Int?) {
        let authority = Authority(text)
        #expect(authority?.host == host && authority?.port == port)
    }

    @Test(
        "An origin matches the host it names, with the scheme's own port",
        arguments: [
            ("http://localhost:8080", "localhost:8080", true),
            ("http://localhost", "localhost:80", true), ("http://localhost", "localhost", true),
            ("https://a.example", "a.example:443", true),
            ("https://a.example", "a.example", true),
            ("http://localhost:8081", "localhost:8080", false),
            ("http://evil.example", "localhost:8080", false),
            ("http://localhost.evil.example", "localhost", false),
        ])
    func origin(origin: String, host: String, expected: Bool) throws {
        let authority = try #require(Authority(host))
        #expect(try #require(Origin(origin)).matches(authority) == expected)
    }

    @Test("What is no origin is none", arguments: ["null", "", "file://", "http://a/b", "ftp://a"])
    func notAnOrigin(text: String) { #expect(Origin(text) == nil) }

    @Test(
        "Address ranges hold what they say",
        arguments: [
            ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false),
            ("127.0.0.1", "127.0.0.1", true), ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0/0", "1.2.3.4", true), ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:1::5", true), ("::1", "::1", true),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
        ])
    func ranges(range: String, address: String, expected: Bool) throws {
        let address = try #require(NetworkAddress(address))
        #expect(try #require(AddressRange(range)).contains(address) == expected)
    }

    @Test(
        "What is no range is none",
        arguments: ["", "10.0.0.0/33", "10.0.0/8", "::/129", "x", "1.2.3.4/", "1.2.3.4/8/8"])
    func notARange(text: String) { #expect(AddressRange(text) == nil) }

    @Test("IPv6 customers are counted by their /64")
    func networks() throws {
        let one = try #require(NetworkAddress("2001:db8::1")).network
        let two = try #require(NetworkAddress("2001:db8::2:3")).network
        let other = try #require(NetworkAddress("2001:db8:0:1::1")).network
        #expect(one == two && one != other)
    }

    @Test(
        "Forwarded headers are believed from trusted proxies only",
        arguments: [
            ("10.0.0.1", "203.0.113.9", "203.0.113.9", true),
            ("10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9", true),
            ("10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9", true),
            ("10.0.0.1", "garbage", "10.0.0.1", true),
            ("192.0.2.1", "203.0.113.9", "192.0.2.1", false),
        ])
    func forwarded(peer: String, header: String, expected: String, isSecure: Bool) throws {
        var configuration = GatewayConfiguration()
        configuration.trustedProxies = ["10.0.0.0/8"]
        let client = ClientResolver(configuration).client(
            peer: NetworkAddress(peer),
            headers: [.forwardedFor: header, .forwardedProtocol: "https"])
        #expect(client.address == NetworkAddress(expected))
        #expect(client.isSecure == isSecure)
        #expect(client.isForwarded)
    }

    @Test("Base64url survives a round trip at every length, and refuses other text")
    func base64() {
        for count in 0..<40 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 200) }
            #expect(Secret.bytes(base64URL: Secret.base64URL(bytes)) == bytes)
        }
        #expect(Secret.base64URL([0xFB, 0xFF]) == "-_8")
        #expect(Secret.bytes(base64URL: "a+b") == nil)
    }

    @Test("SHA-256 and HMAC give what their standards give")
    func digests() {
        func hexadecimal(_ bytes: [UInt8]) -> String {
            bytes.map { String(format: "%02x", $0) }.joined()
        }
        #expect(
            hexadecimal(Secret.sha256("abc"))
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            hexadecimal(Secret.hmac(key: "key", "The quick brown fox jumps over the lazy dog"))
                == "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8")
    }

    @Test(
        "JSON that does not fit is refused with the field's name",
        arguments: [
            ("", "empty"), ("{", "not valid JSON"), ("[1]", "not valid JSON"),
            (#"{"name":1}"#, "`name` has to be a string"), ("{}", "`name` is missing"),
            (#"{"name":null}"#, "`name` may not be null"),
            (#"{"name":"a","ids":["x"]}"#, "`ids[0]` has a value that cannot be"),
            (String(repeating: "[", count: 100_000), "not valid JSON"),
            (#"{"name":"# + String(repeating: #"{"a":"#, count: 5000), "not valid JSON"),
            ("{\"name\":\"\u{0}\"}", "not valid JSON"),
        ])
    func json(text: String, expected: String) throws {
        struct Body: Decodable {
            let name: String
            let ids: [Identifier]?
        }
        do {
            _ = try JSON.decode(Body.self, from: ByteBuffer(string: text))
            Issue.record("It was taken.")
        } catch let refusal as Refusal {
            #expect(refusal.failure.code == .invalid)
            #expect(refusal.failure.message.contains(expected))
        }
    }

    @Test("A bucket runs empty, fills up again, and says how long to wait")
    func buckets() {
        let clock = ManualClock()
        let buckets = TokenBuckets<String>(
            burst: 2, perMinute: 60, environment: .manual(clock))
        #expect(buckets.take("a").isAllowed)
        #expect(buckets.take("a").isAllowed)
        let empty = buckets.take("a")
        #expect(!empty.isAllowed && empty.wait == .seconds(1))
        #expect(buckets.take("b").isAllowed)
        clock.advance(by: .milliseconds(999))
        #expect(!buckets.take("a").isAllowed)
        clock.advance(by: .milliseconds(1))
        #expect(buckets.take("a").isAllowed)
        clock.advance(by: .seconds(3600))
        #expect(buckets.take("a").remaining == 1)
    }

    @Test("However many strangers come, the buckets stay bounded")
    func manyBuckets() {
        let clock = ManualClock()
        let buckets = TokenBuckets<Int>(burst: 2, perMinute: 1, environment: .manual(clock))
        for stranger in 0..<TokenBuckets<Int>.bucketsMax * 2 {
            clock.advance(by: .microseconds(1))
            _ = buckets.take(stranger)
        }
        #expect(buckets.count <= TokenBuckets<Int>.bucketsMax)
        let last = TokenBuckets<Int>.bucketsMax * 2 - 1
        #expect(buckets.take(last).remaining == 0)
    }

    @Test(
        "Wrong configuration names its key",
        arguments: ["port", "host", "trusted_proxies", "public_url", "allowed_hosts"])
    func configuration(key: String) throws {
        var configuration = GatewayConfiguration()
        try configuration.validate()
        switch key {
        case "port": configuration.port = 70_000
        case "host": configuration.host = ""
        case "trusted_proxies": configuration.trustedProxies = ["proxy"]
        case "public_url": configuration.publicUrl = "chat.example.com"
        default: configuration.allowedHosts = ["a b"]
        }
        #expect {
            try configuration.validate()
        } throws: {
            ($0 as? Failure)?.message.contains("gateway.\(key)") == true
        }
    }
}
