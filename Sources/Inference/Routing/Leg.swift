import Core

/// A candidate's open call, with the trace and the place that end with it. One answer has several
/// legs where candidates go on for each other.
struct Leg: Sendable {
    let candidate: Candidate
    /// As it was sent: with the text so far where it goes on, without what had no room.
    let request: ChatRequest
    let call: ProviderCall
    let span: ModelSpan
    let place: Weather.Call
    let openedAt: Timestamp
    /// The answer is held back until it is known to do.
    let isChecked: Bool
    /// By whom it was chosen, and why.
    let decision: String
    /// A sentence for the reader where the choice is not what was asked for.
    let notice: String?
    /// What was left out of the prompt; nil for nothing.
    var context: ContextNote?
}
