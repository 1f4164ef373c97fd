@_spi(_Unicode) import Swift

/// Text to numbers as BERT's models were trained with them: cleaned, in small letters, without
/// accents, cut at spaces, around punctuation and Chinese characters, then into known pieces.
struct WordPiece: Sendable {
    /// A longer word is `[UNK]`.
    static let wordCharactersMax = 100

    let vocabulary: WordPieceVocabulary
    /// Whether letters are made small and lose their accents.
    let lowercases: Bool

    init(_ vocabulary: WordPieceVocabulary, lowercases: Bool = true) {
        self.vocabulary = vocabulary
        self.lowercases = lowercases
    }

    /// The first `piecesMax` pieces, without `[CLS]` and `[SEP]`. Reads no more of the text than
    /// that takes.
    func encode(_ text: String, piecesMax: Int = .max) -> [Int32] {
        var output: [Int32] = []
        forEachWord(of: text) { word in
            append(word, to: &output)
            return output.count < piecesMax
        }
        if output.count > piecesMax { output.removeSubrange(piecesMax...) }
        return output
    }

    func count(_ text: String) -> Int {
        var pieces: [Int32] = []
        var count = 0
        forEachWord(of: text) { word in
            pieces.removeAll(keepingCapacity: true)
            append(word, to: &pieces)
            count += pieces.count
            return true
        }
        return count
    }

    private func append(_ word: Word, to output: inout [Int32]) {
        if word.characters > Self.wordCharactersMax {
            output.append(vocabulary.unknown)
        } else {
            vocabulary.append(word.bytes, to: &output)
        }
    }

    /// Hands over one normalised word after the other, until `body` says false.
    private func forEachWord(of text: String, _ body: (Word) -> Bool) {
        var word = Word()
        for scalar in text.unicodeScalars {
            switch Kind(scalar) {
            case .dropped: continue
            case .space:
                guard word.end(body) else { return }
            case .letter where scalar.isASCII:
                word.append(lowercases ? scalar.smallASCII : scalar)
            case .punctuation where scalar.isASCII:
                guard word.end(body), word.alone(scalar, body) else { return }
            case .ideograph:
                for part in normalised(scalar) {
                    guard word.end(body), word.alone(part, body) else { return }
                }
            case .letter, .punctuation:
                // What a character is made of may be punctuation where it itself is not: U+2260 is
                // an equals sign with a stroke.
                for part in normalised(scalar) {
                    if Kind(part) == .punctuation {
                        guard word.end(body), word.alone(part, body) else { return }
                    } else {
                        word.append(part)
                    }
                }
            }
        }
        _ = word.end(body)
    }

    /// Small letters without accents. Character by character: only the order of two marks that both
    /// take up space could differ from doing it for the whole text.
    private func normalised(_ scalar: Unicode.Scalar) -> [Unicode.Scalar] {
        guard lowercases else { return [scalar] }
        return String(scalar)._nfd
            .filter { $0.categoryInUnicode8 != .nonspacingMark }
            .flatMap { $0.properties.lowercaseMapping.unicodeScalars }
    }
}

/// The word that is being read.
private struct Word {
    /// Of as many characters as a piece can need.
    private(set) var bytes: [UInt8] = []
    private(set) var characters = 0

    mutating func append(_ scalar: Unicode.Scalar) {
        characters += 1
        guard characters <= WordPiece.wordCharactersMax else { return }
        bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
    }

    /// Nothing happens between two words.
    mutating func end(_ body: (Word) -> Bool) -> Bool {
        guard characters > 0 else { return true }
        defer {
            bytes.removeAll(keepingCapacity: true)
            characters = 0
        }
        return body(self)
    }

    mutating func alone(_ scalar: Unicode.Scalar, _ body: (Word) -> Bool) -> Bool {
        append(scalar)
        return end(body)
    }
}

/// What a character does to the words around it.
private enum Kind {
    case letter, space, punctuation, ideograph, dropped

    init(_ scalar: Unicode.Scalar) {
        switch scalar.value {
        case 0x09, 0x0A, 0x0D, 0x20: self = .space
        case 0x00..<0x20, 0x7F, 0xFFFD: self = .dropped
        // All that ASCII has between letters and digits, symbols such as `$` and `^` included.
        case 0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E: self = .punctuation
        case 0x21...0x7E: self = .letter
        case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F,
            0x2B740...0x2B81F, 0x2B920...0x2CEAF, 0xF900...0xFAFF, 0x2F800...0x2FA1F:
            self = .ideograph
        default:
            switch scalar.categoryInUnicode8 {
            case .control, .format, .privateUse: self = .dropped
            case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
                .initialPunctuation, .finalPunctuation, .otherPunctuation:
                self = .punctuation
            default: self = scalar.properties.isWhitespace ? .space : .letter
            }
        }
    }
}

extension Unicode.Scalar {
    /// The tables of the tokenizers that these models are used with are those of 2015: what came
    /// later is a letter to them, and seven characters have changed since.
    fileprivate var categoryInUnicode8: Unicode.GeneralCategory {
        switch value {
        case 0x1885, 0x1886: return .otherLetter
        case 0xA9BD: return .spacingMark
        case 0x1734, 0x1171E: return .nonspacingMark
        case 0x166D, 0x111C9: return .otherPunctuation
        default:
            guard let age = properties.age, age.major <= 8 else { return .unassigned }
            return properties.generalCategory
        }
    }

    fileprivate var smallASCII: Unicode.Scalar {
        (0x41...0x5A).contains(value) ? Unicode.Scalar(UInt8(value + 32)) : self
    }
}
