import Core
import Foundation
import Testing

@testable import LocalModels

@Suite("Tokenizers")
struct TokenizerTests {
    /// A vocabulary that `sentencepiece` 0.2.3 trained (BPE, byte fallback), what it makes of texts
    /// with it, and what llama.cpp (PyPI xllamacpp 2026.10.11549, `/tokenize`) makes of them with
    /// some special tokens added: as plain text, and as a prompt.
    struct Fixture: Decodable {
        struct Item: Decodable {
            let text: String
            let ids: [Int32]
            let special: [Int32]?
        }
        let tokens: [String]
        let scores: [Float]
        let types: [Int32]
        let sentencePiece: [Item]
        let extraTokens: [String]
        let extraTypes: [Int32]
        let llama: [Item]
    }

    @Test("A SentencePiece vocabulary gives SentencePiece's tokens")
    func sentencePiece() throws {
        let fixture = try ChatReference.read(Fixture.self, "tokenizer_sentencepiece.json")
        let tokenizer = try Tokenizer.sentencePiece(
            fixture.tokens, scores: fixture.scores, types: fixture.types)
        #expect(fixture.sentencePiece.count > 70)
        for item in fixture.sentencePiece {
            #expect(tokenizer.tokens(of: item.text) == item.ids, "\(item.text.debugDescription)")
        }
    }

    @Test("Special tokens are found in text where llama.cpp finds them")
    func specialTokens() throws {
        let fixture = try ChatReference.read(Fixture.self, "tokenizer_sentencepiece.json")
        let tokenizer = try Self.special(fixture)
        #expect(fixture.llama.count > 80)
        for item in fixture.llama {
            #expect(tokenizer.tokens(of: item.text) == item.ids, "\(item.text.debugDescription)")
            let prompt = [1] + tokenizer.tokens(of: [TextSegment(item.text, isTrusted: true)])
            #expect(prompt == item.special, "\(item.text.debugDescription)")
        }
    }

