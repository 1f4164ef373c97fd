import CKernels
import Core

/// The one conversation that the engine holds: the network, and the tokens it has read. The next
/// conversation goes on from what both have in common, as the turns of one chat do.
///
/// Belongs to the lead thread of the pool.
final class Session {
    private let llama: Llama
    private let candidates: UnsafeMutablePointer<kernel_candidate>
    private var tokensRead: [Int32] = []
    /// The row of the last read that the next token follows.
    private var lastRow = 0

    init(_ llama: Llama, vocabulary: Int) {
        self.llama = llama
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
            guard read(rest.prefix(Llama.tokensMax), isCancelled) else { return nil }
            rest = rest.dropFirst(Llama.tokensMax)
        }
        return common
    }

    /// Reads one more token. False when `isCancelled` said so.
    func add(_ token: Int32, isCancelled: () -> Bool) -> Bool { read([token], isCancelled) }

    func pick(_ sampler: inout Sampler) -> Int32 { sampler.pick(from: logits(), candidates) }

    /// For the token after the last that was read. Valid until the next call.
    func logits() -> UnsafeBufferPointer<Float> { llama.logits(row: lastRow) }

    /// Forgets what was read.
    func reset() { tokensRead = [] }

    /// How surprised the model is by each token of a text after its first, in nats.
    func surprise(at tokens: [Int32]) -> [Double] {
        reset()
        var surprise: [Double] = []
        for start in stride(from: 0, to: tokens.count, by: Llama.tokensMax) {
            let part = tokens[start..<min(tokens.count, start + Llama.tokensMax)]
            guard read(part, { false }) else { return [] }
            for next in part.indices.map({ $0 + 1 }) where next < tokens.count {
                let logits = llama.logits(row: next - 1 - start)
                surprise.append(
                    kernel_negative_log_likelihood(
                        logits.baseAddress, logits.count, tokens[next]))
            }
        }
        return surprise
    }

    private func read(_ tokens: ArraySlice<Int32>, _ isCancelled: () -> Bool) -> Bool {
        guard llama.read(tokens, at: tokensRead.count, isCancelled: isCancelled) else {
            return false
        }
        tokensRead.append(contentsOf: tokens)
        lastRow = tokens.count - 1
        return true
    }
}
