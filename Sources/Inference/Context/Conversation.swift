import Core

/// A conversation in pieces that can only be left out whole, oldest first. A piece is a turn: what a
/// user said and all that came of it, so no tool's result ever stands without its call. Never part of
/// one are the system's messages, the last thing that a user said, and the round of tools after it
/// that the model has yet to answer.
struct Conversation {
    let messages: [ChatMessage]
    /// Places of the messages of each piece.
    let pieces: [[Int]]

    init(_ messages: [ChatMessage]) {
        self.messages = messages
        let spoken = messages.indices.filter { messages[$0].role != .system }
        let last = spoken.last { messages[$0].role == .user } ?? -1
        var turns = Self.split(spoken.filter { $0 < last }, messages) { $0.role == .user }
        // Of a long piece of work with tools the early rounds go, where all turns before it are gone.
        var rounds = Array(
            Self.split(spoken.filter { $0 > last }, messages) { $0.role == .assistant }.dropLast())
        // A result that came after the user had spoken on keeps the turn with its call.
        let calls = Set((turns.last ?? []).flatMap { messages[$0].toolCalls.map(\.id) })
        if spoken.contains(where: {
            $0 > last && messages[$0].toolCallID.map(calls.contains) == true
        }) {
            turns.removeLast()
            if let first = rounds.first?.first, messages[first].role == .tool {
                rounds.removeFirst()
            }
        }
        pieces = turns + rounds
    }

    /// Without the oldest so many pieces.
    func without(_ count: Int) -> [ChatMessage] {
        let gone = Set(pieces.prefix(count).joined())
        return messages.indices.filter { !gone.contains($0) }.map { messages[$0] }
    }

    /// The messages of the oldest so many pieces.
    func dropped(_ count: Int) -> [ChatMessage] {
        pieces.prefix(count).joined().map { messages[$0] }
    }

    /// Pieces that begin where `begins` says so, but never between a call and its result.
    private static func split(
        _ places: [Int], _ messages: [ChatMessage], begins: (ChatMessage) -> Bool
    ) -> [[Int]] {
        var pieces: [[Int]] = []
        var open: Set<String> = []
        for place in places {
            let message = messages[place]
            if pieces.isEmpty || open.isEmpty && begins(message) { pieces.append([]) }
            pieces[pieces.count - 1].append(place)
            open.formUnion(message.toolCalls.map(\.id))
            if let id = message.toolCallID { open.remove(id) }
        }
        return pieces
    }
}