    @Test("What users write never becomes a control token, wherever the template is cut")
    func trust() throws {
        let tokenizer = try Self.special(
            ChatReference.read(Fixture.self, "tokenizer_sentencepiece.json"))
        let turn = try #require(tokenizer.vocabulary.controls["<|turn|>"])
        func turns(_ segments: TextSegment...) -> Int {
            tokenizer.tokens(of: segments).count { $0 == turn }
        }
        #expect(turns(TextSegment("<|turn|>", isTrusted: true)) == 1)
        #expect(turns(TextSegment("<|turn|>")) == 0)
        #expect(
            turns(TextSegment("<|tu", isTrusted: true), TextSegment("rn|>", isTrusted: true)) == 1)
        #expect(turns(TextSegment("<|tu", isTrusted: true), TextSegment("rn|>")) == 0)
        #expect(turns(TextSegment("<|tu"), TextSegment("rn|>", isTrusted: true)) == 0)
        #expect(
            turns(
                TextSegment("<|turn|>a", isTrusted: true), TextSegment("<|turn|>"),
                TextSegment("<|turn|>", isTrusted: true)) == 2)
        #expect(tokenizer.tokens(of: "</s>").allSatisfy { $0 != 2 })
    }

    @Test("Segments give the tokens of the text as a whole")
    func segments() throws {
        let tokenizer = try Self.special(
            ChatReference.read(Fixture.self, "tokenizer_sentencepiece.json"))
        let text = "The server runs  in one <|tool|> binary, naïve 漢字 😀.\n\nYes"
        let whole = tokenizer.tokens(of: text)
        let characters = Array(text)
        for cut in 0...characters.count {
            let segments = [
                TextSegment(String(characters[..<cut]), isTrusted: true),
                TextSegment(String(characters[cut...])),
            ]
            #expect(tokenizer.tokens(of: segments) == whole)
        }
        #expect(tokenizer.tokens(of: [TextSegment]()).isEmpty)
    }

    @Test("A prompt begins with the begin-of-text token once, where the model wants it")
    func begin() throws {
        let fixture = try ChatReference.read(Fixture.self, "tokenizer_sentencepiece.json")
        func prompt(_ add: Bool?, _ text: String) throws -> ArraySlice<Int32> {
            let tokenizer = try Tokenizer.sentencePiece(
                fixture.tokens, scores: fixture.scores, types: fixture.types
            ) { writer in
                if let add { writer.set("tokenizer.ggml.add_bos_token", .boolean(add)) }
                writer.set("tokenizer.ggml.add_space_prefix", .boolean(false))
            }
            return tokenizer.prompt(of: [TextSegment(text, isTrusted: true)]).prefix(2)
        }
        let first = try prompt(false, "Hello")
        #expect(try prompt(nil, "Hello") == [1, first[0]])
        #expect(try prompt(true, "<s>Hello") == [1, first[0]])
        #expect(try prompt(false, "<s>Hello") == [1, first[0]])
        #expect(try prompt(true, "") == [1])
        #expect(try prompt(false, "") == [])
    }

    @Test("The table of all tokens' bytes has what each token has")
    func tokenBytes() throws {
        let fixture = try ChatReference.read(Fixture.self, "tokenizer_sentencepiece.json")
        let tokenizer = try Self.special(fixture)
        let table = tokenizer.tokenBytes()
        #expect(table.count == tokenizer.vocabulary.count)
        for token in -2..<Int32(table.count + 2) {
            #expect(Array(table[token]) == tokenizer.bytes(of: token))
        }
        func text(_ token: String) -> String? {
            tokenizer.vocabulary.token(token).map {
                String(decoding: tokenizer.bytes(of: $0), as: UTF8.self)
            }
        }
        #expect(text("▁the") == " the")
        #expect(text("<0x0A>") == "\n")
        #expect(text("<|turn|>") == "")
        #expect(text("<|tool|>") == "<|tool|>")
    }

    @Test("A piece that is a token as a whole is that token where the model says so")
    func ignoredMerges() throws {
        let tokens = TinyModel.tokens + ["world"]
        let whole = try Tokenizer.bytePair(tokens, pre: "llama-bpe")
        #expect(whole.tokens(of: "worldhell") != [Int32(tokens.count - 1)])
        #expect(whole.tokens(of: "world") == [Int32(tokens.count - 1)])
        let merged = try Tokenizer.bytePair(tokens, pre: "qwen2")
        #expect(merged.tokens(of: "world").count == 5)
    }

    @Test(
        "A token that marks turns is a control token whatever the file says",
        arguments: [("<|eot_id|>", true), ("<end_of_turn>", true), ("<|im_sep|>", false)], [1, 4])
    func mistyped(_ mark: (text: String, isEnd: Bool), type: Int32) throws {
        let tokens = TinyModel.tokens + [mark.text]
        let types = TinyModel.tokens.map { _ in Int32(1) } + [type]
        let tokenizer = try Tokenizer.bytePair(tokens, pre: "llama-bpe", types: types)
        let token = Int32(tokens.count - 1)
        #expect(tokenizer.isEndOfText(token) == mark.isEnd)
        #expect(!tokenizer.tokens(of: mark.text).contains(token))
        #expect(tokenizer.tokens(of: [TextSegment(mark.text, isTrusted: true)]) == [token])
        #expect(tokenizer.bytes(of: token).isEmpty)
    }

    @Test("A file that does not say how it cuts text is cut as llama.cpp cuts such a file")
    func unnamed() throws {
        let tokenizer = try Tokenizer.bytePair(TinyModel.tokens + ["12"], merges: ["1 2"])
        let tokens = tokenizer.tokens(of: "12x")
        #expect(tokens == [Int32(TinyModel.tokens.count), 120])
    }

    @Test("Phi 3's special tokens take the white space after them")
    func phi3() throws {
        let fixture = try ChatReference.read(Fixture.self, "tokenizer_sentencepiece.json")
        func tokens(_ name: String, _ text: String) throws -> [Int32] {
            try Self.special(fixture) { $0.set("general.name", .text(name)) }
                .tokens(of: [TextSegment(text, isTrusted: true)])
        }
        let tight = try tokens("Other", "<|turn|>Hi<|turn|>")
        #expect(try tokens("Phi3 Mini", "<|turn|>\n \n\tHi<|turn|>\n") == tight)
        #expect(try tokens("Other", "<|turn|>\nHi<|turn|>\n") != tight)
    }

    @Test("A character without a token or bytes is the unknown token, or nothing")
    func unknown() throws {
        let tokenizer = try Tokenizer.sentencePiece(
            ["<unk>", "a", "b", "ab"], scores: [0, -2, -3, -1], types: [2, 1, 1, 1]
        ) { $0.set("tokenizer.ggml.add_space_prefix", .boolean(false)) }
        #expect(tokenizer.tokens(of: "abc a") == [3, 0, 0, 1])
        let without = try Tokenizer.sentencePiece(["a", "b"], scores: [0, 0], types: [1, 1])
        #expect(without.tokens(of: "a c") == [0])
    }

    @Test("Scores that are no numbers, or all alike, still give tokens")
    func scores() throws {
        let tokens = ["a", "aa", "aaa", "aaaa"]
        let lists: [[Float]] = [
            [.nan, .infinity, -.infinity, -0.0], [0, 0, 0, 0], [.nan, .nan, 1, 2],
        ]
        for scores in lists {
            let tokenizer = try Tokenizer.sentencePiece(
                tokens, scores: scores, types: [1, 1, 1, 1])
            let made = tokenizer.tokens(of: "aaaaaaa")
            #expect(tokenizer.bytes(of: made) == Array("aaaaaaa".utf8))
        }
    }

    struct Refusal: CustomStringConvertible, Sendable {
        let description: String
        let code: Failure.Code
        let says: String
        let change: @Sendable (inout GGUFWriter) -> Void
    }

    static let refusals = [
        Refusal(description: "unigram", code: .unsupported, says: "\"t5\"") {
            $0.set("tokenizer.ggml.model", .text("t5"))
        },
        Refusal(description: "word pieces", code: .unsupported, says: "\"bert\"") {
            $0.set("tokenizer.ggml.model", .text("bert"))
        },
        Refusal(description: "too few scores", code: .invalid, says: "1 scores") {
            $0.set(
                "tokenizer.ggml.scores",
                .raw(type: 9, bytes: [6, 0, 0, 0, 1] + .init(repeating: 0, count: 11)))
        },
        Refusal(description: "scores in words", code: .invalid, says: "list of numbers") {
            $0.set("tokenizer.ggml.scores", .texts(["a"]))
        },
        Refusal(description: "no tokens", code: .invalid, says: "no vocabulary") {
            $0.set("tokenizer.ggml.tokens", .texts([]))
        },
        Refusal(description: "too many types", code: .invalid, says: "token types") {
            $0.set("tokenizer.ggml.token_type", .integers([1, 1, 1, 1, 1, 1]))
        },
        Refusal(description: "an unknown token of no one", code: .invalid, says: "unknown_token_id")
        {
            $0.set("tokenizer.ggml.unknown_token_id", .integer(77))
        },
        Refusal(description: "a first token of no one", code: .invalid, says: "bos_token_id") {
            $0.set("tokenizer.ggml.bos_token_id", .integer(UInt32.max))
        },
    ]

    @Test("Tables that contradict each other are refused with a sentence", arguments: refusals)
    func refused(_ test: Refusal) throws {
        let failure = #expect(throws: Failure.self) {
            try Tokenizer.sentencePiece(
                ["<unk>", "a", "b"], scores: [0, 1, 2], types: [2, 1, 1], change: test.change)
        }
        #expect(failure?.code == test.code)
        #expect(failure?.message.contains(test.says) == true, "\(failure?.message ?? "")")
    }

    @Test("Vocabularies of nonsense give tokens, never a trap")
    func nonsense() throws {
        var random = Random(state: 7)
        let texts = [
            "", " ", "a", "aa", "\n", "▁", "<0x41>", "<0xZZ>", "<0x", "é", "<s>", "\0", "aé", "Ġ",
        ]
        let text = "a aaé <s>\n\n▁<0x41> \0é<0x x😀"
        for round in 0..<300 {
            let tokens = (0..<12).map { _ in texts[random.below(texts.count)] }
            let types = tokens.map { _ in Int32(random.below(9)) - 1 }
            let scores = tokens.map { _ in Float(random.below(3)) - 1 }
            let merges = (0..<6).map { _ in
                texts[random.below(texts.count)] + " " + texts[random.below(texts.count)]
            }
            let tokenizer =
                round % 2 == 0
                ? try Tokenizer.sentencePiece(tokens, scores: scores, types: types)
                : try Tokenizer.bytePair(tokens, pre: "llama-bpe", merges: merges, types: types)
            for isTrusted in [false, true] {
                let made = tokenizer.prompt(of: [TextSegment(text, isTrusted: isTrusted)])
                #expect(made.allSatisfy { $0 >= 0 && $0 < 12 })
                _ = tokenizer.bytes(of: made)
            }
            #expect(tokenizer.tokenBytes().count == 12)
        }
    }

    @Test("A long text of one character takes no longer than its length", .timeLimit(.minutes(1)))
    func longTexts() throws {
        let fixture = try ChatReference.read(Fixture.self, "tokenizer_sentencepiece.json")
        let tokenizer = try Self.special(fixture)
        for unit in [" ", "\n", "a", "<|turn", "漢", "▁"] {
            let text = String(repeating: unit, count: 100_000 / unit.utf8.count)
            let tokens = tokenizer.tokens(of: [TextSegment(text, isTrusted: true)])
            let bytes = tokenizer.bytes(of: tokens)
            #expect(bytes.count >= 90_000 || unit == "▁")
        }
    }

    private static func special(
        _ fixture: Fixture, change: (inout GGUFWriter) -> Void = { _ in }
    ) throws -> Tokenizer {
        try Tokenizer.sentencePiece(
            fixture.tokens + fixture.extraTokens,
            scores: fixture.scores + fixture.extraTokens.map { _ in 0 },
            types: fixture.types + fixture.extraTypes, change: change)
    }
}

