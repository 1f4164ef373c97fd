import CKernels
import Core
import Synchronization

/// A cross-encoder of this machine: a BERT model that reads a question and a text together and says
/// how well they fit, such as ms-marco-MiniLM-L-6-v2. Weights in safetensors with a WordPiece
/// vocabulary beside them. Thread-safe.
package final class LocalReranker: Sendable {
    /// Texts in one call.
    package static let textsMax = 1000
    /// Calls that run or wait at the same time.
    package static let callsMax = 16
    /// Tokens that go through the encoder together, as for `LocalEmbedder`.
    static let tokensAtOnce = 512

    /// The folder's name.
    package let name: String
    /// Tokens of a pair that are read, `[CLS]` and two `[SEP]` included.
    package let tokensMax: Int

    private let tokenizer: WordPiece
    private let encoder: BertEncoder
    private let head: PairHead
    private let packing: EncoderPacking
    private let pool: WorkerPool
    private let calls = Mutex(0)

    /// Whether the model in `folder` is of this kind rather than one that makes embeddings: it has a
    /// classifier. False where the file cannot be read.
    package static func isReranker(folder: String) -> Bool {
        guard let file = try? MappedModel(path: folder + "/model.safetensors"),
            let tensors = try? Safetensors(file)
        else { return false }
        return tensors.tensors[PairHead.classifierName] != nil
    }

    /// Maps `model.safetensors` and reads `vocab.txt` in `folder`. The weights are read with the first
    /// text. Zero threads are as many as the machine has cores. Throws like `LocalEmbedder`.
    package convenience init(
        folder: String, threads: Int, precision: EmbeddingPrecision = .auto
    ) throws {
        try self.init(
            folder: folder, threads: threads, precision: precision, kernels: encoder_kernels_best())
    }

    init(
        folder: String, threads: Int, precision: EmbeddingPrecision, kernels: EncoderKernels
    ) throws {
        let configuration = try EncoderConfiguration(folder: folder)
        let vocabulary = try WordPieceVocabulary(MappedModel(path: folder + "/vocab.txt"))
        let file = try MappedModel(path: folder + "/model.safetensors")
        encoder = try BertEncoder(file, configuration)
        head = try PairHead(file, width: encoder.width)
        guard vocabulary.count <= encoder.vocabulary else {
            throw Failure(
                .invalid,
                "\(folder)/vocab.txt has \(vocabulary.count) pieces, but the model knows only"
                    + " \(encoder.vocabulary).")
        }
        guard encoder.kinds >= 2 else {
            throw Failure(
                .unsupported, "\(folder) reads one text at a time; a reranker reads two.")
        }
        name = folder.split(separator: "/").last.map(String.init) ?? folder
        tokensMax = min(configuration.pairTokensMax, encoder.positions, LocalEmbedder.tokensLimit)
        guard tokensMax > 4 else {
            throw Failure(.unsupported, "\(folder) reads \(tokensMax) tokens, too few for a pair.")
        }
        tokenizer = WordPiece(vocabulary, lowercases: configuration.lowercases)
        packing = EncoderPacking(kernels: kernels, precision: precision)
        pool = try WorkerPool(threads: threads)
    }

    /// A score from 0 to 1 for each text, in their order, and the tokens read in all. Runs on the
    /// engine's own threads. Throws `tooLarge` past `textsMax`, `unavailable` past `callsMax`, and ends
    /// within one batch when the task is cancelled.
    package func score(_ question: String, _ texts: [String]) async throws
        -> (scores: [Double], tokens: Int)
    {
        guard texts.count <= Self.textsMax else {
            throw Failure(
                .tooLarge, "At most \(Self.textsMax) texts can be ranked in one request.")
        }
        try enter()
        defer { calls.withLock { $0 -= 1 } }
        var scores: [Double] = []
        var tokens = 0
        while scores.count < texts.count {
            try Task.checkCancellation()
            let batch = try await encode(question, texts[scores.count...])
            scores += batch.scores
            tokens += batch.tokens
        }
        guard scores.allSatisfy(\.isFinite) else {
            throw Failure(
                .internalError,
                "The model \(name) gave a score that is no number; its file may be damaged.")
        }
        return (scores, tokens)
    }

    /// The first of the texts, as many as go through the encoder together.
    private func encode(_ question: String, _ texts: ArraySlice<String>) async throws
        -> (scores: [Double], tokens: Int)
    {
        try await pool.run {
            [tokenizer, encoder, head, packing, tokensMax] pool -> (scores: [Double], tokens: Int)
            in
            let asked = tokenizer.encode(question, piecesMax: tokensMax)
            var (inputs, seconds): ([[Int32]], [Int]) = ([], [])
            var tokens = 0
            for text in texts {
                let read = tokenizer.encode(text, piecesMax: tokensMax)
                let (pair, second) = Self.pair(
                    asked, read, tokenizer.vocabulary, tokensMax: tokensMax)
                inputs.append(pair)
                seconds.append(second)
                tokens += pair.count
                if tokens >= Self.tokensAtOnce { break }
            }
            let pass = EncoderPass(
                encoder, packing.packed(encoder, on: pool), inputs, seconds: seconds,
                threads: pool.threads)
            let firsts = pass.firsts(on: pool)
            let scores = inputs.indices.map { place in
                head.score(firsts[place * encoder.width..<(place + 1) * encoder.width])
            }
            return (scores, tokens)
        }
    }

    /// `[CLS] question [SEP] text [SEP]` and where its second part begins. What is too long loses
    /// tokens at its end, the longer of the two first, as in training.
    static func pair(
        _ question: [Int32], _ text: [Int32], _ vocabulary: WordPieceVocabulary, tokensMax: Int
    ) -> (tokens: [Int32], second: Int) {
        let room = tokensMax - 3
        let asked = question.prefix(max(room - text.count, (room + 1) / 2))
        let read = text.prefix(room - asked.count)
        return (
            [vocabulary.begin] + asked + [vocabulary.end] + read + [vocabulary.end],
            asked.count + 2
        )
    }

    private func enter() throws {
        let isFull = calls.withLock { calls in
            guard calls < Self.callsMax else { return true }
            calls += 1
            return false
        }
        guard !isFull else {
            throw Failure(
                .unavailable, "Too many searches are waiting to be ranked; try again in a moment.",
                retryAfter: .seconds(2))
        }
    }
}
