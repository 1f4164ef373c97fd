import Core
import Synchronization
import TestSupport
import Testing

@testable import Retrieval

/// A reranker that scores by the number of a word in the text, or does as it is told.
private final class ScriptedReranker: Reranker {
    enum Behaviour: Sendable {
        case byNumber
        case scores([Double?])
        case fails(Failure)
        case hangs
    }

    private let behaviour: Mutex<Behaviour>
    let requests = Mutex<[RerankRequest]>([])

    init(_ behaviour: Behaviour) { self.behaviour = Mutex(behaviour) }

    func become(_ behaviour: Behaviour) { self.behaviour.withLock { $0 = behaviour } }

    func rerank(_ request: RerankRequest) async throws -> Reranking {
        requests.withLock { $0.append(request) }
        switch behaviour.withLock({ $0 }) {
        case .byNumber:
            return Reranking(
                scores: request.texts.map { text in
                    let digits = text.split { !$0.isNumber }.first.flatMap { Double($0) }
                    return (digits ?? 0) / 100
                }, usage: TokenUsage())
        case .scores(let scores): return Reranking(scores: scores, usage: TokenUsage())
        case .fails(let failure): throw failure
        case .hangs:
            try await Task.sleep(for: .seconds(60))
            throw Failure(.internalError, "Nobody ended it.")
        }
    }
}

@Suite struct RerankTests {
    /// Twelve documents, found best first by their words in the order of their numbers.
    private func desk(
        _ reranker: ScriptedReranker,
        _ change: @Sendable (inout RerankerConfiguration) -> Void = { _ in }
    ) async throws -> Desk {
        let desk = try Desk(reranker: reranker) {
            $0.reranker.model = "far/judge"
            $0.similarityMin = -1
            change(&$0.reranker)
        }
        for number in 1...12 {
            let words = Array(repeating: "filler", count: number * 3).joined(separator: " ")
            try await desk.add("boats \(number) \(words).", as: "d\(number).txt")
        }
        return desk
    }

    private func names(_ hits: [SearchHit]) -> [String] { hits.map(\.passage.documentName) }

    @Test("The best of what was found are put in order once more, the rest follows as it was")
    func order() async throws {
        let reranker = ScriptedReranker(.fails(Failure(.unavailable, "Not yet.")))
        let desk = try await desk(reranker) { $0.candidatesMax = 5 }
        let found = try await desk.search("boats", limit: 50)
        reranker.become(.byNumber)
        let hits = try await desk.search("boats", limit: 50)

        let best = found.prefix(5).map { $0.passage }
        #expect(Set(hits.prefix(5).map(\.passage)) == Set(best))
        #expect(names(Array(hits.dropFirst(5))) == names(Array(found.dropFirst(5))))
        #expect(hits.prefix(5).map(\.rerankRank) == [1, 2, 3, 4, 5])
        let scores = hits.prefix(5).compactMap(\.rerankScore)
        #expect(scores.count == 5 && scores == scores.sorted(by: >))
        #expect(hits.dropFirst(5).allSatisfy { $0.rerankRank == nil && $0.rerankScore == nil })
        // Scores fall from place to place, also where those of two kinds meet.
        #expect(hits.map(\.score) == hits.map(\.score).sorted(by: >))
        let request = try #require(reranker.requests.withLock { $0.last })
        #expect(request.candidate == "far/judge" && request.question == "boats")
        #expect(request.texts.count == 5 && request.principal.userID == Principal.alice.userID)
    }

    @Test("A larger limit only adds, and the reranker reads as much for one as for all")
    func monotone() async throws {
        let reranker = ScriptedReranker(.byNumber)
        let desk = try await desk(reranker) { $0.candidatesMax = 6 }
        let all = try await desk.search("boats", limit: 50)
        for limit in 1...12 {
            #expect(try await desk.search("boats", limit: limit) == Array(all.prefix(limit)))
        }
        #expect(reranker.requests.withLock { $0.allSatisfy { $0.texts.count == 6 } })
    }

