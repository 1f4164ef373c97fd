package import Core
import Synchronization

/// An embedding model made of words: each word of a text adds to one place of its vector, so texts
/// that share words are near each other, the same in every run. Unit length.
package final class ScriptedEmbedder: Embedder {
    private struct State {
        var failure: Failure?
        var candidate: String
        /// How long the vectors are of each model that can be asked.
        var dimensions: [String: Int]
        var batches: [Int] = []
        var texts: [String] = []
    }

    private let state: Mutex<State>

    package init(
        dimensions: Int = 96, candidate: String = "scripted/words", failing: Failure? = nil
    ) {
        state = Mutex(
            State(failure: failing, candidate: candidate, dimensions: [candidate: dimensions]))
    }

    /// What every call throws from now on; nil to answer again.
    package func fail(with failure: Failure?) { state.withLock { $0.failure = failure } }

    /// Answers from now on as another model; the one before can still be asked by its name, or not.
    package func become(_ candidate: String, dimensions: Int? = nil, keepingOld: Bool = false) {
        state.withLock { state in
            let before = state.dimensions[state.candidate] ?? 0
            if !keepingOld { state.dimensions = [:] }
            state.candidate = candidate
            state.dimensions[candidate] = dimensions ?? before
        }
    }

    /// How many texts each call had.
    package var batches: [Int] { state.withLock { $0.batches } }
    /// Every text that was embedded.
    package var texts: [String] { state.withLock { $0.texts } }

    package func embed(_ request: EmbeddingRequest) async throws -> Embeddings {
        let (candidate, dimensions) = try state.withLock { state in
            if let failure = state.failure { throw failure }
            let candidate = request.candidate ?? state.candidate
            guard let dimensions = state.dimensions[candidate] else {
                throw Failure(.notFound, "The embedding model \(candidate) is not there.")
            }
            state.batches.append(request.texts.count)
            state.texts += request.texts
            return (candidate, dimensions)
        }
        return Embeddings(
            candidate: candidate, dimensions: dimensions,
            values: request.texts.flatMap { Self.vector(of: $0, dimensions) },
            usage: TokenUsage(freshInput: request.texts.reduce(0) { $0 + $1.utf8.count / 4 }))
    }

    /// The vector of one text.
    package func vector(of text: String) -> [Float] {
        Self.vector(of: text, state.withLock { $0.dimensions[$0.candidate] ?? 0 })
    }

    private static func vector(of text: String, _ dimensions: Int) -> [Float] {
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
