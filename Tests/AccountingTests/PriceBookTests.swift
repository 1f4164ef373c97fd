import Core
import Testing

@testable import Accounting

@Suite struct PriceBookTests {
    private static func book(_ prices: String, unit: String = PriceBook.unit) throws -> PriceBook {
        let json = #"{"unit": "\#(unit)", "as_of": "2026-08-01", "prices": [\#(prices)]}"#
        return try PriceBook(json: Array(json.utf8))
    }

    private static func line(_ provider: String, _ model: String, _ rest: String) -> String {
        #"{"provider": "\#(provider)", "model": "\#(model)", \#(rest)}"#
    }

    @Test("The built-in book is the file of the source tree, whole and dated")
    func builtIn() throws {
        let book = try PriceBook.builtIn()
        #expect(book.asOf == "2026-08-01")
        #expect(book.entries.count == 121)
    }

    @Test(
        "Prices are exact picodollars for a token",
        arguments: [
            ("openai", "gpt-5.4-mini", 750_000, 75_000, 750_000, 4_500_000),
            ("openai", "gpt-5.4-nano", 200_000, 20_000, 200_000, 1_250_000),
            ("openai", "gpt-5-nano", 50_000, 5_000, 50_000, 400_000),
            ("openai", "gpt-5.6", 5_000_000, 500_000, 6_250_000, 30_000_000),
            ("bedrock", "us.anthropic.claude-opus-5", 5_500_000, 550_000, 6_875_000, 27_500_000),
            ("bedrock", "amazon.nova-micro-v1:0", 35_000, 35_000, 35_000, 140_000),
            ("groq", "openai/gpt-oss-20b", 75_000, 37_500, 75_000, 300_000),
        ] as [(String, String, Int64, Int64, Int64, Int64)])
    func exact(
        provider: String, model: String, input: Int64, read: Int64, write: Int64, output: Int64
    ) throws {
        let price = try PriceBook.builtIn().price(
            provider: provider, model: model, on: "2026-11-21")
        #expect(
            price?.rates
                == Rates(
                    input: Picodollars(input), cacheRead: Picodollars(read),
                    cacheWrite: Picodollars(write), output: Picodollars(output)))
    }

    @Test(
        "A price in the file is read digit by digit",
        arguments: [
            ("0.000001", 1), ("0.1", 100_000), ("0.29", 290_000), ("0.3", 300_000),
            ("3", 3_000_000),
            ("3.0", 3_000_000), ("1e-6", 1), ("7.5E-1", 750_000), ("1234.567891", 1_234_567_891),
            ("0", 0), ("0.100000000", 100_000), ("10000", 10_000_000_000),
        ] as [(String, Int64)])
    func digits(text: String, expected: Int64) throws {
        let book = try Self.book(Self.line("a", "m", #""input": \#(text), "output": 0"#))
        #expect(book.entries.first?.price.rates.input == Picodollars(expected))
        #expect(Picodollars(dollarsPerMillion: text) == Picodollars(expected))
    }

    @Test(
        "What is no exact price is refused",
        arguments: [
            "-1", "0.0000001", "1e-7", "10000.000001", "1e99", "1e400", "9223372036854775808",
            "0.12345678901234567890123456789012345678901234567890", "\"1\"", "true", "null", "[]",
            "NaN", "0x10", "1_000",
        ])
    func refused(text: String) {
        #expect(throws: Failure.self) {
            try Self.book(Self.line("a", "m", #""input": \#(text), "output": 0"#))
        }
    }

    @Test(
        "Text of the configuration that is no price is refused",
        arguments: ["", ".", "-", "-1", "1.", ".5", "1,5", " 1", "1e", "e1", "+1", "1e+", "١", "∞"])
    func refusedText(text: String) { #expect(Picodollars(dollarsPerMillion: text) == nil) }

    @Test(
        "A file that is no price book is a clear failure, never a trap",
        arguments: [
            "", "{", "[]", "null", "{}", #"{"unit":"EUR","as_of":"x","prices":[]}"#,
            #"{"unit":"USD per 1,000,000 tokens","as_of":"x","prices":[{}]}"#,
            #"{"unit":"USD per 1,000,000 tokens","as_of":"x","prices":"all"}"#,
            String(repeating: "[", count: 100_000), "\u{0}\u{1}", "{\"unit\":\"\\ud800\"}",
        ])
    func hostile(json: String) {
        #expect(throws: Failure.self) { try PriceBook(json: Array(json.utf8)) }
        #expect(throws: Failure.self) { try PriceBook(json: Array(json.utf8.dropLast()) + [0xFF]) }
    }

    @Test("A price without a name, or a threshold of nothing, is refused")
    func refusedLines() {
        for line in [
            Self.line("", "m", #""input": 1, "output": 1"#),
            Self.line("a", "", #""input": 1, "output": 1"#),
            Self.line(
                "a", "m",
                #""input": 1, "output": 1, "long_context": {"threshold_tokens": 0, "input": 1, "output": 1}"#
            ),
        ] {
            #expect(throws: Failure.self) { try Self.book(line) }
        }
        #expect(throws: Failure.self) {
            try PriceBook(json: Array(repeating: 32, count: PriceBook.bytesMax + 1))
        }
    }

    @Test("Every cut of a good book is refused or read, and none traps")
    func truncated() throws {
        let line = Self.line("a", "m", #""input": 1.25, "output": 1e-2"#)
        let json = Array(
            #"{"unit": "\#(PriceBook.unit)", "as_of": "2026-08-01", "prices": [\#(line)]}"#.utf8)
        for count in 0..<json.count {
            #expect(throws: Failure.self) { try PriceBook(json: Array(json[..<count])) }
        }
    }

    @Test("A long context makes the whole request dearer, from the first token past the threshold")
    func longContext() throws {
        let price = try #require(
            try PriceBook.builtIn().price(provider: "openai", model: "gpt-5.6", on: "2026-11-21"))
        let short = TokenUsage(freshInput: 271_000, cacheRead: 1000, output: 10)
        let long = TokenUsage(freshInput: 271_001, cacheRead: 1000, output: 10)
        #expect(
            try price.cost(of: short).rawValue == 271_000 * 5_000_000 + 1000 * 500_000
                + 10 * 30_000_000)
        #expect(
            try price.cost(of: long).rawValue == 271_001 * 10_000_000 + 1000 * 1_000_000
                + 10 * 45_000_000)
    }

    @Test(
        "A price that changes holds from its first day",
        arguments: [
            ("2026-08-31", 2_000_000), ("2026-09-01", 3_000_000), ("2030-01-01", 3_000_000),
        ] as [(String, Int64)])
    func effective(day: String, expected: Int64) throws {
        let price = try PriceBook.builtIn().price(
            provider: "anthropic", model: "claude-sonnet-5", on: day)
        #expect(price?.rates.input == Picodollars(expected))
    }

    @Test(
        "Providers have free names: the model decides, then the likest provider, then the dearest",
        arguments: [
            ("one", "m", 1_000_000), ("ONE", "M", 1_000_000), ("my-two-eu", "m", 3_000_000),
            ("proxy", "m", 3_000_000), ("proxy", "only", 500_000),
            ("reseller", "one/m", 1_000_000), ("proxy", "other", nil), ("proxy", "one/none", nil),
        ] as [(String, String, Int64?)])
    func lookUp(provider: String, model: String, expected: Int64?) throws {
        let book = try Self.book(
            [
                Self.line("one", "m", #""input": 1, "output": 1"#),
                Self.line("two", "m", #""input": 3, "output": 1"#),
                Self.line("one", "only", #""input": 0.5, "output": 1"#),
            ].joined(separator: ","))
        let price = book.price(provider: provider, model: model, on: "2026-11-21")
        #expect(price?.rates.input.rawValue == expected)
    }
}
