import CKernels

/// The packed weights of an encoder, once a text has come.
final class EncoderPacking: Sendable {
    // SAFETY: a table of functions that never changes.
    nonisolated(unsafe) private let kernels: EncoderKernels
    private let precision: EmbeddingPrecision
    // SAFETY: only the lead thread of the pool touches it.
    nonisolated(unsafe) private var result: PackedEncoder?

    init(kernels: EncoderKernels, precision: EmbeddingPrecision) {
        self.kernels = kernels
        self.precision = precision
    }

    /// Only from a job.
    func packed(_ encoder: BertEncoder, on pool: WorkerPool) -> PackedEncoder {
        if let result { return result }
        let packed = PackedEncoder(encoder, kernels, precision, on: pool)
        result = packed
        return packed
    }
}
