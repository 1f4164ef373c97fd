import Core

/// The ids of a conversation's calls as a protocol takes them. Each provider makes its own, and many
/// refuse those of another: what is refused is replaced, the same everywhere in the conversation.
struct CallIDs {
    private var replaced: [String: String] = [:]

    /// - Parameter make: the id with a number, from 1.
    init(
        _ messages: [ChatMessage], isAllowed: (String) -> Bool, make: (Int) -> String
    ) {
        let ids = messages.flatMap { message in
            message.toolCalls.map(\.id) + (message.toolCallID.map { [$0] } ?? [])
        }
        var taken = Set(ids)
        var number = 0
        for id in ids where replaced[id] == nil && !isAllowed(id) {
            var made = ""
            repeat {
                number += 1
                made = make(number)
            } while taken.contains(made)
            taken.insert(made)
            replaced[id] = made
        }
    }

    subscript(id: String) -> String { replaced[id] ?? id }
}
