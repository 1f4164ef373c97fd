import CKernels
import Core

/// Reads one sequence outside of all calls, for whoever looks at logits: conformance, perplexity.
///
/// Belongs to the lead thread of the pool.
final class SequenceReader {
    private let transformer: Transformer
    private let pages: [Int32]
    private let candidates: UnsafeMutablePointer<kernel_candidate>
    private var count = 0
    /// The row of the last read that the next token follows.
    private var lastRow = 0

    /// `candidates` is scratch with room for as many as the vocabulary has.
    init(
        _ transformer: Transformer, pages: Range<Int32>,
        candidates: UnsafeMutablePointer<kernel_candidate>
    ) {
        self.transformer = transformer
        self.pages = Array(pages)
        self.candidates = candidates
    }

    /// Reads a sequence from its beginning. False when `isCancelled` said so.
    @discardableResult
    func begin(_ prompt: [Int32], isCancelled: () -> Bool = { false }) -> Bool {
        reset()
        for start in stride(from: 0, to: prompt.count, by: Transformer.tokensMax) {
            let part = prompt[start..<min(prompt.count, start + Transformer.tokensMax)]
            guard read(part, isCancelled) else { return false }
        }
        return true
    }

    /// Reads one more token. False when `isCancelled` said so.
    @discardableResult
    func add(_ token: Int32, isCancelled: () -> Bool = { false }) -> Bool {
        read([token], isCancelled)
    }

    /// Reads tokens in one step. What the network makes of each, one after the other; valid until the
    /// next call.
    func logits(ofEach tokens: [Int32]) -> UnsafeBufferPointer<Float> {
        guard read(tokens[...], { false }) else { return UnsafeBufferPointer(start: nil, count: 0) }
        return UnsafeBufferPointer(transformer.logits(rows: Array(tokens.indices)))
    }

    func pick(_ sampler: inout Sampler) -> Int32 {
        sampler.pick(from: UnsafeMutableBufferPointer(mutating: logits()), candidates)?.token ?? 0
    }

    /// For the token after the last that was read. Valid until the next call.
    func logits() -> UnsafeBufferPointer<Float> {
        UnsafeBufferPointer(transformer.logits(rows: [lastRow]))
    }

    /// Forgets what was read.
    func reset() { count = 0 }

    /// How surprised the model is by each token of a text after its first, in nats.
    func surprise(at tokens: [Int32]) -> [Double] {
        reset()
        var surprise: [Double] = []
        for start in stride(from: 0, to: tokens.count, by: Transformer.tokensMax) {
            let part = tokens[start..<min(tokens.count, start + Transformer.tokensMax)]
            guard read(part, { false }) else { return [] }
            for next in part.indices.map({ $0 + 1 }) where next < tokens.count {
                let logits = transformer.logits(rows: [next - 1 - start])
                surprise.append(
                    kernel_negative_log_likelihood(
                        logits.baseAddress, logits.count, tokens[next]))
            }
        }
        return surprise
    }

    private func read(_ tokens: ArraySlice<Int32>, _ isCancelled: () -> Bool) -> Bool {
        let step = Step(tokens: tokens, position: count, pages: pages)
        guard transformer.read([step], isCancelled: isCancelled) else { return false }
        count += tokens.count
        lastRow = tokens.count - 1
        return true
    }
}
