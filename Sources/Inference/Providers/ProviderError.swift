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

    /// Servers that have no code for it still say it in these words (vLLM, llama.cpp, Together).
    private var speaksOfContext: Bool {
        let text = message.lowercased()
        return text.contains("maximum context length") || text.contains("context size")
            || text.contains("context window")
    }

    var kind: FailureClass {
        let kind = FailureClass.of(status: status, codes: codes)
        return kind == .caller && speaksOfContext ? .context : kind
    }
}
