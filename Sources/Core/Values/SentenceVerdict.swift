/// What bears out a sentence of an answer among the passages that its model was given.
package struct SentenceVerdict: Hashable, Codable, Sendable {
    package enum Support: String, Codable, Sendable, CaseIterable {
        /// It stands in the passage word for word.
        case quoted
        case supported
        /// A passage says something like it, and not enough to rest on.
        case weak
        case unsupported
    }

    package enum Method: String, Codable, Sendable, CaseIterable {
        case quote, words, meaning
    }

    /// Where the sentence stands in the answer, in Unicode scalars, end exclusive.
    package let start: Int, end: Int
    package let support: Support
    /// The passage that bears it out, or comes closest; nil where none does.
    package let number: Int?
    /// How that was found, and how much of it: from 0 to 1, a share of words or a cosine.
    package let method: Method
    package let score: Double
    /// Where the passage's document says it, in scalars of its text.
    package var evidenceStart: Int?, evidenceEnd: Int?
    /// Numbers that the model cited for it and that do not hold: there is no such passage, or it does
    /// not say this.
    package var wrongNumbers: [Int] = []
    /// Why it is in doubt, in a sentence for the reader; nil where it is not.
    package var reason: String?

    package var isGood: Bool { support == .quoted || support == .supported }

    package init(
        start: Int, end: Int, support: Support, number: Int?, method: Method, score: Double
    ) {
        (self.start, self.end, self.support) = (start, end, support)
        (self.number, self.method, self.score) = (number, method, score)
    }
}

/// What was looked for before an answer was written.
package struct SearchReport: Hashable, Codable, Sendable {
    package let text: String
    /// Other wordings that were looked up as well.
    package var queries: [String]?
    /// Empty means all that the user may search.
    package let collectionIDs: [Identifier]
    /// How many passages the answer could have.
    package let passagesMax: Int
    /// Who was to answer, by the public name.
    package var model: String?
    /// How much was searched, and the cosine of what came closest; known where too little was found.
    package var documentCount: Int?, passageCount: Int?, bestSimilarity: Double?

    package init(text: String, collectionIDs: [Identifier], passagesMax: Int) {
        (self.text, self.collectionIDs, self.passagesMax) = (text, collectionIDs, passagesMax)
    }
}
