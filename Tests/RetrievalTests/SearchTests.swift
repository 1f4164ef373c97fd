import Core
import GRDB
import Storage
import TestSupport
import Testing

@testable import Retrieval

@Suite struct SearchTests {
    @Test(
        "Nothing that is typed is read as an operator",
        arguments: [
            "\"", "'", "a\"b", "NEAR(", "AND OR NOT", "*", "col:x", "context:habits", "-habits",
            "^",
            "(((", "{a b}:c", "\u{0}", "SELECT * FROM passage; --", "", "   ", "💥", "%_%", "a AND",
            "\"habits", "habits*", "NOT habits", "+", "\\", "[1]", "日本", "é", "ﷺ", "²", "½",
        ])
    func hostile(question: String) async throws {
        let desk = try Desk(embedder: .missing)
        try await desk.add("Three habits keep the bill down. NEAR and far.")
        _ = try await desk.search(question)
        _ = try await desk.search(String(repeating: question + " ", count: 500))
    }

    @Test(
        "Words that say nothing are left out where others say something",
        arguments: [
            ("Which are the habits?", "\"habits\""),
            ("the who", "\"the\" OR \"who\""),
            ("Habits, habits!", "\"habits\""),
            ("gpt-4o?", "\"gpt 4o\" OR \"gpt\" OR \"4o\""),
            ("VectorIndex", "\"vectorindex\" OR \"vector\" OR \"index\""),
            ("ERR_404", "\"err 404\" OR \"err\" OR \"404\""),
            ("検索機", "\"検索機\" OR \"検索\" OR \"索機\""),
        ])
    func expressions(question: String, expected: String) {
        #expect(KeywordQuery.expression(for: question) == expected)
    }

    @Test("Stop words do not drown the words that count")
    func drowning() async throws {
        let desk = try Desk(embedder: .missing)
        try await desk.add(
            "How do I do this, and what is it that we are to do for them?", as: "a.txt")
        try await desk.add("Quarterly revenue.", as: "b.txt")
        let hits = try await desk.search("What is it that we do for the revenue?")
        #expect(hits.map(\.passage.text) == ["Quarterly revenue."])
    }

    @Test(
        "Words are found in other forms, in headings, in names and in other scripts",
        arguments: [
            ("running", "He runs daily. They ran, running fast."),
            ("cafe", "Le Café est ouvert."),
            ("vector index", "See class VectorIndex for more."),
            ("VECTORINDEX", "See class VectorIndex for more."),
            ("検索", "全文検索機能を使います。"),
            ("error E1234-X", "The code is E1234-X here."),
            ("strasse", "Title Strasse\n\nNothing but a name above this line, really."),
        ])
    func forms(question: String, text: String) async throws {
        let desk = try Desk(embedder: .missing)
        try await desk.add("Unrelated matters of no interest.", as: "other.txt")
        try await desk.add(text, as: "this.txt")
        #expect(try await desk.search(question).first?.passage.documentName == "this.txt")
    }

    @Test("A larger limit only adds results")
    func monotone() async throws {
        let desk = try Desk()
        for number in 0..<30 {
            let words = (0...number).map { "w\($0 * 7 % 31)" }.joined(separator: " ")
            try await desk.add("habits \(words) bill.", as: "d\(number).txt")
        }
        let all = try await desk.search("habits w3 w7 w20 bill", limit: 100)
        #expect(all.count == 30)
        for limit in [0, 1, 2, 5, 13, 29, 1000] {
            let some = try await desk.search("habits w3 w7 w20 bill", limit: limit)
            #expect(some == Array(all.prefix(limit)))
        }
        #expect(try await desk.search("habits", limit: -3).isEmpty)
    }

    @Test("What is quoted comes first, also against what more words and meaning speak for")
    func quoted() async throws {
        let desk = try Desk()
        try await desk.add("The harbour office opens early and closes late.", as: "near.txt")
        try await desk.add(
            "Boats wait. Early in spring the office opens its doors to many.", as: "quote.txt")
        let names = { (question: String) in
            try await desk.search(question).map(\.passage.documentName)
        }

        #expect(try await names("harbour office opens early").first == "near.txt")
        #expect(try await names("harbour “office opens its” early").first == "quote.txt")
        let hits = try await desk.search("harbour \"office opens its\" early")
        #expect(hits.map(\.isExact) == [true, false] && hits[0].score > 1)
        #expect(hits.allSatisfy { $0.keywordScore ?? 0 > 0 })
    }

