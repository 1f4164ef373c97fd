/// What becomes of a model's answer, once it is known what supports it.
enum AnswerVerdict: Equatable {
    /// It stands, with the marks that were found for its sentences.
    case keep
    /// The best stretch of a passage takes its place.
    case quote(QuoteReason)
    /// It stands, and the list that it gave in part follows.
    case append
    /// It stands, and the words that it rests on follow, for the reader to judge by.
    case appendEvidence
    /// The passages that were found do not answer, and what the model wrote rests on none of them: the
    /// answer says so, and what came closest.
    case abstain(AbstainReason)
    /// There is neither an answer nor a passage.
    case nothingFound
}

enum QuoteReason: Equatable {
    case noAnswer, refusal, unsupported, offTopic, incompleteList
}

enum AbstainReason: Equatable {
    case noAnswer, refusal, unsupported
}

/// What the verdict rests on. The rule, in order:
///
/// 1. No answer: quote where a passage strongly answers the question, else abstain; without passages,
///    say that there is none.
/// 2. A refusal (`I don't know`): quote where a passage strongly answers, else abstain; of a model
///    that is trusted it stands, in its own words.
/// 3. Models that are known to make things up (`quotesPassages`) and that had passages:
///    - a list is asked for, a passage has it, and the answer lacks one of its items: the list
///      follows the answer where that names half of them and half of its sentences are supported,
///      and else takes its place;
///    - less than two thirds of what it says is supported: quote where a passage strongly answers;
///      where nothing at all is supported abstain; else it stands;
///    - it has hardly a word of the question, nor of the stretch that strongly answers it: quote that;
///    - it says otherwise than in the words of the stretch that strongly answers: that follows it. Words
///      can agree where facts do not (`orange jackets` for whom?), and nothing here can tell.
/// 4. Everything else stands.
struct AnswerFacts: Equatable {
    var hasPassages = true
    var isEmpty = false
    var isRefusal = false
    /// Sentences that say something beyond the question, and those of them that a passage supports.
    var sentenceCount = 0
    var supportedCount = 0
    /// Whether a passage strongly answers the question.
    var hasStrongQuotation = false
    /// Items of the asked-for list; zero where no list is asked for or none is found.
    var listItemCount = 0
    /// Those of them that the answer does not name.
    var listItemsMissing = 0
    /// Whether the answer shares next to no words with the question, nor with what answers it.
    var isOffTopic = false
    /// Whether the answer already has most words of the stretch that strongly answers.
    var isVerbatim = false
    var quotesPassages = true

    var verdict: AnswerVerdict {
        guard hasPassages else { return isEmpty ? .nothingFound : .keep }
        if isEmpty { return hasStrongQuotation ? .quote(.noAnswer) : .abstain(.noAnswer) }
        if isRefusal, hasStrongQuotation { return .quote(.refusal) }
        if isRefusal { return quotesPassages ? .abstain(.refusal) : .keep }
        guard quotesPassages else { return .keep }
        if listItemsMissing > 0, hasStrongQuotation {
            let isHalfThere = listItemsMissing * 2 <= listItemCount
            let isHalfSupported = supportedCount > 0 && supportedCount * 2 >= sentenceCount
            return isHalfThere && isHalfSupported ? .append : .quote(.incompleteList)
        }
        if isOffTopic, hasStrongQuotation { return .quote(.offTopic) }
        // With one invented sentence for each good one a reader cannot tell them apart.
        guard supportedCount * 3 < sentenceCount * 2 else {
            return hasStrongQuotation && !isVerbatim ? .appendEvidence : .keep
        }
        if hasStrongQuotation { return .quote(.unsupported) }
        return supportedCount == 0 ? .abstain(.unsupported) : .keep
    }
}

extension AnswerVerdict {
    /// The sentence that tells the reader; nil where there is nothing to tell.
    var notice: String? {
        switch self {
        case .keep, .appendEvidence, .abstain(.noAnswer), .abstain(.refusal): nil
        case .abstain(.unsupported):
            "What the model wrote rests on none of the passages, so it is left out. To have its own"
                + " words, ask again without documents."
        case .quote(.noAnswer), .quote(.refusal):
            "The model gave no answer, so the passage that fits the question best is quoted."
        case .quote(.unsupported):
            "Your documents did not support much of what the model wrote, so the passage that"
                + " fits the question best is quoted instead."
        case .quote(.offTopic):
            "What the model wrote did not fit the question, so the passage that fits it best is"
                + " quoted instead."
        case .quote(.incompleteList):
            "The model's answer left things out, so the list that answers the question is quoted"
                + " instead."
        case .append: "The model's answer left things out, so the whole list is quoted below it."
        case .nothingFound: nil
        }
    }
}

enum Refusal {
    /// Whether an answer begins by saying that it is none.
    static func isOne(_ text: String) -> Bool {
        let words = Words.all(of: text).prefix(12).joined(separator: " ")
        return openings.contains { words.hasPrefix($0) } || phrases.contains { words.contains($0) }
    }

    private static let openings = [
        "i dont know", "i do not know", "im sorry", "i am sorry", "sorry", "i cannot", "i cant",
        "im not sure", "i am not sure", "as an ai", "unfortunately", "i dont have", "i do not have",
        "i am unable", "im unable", "no answer",
    ]
    private static let phrases = [
        "passages do not", "passages dont", "passage does not", "passage doesnt", "text does not",
        "text doesnt", "no information", "not mentioned in", "not provided in",
    ]
}
