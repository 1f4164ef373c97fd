import Core
import Foundation
import LocalModels

/// The models folder: what is in it, mapped and ready, and what to do about the rest.
struct ModelShelf: Sendable {
    let folder: String
    var chatModels: [String: LocalEngine] = [:]
    var embedders: [String: LocalEmbedding] = [:]
    var rerankers: [String: LocalRanking] = [:]
    /// Files that are there and cannot be used, each in a sentence.
    var problems: [String] = []

    /// An empty shelf, to be filled by hand.
    init(folder: String) { self.folder = folder }

    /// Maps every `.gguf` file, and every folder with `model.safetensors` and `vocab.txt`. Weights
    /// are not read yet, so this is quick. A file that cannot be used is a problem, not an error:
    /// so is one that does not fit into what those before it leave of the memory.
    init(folder: String, options: LocalModelOptions) {
        self.init(folder: folder)
        let threads =
            options.threads > 0 ? options.threads : ProcessInfo.processInfo.activeProcessorCount
        let files = FileManager.default
        for name in ((try? files.contentsOfDirectory(atPath: folder)) ?? []).sorted() {
            let path = "\(folder)/\(name)"
            let isEncoder = ["model.safetensors", "vocab.txt"].allSatisfy {
                files.fileExists(atPath: "\(path)/\($0)")
            }
            do {
                if name.lowercased().hasSuffix(".gguf") {
                    let model = LocalEngine(try LocalChatModel(path: path, options: options))
                    chatModels[model.name] = model
                } else if isEncoder, LocalReranker.isReranker(folder: path) {
                    let model = LocalRanking(
                        try LocalReranker(
                            folder: path, threads: threads, precision: options.embeddingPrecision))
                    rerankers[model.name] = model
                } else if isEncoder {
                    let model = LocalEmbedding(
                        try LocalEmbedder(
                            folder: path, threads: threads, precision: options.embeddingPrecision))
                    embedders[model.name] = model
                }
            } catch {
                problems.append("\(path): \(Failure(error).message)")
            }
        }
    }

    /// What to do when a chat model is not there.
    func chatAdvice(_ model: String?) -> String {
        guard let model else {
            return "There is no model yet. Run `make models`, put a .gguf file into \(folder), or"
                + " configure a provider."
        }
        return "The model file \(folder)/\(model).gguf is missing or cannot be used. Run"
            + " `make models`, or put a .gguf file there."
    }

    func embedderAdvice(_ configured: String) -> String {
        configured.isEmpty
            ? "There is no embedding model, so documents cannot be searched by meaning. Run"
                + " `make models`, or set inference.embedding_model."
            : "The embedding model \(configured) is not there. Run `make models`, or correct"
                + " inference.embedding_model."
    }
}
