/// Whether answers are drafted from what stood before and only verified by the network.
package enum Speculation: String, Codable, Sendable {
    /// Where it makes an answer faster and no other slower.
    case auto
    case off
}

/// Drafts for one answer, with how likely each token of one is the one that will be picked, by what
/// came of those before.
struct Speculator: Sendable {
    /// A draft longer than this would cost more than its last tokens bring.
    static let draftMax = 7

    struct Draft: Sendable {
        var tokens: ArraySlice<Int32> = []
        /// Of each token, where all before it were right.
        var chance = 0.0

        /// How many tokens come of reading so many of it, on average.
        func tokensExpected(_ count: Int) -> Double {
            var (sum, product) = (1.0, 1.0)
            for _ in 0..<min(count, tokens.count) {
                product *= chance
                sum += product
            }
            return sum
        }
    }

    private static let weightOfNew = 0.25
    private static let weightOfUnread = 0.01
    /// Before anything is known: the longer the match, the better.
    private static let chances = [0.4, 0.55, 0.75]

    private var drafter: Drafter
    private let endTokens: Set<Int32>
    private var chances = Self.chances
    private var current = 0
    private var isOffered = false

    /// `tokensMax`: of prompt and answer together.
    init(_ prompt: [Int32], tokensMax: Int, endTokens: Set<Int32>) {
        drafter = Drafter(prompt, tokensMax: tokensMax)
        self.endTokens = endTokens
    }

    /// Goes on by a token that was picked.
    mutating func append(_ token: Int32) { drafter.append(token) }

    /// What may come next. Nothing follows an end token, so that none is worth reading.
    mutating func draft() -> Draft {
        let found = drafter.draft(Self.draftMax)
        let tokens = found.tokens.prefix { !endTokens.contains($0) }
        isOffered = !tokens.isEmpty
        guard isOffered else { return Draft() }
        current = found.matched <= 3 ? 0 : found.matched < Drafter.matchMax ? 1 : 2
        return Draft(tokens: tokens, chance: chances[current])
    }

    /// So many tokens of the last draft were read, and so many of them picked. What is not tried
    /// comes back to where it began, so that it is tried again some time.
    mutating func verified(_ read: Int, accepted: Int) {
        guard isOffered else { return }
        isOffered = false
        guard read > 0 else {
            let start = Self.chances[current]
            chances[current] += Self.weightOfUnread * (start - chances[current])
            return
        }
        for place in 0..<min(read, accepted + 1) {
            let outcome = place < accepted ? 1.0 : 0.0
            chances[current] += Self.weightOfNew * (outcome - chances[current])
        }
    }
}
