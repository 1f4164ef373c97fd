/// A picture that a message shows a model.
package struct ChatImage: Hashable, Codable, Sendable {
    package enum Source: Hashable, Codable, Sendable {
        /// `image/png` and its bytes in base64.
        case inline(mediaType: String, base64: String)
        /// An https address that the provider fetches; we never do.
        case address(String)
    }

    package let source: Source
    /// How closely to look, in OpenAI's words: `low`, `high` or `auto`; nil leaves it to the model.
    package let detail: String?

    package init(_ source: Source, detail: String? = nil) {
        self.source = source
        self.detail = detail
    }
}

/// A piece of a message, in the order a model is shown it.
package enum ContentPart: Hashable, Codable, Sendable {
    case text(String)
    case image(ChatImage)
}
