import OrderedJSON

/// What all chunks of one answer share.
struct ChunkHeader: Sendable {
    let id: String
    let created: Int64
    let model: String

    /// The chunk with the usage has no choice.
    func chunk(_ choice: OpenAIChatAnswer.Choice?) -> OpenAIChatAnswer {
        OpenAIChatAnswer(
            id: id, object: "chat.completion.chunk", created: created, model: model,
            choices: choice.map { [$0] } ?? [])
    }
}

/// The chunks of one stream as text. Nearly all bring a piece of the answer and nothing else: what is
/// around it is the same in all of them, and written once.
struct OpenAIChunks: Sendable {
    private let header: ChunkHeader
    private let before: String
    private let after: String

    init(_ header: ChunkHeader) {
        self.header = header
        let empty = OpenAIChatAnswer.Choice(delta: OpenAIChatAnswer.Message(content: ""))
        let text = (try? header.chunk(empty).json().text) ?? ""
        // A quote within a text is escaped, so that this is found in its own place only.
        let content = text.firstRange(of: Self.content)
        before = content.map { text[..<$0.upperBound].dropLast(2) }.map(String.init) ?? ""
        after = content.map { String(text[$0.upperBound...]) } ?? ""
    }

    private static let content = #""content":"""#

    func text(_ choice: OpenAIChatAnswer.Choice) throws -> String {
        guard let piece = choice.plainText, !before.isEmpty else {
            return try header.chunk(choice).json().text
        }
        var text = before
        text += JSONValue.string(piece).text
        text += after
        return text
    }
}

extension OpenAIChatAnswer.Choice {
    /// The piece of text that the first choice brings, where it brings nothing else.
    fileprivate var plainText: String? {
        guard index == 0, message == nil, finishReason == nil, logprobs == nil, switched == nil,
            let delta, delta.role == nil, delta.reasoning == nil, delta.toolCalls == nil
        else { return nil }
        return delta.content
    }
}
