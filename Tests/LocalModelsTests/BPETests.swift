import Core
import Testing

@testable import LocalModels

@Suite("Byte-pair encoding")
struct BPETests {
    struct Cut: CustomStringConvertible, Sendable {
        let pre: String
        let text: String
        let pieces: [String]
        var description: String { "\(pre) \(text.debugDescription)" }
    }

    static let cuts = [
        Cut(pre: "gpt-2", text: "I'm 123 years", pieces: ["I", "'m", " 123", " years"]),
        Cut(
            pre: "smollm", text: "I'm 123 years", pieces: ["I", "'m", " ", "1", "2", "3", " years"]),
        Cut(pre: "gpt-2", text: "a  b", pieces: ["a", " ", " b"]),
        Cut(pre: "gpt-2", text: "a  1", pieces: ["a", " ", " 1"]),
        Cut(pre: "smollm", text: "a  1", pieces: ["a", "  ", "1"]),
        Cut(pre: "smollm", text: "end  ", pieces: ["end", "  "]),
        Cut(pre: "smollm", text: "a\n\nb", pieces: ["a", "\n", "\n", "b"]),
        Cut(
            pre: "smollm", text: "we'll they've 'Tis",
            pieces: ["we", "'ll", " they", "'ve", " '", "Tis"]),
        Cut(pre: "smollm", text: "x=é+漢;", pieces: ["x", "=", "é", "+", "漢", ";"]),
        Cut(pre: "smollm", text: "½٣Ⅷ", pieces: ["½", "٣", "Ⅷ"]),
        Cut(pre: "smollm", text: "'", pieces: ["'"]),
        Cut(pre: "smollm", text: "", pieces: []),
    ]

    @Test("Text is cut where GPT-2's rule cuts it", arguments: cuts)
    func pieces(_ test: Cut) throws {
        let pieces = try PreTokenizer(named: test.pre, in: "x").pieces(of: test.text)
        #expect(pieces == test.pieces)
    }

    @Test("Tokens give back the bytes they were made of")
    func roundTrip() throws {
        let model = try TinyModel.model(threads: 1)
        for text in ["hello", "hehellll", "naïve 😀\u{0}\t<|im_end|>", "١٢٣"] {
            let tokens = model.tokens(of: text)
            #expect(model.bytes(of: tokens) == Array(text.utf8))
        }
        #expect(model.bytes(of: [256, 257, 258, -1, 9999]).isEmpty)
    }

    @Test("Every byte has a character of its own")
    func alphabet() {
        let scalars = (0...255).map { ByteAlphabet.scalar(of: UInt8($0)) }
        #expect(Set(scalars).count == 256)
        #expect(scalars.enumerated().allSatisfy { ByteAlphabet.byte(of: $1) == UInt8($0) })
        #expect(ByteAlphabet.scalar(of: 32) == "Ġ")
        #expect(ByteAlphabet.byte(of: "漢") == nil)
    }

    @Test("A word of 100,000 letters takes no longer than its length", .timeLimit(.minutes(1)))
    func longWord() throws {
        let model = try TinyModel.model(threads: 1)
        let word = String(repeating: "hell", count: 25_000)
        #expect(model.countTokens(word) == 25_000)
    }
}

extension LocalChatModel {
    func text(of token: Int32) -> String { String(decoding: bytes(of: [token]), as: UTF8.self) }
}

extension PreTokenizer {
    func pieces(of text: String) -> [String] {
        var pieces: [String] = []
        Array(text.utf8).withUnsafeBytes { bytes in
            self.pieces(of: bytes[...]) { pieces.append(String(decoding: $0, as: UTF8.self)) }
        }
        return pieces
    }
}
