import Core
import OrderedJSON

extension Schema {
    static let explanation: [String: Schema] = [
        "SentenceVerdict": .record(
            [
                "start": .integer, "end": .integer,
                "support": .choice(SentenceVerdict.Support.allCases.map(\.rawValue)),
                "number?": .integer,
                "method": .choice(SentenceVerdict.Method.allCases.map(\.rawValue)),
                "score": .number, "evidenceStart?": .integer, "evidenceEnd?": .integer,
                "wrongNumbers": .array(.integer), "reason?": .string,
            ], "What bears a sentence out; places count Unicode scalars, ends are exclusive."),
        "SearchReport": .record([
            "text": .string, "queries?": .array(.string),
            "collectionIDs": .array(.identifier), "passagesMax": .integer, "model?": .string,
            "documentCount?": .integer, "passageCount?": .integer,
            "bestSimilarity?": .number,
        ]),
        "ExplanationQuery": .record([
            "question?": .string, "turnID?": .identifier, "documentID?": .identifier,
            "model?": .string, "collectionIDs?": .array(.identifier), "passagesMax?": .integer,
            "limit?": .integer, "tags?": .array(.string), "types?": .array(.string),
            "owners?": .array(.identifier), "from?": .timestamp, "until?": .timestamp,
            "filter?": anyObject,
        ]),
        "AnswerExplanation": .record([
            "question": .string, "search": .reference("SearchReport"), "model": .string,
            "passageTokensMax": .integer, "similarityMin": .number,
            "shape": .choice(["quoted", "code", "prose"]), "vectorShare": .number,
            "hasVectors": .boolean, "rows": .list("ExplainedPassage"),
            "expected?": .reference("DocumentExplanation"),
            "findings": .list("ExplanationFinding"),
        ]),
        "ExplainedPassage": .record([
            "hit": .reference("SearchHit"),
            "fate": .choice(AnswerExplanation.Row.Fate.allCases.map(\.rawValue)),
            "tokens": .integer, "wasGiven?": .boolean,
        ]),
        "ExplanationFinding": .record([
            "sentence": .string,
            "action?": .choice(AnswerExplanation.Finding.Action.allCases.map(\.rawValue)),
            "label?": .string, "passages?": .integer, "question?": .string,
        ]),
        "DocumentExplanation": .record([
            "document": .reference("DocumentSummary"), "excerpt": .string,
            "characterCount": .integer, "isSearched": .boolean,
            "passagesWithoutVector": .integer, "words": .array(.string),
            "missingWords": .array(.string), "hits": .list("SearchHit"),
        ]),
        "Ingestion": .record(["documentID": .identifier, "jobID": .identifier]),
    ]
}
