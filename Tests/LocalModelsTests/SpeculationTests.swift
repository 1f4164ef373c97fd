import Core
import Foundation
import OrderedJSON
import Synchronization
import Testing

@testable import LocalModels

@Suite("Drafted answers of a tiny model")
struct TinySpeculationTests {
    @Test(
        "Drafts change nothing, however the weights are kept",
        arguments: [TensorType.q41, .q80, .f16, .f32], [1, 2])
    func types(type: TensorType, threads: Int) async throws {
        let bytes = TinyModel.writer(type: type, contextTokens: 600).bytes()
        let model = try LocalChatModel(
            MappedModel(name: "tiny.gguf", copying: bytes), threads: threads)
        var accepted = 0
        for seed in 0..<6 {
            var random = Random(state: UInt64(seed))
            let words = (0..<8).map { _ in Int32(random.below(250)) }
            let prompt = Array(repeatElement(words, count: 6).joined())
            var sampling = SamplingOptions(
                temperature: seed < 3 ? 0 : 0.7, outputTokensMax: 200)
            sampling.seed = UInt64(seed)
            // What it says is chance; of three tokens it repeats itself.
            sampling.logitBias = [10: 60, 20: 60, 30: 60]
            var answers: [[Int32]] = []
            for isSpeculative in [false, true] {
                let tokens = Mutex<[Int32]>([])
                let done = try await model.generate(
                    GenerationRequest(
                        prompt: prompt, sampling: sampling, isSpeculative: isSpeculative)
                ) { piece in tokens.withLock { $0 += piece.tokens.map(\.id) } }
                answers.append(tokens.withLock { $0 })
                accepted += done.draftTokensAccepted
            }
            #expect(answers[0] == answers[1])
        }
        #expect(accepted > 0)
    }
}

/// Answers of the real model that are drafted, beside the same ones that are not.
@Suite(
    "Drafted answers", .serialized,
    .enabled(if: ChatReference.isThere, Comment(rawValue: ChatReference.howToFetch)))
struct SpeculationTests {
    private static let passage = """
        Backups are made every night at three o'clock and kept for fourteen days. The administrator \
        restores one with the command heptad restore, which stops the server for a minute.
        """
    private static let quote = "Repeat the following text word for word:\n\n" + passage
    private static let questions = [
        quote, passage + "\n\nWhen are backups made? Quote the text.",
        "Write a Python function that adds two numbers, with tests.",
        "List the numbers from 1 to 100, one on each line.", "Why are leaves green?",
    ]

    private struct Answer: Equatable {
        var tokens: [GeneratedToken] = []
        var text = ""
        var finishReason = Completion.FinishReason.stop
        var outputTokens = 0
    }

    private func answer(
        _ model: LocalChatModel, _ prompt: [Int32], _ sampling: SamplingOptions,
        output: OutputRules? = nil, isSpeculative: Bool
    ) async throws -> (answer: Answer, generation: Generation) {
        let answer = Mutex(Answer())
        let generation = try await model.generate(
            GenerationRequest(
                prompt: prompt, sampling: sampling, output: output, isSpeculative: isSpeculative)
        ) { piece in
            answer.withLock {
                $0.tokens += piece.tokens
                $0.text += piece.text
            }
        }
        return answer.withLock {
            $0.finishReason = generation.finishReason
            $0.outputTokens = generation.outputTokens
            return ($0, generation)
        }
    }

    /// Both ways. Returns how many tokens of drafts were right.
    @discardableResult
    private func compare(
        _ question: String, _ sampling: SamplingOptions, output: OutputRules? = nil
    ) async throws -> Int {
        let model = try ChatReference.model.get()
        let prompt = try model.prompt(for: [ChatMessage(.user, question)])
        let alone = try await answer(model, prompt, sampling, output: output, isSpeculative: false)
        let drafted = try await answer(model, prompt, sampling, output: output, isSpeculative: true)
        #expect(drafted.answer == alone.answer)
        #expect(alone.generation.draftTokens == 0)
        #expect(drafted.generation.draftTokens >= drafted.generation.draftTokensAccepted)
        return drafted.generation.draftTokensAccepted
    }

    @Test("Several tokens at once give the very numbers of one after the other")
    func rows() async throws {
        let model = try ChatReference.model.get()
        let prompt = model.tokens(of: Self.passage + Self.passage)
        let differing = try await model.inspect { reader in
            (2...Speed.rowsMax).filter { count in
                let next = Array(prompt.prefix(count))
                reader.begin(prompt)
                let together = reader.logits(ofEach: next).map(\.bitPattern)
                reader.begin(prompt)
                let alone = next.flatMap { token in
                    reader.logits(ofEach: [token]).map(\.bitPattern)
                }
                return together != alone
            }
        }
        #expect(differing == [])
    }

    @Test("The answer is the same, the likeliest and by chance, with its log probabilities")
    func equality() async throws {
        var right = 0
        for (number, question) in Self.questions.enumerated() {
            right += try await compare(
                question, SamplingOptions(temperature: 0, outputTokensMax: 60))
            var sampling = SamplingOptions(temperature: 0.8, outputTokensMax: 60)
            sampling.seed = UInt64(number)
            sampling.topLogprobs = number
            right += try await compare(question, sampling)
        }
        #expect(right > 60)
    }

