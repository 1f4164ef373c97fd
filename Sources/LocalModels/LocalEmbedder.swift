import CKernels
import Core
import Synchronization

/// A sentence-embedding model of this machine: BERT weights in safetensors with a WordPiece
/// vocabulary beside them. Thread-safe.
package final class LocalEmbedder: Sendable {
    /// Texts in one call.
    package static let textsMax = 2048
    /// Calls that run or wait at the same time.
    package static let callsMax = 64

    /// No text is read further, whatever a model's files say: attention takes memory with its square.
    static let tokensLimit = 8192
    /// Tokens that go through the encoder together, about 80 ms on one core: long enough to fill its
    /// blocks, short enough that a question does not wait long behind an upload.
    static let tokensAtOnce = 512

    /// The folder's name, such as `all-MiniLM-L6-v2`.
    package let name: String
    package let dimensions: Int
    /// Tokens of one text that are read, `[CLS]` and `[SEP]` included; the rest is cut off.
    package let tokensMax: Int

    private let tokenizer: WordPiece
    private let encoder: BertEncoder
    private let packing: EncoderPacking
    private let pool: WorkerPool
    private let callsMax: Int
    private let calls = Mutex(0)

    /// Maps `model.safetensors` and reads `vocab.txt` in `folder`. The weights are read with the first
    /// text. Zero threads are as many as the machine has cores. Throws like `LocalChatModel`.
    package convenience init(
        folder: String, threads: Int, precision: EmbeddingPrecision = .auto
    ) throws {
        try self.init(
            folder: folder, threads: threads, precision: precision, kernels: encoder_kernels_best(),
            callsMax: Self.callsMax)
    }

    init(
        folder: String, threads: Int, precision: EmbeddingPrecision, kernels: EncoderKernels,
        callsMax: Int
    ) throws {
        self.callsMax = callsMax
        packing = EncoderPacking(kernels: kernels, precision: precision)
        let configuration = try EncoderConfiguration(folder: folder)
        let vocabulary = try WordPieceVocabulary(MappedModel(path: folder + "/vocab.txt"))
        encoder = try BertEncoder(
            MappedModel(path: folder + "/model.safetensors"), configuration)
        guard vocabulary.count <= encoder.vocabulary else {
            throw Failure(
                .invalid,
                "\(folder)/vocab.txt has \(vocabulary.count) pieces, but the model knows only \(encoder.vocabulary)."
            )
        }
        name = folder.split(separator: "/").last.map(String.init) ?? folder
        dimensions = encoder.width
        tokensMax = min(configuration.tokensMax, encoder.positions, Self.tokensLimit)
        tokenizer = WordPiece(vocabulary, lowercases: configuration.lowercases)
        pool = try WorkerPool(threads: threads)
    }

    /// How many WordPiece tokens the text has, without `[CLS]` and `[SEP]`, before any cut.
    package func countTokens(_ text: String) -> Int { tokenizer.count(text) }

    /// Unit-length vectors, row after row, `texts.count x dimensions`, and the tokens read in all.
    /// Runs on the engine's own threads. Throws `tooLarge` past `textsMax`, `unavailable` past
    /// `callsMax`, and ends within one batch when the task is cancelled.
    package func embed(_ texts: [String]) async throws -> (values: [Float], tokens: Int) {
        guard texts.count <= Self.textsMax else {
            throw Failure(
                .tooLarge, "At most \(Self.textsMax) texts can be embedded in one request.")
        }
        try enter()
        defer { calls.withLock { $0 -= 1 } }
        var values: [Float] = []
        values.reserveCapacity(texts.count * dimensions)
        var tokens = 0
        var rest = texts[...]
        while !rest.isEmpty {
            try Task.checkCancellation()
            let batch = try await encode(rest)
            values += batch.values
            tokens += batch.tokens
            rest = rest.dropFirst(batch.texts)
        }
        return (values, tokens)
    }

    /// The first of the texts, as many as go through the encoder together.
    private func encode(_ texts: ArraySlice<String>) async throws -> Batch {
        let batch = try await pool.run { [tokenizer, encoder, packing, tokensMax] pool -> Batch? in
            var inputs: [[Int32]] = []
            var tokens = 0
            for text in texts {
                let pieces = tokenizer.encode(text, piecesMax: tokensMax - 2)
                inputs.append([tokenizer.vocabulary.begin] + pieces + [tokenizer.vocabulary.end])
                tokens += pieces.count + 2
                if tokens >= Self.tokensAtOnce { break }
            }
            let pass = EncoderPass(
                encoder, packing.packed(encoder, on: pool), inputs, threads: pool.threads)
            return pass.run(on: pool).map {
                Batch(values: $0, tokens: tokens, texts: inputs.count)
            }
        }
        guard let batch else {
            throw Failure(
                .internalError,
                "The model \(name) gave a vector without a direction; its file may be damaged.")
        }
        return batch
    }

    private struct Batch {
        let values: [Float]
        let tokens: Int
        let texts: Int
    }

    private func enter() throws {
        let isFull = calls.withLock { calls in
            guard calls < callsMax else { return true }
            calls += 1
            return false
        }
        guard !isFull else {
            throw Failure(
                .unavailable, "Too many texts are waiting to be embedded; try again in a moment.",
                retryAfter: .seconds(2))
        }
    }
}
