import Core
import Foundation
import TestSupport
import Testing

@testable import Accounting

@Suite struct PriceListTests {
    private let now = Timestamp(microseconds: 1_790_000_000_000_000)

    @Test(
        "The configuration goes before the book, and the book before the ceiling",
        arguments: [
            ("openai/gpt-5.4-mini", 9, "configured"),
            ("openai/gpt-5.4-nano", 200_000, "2026-08-01"),
            ("lan/anything", 0, "configured"), ("local/smollm2", 0, "local"),
            ("local/dear", 7, "configured"), ("else/unheard-of", 30_000_000, "unpriced"),
            ("no-slash", 30_000_000, "unpriced"), ("", 30_000_000, "unpriced"),
            ("/", 30_000_000, "unpriced"),
        ] as [(String, Int64, String)])
    func order(candidate: String, input: Int64, asOf: String) throws {
        var configuration = AccountingConfiguration()
        configuration.prices = [
            "openai/gpt-5.4-mini": PriceConfiguration(input: "0.000009", output: "1"),
            "lan/*": PriceConfiguration(),
            "local/dear": PriceConfiguration(input: "0.000007", output: "1"),
        ]
        let price = try PriceList(configuration).price(of: candidate, now: now)
        #expect(price.rates.input == Picodollars(input))
        #expect(price.asOf == asOf)
        #expect(price.isKnown == (asOf != "unpriced"))
    }

    @Test("A call without a known price is refused where the policy says so")
    func refusal() throws {
        var configuration = AccountingConfiguration()
        configuration.unpricedPolicy = .refuse
        let list = try PriceList(configuration)
        #expect(throws: Failure.self) { try list.price(of: "else/unheard-of", now: now) }
        #expect(try list.price(of: "local/any", now: now).isFree)
    }

    @Test("A price book from a file replaces the built-in one")
    func file() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/prices.json"
        let json =
            #"{"unit": "\#(PriceBook.unit)", "as_of": "2027-01-01", "prices": [{"provider": "a", "#
            + #""model": "m", "input": 1, "output": 2}]}"#
        try Data(json.utf8).write(to: URL(fileURLWithPath: path))
        var configuration = AccountingConfiguration()
        configuration.priceBook = path
        let list = try PriceList(configuration)
        #expect(try list.price(of: "a/m", now: now).asOf == "2027-01-01")
        #expect(try !list.price(of: "openai/gpt-5.4-mini", now: now).isKnown)

        configuration.priceBook = folder.path + "/none.json"
        #expect(throws: Failure.self) { try PriceList(configuration) }
        try Data("{".utf8).write(to: URL(fileURLWithPath: path))
        configuration.priceBook = path
        #expect { try PriceList(configuration) } throws: {
            ($0 as? Failure)?.message.contains(path) == true
        }
    }

    @Test("A configuration that cannot be used names its key", arguments: refused)
    func validation(key: String, configuration: AccountingConfiguration) {
        #expect { try configuration.validate() } throws: {
            ($0 as? Failure)?.message.contains(key) == true
        }
    }

    private static let refused: [(String, AccountingConfiguration)] = [
        ("accounting.prices", changed { $0.prices = ["gpt": PriceConfiguration()] }),
        ("accounting.prices", changed { $0.prices = ["/gpt": PriceConfiguration()] }),
        ("accounting.prices", changed { $0.prices = ["openai/": PriceConfiguration()] }),
        (
            "accounting.prices.a/b.input_dollars_per_million",
            changed { $0.prices = ["a/b": PriceConfiguration(input: "cheap", output: "1")] }
        ),
        (
            "accounting.unpriced.output_dollars_per_million",
            changed { $0.unpriced = PriceConfiguration(input: "1", output: "") }
        ),
        ("accounting.monthly_budget_dollars", changed { $0.monthlyBudgetDollars = "lots" }),
        ("accounting.monthly_budget_dollars", changed { $0.monthlyBudgetDollars = "-1" }),
        ("accounting.monthly_budget_dollars", changed { $0.monthlyBudgetDollars = "99999999" }),
        ("accounting.hold_minutes_max", changed { $0.holdMinutesMax = 0 }),
    ]

    private static func changed(_ change: (inout AccountingConfiguration) -> Void)
        -> AccountingConfiguration
    {
        var configuration = AccountingConfiguration()
        change(&configuration)
        return configuration
    }

    @Test("The defaults are valid, and go through JSON unchanged")
    func defaults() throws {
        let configuration = AccountingConfiguration()
        try configuration.validate()
        let json = try JSONEncoder().encode(configuration)
        #expect(try JSONDecoder().decode(AccountingConfiguration.self, from: json) == configuration)
    }
}
