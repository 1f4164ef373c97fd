import Core
import Metrics
import Tracing

/// What stands between a request and every model of one route: it refuses what may not be sent, takes
/// out what is nobody else's, and marks what nobody vouches for. The trace has counts, never values.
struct InputGuards: Sendable {
    /// A request as it may go on, and what undoes the change in its answer; nil where nothing has to
    /// be undone.
    struct Guarded {
        let request: ChatRequest
        let values: [String: String]?
    }

    private let rules: GuardsConfiguration
    private let banned: [LinearPattern]
    private let kinds: Set<PersonalData.Kind>
    private let untrusted: UntrustedText

    static let placeholdersInstruction = """
        Marks such as [EMAIL_1] stand for values that you are not shown. Where you mean such a value, \
        write its mark exactly as it is.
        """

    /// Throws for a pattern that cannot be read; `validate` says which.
    init(_ rules: GuardsConfiguration, untrusted: UntrustedText) throws {
        self.rules = rules
        self.untrusted = untrusted
        banned = try rules.banned.map { try LinearPattern($0) }
        kinds = Set(rules.pii.redact.compactMap(PersonalData.Kind.init))
    }

    var isOff: Bool { rules == GuardsConfiguration() }

    /// Throws `invalid` for what may not be sent.
    func guarding(
        _ request: ChatRequest, tracer: any Tracer
    ) throws -> Guarded {
        guard !isOff else { return Guarded(request: request, values: nil) }
        let span = tracer.startSpan("guard \(request.model)", ofKind: .internal)
        defer { span.end() }
        do { try check(request) } catch let refusal as GuardRefusal {
            span.attributes["heptad.guard.refused"] = refusal.rule
            span.setStatus(SpanStatus(code: .error, message: refusal.failure.message))
            Counter(
                label: "heptad_guard_refusals",
                dimensions: [("model", request.model), ("rule", refusal.rule)]
            ).increment()
            throw refusal.failure
        }
        var redaction = Redaction(kinds)
        var guarded = kinds.isEmpty ? request : redaction.redact(request)
        note(redaction, on: span)
        if rules.markUntrusted { mark(&guarded, on: span) }
        let isRestored = rules.pii.restore && !redaction.values.isEmpty
        if isRestored { guarded.messages.instruct(Self.placeholdersInstruction) }
        return Guarded(request: guarded, values: isRestored ? redaction.values : nil)
    }

    // MARK: Refusals

    private struct GuardRefusal: Error {
        let rule: String
        let failure: Failure
    }

    private func check(_ request: ChatRequest) throws {
        if rules.maxChars > 0 {
            let count = request.countedTexts.reduce(0) { $0 + $1.unicodeScalars.count }
            guard count <= rules.maxChars else {
                throw GuardRefusal(
                    rule: "max_chars",
                    failure: Failure(
                        .invalid,
                        "The request has \(count) characters, and \(request.model) takes"
                            + " \(rules.maxChars) at most. Shorten it, or begin a new conversation."
                    ))
            }
        }
        guard !banned.isEmpty else { return }
        // What the model said itself is no reason to refuse what is asked next.
        let texts = request.messages.filter { $0.role != .assistant }.map(\.text)
        for (place, pattern) in banned.enumerated() where texts.contains(where: pattern.matches) {
            throw GuardRefusal(
                rule: "banned",
                failure: Failure(
                    .invalid,
                    "The request has text that may not be sent to \(request.model) here (rule"
                        + " \(place + 1) of its banned patterns). Take it out and ask again, or ask"
                        + " whoever runs this server."))
        }
    }

    // MARK: Traces

    private func note(_ redaction: Redaction, on span: any Span) {
        for (kind, count) in redaction.counts.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            span.attributes["heptad.guard.redacted.\(kind.rawValue)"] = count
            Counter(label: "heptad_guard_redactions", dimensions: [("kind", kind.rawValue)])
                .increment(by: count)
        }
    }

    private func mark(_ request: inout ChatRequest, on span: any Span) {
        let phrases = untrusted.phrases(in: request.messages)
        let fenced = untrusted.fence(&request.messages, for: request.principal)
        span.attributes["heptad.guard.untrusted_parts"] = fenced
        span.attributes["heptad.guard.injection_phrases"] = phrases
        guard phrases > 0 else { return }
        Counter(label: "heptad_guard_injection_phrases", dimensions: [("model", request.model)])
            .increment(by: phrases)
    }
}

extension ChatCall {
    /// The same call with the values put back into what it emits.
    func restoring(_ values: [String: String]?) -> ChatCall {
        guard let values else { return self }
        return ChatCall(
            candidate: candidate, decision: decision, notice: notice, context: context,
            cache: cache, cached: cached, isCharged: { self.isCharged }, spent: { self.spent },
            run: { emit in
                var restored = RestoredEvents(values)
                let completion = try await self.run { event in
                    for event in restored.receive(event) { try await emit(event) }
                }
                for event in restored.finish() { try await emit(event) }
                return completion
            }, abandon: { await self.abandon() })
    }
}
