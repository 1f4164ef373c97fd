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
            ("convert miles to km", "convert km to miles", .words),
            ("Why does a dog bite a man?", "Why does a man bite a dog?", .words),
            (
                "Show a program that orders numbers with quicksort",
                "Show a program that orders numbers with mergesort", .words
            ), ("Is the sky blue?", "What makes the sky blue?", .askedFor),
            ("Tell me of the sea", "Write of the sea", .askedFor),
            ("Put into Dutch: the cat sat", "Put into Dutch: the cat had sat", .quotations),
        ] as [(String, String, QuestionTraits.Trait)])
    func different(one: String, other: String, trait: QuestionTraits.Trait) {
        #expect(Self.differences(one, other).contains(trait), "\(Self.differences(one, other))")
        #expect(Self.differences(other, one) == Self.differences(one, other))
    }

    @Test(
        "Questions that mean the same agree, however they are put",
        arguments: [
            ("What is the capital of France?", "What's the capital of france's neighbour?", false),
            ("What is the capital of France?", "Tell me the capital of France", true),
            ("What is the capital of France?", "What\u{2019}s France\u{2019}s capital?", true),
            ("What is the capital of France?", "Which city is the capital of France?", true),
            ("How can I reset my password?", "How do I reset my password?", true),
            ("Who wrote Hamlet?", "Who is the author of Hamlet?", true),
            ("What is the capital of France?", "what is the capital city of France", true),
            ("Tell me the capital of France.", "Please name the capital of France!", true),
            ("How do I boil an egg?", "How does one boil an egg?", false),
            ("How do I boil an egg?", "how do you boil an egg ?", true),
            ("Explain `map` please", "Please explain what `map` does", true),
            ("Explain `map` please", "Please explain `map`", true),
            ("What is 2 + 2?", "what is two + two", true),
            ("Name 3 rivers", "Name three rivers.", true), ("", "   ", true),
        ])
    func agreeing(one: String, other: String, agree: Bool) {
        #expect(Self.differences(one, other).isEmpty == agree, "\(Self.differences(one, other))")
    }

    @Test(
        "A question about this moment is told from others",
        arguments: [
            ("What is the latest version?", true), ("What happened an hour ago?", true),
            ("What happens on Monday?", false), ("When did it sink?", false),
        ])
    func now(question: String, isOfNow: Bool) {
        #expect(QuestionTraits(question).isOfNow == isOfNow)
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
