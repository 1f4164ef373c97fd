import Core

/// The id under which a call of Gemini is known here. Gemini may give none, and signs what it thought
/// before a call: the signature has to come back with the call, from whoever keeps the conversation,
/// and so it is part of the id.
struct GeminiCallID: Hashable {
    /// What Gemini called it; nil where it did not.
    let theirs: String?
    let signature: String?

    private static let ownPrefix = "gemini-call-"
    private static let mark = "__thought__"
    // Longer ones would make ids that others refuse to keep.
    private static let signatureBytesMax = 16 * 1024

    /// What an id says that was made by `text`; any other is another provider's, and is theirs.
    init(_ text: String) {
        let range = text.firstRange(of: Self.mark)
        let name = range.map { String(text[..<$0.lowerBound]) } ?? text
        theirs = name.isEmpty || name.hasPrefix(Self.ownPrefix) ? nil : name
        signature = range.map { Self.signature(ofID: text[$0.upperBound...]) }
    }

    /// - Parameter random: makes an id where Gemini gave none.
    static func text(theirs: String?, signature: String?, random: () -> UInt64) -> String {
        let name =
            theirs.flatMap { $0.isEmpty ? nil : $0 }
            ?? ownPrefix + String(random(), radix: 16) + String(random(), radix: 16)
        guard let signature, (1...signatureBytesMax).contains(signature.utf8.count),
            let text = idText(of: signature)
        else { return name }
        return name + mark + text
    }

    /// Base64 in letters that every interface takes in an id; nil for what is not base64.
    private static func idText(of signature: String) -> String? {
        var text = ""
        for letter in signature.prefix(while: { $0 != "=" }) {
            switch letter {
            case "+": text += "-"
            case "/": text += "_"
            case _ where letter.isASCII && (letter.isLetter || letter.isNumber):
                text.append(letter)
            default: return nil
            }
        }
        return text
    }

    private static func signature(ofID text: Substring) -> String {
        let base64 = String(text.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 })
        return base64 + String(repeating: "=", count: (4 - base64.utf8.count % 4) % 4)
    }
}
