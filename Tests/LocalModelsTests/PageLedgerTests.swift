import Testing

@testable import LocalModels

@Suite("Who owns which page")
struct PageLedgerTests {
    /// Pages of four tokens, so that a test can be read.
    private func ledger(_ limit: Int = 100, pagesMax: Int = 100) -> PageLedger {
        PageLedger(pagesMax: pagesMax, limit: limit, positions: 4)
    }

    private func begin(_ prompt: [Int32], _ tokensMax: Int, _ ledger: inout PageLedger) throws
        -> PageLedger.Beginning
    {
        let beginning = ledger.begin(prompt, tokensMax: tokensMax)
        return try #require(beginning)
    }

    /// Reads a whole sequence, and leaves it running.
    private func read(
        _ tokens: [Int32], _ ledger: inout PageLedger, tokensMax: Int? = nil
    ) throws -> (PageLedger.Holding, reused: Int) {
        let beginning = try begin(tokens, tokensMax ?? tokens.count, &ledger)
        var holding = beginning.holding
        let reused = holding.count
        ledger.extend(&holding, by: tokens.count - reused)
        ledger.append(tokens[reused...], to: &holding)
        return (holding, reused)
    }

    struct Reuse: Sendable, CustomTestStringConvertible {
        let before: [Int32]
        let prompt: [Int32]
        let reused: Int
        let testDescription: String
    }

    static let reuses = [
        Reuse(before: [], prompt: [1, 2], reused: 0, testDescription: "nothing before"),
        Reuse(
            before: [1, 2, 3], prompt: [9, 1, 2, 3], reused: 0, testDescription: "not a prefix"),
        Reuse(before: [1, 2], prompt: [1, 2, 3], reused: 2, testDescription: "inside a page"),
        Reuse(before: [1, 2, 3], prompt: [1, 2, 9], reused: 2, testDescription: "part of a page"),
        Reuse(
            before: [1, 2, 3, 4], prompt: [1, 2, 3, 4, 5], reused: 4, testDescription: "a page"),
        Reuse(
            before: [1, 2, 3, 4], prompt: [1, 2, 3, 4], reused: 3,
            testDescription: "all but the last token, which is read again"),
        Reuse(
            before: [1, 2, 3, 4, 5, 6, 7, 8, 9], prompt: [1, 2, 3, 4, 5, 6, 0, 0, 0],
            reused: 6, testDescription: "a page and half of the next"),
        Reuse(before: [1, 2, 3, 4], prompt: [1], reused: 0, testDescription: "one token"),
    ]

    @Test("A prompt reuses what it has in common with one that ended", arguments: reuses)
    func reuse(row: Reuse) throws {
        for isRunning in [false, true] {
            var ledger = ledger()
            if !row.before.isEmpty {
                let (holding, _) = try read(row.before, &ledger)
                if !isRunning { ledger.end(holding) }
            }
            let (holding, reused) = try read(row.prompt, &ledger)
            #expect(reused == row.reused)
            ledger.end(holding)
        }
    }

    @Test("A page that another still writes to is copied, one that nobody writes to is taken over")
    func copies() throws {
        var ledger = ledger()
        let (first, _) = try read([1, 2, 3], &ledger, tokensMax: 8)
        let beside = try begin([1, 2, 3, 7], 4, &ledger)
        #expect(beside.copy?.from == first.pages[0])
        #expect(beside.copy?.to == beside.holding.pages[0])
        ledger.end(beside.holding)
        ledger.end(first)
        let after = try begin([1, 2, 3, 7], 4, &ledger)
        #expect(after.copy == nil)
        #expect(after.holding.pages == first.pages)
    }

    @Test("Two who read the same at the same time end with the same pages")
    func twins() throws {
        var ledger = ledger()
        let tokens: [Int32] = [1, 2, 3, 4, 5, 6, 7, 8, 9]
        var left = try begin(tokens, 9, &ledger).holding
        var right = try begin(tokens, 9, &ledger).holding
        #expect(left.count == 0 && right.count == 0)
        ledger.extend(&left, by: 9)
        ledger.extend(&right, by: 9)
        #expect(ledger.ownedCount == 6)
        ledger.append(tokens[...], to: &left)
        ledger.append(tokens[...], to: &right)
        #expect(left.pages[..<2] == right.pages[..<2])
        #expect(left.pages[2] != right.pages[2])
        #expect(ledger.ownedCount == 4)
        ledger.end(left)
        ledger.end(right)
        #expect(ledger.ownedCount == 0)
        #expect(ledger.cachedCount == 3)
    }

    @Test("Nobody begins who could not get all that it may need, and ended ones make room")
    func promises() throws {
        var ledger = ledger(4)
        let (first, _) = try read([1, 2], &ledger, tokensMax: 12)
        let refused = ledger.begin([5], tokensMax: 5)
        #expect(refused?.holding == nil)
        #expect(ledger.shortage([5], tokensMax: 5).least == 1)
        let second = try begin([5], 4, &ledger).holding
        #expect(ledger.ownedCount + ledger.promisedCount == 4)
        ledger.end(first)
        _ = try begin([7], 12, &ledger)
        ledger.end(second)
    }

