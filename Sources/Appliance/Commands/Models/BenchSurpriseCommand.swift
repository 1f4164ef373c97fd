import ArgumentParser
import Core
import Foundation
import Inference
import LocalModels

/// What `make bench-local` asks about the model's words: tokens in on standard input, as a JSON list.
struct BenchSurpriseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-surprise",
        abstract: "Say how surprised a model is by a text, in nats a token.", shouldDisplay: false)

    @OptionGroup var common: CommonOptions

    @Argument var model: String
    @Option var threads = 0

    func run() async throws {
        let input = try FileHandle.standardInput.readToEnd() ?? Data()
        let summary = try common.library.summary(of: model)
        if let refusal = summary.refusal { throw Failure(.unsupported, refusal) }
        let vocabulary = Int32(clamping: summary.vocabulary ?? 0)
        guard let tokens = try? JSONDecoder().decode([Int32].self, from: input), tokens.count > 1,
            tokens.allSatisfy({ (0..<vocabulary).contains($0) })
        else {
            throw Failure(.invalid, "Standard input must be a JSON list of the model's tokens.")
        }
        let model = try LocalChatModel(path: common.library.path(of: model), threads: threads)
        let surprise = try await model.surprise(at: tokens)
        let mean = surprise.reduce(0, +) / Double(max(1, surprise.count))
        Terminal.say("{\"mean_nats\": \(mean), \"tokens\": \(surprise.count)}")
    }
}
