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
        let answers = try await family.logprobs(after: ModelFamily.promptLengths)
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
