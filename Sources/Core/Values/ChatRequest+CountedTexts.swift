import OrderedJSON

extension ChatRequest {
    /// All that the model reads: what was said, the calls in it, tools and the form of the answer.
    package var countedTexts: [String] {
        var texts = messages.map { message in
            let said = (message.thoughts ?? []).reduce(message.text) { "\($0) \($1.text)" }
            return message.toolCalls.reduce(said) { "\($0) \($1.name) \($1.arguments)" }
        }
        for tool in tools {
            texts.append("\(tool.name) \(tool.description) \(tool.parameters?.text ?? "")")
        }
        if case .jsonSchema(_, let schema, _) = responseFormat { texts.append(schema.text) }
        return texts
    }
}
