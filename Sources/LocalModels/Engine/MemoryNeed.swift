import CKernels
import Core

/// What a model takes of the budget, whatever it is asked.
struct MemoryNeed: Hashable {
    /// Copies of weights that are not the pages of the mapped file.
    let weights: Int
    /// The buffers of the network.
    let scratch: Int
    let bytesPerPage: Int
    /// The pages of one conversation as long as the context.
    let pagesPerContext: Int

    init(
        _ shape: ModelShape, _ weights: ModelWeights, contextTokens: Int, threads: Int,
        precision: ChatPrecision = .auto
    ) {
        self.weights = PackedWeights.bytes(weights)
        let candidates =
            threads * weights.output.rows * MemoryLayout<kernel_candidate>.stride
        scratch =
            Transformer.bytes(shape, weights, threads: threads, precision: precision)
            - self.weights + candidates
        bytesPerPage = KeyValuePages.bytesPerPage(shape)
        pagesPerContext =
            (contextTokens + KeyValuePages.positions - 1) / KeyValuePages.positions
    }

    /// What there must be for one conversation.
    var bytesLeast: Int { weights + scratch + pagesPerContext * bytesPerPage }

    /// Takes it. Throws `unavailable` with the numbers when there is not that much left.
    func take(from memory: MemoryBudget, model: String, contextTokens: Int) throws {
        guard !memory.take(bytesLeast) else { return }
        let text = MemoryBudget.text
        throw Failure(
            .unavailable,
            "\(model) needs \(text(bytesLeast)) of memory for one conversation of "
                + "\(contextTokens) tokens (\(text(pagesPerContext * bytesPerPage)) for the "
                + "conversation, \(text(weights)) for weights, \(text(scratch)) to compute in); "
                + "\(text(memory.leftBytes)) of the \(text(memory.bytes)) for local models are "
                + "left. Raise inference.local.memory, or lower "
                + "inference.local.context_tokens_max.")
    }
}
