import Core
import Synchronization

/// A part of a prompt.
struct TextSegment: Hashable, Sendable {
    let text: String
    /// Whether control tokens in the text are meant: true for what a template wrote, false for what
    /// people or other programs did.
    let isTrusted: Bool

    init(_ text: String, isTrusted: Bool = false) {
        self.text = text
        self.isTrusted = isTrusted
    }
}

/// Turns text into the tokens of a model, and tokens into bytes.
///
/// Gives the tokens that llama.cpp gives for the same file: those of the kind "user defined" are
/// found in any text, control tokens only where the text is trusted. Unlike there, text that is not
/// trusted never becomes a token that marks a turn: not by chance of its merges, nor because the
/// file calls such a token an ordinary one.
struct Tokenizer: Sendable {
    let vocabulary: Vocabulary
    /// The tokens that end an answer.
    let endTokens: Set<Int32>
    /// The token that texts began with in training, and whether a prompt must begin with it.
    let beginToken: Int32?
    let addsBegin: Bool

    private let model: Model
    private let specials: SpecialTokens
    /// Phi 3's special tokens take the white space that follows them along.
    private let dropsSpaceAfterSpecials: Bool
    private let table = Table()

    private enum Model {
        case bytePair(BytePairTokenizer)
        case sentencePiece(SentencePieceTokenizer)
    }

    /// Throws `unsupported` with the name of a kind of tokenizer that is not here, and `invalid`
    /// when the file's tables contradict each other.
    init(_ gguf: GGUF) throws {
        let kind = try gguf.string("tokenizer.ggml.model")
        guard kind == "gpt2" || kind == "llama" else {
            let what = ["t5": " (SentencePiece unigram)", "bert": " (word pieces)"][kind] ?? ""
            throw Failure(
                .unsupported,
                "\(gguf.file.name) cannot be run: its tokenizer is of the kind "
                    + "\"\(Shortcomings.printable(kind))\"\(what). Known are \"gpt2\" (byte-level BPE) and "
                    + "\"llama\" (SentencePiece BPE).")
        }
        vocabulary = try Vocabulary(gguf)
        specials = SpecialTokens(vocabulary)
        let begin = try Self.token("bos_token_id", in: gguf, vocabulary)
        let addsBegin: Bool
        if kind == "gpt2" {
            let bytePair = try BytePairTokenizer(gguf, vocabulary)
            model = .bytePair(bytePair)
            beginToken = begin
            addsBegin = bytePair.preTokenizer.addsBegin
        } else {
            model = .sentencePiece(try SentencePieceTokenizer(gguf, vocabulary))
            // By the format's default, `<s>`.
            let isThere = vocabulary.count > 1 && vocabulary.kind(of: 1) == .control
            beginToken = begin ?? (isThere ? 1 : nil)
            addsBegin = true
        }
        self.addsBegin =
            try gguf.boolean("tokenizer.ggml.add_bos_token", default: addsBegin)
            && beginToken != nil
        endTokens = try Self.endTokens(gguf, vocabulary)
        let name = (try? gguf.stringIfPresent("general.name"))?.lowercased() ?? ""
        dropsSpaceAfterSpecials = name.contains("phi-3") || name.contains("phi3")
    }

    /// The tokens of a text, in which control tokens are plain text.
    func tokens(of text: String) -> [Int32] {
        var text = text
        return text.withUTF8 { tokens(of: UnsafeRawBufferPointer($0), trusted: []) }
    }

    /// The tokens of the segments' text as a whole: pieces of text may go over the border of two
    /// segments, control tokens may not.
    func tokens(of segments: [TextSegment]) -> [Int32] {
        var bytes: [UInt8] = []
        var trusted: [Range<Int>] = []
        for segment in segments where !segment.text.isEmpty {
            let start = bytes.count
            bytes.append(contentsOf: segment.text.utf8)
            guard segment.isTrusted else { continue }
            if let last = trusted.last, last.upperBound == start {
                trusted[trusted.count - 1] = last.lowerBound..<bytes.count
            } else {
                trusted.append(start..<bytes.count)
            }
        }
        return bytes.withUnsafeBytes { tokens(of: $0, trusted: trusted) }
    }

    /// The tokens of a prompt: of the segments, after the begin-of-text token where the model wants
    /// it and the text does not begin with it.
    func prompt(of segments: [TextSegment]) -> [Int32] {
        let tokens = tokens(of: segments)
        guard addsBegin, let beginToken, tokens.first != beginToken else { return tokens }
        return [beginToken] + tokens
    }

    func countTokens(_ text: String) -> Int { tokens(of: text).count }

