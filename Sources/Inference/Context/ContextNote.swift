/// What was done to a prompt that did not fit, for a header, the reader and the trace.
struct ContextNote: Hashable, Sendable {
    enum Summary: String, Sendable { case made, kept, failed }

    /// Messages that were left out.
    let dropped: Int
    /// Of the prompt as it is sent.
    let tokens: Int
    let windowTokens: Int
    /// Nil where none was asked for.
    var summary: Summary?

    var isSummarized: Bool { summary == .made || summary == .kept }
    var action: String { isSummarized ? "summarized" : "trimmed" }

    /// `trimmed; dropped=6; tokens=3900; window=4096`.
    var header: String {
        "\(action); dropped=\(dropped); tokens=\(tokens); window=\(windowTokens)"
            + (summary.map { "; summary=\($0.rawValue)" } ?? "")
    }

    var notice: String {
        let messages = dropped == 1 ? "1 earlier message" : "\(dropped) earlier messages"
        let verb = dropped == 1 ? "was" : "were"
        let what = isSummarized ? "\(verb) replaced by a summary" : "\(verb) left out"
        return "\(messages) did not fit into the model's context and \(what)."
    }
}
