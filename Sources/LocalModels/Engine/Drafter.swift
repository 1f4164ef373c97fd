/// Guesses how a text goes on: as it did where its last tokens stood before. Answers quote their
/// prompts, and small models repeat themselves. (Prompt lookup decoding; the chains are those of
/// zlib.)
struct Drafter: Sendable {
    /// Tokens that may come next.
    struct Draft: Sendable {
        var tokens: ArraySlice<Int32> = []
        /// How many of the last tokens stood before these.
        var matched = 0
    }

    static let matchMin = 3
    static let matchMax = 8
    /// How many places with the same last tokens are looked at, the latest first.
    private static let placesMax = 16
    private static let headsMax = 1 << 16

    private var tokens: [Int32]
    /// For the hash of `matchMin` tokens, where such ones ended last.
    private var heads: [Int32]
    /// For each place, the one before it with the same hash.
    private var previous: [Int32] = []

    /// `tokensMax`: how many there may be at the end.
    init(_ prompt: [Int32], tokensMax: Int) {
        var size = 64
        while size < min(tokensMax, Self.headsMax) { size *= 2 }
        heads = Array(repeating: -1, count: size)
        tokens = []
        tokens.reserveCapacity(tokensMax)
        previous.reserveCapacity(tokensMax)
        for token in prompt { append(token) }
    }

    mutating func append(_ token: Int32) {
        let place = tokens.count
        tokens.append(token)
        guard place + 1 >= Self.matchMin else { return previous.append(-1) }
        let head = head(of: place)
        previous.append(heads[head])
        heads[head] = Int32(place)
    }

    /// At most `count` tokens, from the place with the most tokens before it that are the last ones,
    /// of such places the latest. Empty when `matchMin` tokens have not stood together before.
    func draft(_ count: Int) -> Draft {
        var best = (end: 0, matched: 0)
        var place = previous.last ?? -1
        for _ in 0..<Self.placesMax where place >= 0 && best.matched < Self.matchMax {
            let matched = matched(at: Int(place))
            if matched > best.matched { best = (Int(place), matched) }
            place = previous[Int(place)]
        }
        guard best.matched >= Self.matchMin else { return Draft() }
        // What repeats from nearby goes on repeating.
        let period = tokens.count - 1 - best.end
        let drafted = (0..<count).map { tokens[best.end + 1 + $0 % period] }
        return Draft(tokens: drafted[...], matched: best.matched)
    }

    /// How many tokens that end at `place` are the last ones.
    private func matched(at place: Int) -> Int {
        let last = tokens.count - 1
        var count = 0
        while count < Self.matchMax, count <= place, tokens[place - count] == tokens[last - count] {
            count += 1
        }
        return count
    }

    private func head(of place: Int) -> Int {
        var hash: UInt32 = 0
        for token in tokens[place - Self.matchMin + 1...place] {
            hash = (hash ^ UInt32(bitPattern: token)) &* 0x9E37_79B1
        }
        return Int(hash >> 8) & (heads.count - 1)
    }
}
