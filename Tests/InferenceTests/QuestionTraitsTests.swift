import Testing

@testable import Inference

struct QuestionTraitsTests {
    private static func differences(_ one: String, _ other: String) -> [QuestionTraits.Trait] {
        QuestionTraits(one).differences(from: QuestionTraits(other))
    }

    @Test(
        "Questions that a vector takes for one, and that have other answers, differ in a trait",
        arguments: [
            ("Convert 15 dollars to euros.", "Convert 50 dollars to euros.", .numbers),
            ("Name three rivers.", "Name four rivers.", .numbers),
            ("Is 1,000 more than 10?", "Is 10 more than 1,000?", .numbers),
            ("Is aspirin safe for cats?", "Is aspirin not safe for cats?", .negations),
            ("Can I eat it raw?", "Can't I eat it raw?", .negations),
            ("Which cities have a port?", "Which cities have no port?", .negations),
            ("What is the capital of France?", "What is the capital of Spain?", .names),
            ("Flights from Paris to London", "Flights from London to Paris", .names),
            ("Who is Ada Lovelace?", "Who is Ada Palmer?", .names),
            ("What does `map` do?", "What does `flatMap` do?", .code),
            ("What does list.append do?", "What does list.extend do?", .code),
            ("Explain parseInt", "Explain parseFloat", .code),
            ("What is /etc/passwd?", "What is /etc/shadow?", .code),
            ("What is 3 + 4?", "What is 3 * 4?", .code),
            ("What happens on Monday?", "What happens on Friday?", .dates),
            ("What is the weather today?", "What is the weather tomorrow?", .dates),
            ("Say \u{201C}good\u{201D} in Dutch", "Say \u{201C}evil\u{201D} in Dutch", .quotations),
            ("When did it sink?", "Where did it sink?", .askedFor),
            ("How do I enable it?", "How do I disable it?", .directions),
            ("What comes before lunch?", "What comes after lunch?", .directions),
            ("List its pros", "List its cons", .directions),
        ] as [(String, String, QuestionTraits.Trait)])
    func different(one: String, other: String, trait: QuestionTraits.Trait) {
        #expect(Self.differences(one, other).contains(trait), "\(Self.differences(one, other))")
        #expect(Self.differences(other, one) == Self.differences(one, other))
    }

    @Test(
        "Questions that mean the same agree, however they are put",
        arguments: [
            ("What is the capital of France?", "What's the capital of france's neighbour?", false),
            ("What is the capital of France?", "what is the capital city of France", true),
            ("Tell me the capital of France.", "Please name the capital of France!", true),
            ("How do I boil an egg?", "How does one boil an egg?", false),
            ("How do I boil an egg?", "how do you boil an egg ?", true),
            ("Explain `map` please", "Please explain what `map` does", false),
            ("Explain `map` please", "Please explain `map`", true),
            ("What is 2 + 2?", "what is two + two", true),
            ("Name 3 rivers", "Name three rivers.", true), ("", "   ", true),
        ])
    func agreeing(one: String, other: String, agree: Bool) {
        #expect(Self.differences(one, other).isEmpty == agree, "\(Self.differences(one, other))")
    }

    @Test("Any text can be read, signs and lone quotation marks included")
    func hostile() {
        for text in [
            "`", "\"", "```", "'s", "n't", "--", "\u{0}", "(((", "\u{1F600} 7\u{FE0F}\u{20E3}",
        ] {
            #expect(QuestionTraits(text).differences(from: QuestionTraits(text)).isEmpty)
        }
        #expect(QuestionTraits("a `b").code.isEmpty)
    }
}
