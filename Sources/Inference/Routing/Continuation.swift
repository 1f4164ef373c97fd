/// The text of a candidate that goes on with another's answer. Many models begin again instead of
/// going on; as long as what they say is what was shown already, it is held back, and dropped once
/// all of that was said. Pieces in, what is new out.
struct Continuation: Sendable {
    private enum State { case repeats, goesOn, isNew }

    private let shown: [UInt8]
    private var held: [UInt8] = []
    private var state: State

    // So many bytes alike are a beginning that is said again, even where the answer ends there.
    private static let repeatedMin = 16

    /// - Parameter shown: all of the answer that the reader has seen.
    init(of shown: String) {
        self.shown = Array(shown.utf8)
        state = self.shown.isEmpty ? .isNew : .repeats
    }

    mutating func receive(_ piece: String) -> String {
        switch state {
        case .isNew: return piece
        case .goesOn: return withoutDoubleSpace(piece)
        case .repeats: break
        }
        held += piece.utf8
        if held.count >= shown.count, held.starts(with: shown) {
            let rest = String(decoding: held.dropFirst(shown.count), as: UTF8.self)
            held = []
            state = .isNew
            return rest
        }
        guard !shown.starts(with: held) else { return "" }
        let text = String(decoding: held, as: UTF8.self)
        held = []
        state = .goesOn
        return withoutDoubleSpace(text)
    }

    /// What was still held back when the answer ended.
    mutating func finish() -> String {
        defer { held = [] }
        guard state == .repeats, !held.isEmpty, held.count < Self.repeatedMin else { return "" }
        return withoutDoubleSpace(String(decoding: held, as: UTF8.self))
    }

    /// The candidate was shown the text without its last space, so it may begin with one.
    private mutating func withoutDoubleSpace(_ text: String) -> String {
        guard let last = shown.last, last == UInt8(ascii: " ") || last == UInt8(ascii: "\n"),
            text.contains(where: { !$0.isWhitespace })
        else {
            if !text.isEmpty { state = .isNew }
            return text
        }
        state = .isNew
        return String(text.drop(while: \.isWhitespace))
    }
}