    @Test("What was not used for the longest goes first, from its end")
    func eviction() throws {
        var ledger = ledger(5)
        for start in [10, 20] as [Int32] {
            let (holding, _) = try read(Array(start..<start + 8), &ledger)
            ledger.end(holding)
        }
        // Used again, so that the other is the older one.
        let again = try begin(Array(10..<18), 8, &ledger).holding
        ledger.end(again)
        let (other, _) = try read([1, 2, 3, 4, 5, 6, 7, 8], &ledger)
        ledger.end(other)
        let rest = try begin([20, 21, 22, 23, 0], 5, &ledger).holding
        #expect(rest.count == 4)
        #expect(ledger.shortage([10, 11, 12, 13, 0], tokensMax: 5).least <= 0)
    }

    @Test("What a spoilt sequence read is not kept, and what others read is")
    func spoilt() throws {
        var ledger = ledger()
        let (good, _) = try read([1, 2, 3, 4, 5], &ledger)
        let (bad, _) = try read([1, 2, 3, 4, 6, 7], &ledger)
        ledger.end(bad, isSpoilt: true)
        ledger.end(good)
        #expect(ledger.cachedCount == 2)
        let again = try begin([1, 2, 3, 4, 5, 6], 6, &ledger).holding
        #expect(again.count == 5)
    }

    @Test("Cleared, nothing is left but what runs")
    func clear() throws {
        var ledger = ledger(8)
        let (ended, _) = try read([1, 2, 3, 4, 5], &ledger)
        let (running, _) = try read([7, 8], &ledger, tokensMax: 12)
        ledger.end(ended)
        ledger.raiseLimit(by: 4)
        #expect(ledger.limit == 12)
        let unused = ledger.clear(limit: 2)
        #expect(Set(unused) == Set(ended.pages))
        #expect(ledger.cachedCount == 0)
        #expect(ledger.limit == 3)
        ledger.end(running)
    }

    /// The naive model: every running sequence has its tokens in pages by number, and a page holds
    /// what was written to it last.
    @Test("Whatever happens, every sequence finds its own tokens in its pages", arguments: 0..<20)
    func property(seed: UInt64) throws {
        var random = Random(state: seed)
        let limit = 6 + random.below(20)
        var ledger = ledger(limit, pagesMax: limit)
        var contents = Array(repeating: [Int32](repeating: -1, count: 4), count: limit)
        var running: [(holding: PageLedger.Holding, tokens: [Int32], max: Int)] = []
        var ended: [[Int32]] = []
        var reusedTotal = 0

        func check(_ holding: PageLedger.Holding, _ tokens: [Int32]) -> Bool {
            (0..<holding.count).allSatisfy {
                contents[Int(holding.pages[$0 / 4])][$0 % 4] == tokens[$0]
            }
        }
        for _ in 0..<600 {
            switch random.below(10) {
            case 0..<3 where running.count < 5:
                // Few different tokens, so that prompts have much in common.
                var prompt = ended.isEmpty ? [] : ended[random.below(ended.count)]
                prompt = Array(prompt.prefix(random.below(prompt.count + 1)))
                prompt += (0...random.below(9)).map { _ in Int32(random.below(2)) }
                prompt = Array(prompt.prefix(20))
                let max = prompt.count + random.below(8)
                guard let beginning = ledger.begin(prompt, tokensMax: max) else {
                    #expect(!running.isEmpty || max > 4 * limit)
                    continue
                }
                if let copy = beginning.copy {
                    contents[Int(copy.to)] = contents[Int(copy.from)]
                }
                reusedTotal += beginning.holding.count
                #expect(beginning.holding.count < prompt.count)
                #expect(check(beginning.holding, prompt))
                running.append((beginning.holding, prompt, max))
            case 3..<8 where !running.isEmpty:
                let place = random.below(running.count)
                var (holding, tokens, max) = running[place]
                if holding.count == tokens.count, tokens.count < max {
                    tokens.append(Int32(random.below(2)))
                }
                let part = tokens[holding.count...].prefix(1 + random.below(6))
                ledger.extend(&holding, by: part.count)
                for (offset, token) in part.enumerated() {
                    let position = holding.count + offset
                    contents[Int(holding.pages[position / 4])][position % 4] = token
                }
                ledger.append(part, to: &holding)
                running[place] = (holding, tokens, max)
            case 8..<10 where !running.isEmpty:
                let (holding, tokens, _) = running.remove(at: random.below(running.count))
                ledger.end(holding, isSpoilt: random.below(10) == 0)
                ended.append(Array(tokens.prefix(holding.count)))
            default: break
            }
            #expect(running.allSatisfy { check($0.holding, $0.tokens) })
            let owned = Set(running.flatMap(\.holding.pages))
            #expect(ledger.ownedCount == owned.count)
            #expect(ledger.usedCount <= limit)
            #expect(ledger.ownedCount + ledger.promisedCount <= limit)
        }
        for entry in running { ledger.end(entry.holding) }
        #expect(ledger.ownedCount == 0 && ledger.promisedCount == 0)
        #expect(reusedTotal > 0)
        _ = ledger.clear(limit: limit)
        #expect(ledger.usedCount == 0)
    }
}
