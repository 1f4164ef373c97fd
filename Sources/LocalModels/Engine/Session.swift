import CKernels
import Core

/// The one conversation that the engine holds: the network, and the tokens it has read. The next
/// conversation goes on from what both have in common, as the turns of one chat do.
///
/// Belongs to the lead thread of the pool.
final class Session {
    private let transformer: Transformer
    private let pages: [Int32]
    private let candidates: UnsafeMutablePointer<kernel_candidate>
    private var tokensRead: [Int32] = []
    /// The row of the last read that the next token follows.
    private var lastRow = 0

    init(_ transformer: Transformer, pages: Int, vocabulary: Int) {
        self.transformer = transformer
        self.pages = Array(0..<Int32(pages))
        candidates = .allocate(capacity: vocabulary)
    }

    deinit { candidates.deallocate() }

    /// Makes `prompt` what was read, and returns how many of its tokens were read before. Nil when
    /// `isCancelled` said so.
    ///
    /// The last token is always read again, since what follows it is asked for.
    func begin(_ prompt: [Int32], isCancelled: () -> Bool) -> Int? {
        var common = 0
        while common < min(tokensRead.count, prompt.count - 1),
            tokensRead[common] == prompt[common]
        {
            common += 1
        }
        tokensRead.removeSubrange(common...)
        var rest = prompt[common...]
        while !rest.isEmpty {
            guard read(rest.prefix(Transformer.tokensMax), isCancelled) else { return nil }
            rest = rest.dropFirst(Transformer.tokensMax)
        }
        return common
    }

    /// Reads one more token. False when `isCancelled` said so.
    func add(_ token: Int32, isCancelled: () -> Bool) -> Bool { read([token], isCancelled) }

    func pick(_ sampler: inout Sampler) -> Int32 { sampler.pick(from: logits(), candidates) }

    /// For the token after the last that was read. Valid until the next call.
    func logits() -> UnsafeBufferPointer<Float> {
        UnsafeBufferPointer(transformer.logits(rows: [lastRow]))
    }

    /// Forgets what was read.
    func reset() { tokensRead = [] }

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
        let step = Step(tokens: tokens, position: tokensRead.count, pages: pages)
        guard transformer.read([step], isCancelled: isCancelled) else { return false }
        tokensRead.append(contentsOf: tokens)
        lastRow = tokens.count - 1
        return true
    }
}
