import Core
import OrderedJSON

/// What OpenAI's interface and those like it say of an error, in any of the forms that are about.
struct OpenAIError {
    let message: String
    let codes: [String]
    let status: Int?

    init(message: String, codes: [String], status: Int?) {
        self.message = message
        self.codes = codes
        self.status = status
    }

    /// A body or event: `{"error": {...}}`, `{"error": "text"}` as Ollama says it, in a choice as
    /// OpenRouter does, or without the word (`{"message": ...}`, `{"detail": ...}`), as Mistral, older
    /// vLLM and Azure's door do. Nil for what is none of that.
    init?(body: [UInt8]) {
        guard let value = try? JSONValue(parsing: body) else { return nil }
        let inChoice = value["choices"]?.array?.first?["error"]
        switch value["error"] ?? inChoice {
        case .string(let text): self.init(message: text, codes: [], status: nil)
        case .some(let error) where error.members != nil: self.init(error)
        case .some, .none:
            guard value["message"] != nil || value["detail"] != nil else { return nil }
            self.init(value)
        }
    }

    private init(_ value: JSONValue) {
        let words = value["message"] ?? value["detail"]
        message = words.map { $0.string ?? $0.text } ?? ""
        var codes = ["code", "type"].compactMap { value[$0]?.string }
        if let inner = value["innererror"]?["code"]?.string { codes.append(inner) }
        // OpenRouter says with a plain 403 that a moderator objects.
        if value["metadata"]?["reasons"]?.array != nil { codes.append("content_filter") }
        self.codes = codes
        status =
            value["code"]?.int ?? value["status"]?.int ?? value["statusCode"]?.int
            ?? codes.lazy.compactMap { Int($0) }.first
    }
}
