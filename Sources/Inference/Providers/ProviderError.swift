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

    var kind: FailureClass {
        let kind = FailureClass.of(status: status, codes: codes)
        // Together says it with a 403.
        let mayBeCaller = kind == .caller || kind == .credential && status == 403
        if mayBeCaller, speaks(of: Self.contextWords) { return .context }
        return kind == .caller && speaks(of: Self.moneyWords) ? .exhausted : kind
    }

    private func speaks(of words: [String]) -> Bool {
        let text = message.lowercased()
        return words.contains(where: text.contains)
    }

    // Providers that have no code for it say it in these words: vLLM, llama.cpp, Together, Gemini,
    // Bedrock, Anthropic.
    private static let contextWords = [
        "context length", "context size", "context window", "max_new_tokens",
        "exceeds the maximum number of tokens", "input is too long", "prompt is too long",
        "exceed context limit",
    ]
    // Anthropic calls it an invalid request.
    private static let moneyWords = ["credit balance is too low"]
}