    @Test("Nothing that matches is an empty answer")
    func nothing() async throws {
        let desk = try Desk { $0.similarityMin = 0.9 }
        #expect(try await desk.search("habits").isEmpty)
        try await desk.add("Boats float.")
        #expect(try await desk.search("zebra").isEmpty)
    }

    @Test("Hot queries go by index, and none reads a table from end to end")
    func plans() async throws {
        let desk = try Desk()
        try await desk.add(Samples.guide)
        let access = Access(.alice)
        let match: StatementArguments = [
            "expression": "\"habits\"", "scope": "[1]", "limit": 10,
        ]
        let queries: [(String, StatementArguments)] = [
            (PassageStore.matchQuery, match), (PassageStore.matchInDocumentsQuery, match),
            (
                PassageStore.bestQuery,
                [
                    "phrases": "\"habits\"", "stretches": nil, "limit": 10, "rowsMax": 0,
                ]
            ),
            (PassageStore.stretchesQuery, ["scope": "[1]"]),
            (PassageStore.passagesQuery, access.arguments(["list": "[1]"])),
            (DocumentStore.guestQuery, ["collections": "[1]"]),
            (
                DocumentStore.documentScope + " GROUP BY document.number",
                ["collections": "[1]"]
            ), (CollectionStore.countsQuery, ["collections": "[1]"]),
            (VectorStore.rowsQuery, [1, 3]), (VectorStore.elementsQuery, ["[1]", "x", 3]),
            (VectorStore.lackingQuery, ["after": 0, "owner": nil, "limit": 9]),
            (CollectionStore.collectionsQuery, access.arguments()),
        ]
        for (sql, arguments) in queries {
            let plan = try await desk.library.store.pool.read { database in
                try Row.fetchAll(
                    database, sql: "EXPLAIN QUERY PLAN " + sql, arguments: arguments
                ).map { $0["detail"] as String }
            }
            let scans = plan.filter {
                $0.hasPrefix("SCAN") && !$0.contains("VIRTUAL TABLE")
                    && !$0.contains("USING INDEX document_without_vectors")
                    // A handful: the models that ever embedded anything.
                    && !$0.contains("SCAN embedding_model")
                    // What the statement itself has just gathered.
                    && !["SCAN CONSTANT ROW", "SCAN member", "SCAN (subquery-2)"].contains($0)
            }
            #expect(scans.isEmpty, "\(plan)")
        }
    }

    @Test("How well a passage fits is what SQLite's own rank says")
    func rank() async throws {
        let desk = try Desk()
        try await desk.add(Samples.guide)
        for number in 0..<40 {
            let words = Array(repeating: "bill", count: number % 5).joined(separator: " ")
            try await desk.add("Habits \(number) keep it down. \(words)", as: "\(number).txt")
        }
        // A second time lengths are known already.
        for expression in ["habits", "habits OR bill OR \"keep it\"", "down OR absent", "habits"] {
            let ranks = try await desk.library.store.pool.read { database in
                try Row.fetchAll(
                    database,
                    sql: """
                        SELECT row_bm25(passage_terms, 2.0, 1.0, 0.5) AS ours,
                            bm25(passage_terms, 2.0, 1.0, 0.5) AS theirs
                        FROM passage_terms WHERE passage_terms MATCH ?
                        """, arguments: [expression]
                ).map { (ours: $0["ours"] as Double, theirs: $0["theirs"] as Double) }
            }
            #expect(ranks.count >= 40)
            #expect(ranks.allSatisfy { abs($0.ours - $0.theirs) <= 1e-12 * abs($0.theirs) })
        }
    }

