import Core
import Synchronization
import TestSupport
import Testing

@testable import Orchestration

/// A model whose answer depends on what it is asked.
private final class ReadingModel: ChatModel {
    typealias Answer = @Sendable (ChatRequest) async throws -> String
    private let answer: Answer
    private let card: ModelCard
    private let recorded = Mutex<[ChatRequest]>([])

    init(card: ModelCard = .scripted(isLocal: false), _ answer: @escaping Answer) {
        (self.card, self.answer) = (card, answer)
    }

    var requests: [ChatRequest] { recorded.withLock { $0 } }

    func open(_ request: ChatRequest) async throws -> ChatCall {
        recorded.withLock { $0.append(request) }
        return ChatCall(
            candidate: "scripted/reader",
            run: { emit in
                let text = try await self.answer(request)
                try await emit(.text(text))
                return Completion(
                    candidate: "scripted/reader", finishReason: .stop,
                    usage: TokenUsage(freshInput: 100, output: 7), cost: Picodollars(5),
                    firstTokenMilliseconds: 1, totalMilliseconds: 2)
            })
    }

    func models() async -> [ModelCard] { [card] }

    /// A word is a token.
    func countTokens(_ texts: [String], model: String) async throws -> [Int] {
        texts.map { text in text.split { $0.isWhitespace }.count }
    }
}

extension ChatRequest {
    fileprivate var question: String { messages.last?.text ?? "" }
    fileprivate var isPart: Bool { question.contains(", part ") }
}

@Suite struct WholeTurnTests {
    private static let ferries = ["Albatross", "Gull", "Tern", "Petrel", "Fulmar", "Skua"]

    /// Six sections of some 120 words each, one ferry in each.
    private static let text = ferries.map { name in
        "The ferry \(name) leaves the pier each morning.\n\n"
            + (0..<11).map { "Line \($0) of filler tells of ropes, paint, tar and weather." }
            .joined(separator: "\n\n")
    }.joined(separator: "\n\n")

    private static func knowledge(_ texts: [String] = [text], hits: [String] = [])
        -> ScriptedKnowledge
    {
        knowledge(
            texts, found: hits.enumerated().map { Passage.sample($1, number: $0 + 40) })
    }

    private static func knowledge(_ texts: [String], found: [Passage]) -> ScriptedKnowledge {
        ScriptedKnowledge(
            hits: found.map {
                SearchHit(
                    passage: $0, score: 1, keywordRank: 1, vectorRank: 1, similarity: 0.9)
            },
            texts: texts.enumerated().map {
                (DocumentSummary.whole($0 + 1, name: "doc\($0).md"), $1)
            })
    }

    /// Notes the ferry of a part, and answers with all notes.
    private static let reader: @Sendable (ChatRequest) async throws -> String = { request in
        guard request.isPart else {
            let notes = request.question.split(separator: "\n").filter { $0.hasPrefix("- ") }
            return "These are the ferries:\n" + notes.joined(separator: "\n")
        }
        let named = ferries.filter { request.question.contains("ferry \($0)") }
        return named.isEmpty
            ? "NONE" : named.map { "- The ferry \($0) leaves the pier" }.joined(separator: "\n")
    }

    private static let parted = OrchestrationConfiguration.with {
        $0.hosted.wholeTokensMax = 150
        $0.local.wholeTokensMax = 150
    }