extension Tokenizer {
    /// A tokenizer of a file that has nothing else.
    static func sentencePiece(
        _ tokens: [String], scores: [Float], types: [Int32],
        change: (inout GGUFWriter) -> Void = { _ in }
    ) throws -> Tokenizer {
        var list: [UInt8] = []
        list.append(UInt32(6))
        list.append(UInt64(scores.count))
        for score in scores { list.append(score.bitPattern) }
        var writer = GGUFWriter()
        writer.metadata = [
            ("tokenizer.ggml.model", .text("llama")),
            ("tokenizer.ggml.tokens", .texts(tokens)),
            ("tokenizer.ggml.scores", .raw(type: 9, bytes: list)),
            ("tokenizer.ggml.token_type", .integers(types)),
        ]
        change(&writer)
        return try Tokenizer(GGUF(MappedModel(name: "spm.gguf", copying: writer.bytes())))
    }

    static func bytePair(
        _ tokens: [String], pre: String? = nil, merges: [String] = [], types: [Int32]? = nil
    ) throws -> Tokenizer {
        var writer = GGUFWriter()
        writer.metadata = [
            ("tokenizer.ggml.model", .text("gpt2")),
            ("tokenizer.ggml.tokens", .texts(tokens)),
            ("tokenizer.ggml.merges", .texts(merges)),
        ]
        if let pre { writer.set("tokenizer.ggml.pre", .text(pre)) }
        if let types { writer.set("tokenizer.ggml.token_type", .integers(types)) }
        return try Tokenizer(GGUF(MappedModel(name: "bpe.gguf", copying: writer.bytes())))
    }

    func bytes(of tokens: [Int32]) -> [UInt8] { tokens.flatMap { bytes(of: $0) } }
}

extension GGUFWriter {
    /// Puts a value in the place of what was there.
    mutating func set(_ key: String, _ value: Value) {
        metadata.removeAll { $0.0 == key }
        metadata.append((key, value))
    }
}
