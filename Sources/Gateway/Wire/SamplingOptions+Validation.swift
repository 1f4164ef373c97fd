import Core

/// What each surface calls the sampling options.
struct SamplingNames: Sendable {
    let temperature: String
    let topK: String
    let topP: String
    let minP: String
    let stop: String
    let outputTokensMax: String

    static let native = SamplingNames(
        temperature: "sampling.temperature", topK: "sampling.topK", topP: "sampling.topP",
        minP: "sampling.minP", stop: "sampling.stop", outputTokensMax: "sampling.outputTokensMax")
    static let openAI = SamplingNames(
        temperature: "temperature", topK: "top_k", topP: "top_p", minP: "min_p", stop: "stop",
        outputTokensMax: "max_completion_tokens")
    static let anthropic = SamplingNames(
        temperature: "temperature", topK: "top_k", topP: "top_p", minP: "min_p",
        stop: "stop_sequences", outputTokensMax: "max_tokens")
}

extension SamplingOptions {
    static let stopBytesMax = 1000

    /// Throws `invalid` for what no model can do, before one is asked.
    func validate(naming names: SamplingNames) throws {
        try check(temperature, 0...2, names.temperature)
        try check(topP, 0...1, names.topP)
        try check(minP, 0...1, names.minP)
        try check(topK, 0...1_000_000, names.topK)
        try check(outputTokensMax, 1...10_000_000, names.outputTokensMax)
        guard stop.count <= Self.stopMax else {
            throw refusal(names.stop, "has more than \(Self.stopMax) strings.")
        }
        guard stop.allSatisfy({ (1...Self.stopBytesMax).contains($0.utf8.count) }) else {
            throw refusal(names.stop, "has a string that is empty or very long.")
        }
    }

    private func check<Number: Comparable>(
        _ value: Number?, _ range: ClosedRange<Number>, _ name: String
    ) throws {
        guard let value, !range.contains(value) else { return }
        throw refusal(name, "has to be \(range.lowerBound) to \(range.upperBound).")
    }

    private func refusal(_ name: String, _ message: String) -> Refusal {
        var refusal = Refusal.invalid("`\(name)` \(message)")
        refusal.parameter = name
        return refusal
    }
}
