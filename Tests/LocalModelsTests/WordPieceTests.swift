import Core
import Foundation
import TestSupport
import Testing

@testable import LocalModels

@Suite("WordPiece")
struct WordPieceTests {
    @Test(
        "Every reference text becomes exactly the reference's numbers",
        .enabled(if: EmbeddingSamples.minilm != nil, Comment(rawValue: EmbeddingSamples.skipped)))
    func reference() throws {
        let folder = try #require(EmbeddingSamples.minilm)
        let vocabulary = try WordPieceVocabulary(MappedModel(path: folder + "/vocab.txt"))
        let tokenizer = WordPiece(vocabulary)
        let texts: ReferenceTexts = try EmbeddingSamples.fixture("minilm_wordpiece.json")
        #expect(texts.items.count == 100)
        for item in texts.items {
            let ids = [vocabulary.begin] + tokenizer.encode(item.text) + [vocabulary.end]
            #expect(ids == item.ids, "\(item.text)")
            #expect(tokenizer.count(item.text) == item.ids.count - 2)
        }
    }

    @Test(
        "Text is cleaned, cut and put together from known pieces",
        arguments: [
            ("", []),
            (" \t\r\n\u{A0}\u{2028}\u{3000}", []),
            ("hello", ["hello"]),
            ("HELLO hello", ["hello", "hello"]),
            ("hello.hello", ["hello", ".", "hello"]),
            ("ab abb", ["a", "##b", "a", "##b", "##b"]),
            // Put together as far as it goes is not enough.
            ("abx", ["[UNK]"]),
            ("ba", ["[UNK]"]),
            ("é É e\u{301}", ["e", "e", "e"]),
            // The longest piece first.
            ("ee", ["ee"]),
            ("eeé", ["ee", "##e"]),
            ("a\u{0}b\u{FFFD}\u{200B}\u{AD}\u{E000}", ["a", "##b"]),
            ("漢a漢漢", ["漢", "a", "漢", "漢"]),
            // In pieces: an equals sign and a mark.
            ("a\u{2260}b", ["a", "=", "b"]),
            ("[CLS] ##b", ["[UNK]", "[UNK]", "[UNK]", "[UNK]", "[UNK]", "b"]),
            (String(repeating: "b", count: 100), ["b"] + Array(repeating: "##b", count: 99)),
            (String(repeating: "b", count: 101) + " a", ["[UNK]", "a"]),
            (
                String(repeating: "e\u{301}", count: 100),
                ["ee"] + Array(repeating: "##e", count: 98)
            ),
            // Twice as many bytes as characters.
            (String(repeating: "ж", count: 100), ["ж"] + Array(repeating: "##ж", count: 99)),
            // Newer than the tables: a mark that is a letter.
            ("a\u{1AC0}", ["[UNK]"]),
        ])
    func pieces(text: String, expected: [String]) throws {
        let lines = [
            "[UNK]", "[CLS]", "[SEP]", "hello", ".", "a", "b", "##b", "e", "ee", "##e", "漢", "=",
            "ж", "##ж",
        ]
        let tokenizer = WordPiece(try vocabulary(lines))
        #expect(tokenizer.encode(text).map { lines[Int($0)] } == expected)
        #expect(tokenizer.count(text) == expected.count)
    }

    @Test("A cased model keeps capitals and accents")
    func cased() throws {
        let lines = ["[UNK]", "[CLS]", "[SEP]", "A", "é", "e"]
        let tokenizer = WordPiece(try vocabulary(lines), lowercases: false)
        #expect(tokenizer.encode("A a é").map { lines[Int($0)] } == ["A", "[UNK]", "é"])
    }

    @Test("Reading stops at the number of pieces asked for", arguments: [0, 1, 2, 3, 100])
    func limit(pieces: Int) throws {
        let tokenizer = WordPiece(try vocabulary(EncoderFolder.vocabulary))
        let all = tokenizer.encode("abbb c hello.")
        #expect(tokenizer.encode("abbb c hello.", piecesMax: pieces) == Array(all.prefix(pieces)))
    }

    @Test(
        "A vocabulary that cannot be one is refused",
        arguments: [
            ("[UNK]", ["[CLS]", "[SEP]", "a"]), ("[CLS]", ["[UNK]", "[SEP]"]),
            ("[SEP]", ["[UNK]", "[CLS]"]), ("[UNK]", ["{\"model\": {}}"]), ("[UNK]", [""]),
        ])
    func damagedVocabulary(missing: String, lines: [String]) {
        expect(.invalid, missing) { try vocabulary(lines) }
    }

    @Test("A vocabulary of lines ended as on Windows, or without an end, is the same")
    func lineEnds() throws {
        let lines = Data("[UNK]\r\n[CLS]\r\n[SEP]\r\na\r\n##b".utf8)
        let vocabulary = try WordPieceVocabulary(
            MappedModel(name: "vocab.txt", copying: Array(lines)))
        #expect(vocabulary.count == 5)
        #expect(WordPiece(vocabulary).encode("ab") == [3, 4])
    }

    @Test("Any text gives numbers of the vocabulary, as many as are counted")
    func fuzzing() throws {
        let tokenizer = WordPiece(try vocabulary(EncoderFolder.vocabulary))
        var random = SeededGenerator(seed: 3)
        for _ in 0..<2000 {
            let bytes = (0..<Int.random(in: 0..<60, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            let scalars = (0..<20).compactMap { _ in
                Unicode.Scalar(UInt32.random(in: 0...0x10FFFF, using: &random))
            }
            var text = String(decoding: bytes, as: UTF8.self)
            text.unicodeScalars.append(contentsOf: scalars)
            let pieces = tokenizer.encode(text)
            #expect(pieces.allSatisfy { (0..<10).contains($0) })
            #expect(tokenizer.count(text) == pieces.count)
        }
    }

    private func vocabulary(_ lines: [String]) throws -> WordPieceVocabulary {
        let text = lines.joined(separator: "\n") + "\n"
        return try WordPieceVocabulary(
            MappedModel(name: "vocab.txt", copying: Array(text.utf8)))
    }
}
