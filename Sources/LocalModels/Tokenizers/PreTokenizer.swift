import Core

/// Cuts text into the pieces that merges stay within. The rule is GPT-2's:
///
///     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
///
/// where `smollm` and its like first cut out every single character of `\p{N}`, so that what is
/// before a digit ends there, also for the look-ahead.
struct PreTokenizer: Sendable {
    let cutsDigits: Bool

    /// `name` is the file's `tokenizer.ggml.pre`.
    init(named name: String, in file: String) throws {
        switch name {
        case "smollm", "starcoder", "refact", "codeshell": cutsDigits = true
        case "gpt-2": cutsDigits = false
        default:
            throw Failure(
                .unsupported,
                "\(file) cannot be run: it splits text the way of \"\(name)\". "
                    + "Take a model with smollm, starcoder, refact, codeshell or gpt-2.")
        }
    }

    /// Calls `body` with every piece, in order. Together they are the text.
    func pieces(of text: String, _ body: (ArraySlice<Unicode.Scalar>) -> Void) {
        let scalars = Array(text.unicodeScalars)
        guard cutsDigits else { return Scanner(scalars, 0..<scalars.count).pieces(body) }
        var start = 0
        for (place, scalar) in scalars.enumerated() where Kind(scalar) == .number {
            Scanner(scalars, start..<place).pieces(body)
            body(scalars[place...place])
            start = place + 1
        }
        Scanner(scalars, start..<scalars.count).pieces(body)
    }
}

private enum Kind {
    case letter, number, space, other

    init(_ scalar: Unicode.Scalar) {
        if scalar.isASCII {
            switch scalar {
            case "a"..."z", "A"..."Z": self = .letter
            case "0"..."9": self = .number
            case " ", "\t"..."\r": self = .space
            default: self = .other
            }
            return
        }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
            self = .letter
        case .decimalNumber, .letterNumber, .otherNumber: self = .number
        default: self = scalar.properties.isWhitespace ? .space : .other
        }
    }
}

/// The rule, for one stretch of text whose end nothing looks beyond.
private struct Scanner {
    private let scalars: [Unicode.Scalar]
    private let range: Range<Int>

    init(_ scalars: [Unicode.Scalar], _ range: Range<Int>) {
        self.scalars = scalars
        self.range = range
    }

    func pieces(_ body: (ArraySlice<Unicode.Scalar>) -> Void) {
        var start = range.lowerBound
        while start < range.upperBound {
            let end = end(from: start)
            body(scalars[start..<end])
            start = end
        }
    }

    private func end(from start: Int) -> Int {
        if scalars[start] == "'", let end = contractionEnd(from: start) { return end }
        let first = scalars[start] == " " ? start + 1 : start
        if let kind = kind(at: first), kind != .space { return runEnd(of: kind, from: first) }
        let end = runEnd(of: .space, from: start)
        // The last space belongs to the word that follows.
        return end < range.upperBound && end - start > 1 ? end - 1 : end
    }

    private func contractionEnd(from start: Int) -> Int? {
        switch scalar(at: start + 1) {
        case "s", "t", "m", "d": start + 2
        case "r" where scalar(at: start + 2) == "e": start + 3
        case "v" where scalar(at: start + 2) == "e": start + 3
        case "l" where scalar(at: start + 2) == "l": start + 3
        default: nil
        }
    }

    private func runEnd(of kind: Kind, from start: Int) -> Int {
        var end = start
        while self.kind(at: end) == kind { end += 1 }
        return end
    }

    private func scalar(at place: Int) -> Unicode.Scalar? {
        range.contains(place) ? scalars[place] : nil
    }

    private func kind(at place: Int) -> Kind? { scalar(at: place).map(Kind.init) }
}
