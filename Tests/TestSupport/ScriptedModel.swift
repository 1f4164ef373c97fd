package import Core
import Synchronization

/// A chat model that says what a test wrote down: pieces of text, pauses, and failures where the
/// test wants them. It records what it was asked and how its calls ended.
package final class ScriptedModel: ChatModel {
    package enum Step: Sendable {
        case text(String)
        case switched(CandidateSwitch)
        case wait(Duration)
        /// Waits until the test opens the gate.
        case gate(Gate)
        /// Breaks off in the middle of the answer.
        case fail(Failure)
    }

    /// One answer: it may refuse to open, or run through its steps.
    package struct Answer: Sendable {
        let refusal: Failure?
        let steps: [Step]

        package static func steps(_ steps: [Step]) -> Answer {
            Answer(refusal: nil, steps: steps)
        }

        /// The text in pieces of a word each.
        package static func says(_ text: String) -> Answer {
            var pieces: [String] = []
            for character in text {
                if character == " " || pieces.isEmpty { pieces.append("") }
                pieces[pieces.count - 1].append(character)
            }
            return .steps(pieces.map { .text($0) })
        }

        package static func refuses(_ failure: Failure) -> Answer {
            Answer(refusal: failure, steps: [])
        }
    }

    private struct State {
        var answers: [Answer]
        var requests: [ChatRequest] = []
        var abandonedCount = 0
        var endedEarlyCount = 0
    }

    private let cards: [ModelCard]
    private let notice: String?
    private let state: Mutex<State>

    /// - Parameter answers: given in turn; the last one again and again.
    package init(
        _ answers: Answer..., cards: [ModelCard] = [.scripted()], notice: String? = nil
    ) {
        self.cards = cards
        self.notice = notice
        state = Mutex(State(answers: answers.isEmpty ? [.says("Yes.")] : answers))
    }

    package var requests: [ChatRequest] { state.withLock { $0.requests } }
    package var abandonedCount: Int { state.withLock { $0.abandonedCount } }
    /// Calls that were cancelled or failed while they ran.
    package var endedEarlyCount: Int { state.withLock { $0.endedEarlyCount } }

    package func open(_ request: ChatRequest) async throws -> ChatCall {
        let answer = state.withLock { state in
            state.requests.append(request)
            return state.answers.count > 1 ? state.answers.removeFirst() : state.answers[0]
        }
        if let refusal = answer.refusal { throw refusal }
        return ChatCall(
            candidate: "scripted/\(request.model)", notice: notice,
            run: { emit in
                do {
                    return try await self.run(answer.steps, of: request, emit)
                } catch {
                    self.state.withLock { $0.endedEarlyCount += 1 }
                    throw error
                }
            },
            abandon: { self.state.withLock { $0.abandonedCount += 1 } })
    }

    private func run(_ steps: [Step], of request: ChatRequest, _ emit: ChatCall.Emit) async throws
        -> Completion
    {
        var words = 0
        for step in steps {
            try Task.checkCancellation()
            switch step {
            case .text(let text):
                try await emit(.text(text))
                words += 1
            case .switched(let change): try await emit(.switched(change))
            case .wait(let duration): try await Task.sleep(for: duration)
            case .gate(let gate): try await gate.wait()
            case .fail(let failure): throw failure
            }
        }
        return Completion(
            candidate: "scripted/\(request.model)", finishReason: .stop,
            usage: TokenUsage(freshInput: 10, output: words), firstTokenMilliseconds: 1,
            totalMilliseconds: 2)
    }

    package func models() async -> [ModelCard] { cards }

    /// A word is a token.
    package func countTokens(_ texts: [String], model: String) async throws -> [Int] {
        guard cards.contains(where: { $0.name == model }) else {
            throw Failure(.notFound, "There is no model \(model).")
        }
        return texts.map { text in text.split { $0.isWhitespace }.count }
    }
}

extension ModelCard {
    package static func scripted(
        _ name: String = "scripted", contextTokens: Int = 8192, outputTokensMax: Int = 1024,
        isLocal: Bool = true, price: TokenPrice? = nil
    ) -> ModelCard {
        ModelCard(
            name: name, candidates: ["scripted/\(name)"], contextTokens: contextTokens,
            outputTokensMax: outputTokensMax, isLocal: isLocal, price: price)
    }
}