    @Test(
        "A long text is read in parts, told beforehand and on the way, and cited where it says so")
    func parts() async throws {
        let model = ReadingModel(Self.reader)
        try await withOrchestrator(
            model: model, knowledge: Self.knowledge(), configuration: Self.parted
        ) { orchestrator in
            let turn = try await orchestrator.ask("List all ferries.")
            let events = try await orchestrator.events(of: turn.turnID)
            let names = events.map(\.kind.name)
            #expect(names.first == "notice")
            let outcome = try #require(events.last?.kind.outcome)
            #expect(outcome.state == .completed)
            let notice = try #require(outcome.notices.first)
            #expect(notice.contains("“doc0.md”") && notice.contains("read in 6 parts"))
            let progress = events.compactMap { event in
                if case .progress(let progress) = event.kind { progress } else { nil }
            }
            #expect(progress.map(\.done) == Array(0...6))
            #expect(progress.allSatisfy { $0.total == 6 })
            // Each ferry, with the passage that names it.
            for ferry in Self.ferries { #expect(outcome.text.contains(ferry)) }
            #expect(outcome.citations.count == 6)
            for citation in outcome.citations {
                let passage = citation.passage
                let scalars = Array(Self.text.unicodeScalars)[passage.start..<passage.end]
                #expect(String(String.UnicodeScalarView(scalars)) == passage.text)
                #expect(passage.text.contains(Self.ferries[citation.number - 1]))
            }
            #expect(outcome.verdicts?.filter { !$0.isGood }.isEmpty == true)
            // Seven calls, all in the account of the turn.
            #expect(model.requests.count == 7)
            #expect(outcome.completion?.cost == Picodollars(35))
            #expect(outcome.completion?.usage.freshInput == 700)
            #expect(model.requests.allSatisfy { $0.purpose == "turn" })
            // A note is short, the answer as long as any.
            let limits = model.requests.map { $0.sampling.outputTokensMax ?? 0 }
            let answer = Orchestrator.outputTokens(
                SamplingOptions(), Self.parted.hosted, .scripted(isLocal: false))
            #expect(limits.last == answer && limits.dropLast().allSatisfy { $0 < answer })
            // The same from the log, as another device reads it.
            #expect(try await orchestrator.events(of: turn.turnID) == events)
        }
    }

    @Test("A text that fits goes into one prompt in whole")
    func fits() async throws {
        let model = ReadingModel { _ in "There are six." }
        try await withOrchestrator(model: model, knowledge: Self.knowledge()) { orchestrator in
            let turn = try await orchestrator.ask("How many ferries are there in total?")
            let outcome = try await orchestrator.outcome(of: turn.turnID)
            #expect(outcome.state == .completed && model.requests.count == 1)
            let prompt = try #require(model.requests.first?.question)
            for ferry in Self.ferries { #expect(prompt.contains("ferry \(ferry)")) }
            #expect(prompt.contains("Line 10 of filler"))
        }
    }

    @Test("A passage of a text that fits is quoted before the answer, and cited where it stands")
    func quoteBeforeFitting() async throws {
        let said = "The harbour has six ferries in total."
        let text = Self.text + "\n\n" + said
        let start = text.unicodeScalars.count - said.unicodeScalars.count
        let document = DocumentSummary.whole(1, name: "doc0.md")
        let found = Passage(
            id: Passage.sample("", number: 9).id, documentID: document.id,
            documentName: document.name, headings: [], text: said, start: start,
            end: text.unicodeScalars.count)
        let model = ReadingModel { _ in "Six ferries leave the pier each morning." }
        try await withOrchestrator(
            model: model, knowledge: Self.knowledge([text], found: [found])
        ) { orchestrator in
            let turn = try await orchestrator.ask("How many ferries has the harbour in total?")
            let events = try await orchestrator.events(of: turn.turnID)
            let texts = events.compactMap(\.kind.text)
            let outcome = try #require(events.last?.kind.outcome)
            #expect(model.requests.count == 1)
            #expect(texts.first?.contains("> \(said)") == true)
            #expect(texts.dropFirst() == ["Six ferries leave the pier each morning."])
            #expect(outcome.text.hasPrefix(texts.first ?? "none"))
            #expect(outcome.text.contains("Six ferries leave"))
            let quoted = try #require(outcome.citations.first)
            #expect(quoted.origin == .quoted && quoted.number > 1)
            #expect(quoted.passage.text.contains(said))
            #expect(texts.first?.contains("[\(quoted.number)]") == true)
            let answer = outcome.text.unicodeScalars
            for verdict in outcome.verdicts ?? [] {
                let sentence = String(
                    String.UnicodeScalarView(
                        answer.dropFirst(verdict.start).prefix(verdict.end - verdict.start)))
                #expect(sentence.hasPrefix("Six ferries"))
            }
            #expect(outcome.verdicts?.isEmpty == false)
        }
    }

    @Test("A passage that answers by itself is quoted before the parts are read")
    func quoteFirst() async throws {
        let gate = Gate()
        let model = ReadingModel { request in
            try await gate.wait()
            return try await Self.reader(request)
        }
        let knowledge = Self.knowledge(hits: ["The harbour has six ferries in total."])
        try await withOrchestrator(
            model: model, knowledge: knowledge, configuration: Self.parted
        ) { orchestrator in
            let turn = try await orchestrator.ask("How many ferries has the harbour in total?")
            var seen: [TurnEvent] = []
            try await orchestrator.follow(turn: turn.turnID, after: 0, for: .alice) { event in
                seen.append(event)
                if case .progress(let progress) = event.kind, progress.done == 0 { gate.open() }
            }
            let names = seen.map(\.kind.name)
            #expect(names.prefix(4) == ["passages", "notice", "text", "progress"])
            #expect(seen[2].kind.text?.contains("> The harbour has six ferries") == true)
            let outcome = try #require(seen.last?.kind.outcome)
            #expect(outcome.text.hasPrefix(seen[2].kind.text ?? "none"))
            #expect(outcome.citations.first?.origin == .quoted)
            #expect(outcome.citations.count == 7)
            for verdict in outcome.verdicts ?? [] {
                let said = String(
                    String.UnicodeScalarView(
                        outcome.text.unicodeScalars.dropFirst(verdict.start)
                            .prefix(verdict.end - verdict.start)))
                #expect(!said.hasPrefix(" ") && !said.isEmpty)
            }
        }
    }

    @Test("A small model's list is its notes; what the text does not say is left out")
    func smallModel() async throws {
        let model = ReadingModel(card: .scripted()) { request in
            let notes = try await Self.reader(request)
            return notes + "\n- The airship Zeppelin sails to Bermuda"
        }
        try await withOrchestrator(
            model: model, knowledge: Self.knowledge(), configuration: Self.parted
        ) { orchestrator in
            let turn = try await orchestrator.ask("List all ferries.")
            let outcome = try await orchestrator.outcome(of: turn.turnID)
            #expect(model.requests.count == 6)
            #expect(!outcome.text.contains("Zeppelin"))
            #expect(outcome.text.split(separator: "\n").count == 6)
            #expect(outcome.citations.count == 6)
            let counted = try await orchestrator.ask("How many ferries are there in total?")
            let count = try await orchestrator.outcome(of: counted.turnID)
            #expect(count.text.hasPrefix("6 in all:"))
        }
    }

    @Test("More parts than may be read are chosen by the question, and it is said")
    func bounded() async throws {
        let model = ReadingModel(Self.reader)
        var configuration = Self.parted
        configuration.wholePartsMax = 2
        try await withOrchestrator(
            model: model, knowledge: Self.knowledge(), configuration: configuration
        ) { orchestrator in
            let turn = try await orchestrator.ask("List all about the ferries Tern and Skua.")
            let outcome = try await orchestrator.outcome(of: turn.turnID)
            #expect(outcome.notices.first?.contains("Of its 6 parts, 2 are read") == true)
            #expect(outcome.text.contains("Tern") && outcome.text.contains("Skua"))
            #expect(model.requests.count == 3)
        }
        // So does the bound on tokens: a part takes 150, its note 400 and its frame 400.
        configuration.wholePartsMax = 24
        configuration.wholeTokensMax = 1000
        try await withOrchestrator(
            model: model, knowledge: Self.knowledge(), configuration: configuration
        ) { orchestrator in
            let turn = try await orchestrator.ask("List all ferries.")
            let outcome = try await orchestrator.outcome(of: turn.turnID)
            #expect(outcome.notices.first?.contains("Of its 6 parts, 1 is read") == true)
        }
    }

    @Test("Parts that fail are said, and the rest is answered; where all fail the turn does")
    func failures() async throws {
        let model = ReadingModel { request in
            if request.question.contains("ferry Gull") {
                throw Failure(.upstream, "The provider broke off.")
            }
            return try await Self.reader(request)
        }
        try await withOrchestrator(
            model: model, knowledge: Self.knowledge(), configuration: Self.parted
        ) { orchestrator in
            let turn = try await orchestrator.ask("List all ferries.")
            let outcome = try await orchestrator.outcome(of: turn.turnID)
            #expect(outcome.state == .completed && outcome.text.contains("Skua"))
            #expect(
                outcome.notices.contains(
                    "1 of 6 parts could not be read: The provider broke off. What they say may be"
                        + " missing."))
        }
        let broken = ReadingModel { _ in throw Failure(.upstream, "The provider broke off.") }
        try await withOrchestrator(
            model: broken, knowledge: Self.knowledge(), configuration: Self.parted
        ) { orchestrator in
            let turn = try await orchestrator.ask("List all ferries.")
            let outcome = try await orchestrator.outcome(of: turn.turnID)
            #expect(outcome.state == .failed && outcome.failure == "The provider broke off.")
        }
    }

    @Test("A used-up budget ends the reading, and the notes that are there are the answer")
    func budget() async throws {
        let calls = Mutex(0)
        let model = ReadingModel { request in
            let number = calls.withLock { count in
                count += 1
                return count
            }
            if number > 2 { throw Failure(.budgetExceeded, "The budget is used up.") }
            return try await Self.reader(request)
        }
        try await withOrchestrator(
            model: model, knowledge: Self.knowledge(), configuration: Self.parted
        ) { orchestrator in
            let turn = try await orchestrator.ask("List all ferries.")
            let outcome = try await orchestrator.outcome(of: turn.turnID)
            #expect(outcome.state == .completed && outcome.text.contains("[1]"))
            #expect(outcome.notices.contains { $0.contains("The budget is used up.") })
            // Four at once were under way, and none was begun after that but the answer.
            #expect(model.requests.count <= 7)
        }
    }

    @Test("Stop ends the reading, and what was read is paid for and no more")
    func stop() async throws {
        let gate = Gate()
        let model = ReadingModel { request in
            if request.question.contains("ferry Albatross") { return "NONE" }
            try await gate.wait()
            return "NONE"
        }
        try await withOrchestrator(
            model: model, knowledge: Self.knowledge(), configuration: Self.parted
        ) { orchestrator in
            let turn = try await orchestrator.ask("List all ferries.")
            try await until { model.requests.count >= 4 }
            try await orchestrator.cancel(turn: turn.turnID, for: .alice)
            let outcome = try await orchestrator.outcome(of: turn.turnID)
            #expect(outcome.state == .cancelled)
            #expect(model.requests.count <= 5)
            // What was read is on the receipt.
            #expect(outcome.completion?.cost.rawValue ?? 0 > 0)
        }
    }

    @Test("Too many documents are not read, and it is said; a named one is")
    func documents() async throws {
        let texts = (0..<12).map { "Text \($0) tells of boats." }
        let model = ReadingModel { _ in "Boats." }
        try await withOrchestrator(
            model: model, knowledge: Self.knowledge(texts, hits: ["Boats float."])
        ) { orchestrator in
            let all = try await orchestrator.ask("Summarise everything.")
            let outcome = try await orchestrator.outcome(of: all.turnID)
            #expect(outcome.notices.contains { $0.contains("too many documents") })
            let one = try await orchestrator.ask("Summarise doc3")
            let named = try await orchestrator.outcome(of: one.turnID)
            #expect(named.notices.isEmpty)
            #expect(model.requests.last?.question.contains("Text 3 tells") == true)
            #expect(model.requests.last?.question.contains("Text 4 tells") == false)
        }
    }

    @Test("A lookup that nothing settles is answered from passages rather than read in parts")
    func lookup() async throws {
        let model = ReadingModel { _ in "I don't know." }
        try await withOrchestrator(
            model: model, knowledge: Self.knowledge(hits: ["Boats float."]),
            configuration: Self.parted
        ) { orchestrator in
            let turn = try await orchestrator.ask("How many cats live here?")
            _ = try await orchestrator.outcome(of: turn.turnID)
            #expect(model.requests.count == 1 && model.requests.first?.isPart == false)
        }
    }
}
