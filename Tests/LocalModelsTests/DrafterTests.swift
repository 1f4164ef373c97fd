import Testing

@testable import LocalModels

@Suite("Drafts from what stood before")
struct DrafterTests {
    @Test("A draft is what followed the longest match, of equals the latest, or nothing")
    func likeAScan() {
        var random = Random(state: 1)
        for letters in [2, 3, 5, 40] {
            let text = (0..<300).map { _ in Int32(random.below(letters)) }
            let start = random.below(20)
            var drafter = Drafter(Array(text.prefix(start)), tokensMax: text.count)
            for count in start..<text.count {
                drafter.append(text[count])
                let seen = Array(text[...count])
                let draft = drafter.draft(4)
                let best = Self.longestMatch(seen)
                // Only so many places are looked at, which with few letters are not all.
                #expect(draft.matched <= best)
                #expect((draft.matched == 0) == (best == 0))
                if letters == 40 { #expect(draft.matched == best) }
                guard draft.matched > 0 else { continue }
                #expect(draft.tokens.count == 4)
                #expect(Self.follows(seen, draft))
            }
        }
    }

    @Test("What repeats goes on repeating")
    func period() {
        let drafter = Drafter([9, 1, 2, 1, 2, 1, 2], tokensMax: 100)
        let draft = drafter.draft(5)
        #expect(Array(draft.tokens) == [1, 2, 1, 2, 1])
        #expect(Drafter([1, 2, 3, 1, 2], tokensMax: 9).draft(3).tokens.isEmpty)
        #expect(Drafter([], tokensMax: 9).draft(3).tokens.isEmpty)
    }

    @Test("A draft ends before an end token")
    func ends() {
        var speculator = Speculator([1, 2, 3, 4, 99, 5, 1, 2, 3], tokensMax: 50, endTokens: [99])
        #expect(Array(speculator.draft().tokens) == [4])
        speculator.append(4)
        #expect(speculator.draft().tokens.isEmpty)
    }

    @Test("What is wrong is drafted less, what is right more, and what was given up comes back")
    func chances() {
        var speculator = Speculator([1, 2, 3, 4, 5, 1, 2, 3], tokensMax: 50, endTokens: [])
        let first = speculator.draft().chance
        speculator.verified(3, accepted: 0)
        let second = speculator.draft().chance
        #expect(second < first)
        for _ in 0..<200 {
            speculator.verified(0, accepted: 0)
            _ = speculator.draft()
        }
        let later = speculator.draft().chance
        #expect(later > second && later < first)
        speculator.verified(3, accepted: 3)
        #expect(speculator.draft().chance > first)
    }

    private static func longestMatch(_ text: [Int32]) -> Int {
        var best = 0
        for end in text.indices.dropLast() {
            var count = 0
            while count < Drafter.matchMax, count <= end,
                text[end - count] == text[text.count - 1 - count]
            {
                count += 1
            }
            best = max(best, count)
        }
        return best >= Drafter.matchMin ? best : 0
    }

    /// Whether the draft follows an earlier place with so many of the last tokens.
    private static func follows(_ text: [Int32], _ draft: Drafter.Draft) -> Bool {
        let whole = text + draft.tokens
        let last = text.suffix(draft.matched)
        return (draft.matched - 1..<text.count - 1).contains { end in
            Array(whole[end - draft.matched + 1...end + 4]) == Array(last + draft.tokens)
        }
    }
}
