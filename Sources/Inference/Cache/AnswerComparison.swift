/// Whether two answers to one question say the same, as far as vectors and facts can tell.
struct AnswerComparison: Hashable, Sendable {
    enum Complaint: String, Sendable, CaseIterable {
        /// The vectors lie far apart.
        case meaning
        /// Each has numbers, and hardly one in common.
        case numbers
        /// The same of names.
        case names
        /// One says yes and the other no.
        case verdict
    }

    let similarity: Double
    let complaints: [Complaint]

    init(_ given: String, _ asked: String, similarity: Double, similarityMin: Double) {
        let (one, other) = (QuestionTraits(given), QuestionTraits(asked))
        self.similarity = similarity
        complaints = Complaint.allCases.filter { complaint in
            switch complaint {
            case .meaning: similarity < similarityMin
            case .numbers: Self.contradict(one.numbers, other.numbers)
            case .names: Self.contradict(one.names, other.names)
            case .verdict: Self.verdict(given) * Self.verdict(asked) < 0
            }
        }
    }

    /// The shorter of two answers may leave things out, but not say others.
    private static func contradict(_ one: [String], _ other: [String]) -> Bool {
        let (left, right) = (Set(one), Set(other))
        let least = min(left.count, right.count)
        return least > 0 && 2 * left.intersection(right).count < least
    }

    /// 1 for yes, -1 for no, 0 for neither.
    private static func verdict(_ answer: String) -> Int {
        let word = answer.lowercased().drop { !$0.isLetter }.prefix { $0.isLetter }
        return word == "yes" ? 1 : word == "no" ? -1 : 0
    }
}
