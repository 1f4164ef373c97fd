package import OrderedJSON

/// A document that a search should have found, and what became of it.
package struct DocumentExplanation: Codable, Sendable {
    package let document: DocumentSummary
    /// The beginning of the text that was read from it, and how long all of it is in characters.
    package let excerpt: String
    package let characterCount: Int
    /// Whether it is in the collections that were searched.
    package let isSearched: Bool
    /// Its passages that have no vector to compare the question's with.
    package let passagesWithoutVector: Int
    /// Words of the question that it holds, and those that it does not.
    package let words: [String], missingWords: [String]
    /// Its passages, best first; those without a `rank` were not found.
    package let hits: [SearchHit]

    package init(
        document: DocumentSummary, excerpt: String, characterCount: Int, isSearched: Bool,
        passagesWithoutVector: Int, words: [String], missingWords: [String], hits: [SearchHit]
    ) {
        (self.document, self.excerpt, self.characterCount) = (document, excerpt, characterCount)
        (self.isSearched, self.hits) = (isSearched, hits)
        self.passagesWithoutVector = passagesWithoutVector
        (self.words, self.missingWords) = (words, missingWords)
    }
}

/// Asks why an answer has the passages it has: that of a turn, or one to a question for a trial.
package struct ExplanationRequest: Sendable {
    package let principal: Principal
    package var turnID: Identifier?
    /// Needed where there is no turn.
    package var question: String?
    /// As in a turn; nil means as the turn had them, or the defaults.
    package var model: String?, collectionIDs: [Identifier]?, passagesMax: Int?
    /// The document that should have been found, and a filter as in a `SearchRequest`.
    package var documentID: Identifier?, filter: JSONValue?
    /// How many found passages are listed.
    package var limit = 20

    package init(principal: Principal) { self.principal = principal }
}

/// Why an answer has the passages it has.
package struct AnswerExplanation: Codable, Sendable {
    /// A passage that was found, and whether the model is given it.
    package struct Row: Codable, Sendable {
        package enum Fate: String, Codable, Sendable, CaseIterable {
            case given
            /// Further down than so many passages as are given.
            case pastLimit
            /// It did not fit beside the better ones.
            case overBudget
            /// No word fits, and the meaning is too far away.
            case tooFar
        }

        package let hit: SearchHit
        package let fate: Fate
        /// Zero where it was not considered.
        package let tokens: Int
        /// Whether the turn's model was given it; nil without a turn, or where that is not kept.
        package let wasGiven: Bool?

        package init(hit: SearchHit, fate: Fate, tokens: Int, wasGiven: Bool?) {
            (self.hit, self.fate, self.tokens) = (hit, fate, tokens)
            self.wasGiven = wasGiven
        }
    }

    /// Something that kept a document from being found, and what would change it.
    package struct Finding: Codable, Sendable, Equatable {
        package enum Action: String, Codable, Sendable, CaseIterable {
            /// Read the document again; make the vectors that are missing.
            case reread, embed
            /// Give the model `passages`; ask `question` instead; search all collections.
            case passages, ask, searchAll
            /// Put in another file; nothing here helps.
            case upload
        }

        package let sentence: String
        package var action: Action?
        /// What the button says that does it.
        package var label: String?
        package var passages: Int?, question: String?

        package init(_ sentence: String) { self.sentence = sentence }
    }

    package let question: String
    /// What was looked for, where, and by what settings.
    package let search: SearchReport
    package let model: String
    package let passageTokensMax: Int
    package let similarityMin: Double
    /// As a `SearchExplanation` has them.
    package let shape: String
    package let vectorShare: Double
    package let hasVectors: Bool
    package let rows: [Row]
    package let expected: DocumentExplanation?
    package let findings: [Finding]

    package init(
        question: String, search: SearchReport, model: String, passageTokensMax: Int,
        similarityMin: Double, found: SearchExplanation, rows: [Row], findings: [Finding]
    ) {
        (self.question, self.search, self.model) = (question, search, model)
        (self.passageTokensMax, self.similarityMin) = (passageTokensMax, similarityMin)
        (shape, vectorShare, hasVectors) = (found.question, found.vectorShare, found.hasVectors)
        (self.rows, expected, self.findings) = (rows, found.expected, findings)
    }
}
