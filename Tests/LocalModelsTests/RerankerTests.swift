import CKernels
import Core
import Foundation
import TestSupport
import Testing

@testable import LocalModels

/// Cross-encoders: models that read a question and a text together.
@Suite("Local rerankers")
struct RerankerTests {
    private struct Reference: Decodable {
        struct Item: Decodable {
            let question: String
            let text: String
            let tokens: [Int32]
            let second: Int
            let one: Double
            let two: Double
        }

        let items: [Item]
    }

    /// As ms-marco-MiniLM-L-6-v2 names its tensors.
    private static func model(labels: Int = 1, prefix: String = "bert.") -> SafetensorsSample {
        let value = { (index: Int) in sin(Float(index)) / 4 }
        var model = SafetensorsSample.encoder(words: EncoderFolder.vocabulary.count, value: value)
        model.add("pooler.dense.weight", 24, 24, value: value)
        model.add("pooler.dense.bias", 24, value: value)
        for index in model.tensors.indices {
            model.tensors[index].name = prefix + model.tensors[index].name
        }
        model.add("classifier.weight", labels, 24, value: value)
        model.add("classifier.bias", labels, value: value)
        return model
    }

    private static func reranker(
        _ folder: EncoderFolder, kernels: EncoderKernels = encoder_kernels_best(),
        precision: EmbeddingPrecision = .float32, threads: Int = 1
    ) throws -> LocalReranker {
        try withExtendedLifetime(folder) {
            try LocalReranker(
                folder: folder.path, threads: threads, precision: precision, kernels: kernels)
        }
    }

    @Test(
        "Scores are those that another implementation computes", arguments: [1, 2], ["bert.", ""])
    func reference(labels: Int, prefix: String) async throws {
        let reference: Reference = try EmbeddingSamples.fixture("tiny_reranker.json")
        let folder = try EncoderFolder(Self.model(labels: labels, prefix: prefix))
        for (name, kernels) in EmbeddingSamples.kernels {
            let reranker = try Self.reranker(folder, kernels: kernels)
            #expect(reranker.tokensMax == 16)
            for item in reference.items {
                let (scores, tokens) = try await reranker.score(item.question, [item.text])
                let expected = labels == 1 ? item.one : item.two
                #expect(abs(scores[0] - expected) < 1e-4, "\(name): \(item.question)")
                #expect(tokens == item.tokens.count)
            }
        }
    }

    @Test("Pairs are cut as they were in training: the longer first, at its end")
    func pairs() throws {
        let reference: Reference = try EmbeddingSamples.fixture("tiny_reranker.json")
        let folder = try EncoderFolder(Self.model())
        let vocabulary = try WordPieceVocabulary(MappedModel(path: folder.path + "/vocab.txt"))
        let tokenizer = WordPiece(vocabulary)
        for item in reference.items {
            let pair = LocalReranker.pair(
                tokenizer.encode(item.question), tokenizer.encode(item.text), vocabulary,
                tokensMax: 16)
            #expect(pair.tokens == item.tokens && pair.second == item.second)
        }
    }

    @Test("Texts scored together score as each alone, on one thread and on two", arguments: [1, 2])
    func together(threads: Int) async throws {
        let reranker = try Self.reranker(try EncoderFolder(Self.model()), threads: threads)
        let texts = (0..<90).map {
            Array(repeating: "a hello c .", count: $0 % 4).joined(separator: " b ")
        }
        let together = try await reranker.score("c a", texts)
        #expect(together.scores.count == texts.count)
        #expect(Set(together.scores.map { Int($0 * 1e5) }).count > 3)
        for place in [0, 1, 2, 3, 50, 89] {
            let alone = try await reranker.score("c a", [texts[place]])
            #expect(abs(alone.scores[0] - together.scores[place]) < 1e-5)
        }
    }

    @Test("The order of a pair matters, and so does which part a word is in")
    func order() async throws {
        let reranker = try Self.reranker(try EncoderFolder(Self.model()))
        let one = try await reranker.score("a", ["c"]).scores[0]
        let other = try await reranker.score("c", ["a"]).scores[0]
        #expect(abs(one - other) > 1e-4)
    }

    @Test("A folder says by its tensors which of the two it is")
    func kinds() throws {
        let reranker = try EncoderFolder(Self.model())
        let embedder = try EncoderFolder()
        #expect(LocalReranker.isReranker(folder: reranker.path))
        #expect(!LocalReranker.isReranker(folder: embedder.path))
        #expect(!LocalReranker.isReranker(folder: embedder.path + "/none"))
        #expect(try ModelSummary(folder: reranker.path).kind == .reranker)
        #expect(try ModelSummary(folder: reranker.path).contextTokens == 16)
        #expect(try ModelSummary(folder: embedder.path).kind == .embedding)
    }

    @Test("The small files may make pairs shorter")
    func shorter() throws {
        let folder = try EncoderFolder(
            Self.model(), files: ["tokenizer_config.json": #"{"model_max_length": 12}"#])
        #expect(try Self.reranker(folder).tokensMax == 12)
        let endless = try EncoderFolder(
            Self.model(),
            files: [
                "tokenizer_config.json": #"{"model_max_length": 1000000000000000019884624838656}"#
            ])
        #expect(try Self.reranker(endless).tokensMax == 16)
    }

    @Test("A model without one of the tensors on top is refused, and that one is named")
    func missing() throws {
        let whole = Self.model()
        for name in ["bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.bias"] {
            var model = whole
            model.tensors.removeAll { $0.name == name }
            let error = #expect(throws: Failure.self) {
                try Self.reranker(try EncoderFolder(model))
            }
            #expect(
                error?.message.contains("pooler.dense") == true
                    || error?.message.contains(name) == true)
        }
        #expect(throws: Failure.self) {
            try Self.reranker(try EncoderFolder(Self.model(labels: 3)))
        }
        #expect(throws: Failure.self) { try Self.reranker(try EncoderFolder()) }
    }

    @Test("A model that tells no two texts apart is refused")
    func oneKind() throws {
        var model = Self.model()
        for index in model.tensors.indices where model.tensors[index].name.contains("token_type") {
            model.tensors[index].shape[0] = 1
            model.tensors[index].bytes.removeLast(24 * 4)
        }
        let folder = try EncoderFolder(model)
        #expect(throws: Failure.self) { try Self.reranker(folder) }
    }

    @Test("Weights that are no numbers fail the call, not the process")
    func notNumbers() async throws {
        var model = Self.model()
        for index in model.tensors.indices where model.tensors[index].name == "classifier.bias" {
            model.tensors[index].bytes = [0, 0, 0xC0, 0x7F]
        }
        let reranker = try Self.reranker(try EncoderFolder(model))
        await #expect(throws: Failure.self) { try await reranker.score("a", ["b"]) }
    }

    @Test("More texts than one call takes are refused, and none are none")
    func limits() async throws {
        let reranker = try Self.reranker(try EncoderFolder(Self.model()))
        let failure = await #expect(throws: Failure.self) {
            try await reranker.score("a", Array(repeating: "b", count: LocalReranker.textsMax + 1))
        }
        #expect(failure?.code == .tooLarge)
        #expect(try await reranker.score("a", []).scores == [])
    }
}
