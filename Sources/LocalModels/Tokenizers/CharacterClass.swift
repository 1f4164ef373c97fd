/// A set of characters, as the rules of pre-tokenizers speak of them: the union of some of the kinds
/// that no rule splits further. Every character is of exactly one kind, and may be in `extra` sets.
struct CharacterClass: OptionSet, Sendable {
    let rawValue: UInt32

    static let lowercaseASCII = Self(rawValue: 1 << 0)
    static let uppercaseASCII = Self(rawValue: 1 << 1)
    /// `\p{Ll}` past ASCII.
    static let lowercaseOther = Self(rawValue: 1 << 2)
    /// `\p{Lu}\p{Lt}` past ASCII.
    static let uppercaseOther = Self(rawValue: 1 << 3)
    /// `\p{Lm}\p{Lo}`
    static let uncased = Self(rawValue: 1 << 4)
    /// `\p{M}`
    static let mark = Self(rawValue: 1 << 5)
    static let digit = Self(rawValue: 1 << 6)
    static let numberOther = Self(rawValue: 1 << 7)
    /// U+0020.
    static let blank = Self(rawValue: 1 << 8)
    /// `\r\n`
    static let lineEnd = Self(rawValue: 1 << 9)
    static let spaceOther = Self(rawValue: 1 << 10)
    static let apostrophe = Self(rawValue: 1 << 11)
    static let slash = Self(rawValue: 1 << 12)
    static let punctuationASCII = Self(rawValue: 1 << 13)
    static let punctuationOther = Self(rawValue: 1 << 14)
    static let backtick = Self(rawValue: 1 << 15)
    /// `$+<=>^|~`
    static let symbolASCII = Self(rawValue: 1 << 16)
    static let symbolOther = Self(rawValue: 1 << 17)
    /// Control and format characters, private and unassigned ones.
    static let other = Self(rawValue: 1 << 18)

    /// What the pre-tokenizer itself lists, as ranges of code points.
    static let extra0 = Self(rawValue: 1 << 24)
    static let extra1 = Self(rawValue: 1 << 25)
    static let extra2 = Self(rawValue: 1 << 26)

    static let any = Self(rawValue: 1 << 19 - 1)
    /// `\p{L}`
    static let letter: Self = [
        .lowercaseASCII, .uppercaseASCII, .lowercaseOther, .uppercaseOther, .uncased,
    ]
    /// `[A-Za-z]`
    static let letterASCII: Self = [.lowercaseASCII, .uppercaseASCII]
    /// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`
    static let notLowercase: Self = [.uppercaseASCII, .uppercaseOther, .uncased, .mark]
    /// `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`
    static let notUppercase: Self = [.lowercaseASCII, .lowercaseOther, .uncased, .mark]
    /// `\p{N}`
    static let number: Self = [.digit, .numberOther]
    /// `\s`
    static let space: Self = [.blank, .lineEnd, .spaceOther]
    /// `\p{P}`
    static let punctuation: Self = [.apostrophe, .slash, .punctuationASCII, .punctuationOther]
    /// `\p{S}`
    static let symbol: Self = [.backtick, .symbolASCII, .symbolOther]
    /// ``[!-/:-@\[-`{-~]``
    static let markASCII: Self = [
        .apostrophe, .slash, .punctuationASCII, .backtick, .symbolASCII,
    ]

    static func not(_ classes: Self...) -> Self { any.subtracting(Self(classes)) }

    func intersects(_ other: Self) -> Bool { rawValue & other.rawValue != 0 }
}

extension CharacterClass {
    /// The kind of a character. Nil, for what is no character, is `other`.
    static func kind(of scalar: Unicode.Scalar?) -> Self {
        guard let scalar else { return .other }
        if scalar.isASCII { return ascii[Int(scalar.value)] }
        switch scalar.properties.generalCategory {
        case .lowercaseLetter: return .lowercaseOther
        case .uppercaseLetter, .titlecaseLetter: return .uppercaseOther
        case .modifierLetter, .otherLetter: return .uncased
        case .nonspacingMark, .spacingMark, .enclosingMark: return .mark
        case .decimalNumber, .letterNumber, .otherNumber: return .numberOther
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
            .initialPunctuation, .finalPunctuation, .otherPunctuation:
            return .punctuationOther
        case .mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol: return .symbolOther
        case .spaceSeparator, .lineSeparator, .paragraphSeparator: return .spaceOther
        default: return scalar == "\u{85}" ? .spaceOther : .other
        }
    }

    private static let ascii: [Self] = (0..<128).map { (byte: UInt8) in
        switch Unicode.Scalar(byte) {
        case "a"..."z": .lowercaseASCII
        case "A"..."Z": .uppercaseASCII
        case "0"..."9": .digit
        case " ": .blank
        case "\r", "\n": .lineEnd
        case "\t", "\u{B}", "\u{C}": .spaceOther
        case "'": .apostrophe
        case "/": .slash
        case "`": .backtick
        case "$", "+", "<", "=", ">", "^", "|", "~": .symbolASCII
        case "!"..."~": .punctuationASCII
        default: .other
        }
    }
}
