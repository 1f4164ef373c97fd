package import Core
import Synchronization

/// An embedding model made of words: each word of a text adds to one place of its vector, so texts
/// that share words are near each other, the same in every run. Unit length.
package final class ScriptedEmbedder: Embedder {
    private struct State {
        var failure: Failure?
        var candidate: String
        var batches: [Int] = []
        var texts: [String] = []
    }

    private let state: Mutex<State>
    private let dimensions: Int

    package init(
        dimensions: Int = 96, candidate: String = "scripted/words", failing: Failure? = nil
    ) {
        self.dimensions = dimensions
        state = Mutex(State(failure: failing, candidate: candidate))
    }

    /// What every call throws from now on; nil to answer again.
    package func fail(with failure: Failure?) { state.withLock { $0.failure = failure } }

    /// Answers from now on as another model.
    package func become(_ candidate: String) { state.withLock { $0.candidate = candidate } }

    /// How many texts each call had.
    package var batches: [Int] { state.withLock { $0.batches } }
    /// Every text that was embedded.
    package var texts: [String] { state.withLock { $0.texts } }

    package func embed(_ request: EmbeddingRequest) async throws -> Embeddings {
        let candidate = try state.withLock { state in
            if let failure = state.failure { throw failure }
            state.batches.append(request.texts.count)
            state.texts += request.texts
            return state.candidate
        }
        return Embeddings(
            candidate: candidate, dimensions: dimensions,
            values: request.texts.flatMap(vector),
            usage: TokenUsage(freshInput: request.texts.reduce(0) { $0 + $1.utf8.count / 4 }))
    }

    /// The vector of one text.
    package func vector(of text: String) -> [Float] {
        var elements = Array(repeating: Float(0), count: dimensions)
        for word in text.lowercased().split(whereSeparator: { !$0.isLetter && !$0.isNumber }) {
            elements[Int(Self.hash(word) % UInt64(dimensions))] += 1
        }
        let length = elements.reduce(0) { $0 + $1 * $1 }.squareRoot()
        guard length > 0 else {
            elements[0] = 1
            return elements
        }
        return elements.map { $0 / length }
    }

    /// FNV-1a: Swift's own hashes differ from run to run.
    private static func hash(_ word: Substring) -> UInt64 {
        word.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
    }
}
