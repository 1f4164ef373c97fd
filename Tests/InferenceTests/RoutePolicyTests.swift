import Core
import OrderedJSON
import TestSupport
import Testing

@testable import Inference

/// Which candidate is asked first, for each policy and without a network.
struct RoutePolicyTests {
    private func route(
        _ policy: RoutePolicy, count: Int = 3, weights: [Double]? = nil,
        threshold: Double = 0.35
    ) -> Route {
        let provider = LocalProvider(ModelShelf(folder: "/"), environment: .system)
        var rules = RouteRules()
        rules.policy = policy
        rules.difficultyThreshold = threshold
        rules.escalates = policy == .tiered
        return Route(
            name: "m",
            candidates: (0..<count).map {
                Candidate(
                    name: CandidateName(provider: "p\($0)", model: "x"), provider: provider,
                    limits: ModelLimits(contextTokens: 100, outputTokensMax: 100),
                    weight: weights?[$0] ?? 1)
            }, missing: [], rules: rules)
    }

    private func order(
        _ route: Route, _ request: ChatRequest = .hello(), random: UInt64 = 1,
        figures: [ArmFigures] = []
    ) -> [String] {
        plan(route, request, random: random, figures: figures).candidates.map(\.name.provider)
    }

    private func plan(
        _ route: Route, _ request: ChatRequest = .hello(), random: UInt64 = 1,
        figures: [ArmFigures] = []
    ) -> RoutePlan {
        RoutePlan(
            route, request,
            figures: { candidate in
                let place = Int(candidate.name.provider.dropFirst()) ?? 0
                return place < figures.count ? figures[place] : ArmFigures()
            }, random: random)
    }

    private static func conversation(_ number: UInt64) -> ChatRequest {
        ChatRequest(
            principal: .alice, model: "m", messages: [ChatMessage(.user, "Hello?")],
            purpose: "turn",
            conversationID: Identifier(
                at: Timestamp(microseconds: 0), random: (UInt16(number & 0xFFF), number)))
    }

    @Test("Fallback keeps the order of the configuration")
    func fallback() { #expect(order(route(.fallback)) == ["p0", "p1", "p2"]) }

    @Test("Conversations are split by weight, and each stays where it began")
    func weighted() {
        let route = route(.weighted, weights: [7, 3, 0])
        var counts = [String: Int]()
        for number in 0..<2000 as Range<UInt64> {
            let request = Self.conversation(number)
            let first = order(route, request, random: number)
            #expect(first == order(route, request, random: number &* 77))
            #expect(first.count == 3 && first.last == "p2")
            counts[first[0], default: 0] += 1
        }
        // Five standard deviations of a share of 0.7 among 2000.
        #expect((1297...1503).contains(counts["p0"] ?? 0), "\(counts)")
        #expect(counts["p2"] == nil)
    }

    @Test("A candidate that is added moves only the conversations that become its own")
    func rendezvous() {
        for number in 0..<500 as Range<UInt64> {
            let before = order(route(.weighted, count: 2), Self.conversation(number))[0]
            let after = order(route(.weighted, count: 3), Self.conversation(number))[0]
            #expect(after == before || after == "p2")
        }
    }

    @Test("A conversation that is sent whole each time is known by how it began, and whose it is")
    func stickyAPI() {
        var later = ChatRequest.hello()
        later.messages += [ChatMessage(.assistant, "Hi."), ChatMessage(.user, "And now?")]
        #expect(StickyHash(later).key == StickyHash(.hello()).key)
        let other = ChatRequest(
            principal: .mallory, model: "m", messages: later.messages, purpose: "api")
        #expect(StickyHash(other).key != StickyHash(later).key)
    }

    @Test("The fastest first, those not measured before it, and now and then someone else")
    func fastest() {
        var (slow, quick) = (ArmFigures(), ArmFigures())
        slow.answered(.init(firstToken: 900, total: 1000))
        quick.answered(.init(firstToken: 100, total: 1000))
        #expect(order(route(.fastest), figures: [slow, quick, slow])[0] == "p1")
        #expect(order(route(.fastest), figures: [slow, quick])[0] == "p2")
        // 40 is a twentieth draw, and 40 / 20 % 3 is 2.
        #expect(order(route(.fastest), random: 40, figures: [slow, quick, slow])[0] == "p2")
        for _ in 0..<60 { quick.answered(.init(firstToken: 2000, total: 2100)) }
        #expect(order(route(.fastest), figures: [slow, quick, slow])[0] == "p0")
    }

    @Test("The least busy first, equals by chance")
    func leastBusy() {
        var busy = ArmFigures()
        busy.began()
        #expect(order(route(.leastBusy), random: 0, figures: [busy])[0] == "p1")
        #expect(order(route(.leastBusy), random: 2, figures: [busy])[0] == "p2")
        busy.ended()
        #expect(
            Set((0..<3).map { order(route(.leastBusy), random: $0, figures: [busy])[0] }).count == 3
        )
    }

