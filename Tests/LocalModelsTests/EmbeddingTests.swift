import Core
import Foundation
import Testing

@testable import LocalModels

@Suite("Embedding")
struct EmbeddingTests {
    @Test(
        "Vectors are those of the original model, with every set of kernels",
        .enabled(if: EmbeddingSamples.minilm != nil, Comment(rawValue: EmbeddingSamples.skipped)),
        arguments: EmbeddingSamples.kernels.keys.sorted(), [1, 2, 3])
    func reference(kernels: String, threads: Int) async throws {
        let vectors = try await minilm(kernels, .float32, threads: threads)
        let worst = vectors.flatMap { zip($0.values, $0.expected).map { abs($0 - $1) } }.max() ?? 1
        #expect(worst < 1e-5, "The reference itself is rounded to 1e-7.")
    }

    @Test(
        "The default keeps vectors within a cosine of 0.999 of the original model's",
        .enabled(if: EmbeddingSamples.minilm != nil, Comment(rawValue: EmbeddingSamples.skipped)),
        arguments: EmbeddingSamples.kernels.keys.sorted() + ["bytes"])
    func fast(kernels: String) async throws {
        var worst: Float = 1
        for vector in try await minilm(kernels, .auto, threads: 2) {
            let product = zip(vector.values, vector.expected).map { $0 * $1 }.reduce(0, +)
            let size = vector.expected.map { $0 * $0 }.reduce(0, +).squareRoot()
            worst = min(worst, product / size)
        }
        #expect(worst > (kernels == "bytes" ? 0.999 : 0.9999))
        print("The worst cosine with \(kernels): \(worst)")
    }

    @Test(
        "The number of threads does not change a bit of a vector",
        arguments: [EmbeddingPrecision.auto, .float32])
    func determinism(precision: EmbeddingPrecision) async throws {
        let folder = try EncoderFolder()
        let texts = (1...30).map { String(repeating: "hello a . ", count: $0 % 5) + "b" }
        var vectors: Set<[Float]> = []
        for threads in [1, 2, 3, 7] {
            let embedder = try folder.embedder(threads: threads, precision: precision)
            vectors.insert(try await embedder.embed(texts).values)
        }
        #expect(vectors.count == 1)
    }

    @Test(
        "A text longer than the model reads is cut after 254 pieces",
        .enabled(if: EmbeddingSamples.minilm != nil, Comment(rawValue: EmbeddingSamples.skipped)))
    func cut() async throws {
        let embedder = try LocalEmbedder(
            folder: try #require(EmbeddingSamples.minilm), threads: 2)
        let words = (0..<400).map { ["time", "year", "people", "way", "day"][$0 * 7 % 5] }

        let (values, tokens) = try await embedder.embed([
            words.joined(separator: " "), words.prefix(254).joined(separator: " "),
            words.prefix(253).joined(separator: " "),
        ])

        #expect(tokens == 256 + 256 + 255)
        #expect(embedder.countTokens(words.joined(separator: " ")) == 400)
        #expect(distance(values[0..<384], values[384..<768]) < 1e-5)
        #expect(distance(values[0..<384], values[768...]) > 1e-4)
    }

    @Test("A text has the same vector of length 1 alone, in company, and on any number of threads")
    func packing() async throws {
        let folder = try EncoderFolder()
        let pieces = ["a", "b", "c", "hello", "."]
        let texts = (0..<40).map { index in
            (0..<index % 14).map { pieces[$0 * $0 % 5] }.joined(separator: " ")
        }
        for threads in [1, 2, 5] {
            let embedder = try folder.embedder(threads: threads)
            let together = try await embedder.embed(texts)
            #expect(together.values.count == texts.count * embedder.dimensions)
            for (index, text) in texts.enumerated() {
                let alone = try await embedder.embed([text]).values
                let row = together.values[index * 24..<(index + 1) * 24]
                #expect(distance(alone[...], row) < 1e-5)
                #expect(abs(alone.map { $0 * $0 }.reduce(0, +) - 1) < 1e-5)
            }
        }
    }

    @Test("No texts give no vectors")
    func nothing() async throws {
        let embedder = try EncoderFolder().embedder()
        let (values, tokens) = try await embedder.embed([])
        #expect(values.isEmpty)
        #expect(tokens == 0)
    }

    @Test("Too many texts are refused before anything is computed")
    func tooMany() async throws {
        let embedder = try EncoderFolder().embedder()
        let texts = Array(repeating: "a", count: LocalEmbedder.textsMax + 1)
        await expect(.tooLarge, "2048") { try await embedder.embed(texts) }
    }

    @Test("Calls past the limit are refused, with a time to come back")
    func full() async throws {
        let embedder = try EncoderFolder().embedder(callsMax: 0)
        let failure = await #expect(throws: Failure.self) { try await embedder.embed(["a"]) }
        #expect(failure?.code == .unavailable)
        #expect(failure?.retryAfter != nil)
    }

    @Test("A call that ended, or failed, makes room for the next")
    func room() async throws {
        let embedder = try EncoderFolder().embedder(callsMax: 1)
        for _ in 0..<3 { _ = try await embedder.embed(["a"]) }
        let cancelled = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await embedder.embed(["a"])
        }
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        _ = try await embedder.embed(["a"])
    }

