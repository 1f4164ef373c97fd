extension ChatRequest {
    /// All that the model reads: what was said, the calls in it, tools and the form of the answer.
    package var countedTexts: [String] {
        var texts = messages.map { message in
            message.toolCalls.reduce(message.text) { "\($0) \($1.name) \($1.arguments)" }
        }
        for tool in tools {
            texts.append("\(tool.name) \(tool.description) \(tool.parameters?.text ?? "")")
        }
        if case .jsonSchema(_, let schema, _) = responseFormat { texts.append(schema.text) }
        return texts
    }
}
