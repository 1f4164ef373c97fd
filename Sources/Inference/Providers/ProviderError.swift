/// An error in the provider's own words, before it is known what to make of them.
struct ProviderError: Error {
    let message: String
    let codes: [String]
    let status: Int
    /// How long to wait, where the error itself says so.
    var retryAfter: Duration?

    init(message: String, codes: [String], status: Int) {
        self.message = message
        self.codes = codes
        self.status = status
    }

    init(_ error: OpenAIError?, status: Int) {
        message = error?.message ?? ""
        codes = error?.codes ?? []
        self.status = status
    }

    /// Servers that have no code for it still say it in these words (vLLM, llama.cpp, Together,
    /// Gemini, Bedrock).
    private var speaksOfContext: Bool {
        let text = message.lowercased()
        return [
            "context length", "context size", "context window", "max_new_tokens",
            "exceeds the maximum number of tokens", "input is too long", "prompt is too long",
        ].contains { text.contains($0) }
    }

    var kind: FailureClass {
        let kind = FailureClass.of(status: status, codes: codes)
        // Together says it with a 403.
        let mayBe = kind == .caller || kind == .credential && status == 403
        return mayBe && speaksOfContext ? .context : kind
    }
}