    @Test("Cancelling ends a long call between two batches")
    func cancellation() async throws {
        let embedder = try EncoderFolder().embedder()
        let long = String(repeating: "hello ", count: 14)
        let task = Task {
            while true {
                _ = try await embedder.embed(Array(repeating: long, count: 2048))
            }
        }
        try await Task.sleep(for: .milliseconds(30))
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test("Many callers at once each get their own vectors")
    func callers() async throws {
        let embedder = try EncoderFolder().embedder(threads: 2)
        let words = ["a", "b", "c", "hello"]
        let expected = try await embedder.embed(words).values
        try await withThrowingTaskGroup(of: (Int, [Float]).self) { group in
            for index in 0..<60 {
                group.addTask { (index % 4, try await embedder.embed([words[index % 4]]).values) }
            }
            for try await (word, values) in group {
                #expect(distance(values[...], expected[word * 24..<(word + 1) * 24]) < 1e-5)
            }
        }
    }

    @Test("Weights that are no numbers give a failure, not a vector of them")
    func notNumbers() async throws {
        let model = SafetensorsSample.encoder(words: 10) { $0 == 100 ? .nan : 0.1 }
        let embedder = try EncoderFolder(model).embedder()
        await expect(.internalError, "damaged") { try await embedder.embed(["hello"]) }
    }

    /// The vectors of the reference texts, beside those of the original model.
    private func minilm(_ kernels: String, _ precision: EmbeddingPrecision, threads: Int)
        async throws -> [(text: String, values: ArraySlice<Float>, expected: [Float])]
    {
        let embedder = try LocalEmbedder(
            folder: try #require(EmbeddingSamples.minilm), threads: threads, precision: precision,
            kernels: kernels == "bytes"
                ? EmbeddingSamples.choosingBytes
                : try #require(EmbeddingSamples.kernels[kernels]),
            callsMax: LocalEmbedder.callsMax)
        let texts: ReferenceTexts = try EmbeddingSamples.fixture("minilm_embeddings.json")
        #expect(embedder.dimensions == 384)
        #expect(embedder.tokensMax == 256)
        let (values, tokens) = try await embedder.embed(texts.items.map(\.text))
        #expect(tokens == texts.items.map(\.ids.count).reduce(0, +))
        #expect(values.count == texts.items.count * 384)
        return try texts.items.enumerated().map { index, item in
            (
                item.text, values[index * 384..<(index + 1) * 384],
                try #require(item.embedding)
            )
        }
    }

    private func distance(_ left: ArraySlice<Float>, _ right: ArraySlice<Float>) -> Float {
        zip(left, right).map { abs($0 - $1) }.max() ?? .infinity
    }

    private func expect<Value>(
        _ code: Failure.Code, _ words: String, _ body: () async throws -> Value
    ) async {
        let failure = await #expect(throws: Failure.self) { _ = try await body() }
        #expect(failure?.code == code)
        #expect(failure?.message.contains(words) == true)
    }
}
