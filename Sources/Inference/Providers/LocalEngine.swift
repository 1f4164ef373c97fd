import Core
import LocalModels

/// What the router needs of a chat model of this machine. A value of functions, so that tests
/// script one where the real one would need its weights.
struct LocalEngine: Sendable {
    typealias Generate =
        @Sendable (
            _ prompt: [Int32], _ sampling: SamplingOptions, _ emit: (String) async throws -> Void
        ) async throws -> Generation

    let name: String
    let contextTokens: Int
    let countTokens: @Sendable (String) -> Int
    let prompt: @Sendable ([ChatMessage]) throws -> [Int32]
    let generate: Generate
}

extension LocalEngine {
    init(_ model: LocalChatModel) {
        self.init(
            name: model.name, contextTokens: model.contextTokens,
            countTokens: { model.countTokens($0) }, prompt: { try model.prompt(for: $0) },
            generate: { try await model.generate(from: $0, sampling: $1, $2) })
    }
}

/// What the router needs of an embedding model of this machine.
struct LocalEmbedding: Sendable {
    let name: String
    let dimensions: Int
    let countTokens: @Sendable (String) -> Int
    let embed: @Sendable ([String]) async throws -> (values: [Float], tokens: Int)
}

extension LocalEmbedding {
    init(_ model: LocalEmbedder) {
        self.init(
            name: model.name, dimensions: model.dimensions,
            countTokens: { model.countTokens($0) }, embed: { try await model.embed($0) })
    }
}
