import Core
import Foundation
import Testing

@testable import LocalModels

/// Every architecture and tensor type against llama.cpp (xllamacpp 2026.10.11549), which read the
/// files that `ModelFamily` writes. Fixtures/model_families.py wrote its answers down.
@Suite("Model families")
struct ModelFamilyTests {
    struct File: Decodable { let models: [Model] }

    struct Model: Decodable {
        struct Answer: Decodable {
            let promptTokens: Int
            let tokens: [Int]
            let logprobs: [Double]
        }
        let name: String
        let answers: [Answer]
    }

    static let expected = Result {
        try ChatReference.read(File.self, "model_families.json").models
    }

    @Test(
        "The network of every family says what llama.cpp says", arguments: ModelFamily.all)
    func families(_ family: ModelFamily) async throws {
        let model = try #require(try Self.expected.get().first { $0.name == family.name })
        let answers = try await Self.logprobs(family)
        for (answer, logprobs) in zip(model.answers, answers) {
            let worst = zip(answer.tokens, answer.logprobs).map { abs(logprobs[$0] - $1) }.max()
            #expect(
                worst ?? .infinity < Self.tolerance(family.type),
                "\(family.name) after \(answer.promptTokens) tokens")
        }
        #expect(model.answers.map(\.promptTokens) == ModelFamily.promptLengths)
    }

    /// llama.cpp rounds what it multiplies with whole-number weights to eight bits, and with halves
    /// to halves.
    private static func tolerance(_ type: TensorType) -> Double {
        switch type {
        case .f32: 0.05
        case .f16, .bf16: 0.25
        default: 0.4
        }
    }

    /// The log-probabilities of every token after each length of the prompt.
    private static func logprobs(_ family: ModelFamily) async throws -> [[Double]] {
        let gguf = try GGUF(MappedModel(name: family.name, copying: family.writer().bytes()))
        let shape = try ModelShape(gguf, contextTokensMax: 256)
        let weights = try ModelWeights(gguf, shape, vocabulary: ModelFamily.vocabulary)
        let pool = try WorkerPool(threads: 1)
        let (results, result) = AsyncStream.makeStream(of: [[Double]].self)
        try pool.submit {
            let answers = ModelFamily.promptLengths.map { length -> [Double] in
                guard let pages = try? KeyValuePages(shape, count: 2) else { return [] }
                let transformer = Transformer(
                    shape, weights, pages: pages, pool: pool)
                let step = Step(
                    tokens: ModelFamily.prompt[..<length], position: 0, pages: [0, 1])
                _ = transformer.read([step]) { false }
                let logits = transformer.logits(rows: [length - 1]).map(Double.init)
                let largest = logits.max() ?? 0
                let sum = logits.reduce(0) { $0 + exp($1 - largest) }
                return logits.map { $0 - largest - log(sum) }
            }
            result.yield(answers)
            result.finish()
        }
        for await answers in results { return answers }
        throw CancellationError()
    }

    /// For Fixtures/model_families.py, which needs the files themselves.
    @Test(
        "The models are written where they were asked for",
        .enabled(if: ProcessInfo.processInfo.environment["HEPTAD_FAMILIES"] != nil))
    func write() throws {
        let folder = ProcessInfo.processInfo.environment["HEPTAD_FAMILIES"] ?? "."
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        for family in ModelFamily.all {
            try Data(family.writer().bytes())
                .write(to: URL(filePath: "\(folder)/\(family.name).gguf"))
        }
        let prompt = try JSONEncoder().encode([
            ModelFamily.prompt.map(Int.init), ModelFamily.promptLengths,
        ])
        try prompt.write(to: URL(filePath: "\(folder)/prompt.json"))
    }
}
