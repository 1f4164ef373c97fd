import Synchronization

/// Keeps secrets out of logs and traces, by the name they go under and by how they look. It is the
/// second line: layers do not log secrets in the first place.
enum Redaction {
    static let mark = "[redacted]"

    /// Whether a key says that its value is a secret: `password`, `api_key`, `apiKey`,
    /// `http.request.header.authorization`, `session.token`; but not `input_tokens`.
    static func isSecret(key: String) -> Bool {
        // Nearly all keys are those that our own code names.
        known.withLock { known in
            if let isSecret = known[key] { return isSecret }
            let isSecret = looksSecret(key)
            if known.count < knownMax { known[key] = isSecret }
            return isSecret
        }
    }

    private static let known = Mutex<[String: Bool]>([:])
    private static let knownMax = 1024

    private static func looksSecret(_ key: String) -> Bool {
        let words = words(of: key)
        if words.contains(where: secretWords.contains) { return true }
        return zip(words, words.dropFirst()).contains {
            $1 == "key" && keyWords.contains($0) || $1 == "id" && $0 == "session"
        }
    }

    /// The text without what looks like a credential: what follows `Bearer` or `Basic`, the
    /// `user:password` of an address, and provider keys such as `sk-…`.
    static func scrubbed(_ text: String) -> String {
        guard mayHoldSecret(text) else { return text }
        var words: [Substring] = []
        var lengthHidden: Int?
        for word in text.split(separator: " ", omittingEmptySubsequences: false) {
            let follows = lengthHidden.map { !word.isEmpty && word.utf8.count >= $0 } ?? false
            words.append(follows || isCredential(word) ? hidden(word) : word)
            // "basic" is also a word: what follows it is hidden if it is as long as a credential.
            let scheme = word.lowercased()
            if scheme.hasSuffix("bearer") {
                lengthHidden = 1
            } else if scheme.hasSuffix("basic") {
                lengthHidden = basicBytesMin
            } else if !word.isEmpty {
                lengthHidden = nil
            }
        }
        return words.joined(separator: " ")
    }

    private static let basicBytesMin = 12

    private static func hidden(_ word: Substring) -> Substring {
        guard let scheme = word.firstRange(of: "://"), let at = word.lastIndex(of: "@") else {
            return Substring(mark)
        }
        return word[..<scheme.upperBound] + Substring(mark) + word[at...]
    }

    // Most text has none of these, and is done after one pass over its bytes.
    private static func mayHoldSecret(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            for place in bytes.indices where firsts.contains(bytes[place]) {
                if bytes[place] == UInt8(ascii: "@") { return true }
                guard place + 1 < bytes.count, seconds.contains(bytes[place + 1]) else { continue }
                if needles.contains(where: { matches(bytes[place...], $0) }) { return true }
            }
            return false
        }
    }

    private static func matches(_ bytes: Slice<UnsafeBufferPointer<UInt8>>, _ needle: [UInt8])
        -> Bool
    {
        bytes.count >= needle.count && zip(bytes, needle).allSatisfy { $0 | 0x20 == $1 }
    }

    // In lower case, as the bytes of the text are read; a hit too many costs a closer look.
    private static let needles = (["bearer", "basic "] + prefixes).map { text in
        text.utf8.map { $0 | 0x20 }
    }

    private static let firsts = ByteSet(
        needles.flatMap { [$0[0], $0[0] & ~0x20] } + [UInt8(ascii: "@")])
    private static let seconds = ByteSet(needles.flatMap { [$0[1], $0[1] & ~0x20] })

    private static func isCredential(_ word: Substring) -> Bool {
        if let scheme = word.firstRange(of: "://"), let at = word.lastIndex(of: "@"),
            at > scheme.upperBound
        {
            return true
        }
        return prefixes.contains { prefix in
            guard let found = word.firstRange(of: prefix) else { return false }
            let rest = word[found.upperBound...].prefix {
                $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_")
            }
            return rest.utf8.count >= 16
        }
    }

    private static func words(of key: String) -> [String] {
        var words: [String] = [""]
        var wasLower = false
        for character in key.unicodeScalars.prefix(SpanText.keyBytesMax) {
            let isUpper = ("A"..."Z").contains(character)
            let isWord =
                isUpper || ("a"..."z").contains(character) || ("0"..."9").contains(character)
            if !isWord || isUpper && wasLower { words.append("") }
            if isWord {
                words[words.count - 1].unicodeScalars.append(
                    contentsOf: String(character).lowercased().unicodeScalars)
            }
            wasLower = isWord && !isUpper
        }
        return words.filter { !$0.isEmpty }
    }

    private static let secretWords: Set<String> = [
        "password", "passphrase", "passwd", "secret", "secrets", "authorization", "cookie",
        "cookies", "credential", "credentials", "apikey", "token", "csrf",
    ]
    private static let keyWords: Set<String> = ["api", "secret", "private", "access", "signing"]
    private static let prefixes = ["sk-", "hp_", "xai-", "gsk_", "AIza", "ghp_", "AKIA"]
}

/// Some of the bytes of ASCII.
private struct ByteSet: Sendable {
    private var bits: (UInt64, UInt64) = (0, 0)

    init(_ bytes: [UInt8]) {
        for byte in bytes where byte < 128 {
            if byte < 64 { bits.0 |= 1 << UInt64(byte) } else { bits.1 |= 1 << UInt64(byte - 64) }
        }
    }

    func contains(_ byte: UInt8) -> Bool {
        guard byte < 128 else { return false }
        return (byte < 64 ? bits.0 : bits.1) >> UInt64(byte & 63) & 1 == 1
    }
}
