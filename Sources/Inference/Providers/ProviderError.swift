/// An error in the provider's own words, before it is known what to make of them.
struct ProviderError: Error {
    let message: String
    let codes: [String]
    let status: Int

    init(_ error: OpenAIError?, status: Int) {
        message = error?.message ?? ""
        codes = error?.codes ?? []
        self.status = status
    }

    init(message: String, codes: [String], status: Int) {
        self.message = message
        self.codes = codes
        self.status = status
    }

    var kind: FailureClass {
        let kind = FailureClass.of(status: status, codes: codes)
        guard kind == .caller else { return kind }
        if speaks(of: Self.contextWords) { return .context }
        return speaks(of: Self.moneyWords) ? .exhausted : .caller
    }

    private func speaks(of words: [String]) -> Bool {
        let text = message.lowercased()
        return words.contains(where: text.contains)
    }

    // Providers that have no code for it say it in these words.
    private static let contextWords = [
        // vLLM, llama.cpp, Together
        "maximum context length", "context size", "context window",
        // Anthropic
        "prompt is too long", "exceed context limit",
    ]
    // Anthropic calls it an invalid request.
    private static let moneyWords = ["credit balance is too low"]
}
