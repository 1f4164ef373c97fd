import Core
import Foundation
import Testing

@testable import LocalModels

@Suite("Pre-tokenizers")
struct PreTokenizerTests {
    /// How Hugging Face's `tokenizers` 0.23.3 cuts texts by the regular expressions that the models
    /// were trained with: the bytes of every piece.
    struct Fixture: Decodable {
        let texts: [String]
        let pieces: [String: [[Int]]]
    }

    @Test("Text is cut where the model's own expression cuts it")
    func pieces() throws {
        let fixture = try ChatReference.read(Fixture.self, "pre_tokenizers.json")
        #expect(fixture.pieces.count == 15)
        for (name, expected) in fixture.pieces.sorted(by: { $0.key < $1.key }) {
            let rule = try PreTokenizer(named: name, in: "x")
            var wrong: [String] = []
            for (text, lengths) in zip(fixture.texts, expected) {
                let pieces = rule.pieces(of: text)
                if pieces.map(\.utf8.count) != lengths { wrong.append("\(text) as \(pieces)") }
            }
            #expect(wrong.isEmpty, "\(name): \(wrong.count), such as \(wrong.prefix(3))")
        }
    }

    @Test("A text of one character 6,000 times is cut in time", .timeLimit(.minutes(1)))
    func hostile() throws {
        for name in ["default", "llama-bpe", "gpt-4o", "deepseek-llm", "deepseek-v3"] {
            let rule = try PreTokenizer(named: name, in: "x")
            for unit in [" ", "\n", "\t", "a", "A", "漢", "!", "'", "1", "\u{301}", " \n", "漢A"] {
                let text = String(repeating: unit, count: 6_000) + "x"
                #expect(rule.pieces(of: text).joined() == text)
            }
        }
    }

    @Test("A way to cut that is not known is refused with its name and the known ones")
    func unknown() {
        let failure = #expect(throws: Failure.self) {
            try PreTokenizer(named: "kimi-k2", in: "k.gguf")
        }
        #expect(failure?.code == .unsupported)
        #expect(failure?.message.contains("k.gguf cannot be run") == true)
        #expect(failure?.message.contains("\"kimi-k2\"") == true)
        #expect(failure?.message.contains("llama-bpe, llama-v3, llama3") == true)
    }

    @Test("No name means two ways")
    func names() {
        #expect(Set(PreTokenizer.names).count == PreTokenizer.names.count)
    }
}
