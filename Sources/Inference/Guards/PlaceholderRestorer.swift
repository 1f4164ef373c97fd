import Core

/// Puts values back where a text has their placeholders, piece by piece. A piece may end within one:
/// what can still become a placeholder is held back, and nothing else.
struct PlaceholderRestorer {
    private let values: [String: String]
    private let prefixes: Set<[UInt8]>
    private let lengthMax: Int
    private var held: [UInt8] = []

    init(_ values: [String: String]) {
        self.values = values
        var prefixes: Set<[UInt8]> = []
        for placeholder in values.keys {
            let bytes = Array(placeholder.utf8)
            for count in 1..<bytes.count { prefixes.insert(Array(bytes.prefix(count))) }
        }
        self.prefixes = prefixes
        lengthMax = values.keys.map(\.utf8.count).max() ?? 0
    }

    mutating func receive(_ piece: String) -> String {
        guard !held.isEmpty || piece.utf8.contains(Self.opening) else { return piece }
        let bytes = held + Array(piece.utf8)
        held = []
        var text: [UInt8] = []
        var place = 0
        while let start = bytes[place...].firstIndex(of: Self.opening) {
            text += bytes[place..<start]
            let rest = bytes[start...].prefix(lengthMax)
            if let end = rest.firstIndex(of: Self.closing),
                let value = values[String(decoding: rest[...end], as: UTF8.self)]
            {
                text += value.utf8
                place = end + 1
            } else if start + rest.count == bytes.count, prefixes.contains(Array(rest)) {
                held = Array(rest)
                return String(decoding: text, as: UTF8.self)
            } else {
                text.append(Self.opening)
                place = start + 1
            }
        }
        text += bytes[place...]
        return String(decoding: text, as: UTF8.self)
    }

    /// What was still held back at the end.
    mutating func finish() -> String {
        defer { held = [] }
        return String(decoding: held, as: UTF8.self)
    }

    private static let opening = UInt8(ascii: "[")
    private static let closing = UInt8(ascii: "]")
}

/// The same for all that an answer is made of: text, thoughts, and the arguments of calls.
struct RestoredEvents {
    private let empty: PlaceholderRestorer
    private var text: PlaceholderRestorer
    private var reasoning: PlaceholderRestorer
    private var calls: [Int: PlaceholderRestorer] = [:]

    init(_ values: [String: String]) {
        empty = PlaceholderRestorer(values)
        (text, reasoning) = (empty, empty)
    }

    /// What of this event, and of what was held back before it, may go on.
    mutating func receive(_ event: ChatEvent) -> [ChatEvent] {
        switch event {
        case .text(let piece):
            let earlier = finishReasoning() + finishCalls()
            let restored = text.receive(piece)
            return earlier + (restored.isEmpty ? [] : [.text(restored)])
        case .reasoning(let piece):
            let earlier = finishText() + finishCalls()
            let restored = reasoning.receive(piece)
            return earlier + (restored.isEmpty ? [] : [.reasoning(restored)])
        case .toolCall(let piece):
            let earlier = finishReasoning() + finishText()
            let restored = calls[piece.index, default: empty].receive(piece.arguments)
            return earlier + [
                .toolCall(
                    ToolCallPiece(
                        index: piece.index, id: piece.id, name: piece.name, arguments: restored))
            ]
        // Of tokens there are the placeholders' own: nobody else's probabilities are known.
        case .logprobs: return [event]
        // What seals a thought belongs after all of it.
        case .seal: return finishReasoning() + [event]
        case .switched: return finish() + [event]
        }
    }

    /// All that was held back.
    mutating func finish() -> [ChatEvent] { finishReasoning() + finishText() + finishCalls() }

    private mutating func finishText() -> [ChatEvent] {
        let rest = text.finish()
        return rest.isEmpty ? [] : [.text(rest)]
    }

    private mutating func finishReasoning() -> [ChatEvent] {
        let rest = reasoning.finish()
        return rest.isEmpty ? [] : [.reasoning(rest)]
    }

    private mutating func finishCalls() -> [ChatEvent] {
        calls.keys.sorted().compactMap { index in
            guard let rest = calls[index]?.finish(), !rest.isEmpty else { return nil }
            return .toolCall(ToolCallPiece(index: index, arguments: rest))
        }
    }
}