    @Test("Penalties and biases see the answer as it is after each token")
    func penalties() async throws {
        var sampling = SamplingOptions(temperature: 0.6, outputTokensMax: 60)
        sampling.frequencyPenalty = 0.1
        sampling.repetitionPenalty = 1.02
        sampling.logitBias = [28: -5]
        // What is drawn by chance need not repeat anything; of several answers some do.
        var right = 0
        for seed in 3..<8 as Range<UInt64> {
            sampling.seed = seed
            right += try await compare(Self.quote, sampling)
        }
        #expect(right > 0)
    }

    @Test("A grammar holds within a draft")
    func grammar() async throws {
        let schema = try JSONValue(
            parsing: Array(
                """
                {"type":"object","properties":{"quote":{"type":"string","maxLength":120},\
                "again":{"type":"string","maxLength":120}},"required":["quote","again"],\
                "additionalProperties":false}
                """.utf8))
        let model = try ChatReference.model.get()
        let rules = try OutputRules(
            format: .jsonSchema(name: "quote", schema: schema, isStrict: true), tools: [],
            choice: .auto, parallel: false, syntax: model.toolSyntax)
        let sampling = SamplingOptions(temperature: 0, outputTokensMax: 100)
        #expect(try await compare(Self.quote, sampling, output: rules) > 0)
    }

    @Test("A stop string, and the end of the room, may come anywhere in a draft")
    func ends() async throws {
        for stop in ["three o'clock", "days", "administrator restores", "heptad", " a minute"] {
            var sampling = SamplingOptions(temperature: 0, outputTokensMax: 60)
            sampling.stop = [stop]
            try await compare(Self.quote, sampling)
        }
        for count in [1, 2, 9, 10, 11, 12, 13, 14, 15, 16] {
            try await compare(Self.quote, SamplingOptions(temperature: 0, outputTokensMax: count))
        }
    }

    @Test("Answers that run together draft too, and each is the one it would be alone")
    func together() async throws {
        let model = try ChatReference.model.get()
        let sampling = SamplingOptions(temperature: 0, outputTokensMax: 50)
        let prompts = try [0, 0, 1, 4].map {
            try model.prompt(for: [ChatMessage(.user, Self.questions[$0])])
        }
        var alone: [Answer] = []
        for prompt in prompts {
            alone.append(
                try await answer(model, prompt, sampling, isSpeculative: false).answer)
        }
        let answers = try await withThrowingTaskGroup(of: (Int, Answer).self) { group in
            for (number, prompt) in prompts.enumerated() {
                group.addTask {
                    (number, try await answer(model, prompt, sampling, isSpeculative: true).answer)
                }
            }
            return try await group.reduce(into: [Int: Answer]()) { $0[$1.0] = $1.1 }
        }
        for (number, expected) in alone.enumerated() { #expect(answers[number] == expected) }
        #expect(model.load.pagesOwned == 0)
    }

    @Test("The turn after a drafted answer goes on from what stayed of it, and from nothing else")
    func turns() async throws {
        let model = try LocalChatModel(path: ChatReference.path, threads: 2)
        let sampling = SamplingOptions(temperature: 0, outputTokensMax: 45)
        let prompt = try model.prompt(for: [ChatMessage(.user, Self.quote)])
        let first = try await answer(model, prompt, sampling, isSpeculative: true)
        #expect(first.generation.draftTokensAccepted > 5)
        let said = first.answer.tokens.map(\.id)
        for cut in [said.count, said.count - 3, said.count / 2] {
            let next = prompt + said.prefix(cut) + model.tokens(of: " And then again: Backups are")
            let second = try await answer(model, next, sampling, isSpeculative: true)
            #expect(
                second.generation.promptTokensReused >= prompt.count + min(cut, said.count - 1))
            let fresh = try await answer(
                ChatReference.model.get(), next, sampling, isSpeculative: false)
            #expect(second.answer == fresh.answer)
        }
    }

    @Test("A drafted answer that is let go of leaves nothing behind")
    func cancelled() async throws {
        struct Enough: Error {}
        let model = try ChatReference.model.get()
        let prompt = try model.prompt(for: [ChatMessage(.user, Self.quote)])
        for patience in [1, 4] {
            let pieces = Mutex(0)
            let call = try model.open(
                GenerationRequest(
                    prompt: prompt,
                    sampling: SamplingOptions(temperature: 0, outputTokensMax: 400)))
            await #expect(throws: Enough.self) {
                _ = try await call.run { _ in
                    let count = pieces.withLock {
                        $0 += 1
                        return $0
                    }
                    if count > patience { throw Enough() }
                }
            }
            #expect(model.load.running == 0 && model.load.pagesOwned == 0)
        }
        try await compare(Self.quote, SamplingOptions(temperature: 0, outputTokensMax: 20))
    }

    @Test("With speculation off nothing is drafted")
    func off() async throws {
        var options = LocalModelOptions(threads: 2)
        options.speculation = .off
        let model = try LocalChatModel(path: ChatReference.path, options: options)
        let prompt = try model.prompt(for: [ChatMessage(.user, Self.quote)])
        let sampling = SamplingOptions(temperature: 0, outputTokensMax: 30)
        let done = try await answer(model, prompt, sampling, isSpeculative: true)
        #expect(done.generation.draftTokens == 0)
    }
}
