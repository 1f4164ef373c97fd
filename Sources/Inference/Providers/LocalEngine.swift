import Core
import LocalModels

/// What the router needs of a chat model of this machine. A value of functions, so that tests
/// script one where the real one would need its weights.
struct LocalEngine: Sendable {
    /// A call that stands in line or runs. Its place is given back when nothing of it is left.
    struct Call: Sendable {
        typealias Emit = (GenerationPiece) async throws -> Void

        let run: @Sendable (_ emit: Emit) async throws -> Generation
        var cancel: @Sendable () -> Void = {}
    }

    let name: String
    let contextTokens: Int
    let countTokens: @Sendable (String) -> Int
    /// `thinking` turns reasoning off or on where the model has a switch for it.
    let prompt:
        @Sendable (_ messages: [ChatMessage], _ tools: [ToolDefinition], _ thinking: Bool?) throws
            -> [Int32]
    /// Throws what can be said before anything runs: the line is full, the options mean nothing.
    let open: @Sendable (GenerationRequest) throws -> Call
    var load: @Sendable () -> (running: Int, waiting: Int) = { (0, 0) }
    var toolSyntax = ToolSyntax.tagged
    /// What a token adds to a text.
    var bytes: @Sendable (Int32) -> [UInt8] = { _ in [] }
}

extension LocalEngine {
    init(_ model: LocalChatModel) {
        self.init(
            name: model.name, contextTokens: model.contextTokens,
            countTokens: { model.countTokens($0) },
            prompt: { try model.prompt(for: $0, tools: $1, thinking: $2) },
            open: { request in
                let call = try model.open(request)
                return Call(run: { try await call.run($0) }, cancel: { call.cancel() })
            },
            load: { (model.load.running, model.load.waiting) }, toolSyntax: model.toolSyntax,
            bytes: { model.bytes(of: $0) })
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

/// What the router needs of a reranker of this machine.
struct LocalRanking: Sendable {
    let name: String
    let score: @Sendable (String, [String]) async throws -> (scores: [Double], tokens: Int)
}

extension LocalRanking {
    init(_ model: LocalReranker) {
        self.init(name: model.name, score: { try await model.score($0, $1) })
    }
}