    @Test("What scores too low is left out, and shown as left out")
    func threshold() async throws {
        let desk = try await desk(ScriptedReranker(.byNumber)) {
            $0.candidatesMax = 12
            $0.scoreMin = 0.1
        }
        let hits = try await desk.search("boats", limit: 50)
        let explanation = try await desk.library.explain(
            SearchRequest(principal: .alice, text: "boats", collectionIDs: [], limit: 50))

        #expect(names(hits) == ["d12.txt", "d11.txt", "d10.txt"])
        #expect(explanation.hits.map(\.passage) == hits.map(\.passage))
        #expect(explanation.hits.map(\.rank) == [1, 2, 3] && explanation.reranker == "far/judge")
        #expect(explanation.dropped.first?.rerankScore == 0.09)
        #expect(explanation.notes.isEmpty)
    }

    @Test("Where some of the best score too low, those behind them that it did not read go too")
    func thresholdOfSome() async throws {
        let desk = try await desk(ScriptedReranker(.byNumber)) {
            $0.candidatesMax = 5
            $0.scoreMin = 0.03
        }
        #expect(names(try await desk.search("boats", limit: 50)) == ["d5.txt", "d4.txt", "d3.txt"])
        let strict = try await self.desk(ScriptedReranker(.byNumber)) {
            $0.candidatesMax = 5
            $0.scoreMin = 0.5
        }
        #expect(try await strict.search("boats", limit: 50).isEmpty)
    }

    @Test(
        "Whatever it does wrong, the order stays as it was found, and an explanation says so",
        arguments: [
            .fails(Failure(.upstream, "It is ill.")), .scores([0.5]), .scores([]), .hangs,
        ] as [ScriptedReranker.Behaviour])
    private func failing(behaviour: ScriptedReranker.Behaviour) async throws {
        let reranker = ScriptedReranker(behaviour)
        let desk = try await desk(reranker) { $0.timeoutSeconds = 0.05 }
        let hits = try await desk.search("boats", limit: 50)
        let explanation = try await desk.library.explain(
            SearchRequest(principal: .alice, text: "boats", collectionIDs: [], limit: 50))

        #expect(hits.count == 12 && hits.allSatisfy { $0.rerankRank == nil })
        #expect(hits.map(\.score) == hits.map(\.score).sorted(by: >))
        #expect(explanation.reranker == nil)
        #expect(
            explanation.notes.first?.hasPrefix("The reranker far/judge did not answer") == true)
    }

    @Test("Scores that are missing or no numbers leave their passages behind those that have one")
    func missing() throws {
        let candidates = (1...4).map { number in
            var candidate = Fusion.Candidate(passage: Int64(number))
            candidate.score = 1 / Double(number)
            return candidate
        }
        let (kept, dropped) = Fusion.reranked(candidates, by: [3: 0.2, 2: 0.2], scoreMin: 0)
        #expect(kept.map(\.passage) == [2, 3, 1, 4] && dropped.isEmpty)
        #expect(kept.map(\.score) == [0.2, 0.2, 0.2, 0.05])
    }

    @Test("Without a model's name nobody is asked")
    func off() async throws {
        let reranker = ScriptedReranker(.byNumber)
        let desk = try await desk(reranker) { $0.model = "" }
        #expect(try await desk.search("boats").isEmpty == false)
        #expect(reranker.requests.withLock { $0.isEmpty })
    }

    @Test("Passages of others are not shown to it")
    func others() async throws {
        let reranker = ScriptedReranker(.byNumber)
        let desk = try await desk(reranker)
        try await desk.add("boats 99 of Mallory's.", for: .mallory)
        _ = try await desk.search("boats")
        #expect(
            reranker.requests.withLock { requests in
                requests.allSatisfy { !$0.texts.contains { $0.contains("Mallory") } }
            })
    }
}
