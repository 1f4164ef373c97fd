package import Core

/// A language model of this machine: a GGUF file, mapped and not copied. One call runs at a time;
/// others wait in line. Thread-safe.
package final class LocalChatModel: Sendable {
    /// What the file's name says without `.gguf`, such as `SmolLM2-135M-Instruct.Q4_1`.
    package let name: String
    /// Tokens that prompt and answer may have together.
    package let contextTokens: Int

    /// Maps the file and reads its tables; the weights are not touched yet. Throws `notFound` when
    /// there is no file, `invalid` with what is wrong when it is truncated or corrupt, and
    /// `unsupported` with what is missing when this engine cannot run it.
    package init(path: String, threads: Int) throws {
        throw Failure(.unavailable, "The local engine is not built yet.")
    }

    /// How many tokens the text has, control tokens in it read as plain text.
    package func countTokens(_ text: String) -> Int { 0 }

    /// The prompt that the file's own chat template makes of the messages, in tokens. Throws
    /// `invalid` for a conversation the template does not allow.
    package func prompt(for messages: [ChatMessage]) throws -> [Int32] { [] }

    /// Generates from `prompt` and hands every piece of text to `emit` (whole UTF-8 characters,
    /// stop strings held back). Throws `tooLarge` when the prompt leaves no room. Cancelling the
    /// task, or throwing from `emit`, ends the generation within one token.
    package func generate(
        from prompt: [Int32], sampling: SamplingOptions,
        _ emit: (String) async throws -> Void
    ) async throws -> Generation {
        throw Failure(.unavailable, "The local engine is not built yet.")
    }
}

/// What a generation took, and why it ended.
package struct Generation: Hashable, Sendable {
    package let promptTokens: Int
    package let outputTokens: Int
    package let finishReason: Completion.FinishReason
    package let promptMilliseconds: Double
    package let firstTokenMilliseconds: Double?
    package let totalMilliseconds: Double

    package init(
        promptTokens: Int, outputTokens: Int, finishReason: Completion.FinishReason,
        promptMilliseconds: Double, firstTokenMilliseconds: Double?, totalMilliseconds: Double
    ) {
        self.promptTokens = promptTokens
        self.outputTokens = outputTokens
        self.finishReason = finishReason
        self.promptMilliseconds = promptMilliseconds
        self.firstTokenMilliseconds = firstTokenMilliseconds
        self.totalMilliseconds = totalMilliseconds
    }
}
