import Core

/// A sentence-embedding model of this machine: BERT weights in safetensors with a WordPiece
/// vocabulary beside them. Thread-safe.
package final class LocalEmbedder: Sendable {
    /// The folder's name, such as `all-MiniLM-L6-v2`.
    package let name: String
    package let dimensions: Int
    /// Tokens of one text that are read, `[CLS]` and `[SEP]` included; the rest is cut off.
    package let tokensMax: Int

    /// Maps `model.safetensors` and reads `vocab.txt` in `folder`. Throws like `LocalChatModel`.
    package init(folder: String, threads: Int) throws {
        throw Failure(.unavailable, "The local engine is not built yet.")
    }

    /// How many WordPiece tokens the text has, without `[CLS]` and `[SEP]`, before any cut.
    package func countTokens(_ text: String) -> Int { 0 }

    /// Unit-length vectors, row after row, `texts.count x dimensions`, and the tokens read in all.
    /// Runs on the engine's own threads.
    package func embed(_ texts: [String]) async throws -> (values: [Float], tokens: Int) {
        throw Failure(.unavailable, "The local engine is not built yet.")
    }
}