    /// The bytes that a token adds to the text: none for a control token, or for one that is not in
    /// the vocabulary. Often not a whole character.
    func bytes(of token: Int32) -> [UInt8] {
        guard token >= 0, token < vocabulary.count else { return [] }
        var bytes: [UInt8] = []
        appendBytes(of: Int(token), to: &bytes)
        return bytes
    }

    /// The bytes of every token. Made by the first who asks.
    func tokenBytes() -> TokenBytes {
        table.content.withLock { content in
            if let content { return content }
            let made = TokenBytes(count: vocabulary.count, appendBytes)
            content = made
            return made
        }
    }

    /// Whether the token ends an answer.
    func isEndOfText(_ token: Int32) -> Bool { endTokens.contains(token) }

    /// Places in a part fit 32 bits, also with every space as three bytes.
    private static let partBytesMax = 1 << 30

    private final class Table: Sendable {
        let content = Mutex<TokenBytes?>(nil)
    }

    private func appendBytes(of token: Int, to bytes: inout [UInt8]) {
        switch vocabulary.kind(of: token) {
        case .control, .unknown, .unused: return
        case .userDefined: bytes.append(contentsOf: vocabulary.text(of: token))
        case .normal, .byte:
            switch model {
            case .bytePair(let model): model.appendBytes(of: token, to: &bytes)
            case .sentencePiece(let model): model.appendBytes(of: token, to: &bytes)
            }
        }
    }

    private func tokens(of text: UnsafeRawBufferPointer, trusted: [Range<Int>]) -> [Int32] {
        var tokens: [Int32] = []
        var place = 0
        var isAfterSpecial = true
        let cuts = specials.cuts(in: text, trusted: trusted)
        for (index, cut) in cuts.enumerated() {
            append(text[place..<cut.range.lowerBound], &isAfterSpecial, to: &tokens)
            tokens.append(cut.token)
            isAfterSpecial = true
            place = cut.range.upperBound
            guard dropsSpace(after: cut.token) else { continue }
            let next = index + 1 < cuts.count ? cuts[index + 1].range.lowerBound : text.count
            while place < next, text[place] == 32 || (9...13).contains(text[place]) {
                place += 1
            }
        }
        append(text[place...], &isAfterSpecial, to: &tokens)
        return tokens
    }

    private func append(
        _ text: Slice<UnsafeRawBufferPointer>, _ isAfterSpecial: inout Bool,
        to tokens: inout [Int32]
    ) {
        var rest = text
        while !rest.isEmpty {
            let part = rest.prefix(Self.partBytesMax)
            rest = rest[part.endIndex...]
            switch model {
            case .bytePair(let model): model.append(part, to: &tokens)
            case .sentencePiece(let model):
                model.append(part, isAfterSpecial: isAfterSpecial, to: &tokens)
            }
            isAfterSpecial = false
        }
    }

    private func dropsSpace(after token: Int32) -> Bool {
        guard dropsSpaceAfterSpecials else { return false }
        let text = vocabulary.text(of: Int(token))
        return !["<unk>", "<s>", "<|endoftext|>"].contains { text.elementsEqual($0.utf8) }
    }
}

extension Tokenizer {
    /// What marks the turns of a conversation. Found in the vocabulary, it is a control token
    /// whatever the file says: who could write one could speak for others.
    static let turnTexts =
        endTexts + [
            "<|im_start|>", "<start_of_turn>", "<|start_header_id|>", "<|end_header_id|>",
            "<|user|>", "<|assistant|>", "<|system|>", "<|im_sep|>",
        ]

    /// What models are trained to end a turn with.
    private static let endTexts = [
        "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<|endoftext|>", "<|end|>",
        "<|end_of_text|>", "<｜end▁of▁sentence｜>", "<end_of_utterance>",
    ]

    /// Ends of text where the file says that they are control tokens.
    private static let endControls = ["</s>", "<EOT>", "[EOS]", "[EOT]"]

    /// What the file names, and what models are trained to end with.
    private static func endTokens(_ gguf: GGUF, _ vocabulary: Vocabulary) throws -> Set<Int32> {
        var tokens: Set<Int32> = []
        for key in ["eos_token_id", "eot_token_id", "eom_token_id"] {
            if let token = try token(key, in: gguf, vocabulary) { tokens.insert(token) }
        }
        for text in endTexts + endControls {
            if let token = vocabulary.controls[text] { tokens.insert(token) }
        }
        return tokens
    }

    private static func token(_ key: String, in gguf: GGUF, _ vocabulary: Vocabulary) throws
        -> Int32?
    {
        guard let token = try gguf.integerIfPresent("tokenizer.ggml.\(key)") else { return nil }
        guard (0..<vocabulary.count).contains(token) else {
            throw GGUF.damaged(gguf.file.name, "\(key) is not a token")
        }
        return Int32(token)
    }
}
