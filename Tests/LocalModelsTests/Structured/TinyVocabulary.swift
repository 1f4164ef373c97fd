import CKernels
import Core

@testable import LocalModels

/// All bytes, some pieces that go over the borders of the grammar and of characters, a control token
/// and an end token.
enum TinyVocabulary {
    static let texts: [[UInt8]] =
        (UInt8.min...UInt8.max).map { [$0] }
        + [
            "{\"", "\":", "\": ", "\",\"", "\"}", "\"}]", "}}", "}]", "[]", "{}", "[[", "true",
            "fal",
            "null,", "12", "-3", "0.", "abc", "\\u", "\\ud83d", "\\\"", "\n  ", "    ", "  ",
            "<tool", "_call>", "<tool_call>", "name", "a\"", "é", "日本", " world", "tool",
        ].map { Array($0.utf8) } + [[0xE2, 0x82], [0x82, 0xAC, 0x22], [0xF0, 0x9F], [], []]

    static let endToken = Int32(texts.count - 1)
    static let controlToken = Int32(texts.count - 2)
    static let trie = TokenTrie(count: texts.count) { texts[Int($0)] }

    /// What a model that finds all tokens equally good says under a grammar.
    static func answer(
        _ grammar: Grammar, seed: UInt64, tokensMax: Int,
        logits: [Float] = Array(repeating: 0, count: texts.count)
    ) throws -> (text: String, isEnded: Bool, tokens: Int) {
        let options = SamplingOptions(temperature: 1, topK: 0, topP: 1, seed: seed)
        var sampler = try Sampler(
            options, outputTokensMax: tokensMax,
            constraint: OutputConstraint(grammar, trie: trie, endTokens: [endToken]),
            random: { 0 })
        let scratch = UnsafeMutablePointer<kernel_candidate>.allocate(capacity: texts.count)
        defer { scratch.deallocate() }
        var bytes: [UInt8] = []
        for count in 1...tokensMax {
            var logits = logits
            let pick = logits.withUnsafeMutableBufferPointer { sampler.pick(from: $0, scratch) }
            guard let token = pick?.token else {
                return (String(decoding: bytes, as: UTF8.self), false, count)
            }
            bytes += texts[Int(token)]
            if token == endToken || sampler.isFinished {
                return (String(decoding: bytes, as: UTF8.self), true, count)
            }
        }
        return (String(decoding: bytes, as: UTF8.self), sampler.isComplete, tokensMax)
    }
}