    @Test("The best of a search are those that SQLite ranks first, wherever it may look")
    func best() async throws {
        let desk = try Desk()
        for number in 0..<60 {
            let words = Array(repeating: "bill", count: number * 7 % 11).joined(separator: " ")
            try await desk.add("Habits \(number) keep it down. \(words)", as: "\(number).txt")
        }
        let passages = desk.library.passages
        let numbers = [3, 4, 5, 17, 20, 21, 58].map { Int64($0) }
        let some = SearchScope.Documents(numbers: numbers, passages: numbers.map { $0...$0 })
        for phrases in [
            "\"habits\"", "\"bill\" OR \"keep it\" OR \"absent\"", "\"41\" OR \"bill\"",
        ] {
            for documents in [nil, some] {
                let scope = SearchScope(
                    collections: [1], documents: documents, settings: nil, canExpire: false)
                let all = try await passages.matches(phrases, in: scope, limit: 100)
                for limit in [0, 1, 2, 7, 59, 100] {
                    let best = try await passages.best(phrases, in: scope, limit: limit)
                    #expect(best.map(\.passage) == all.prefix(limit).map(\.passage))
                    #expect(zip(best, all).allSatisfy { abs($0.score - $1.score) < 1e-9 })
                }
            }
        }
    }

    @Test(
        "Words of the best passages are looked up in what was found, and the common ones not at all"
    )
    func feedback() async throws {
        let desk = try Desk()
        for number in 0..<(FeedbackWords.passagesMax + 1) {
            try await desk.add("Common \(number).", as: "\(number).txt")
        }
        try await desk.add("Common barnacles.", as: "first.txt")
        try await desk.add("Rare barnacles.", as: "second.txt")
        try await desk.add("More barnacles.", as: "third.txt")
        let passages = desk.library.passages
        let (first, second, third) = (502, 503, 504) as (Int64, Int64, Int64)
        let found = try await passages.feedback(of: [(first, 1)], among: [1, first, second])
        #expect(found.map(\.passage) == [first, second])
        let everywhere = SearchScope(
            collections: [1], documents: nil, settings: nil, canExpire: false)
        let barnacles = try await passages.best("\"barnacles\"", in: everywhere, limit: 9)
        #expect(barnacles.map(\.passage) == [first, second, third])
        #expect(found == Array(barnacles.prefix(2)))
        #expect(try await passages.feedback(of: [(1, 1)], among: [1, first]).isEmpty)
        #expect(try await passages.feedback(of: [], among: [1]).isEmpty)
        #expect(try await passages.feedback(of: [(first, 1)], among: []).isEmpty)
    }

    @Test("A passage that shares the words of the best is ahead of one that does not")
    func related() async throws {
        let desk = try Desk(embedder: .missing)
        for number in 0..<3 {
            try await desk.add("Fouling slows ships: barnacles, barnacles.", as: "\(number).txt")
        }
        try await desk.add("The ships of winter left early.", as: "a.txt")
        try await desk.add("The ships of barnacles left early.", as: "b.txt")
        let hits = try await desk.search("what slows ships by fouling")
        #expect(hits.map(\.passage.documentName) == ["0.txt", "1.txt", "2.txt", "b.txt", "a.txt"])
        // The numbers that are told are the question's own.
        #expect(hits.map(\.keywordRank) == [1, 2, 3, 5, 4])
        #expect(hits[3].keywordScore == hits[4].keywordScore)
    }

    @Test("A collection without documents has no matches, whatever others hold")
    func emptyCollection() async throws {
        let desk = try Desk()
        try await desk.add("Boats of Alice float.", as: "a.txt")
        let passages = desk.library.passages
        let scope = { (collection: Int64) in
            SearchScope(
                collections: [collection], documents: nil, settings: nil, canExpire: false)
        }
        #expect(try await passages.best("\"boats\"", in: scope(1), limit: 9).count == 1)
        #expect(try await passages.best("\"boats\"", in: scope(99), limit: 9).isEmpty)
    }

    @Test("Passages of others are not among the best where all is not the user's")
    func everything() async throws {
        let desk = try Desk()
        try await desk.add("Boats of Alice float.", as: "a.txt")
        let everywhere = try await desk.search("boats")
        let ingestion = try await desk.library.ingest(
            Upload(
                name: "m.txt", mediaType: "", bytes: Array("Boats boats boats.".utf8),
                collectionID: nil), for: .mallory)
        try await desk.jobs.run(ingestion.jobID, with: desk.library, for: .mallory)
        #expect(everywhere.map(\.passage.documentName) == ["a.txt"])
        let after = try await desk.search("boats", limit: 50)
        #expect(after.map(\.passage.documentName) == ["a.txt"])
        #expect(after.first?.keywordRank == 1)
    }
}
