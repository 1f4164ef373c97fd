import Core

/// Finds the tokens that are cut out of a text before anything else is done with it: the longest
/// first, wherever they are, then the next longest in what is left, as llama.cpp does.
struct SpecialTokens: Sendable {
    struct Cut: Equatable {
        let range: Range<Int>
        let token: Int32
    }

    /// Longer ones are not looked for. No model has one of a fifth of this, and the time to find
    /// them grows with the number of lengths.
    static let textBytesMax = 512

    private let vocabulary: Vocabulary
    /// The lengths of the texts, longest first.
    private let lengths: [Int]
    /// By the first two bytes of a text, which lengths there are: bit 0 for one byte, bit 63 for 64
    /// and more. A text of one byte is under that byte and 0, in `singles`.
    private let lengthsByStart: [UInt16: UInt64]
    private let singles: [Bool]
    /// Which of the first two bytes there are, a bit for each.
    private let starts: [UInt64]

    init(_ vocabulary: Vocabulary) {
        self.vocabulary = vocabulary
        var lengths: Set<Int> = []
        var lengthsByStart: [UInt16: UInt64] = [:]
        var singles = Array(repeating: false, count: 256)
        var starts = Array(repeating: UInt64(0), count: 1024)
        for token in 0..<vocabulary.count {
            switch vocabulary.kind(of: token) {
            case .normal, .unused, .byte: continue
            case .control, .unknown, .userDefined: break
            }
            let text = vocabulary.text(of: token)
            // An empty text would be found everywhere.
            guard !text.isEmpty, text.count <= Self.textBytesMax else { continue }
            lengths.insert(text.count)
            guard text.count > 1 else {
                singles[Int(text[0])] = true
                continue
            }
            let start = UInt16(text[0]) << 8 | UInt16(text[1])
            lengthsByStart[start, default: 0] |= Self.bit(text.count)
            starts[Int(start >> 6)] |= 1 << UInt64(start & 63)
        }
        self.lengths = lengths.sorted(by: >)
        self.lengthsByStart = lengthsByStart
        self.singles = singles
        self.starts = starts
    }

    /// Where special tokens are, in order. Control tokens only where all of their text is within one
    /// of the `trusted` ranges, which are in order and do not touch.
    func cuts(in text: UnsafeRawBufferPointer, trusted: [Range<Int>]) -> [Cut] {
        var candidates = candidates(in: text, trusted)
        guard !candidates.isEmpty else { return [] }
        var cuts: [Cut] = []
        var isTaken = Array(repeating: false, count: text.count)
        for length in lengths where !candidates.isEmpty {
            let bit = Self.bit(length)
            var isFound = false
            for candidate in candidates where candidate.lengths & bit != 0 {
                let range = candidate.place..<candidate.place + length
                guard range.upperBound <= text.count, !isTaken[range].contains(true),
                    let token = special(
                        UnsafeRawBufferPointer(rebasing: text[range]),
                        isTrusted: range.upperBound <= candidate.trustedEnd)
                else { continue }
                for place in range { isTaken[place] = true }
                cuts.append(Cut(range: range, token: token))
                isFound = true
            }
            if isFound { candidates.removeAll { isTaken[$0.place] } }
        }
        return cuts.sorted { $0.range.lowerBound < $1.range.lowerBound }
    }

    private struct Candidate {
        let place: Int
        let lengths: UInt64
        /// Where the trusted range ends in which the place is; 0 when it is in none.
        let trustedEnd: Int
    }

    private func candidates(in text: UnsafeRawBufferPointer, _ trusted: [Range<Int>]) -> [Candidate]
    {
        var candidates: [Candidate] = []
        var trusted = trusted[...]
        for place in 0..<text.count {
            let first = text[place]
            var lengths: UInt64 = singles[Int(first)] ? Self.bit(1) : 0
            if place + 1 < text.count {
                let start = UInt16(first) << 8 | UInt16(text[place + 1])
                if starts[Int(start >> 6)] >> UInt64(start & 63) & 1 == 1 {
                    lengths |= lengthsByStart[start] ?? 0
                }
            }
            guard lengths != 0 else { continue }
            while let range = trusted.first, range.upperBound <= place { trusted.removeFirst() }
            let end = trusted.first.map { $0.lowerBound <= place ? $0.upperBound : 0 } ?? 0
            candidates.append(Candidate(place: place, lengths: lengths, trustedEnd: end))
        }
        return candidates
    }

    private func special(_ text: UnsafeRawBufferPointer, isTrusted: Bool) -> Int32? {
        guard let token = vocabulary.token(text) else { return nil }
        switch vocabulary.kind(of: Int(token)) {
        case .userDefined: return token
        case .control, .unknown: return isTrusted ? token : nil
        case .normal, .unused, .byte: return nil
        }
    }

    private static func bit(_ length: Int) -> UInt64 { 1 << UInt64(min(length, 64) - 1) }
}