    // MARK: Tiers

    struct Question: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let signs: [String]
        let change: @Sendable (inout ChatRequest) -> Void
    }

    @Test(
        "Each sign of difficulty is seen, and adds to the score",
        arguments: [
            Question(testDescription: "a greeting", signs: []) { _ in },
            Question(testDescription: "length", signs: ["length"]) {
                $0.messages = [ChatMessage(.user, String(repeating: "word ", count: 500))]
            },
            Question(testDescription: "code", signs: ["code"]) {
                $0.messages = [ChatMessage(.user, "What is this?\n```\nx\n```")]
            },
            Question(testDescription: "reasoning", signs: ["reasoning"]) {
                $0.messages = [ChatMessage(.user, "Prove it, and explain why.")]
            },
            Question(testDescription: "history", signs: ["history"]) {
                $0.messages.insert(
                    ChatMessage(.user, String(repeating: "x", count: 9000)), at: 0)
            },
            Question(testDescription: "tools", signs: ["tools"]) {
                $0.tools = [ToolDefinition(name: "f")]
            },
            Question(testDescription: "tools that may not be called", signs: []) {
                $0.tools = [ToolDefinition(name: "f")]
                $0.toolChoice = .none
            },
            Question(testDescription: "structure", signs: ["structure"]) {
                $0.responseFormat = .jsonObject
            },
        ])
    func signs(row: Question) {
        var request = ChatRequest.hello()
        row.change(&request)
        let difficulty = Difficulty(request)
        #expect(difficulty.signs.map(\.name) == row.signs)
        #expect((difficulty.score > 0) == !row.signs.isEmpty)
        #expect(difficulty.score <= 1)
    }

    @Test("An image is an attachment")
    func attachment() throws {
        var request = ChatRequest.hello()
        request.messages = [
            ChatMessage(
                .user,
                [.text("What is this?"), .image(ChatImage(.address("https://a.example/b.png")))])
        ]
        #expect(Difficulty(request).signs.map(\.name) == ["attachments"])
    }

    @Test(
        "The first tier is for what is below the threshold; the others share the rest",
        arguments: [
            (0.0, 3, 0), (0.39, 3, 0), (0.4, 3, 1), (0.69, 3, 1), (0.71, 3, 2), (1.0, 3, 2),
            (1.0, 1, 0), (0.5, 2, 1),
        ])
    func tier(score: Double, count: Int, tier: Int) {
        #expect(RoutePlan.tier(score, threshold: 0.4, count: count) == tier)
    }

    @Test("A hard question begins at a better tier, and falls back to the weaker ones last")
    func tiered() {
        let easy = plan(route(.tiered))
        #expect(easy.candidates.map(\.name.provider) == ["p0", "p1", "p2"])
        #expect(easy.checkedCount == 2)
        var request = ChatRequest.hello()
        request.messages = [ChatMessage(.user, "Prove and explain the algorithm, compare both.")]
        request.tools = [ToolDefinition(name: "f")]
        let hard = plan(route(.tiered), request)
        #expect(hard.candidates.map(\.name.provider) == ["p1", "p2", "p0"])
        #expect(hard.checkedCount == 1)
        #expect(hard.reason == "difficulty 0.55 reasoning+tools")
    }

    // MARK: Checks

    struct Answer: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var events: [ChatEvent] = []
        var reason = Completion.FinishReason.stop
        var change: @Sendable (inout ChatRequest) -> Void = { _ in }
        let complaint: AnswerCheck.Complaint?
    }

    private static let schema: ResponseFormat = .jsonSchema(
        name: "s", schema: .object([.init("required", .array([.string("a")]))]), isStrict: false)

    @Test(
        "An answer that will not do is told apart from one that will",
        arguments: [
            Answer(testDescription: "fine", events: [.text("Paris.")], complaint: nil),
            Answer(
                testDescription: "refusal", events: [.text("I\u{2019}m sorry, but I can't.")],
                complaint: .refusal),
            Answer(
                testDescription: "a long answer that begins like one",
                events: [.text("I cannot overstate it. " + String(repeating: "x", count: 700))],
                complaint: nil),
            Answer(
                testDescription: "filtered", events: [.text("x")], reason: .contentFilter,
                complaint: .refusal),
            Answer(testDescription: "empty", events: [.text(" \n")], complaint: .empty),
            Answer(
                testDescription: "half an object", events: [.text("{\"a\":")],
                change: { $0.responseFormat = .jsonObject }, complaint: .structure),
            Answer(
                testDescription: "an object", events: [.text("{\"a\":1}")],
                change: { $0.responseFormat = schema }, complaint: nil),
            Answer(
                testDescription: "an object without what it must have",
                events: [.text("{\"b\":1}")], change: { $0.responseFormat = schema },
                complaint: .structure),
            Answer(
                testDescription: "no call where one must be", events: [.text("No.")],
                change: { $0.toolChoice = .required }, complaint: .structure),
            Answer(
                testDescription: "a call of a tool that is none",
                events: [.toolCall(ToolCallPiece(index: 0, id: "1", name: "g", arguments: "{}"))],
                change: { $0.tools = [ToolDefinition(name: "f")] }, complaint: .structure),
            Answer(
                testDescription: "arguments that are not JSON",
                events: [
                    .toolCall(ToolCallPiece(index: 0, id: "1", name: "f", arguments: "{\"")),
                    .toolCall(ToolCallPiece(index: 0, arguments: "a")),
                ], change: { $0.tools = [ToolDefinition(name: "f")] }, complaint: .structure),
            Answer(
                testDescription: "a good call",
                events: [
                    .toolCall(ToolCallPiece(index: 0, id: "1", name: "f", arguments: "{\"a\"")),
                    .toolCall(ToolCallPiece(index: 0, arguments: ":1}")),
                ], change: { $0.tools = [ToolDefinition(name: "f")] }, complaint: nil),
            Answer(
                testDescription: "unsure",
                events: [
                    .logprobs([TokenLogprob(token: "x", bytes: [], logprob: -2)]), .text("x"),
                ], complaint: .confidence),
            Answer(
                testDescription: "sure",
                events: [
                    .logprobs([TokenLogprob(token: "x", bytes: [], logprob: -0.1)]), .text("x"),
                ], complaint: nil),
        ])
    func check(row: Answer) {
        var request = ChatRequest.hello()
        row.change(&request)
        var answer = AnswerSoFar()
        for event in row.events { answer.receive(event) }
        let check = AnswerCheck(request: request, confidenceMin: 0.5)
        #expect(check.complaint(answer, row.reason) == row.complaint)
    }

    // MARK: Continuations

    @Test(
        "What is said again is dropped, what goes on is kept",
        arguments: [
            ("The sky is", [" blue."], " blue."),
            ("The sky is ", [" blue."], "blue."),
            ("The sky is ", ["blue", "."], "blue."),
            ("The sky is", ["The ", "sky", " is blue."], " blue."),
            ("The sky is", ["The s", "ea is blue."], "The sea is blue."),
            ("The sky is blue all day long", ["The sky is blue all"], ""),
            ("The sky", ["Th"], "Th"),
            ("", ["All", " of it"], "All of it"),
            ("Größe ü", ["Grö", "ße ü", "ber"], "ber"),
        ] as [(String, [String], String)])
    func continuation(shown: String, pieces: [String], new: String) {
        var continuation = Continuation(of: shown)
        let text = pieces.map { continuation.receive($0) }.joined() + continuation.finish()
        #expect(text == new)
    }
}
