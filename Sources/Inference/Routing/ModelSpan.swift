import Core
import Metrics
import ServiceContextModule
import Synchronization
import Tracing

/// The trace and the metrics of one call of one candidate, after OpenTelemetry's GenAI conventions.
/// It ends once, whoever ends it: by success, by failure, or by being let go of.
final class ModelSpan: Sendable {
    enum Operation: String { case chat, embeddings, rerank }

    private let span: any Span
    private let operation: Operation
    private let meters: ModelMeters
    private let startedAt: Timestamp
    private let now: @Sendable () -> Timestamp
    private let hasEnded = Mutex(false)

    init(
        _ operation: Operation, _ candidate: Candidate, purpose: String, tracer: any Tracer,
        meters: ModelMeters.Shelf, now: @escaping @Sendable () -> Timestamp
    ) {
        self.operation = operation
        self.now = now
        startedAt = now()
        let model = candidate.name.model
        let provider = candidate.provider.telemetryName
        self.meters = meters[.init(operation: operation, provider: provider, model: model)]
        span = tracer.startSpan(
            "\(operation.rawValue) \(model)",
            ofKind: candidate.provider.isLocal ? .internal : .client)
        update { attributes in
            attributes.set("gen_ai.operation.name", value: .string(operation.rawValue))
            attributes.set("gen_ai.provider.name", value: .string(provider))
            attributes.set("gen_ai.request.model", value: .string(model))
            attributes.set("heptad.candidate", value: .string(candidate.name.description))
            attributes.set("heptad.purpose", value: .string(purpose))
        }
    }

    deinit { end(status: "abandoned") }

    var context: ServiceContext { span.context }

    /// Several attributes in one step, in place, which `updateAttributes` does not. `set` takes a value
    /// as it is, where a subscript puts each into a box first.
    private func update(_ change: (inout SpanAttributes) -> Void) { change(&span.attributes) }

    func note(_ request: ChatRequest, outputTokensMax: Int) {
        update { attributes in
            attributes.set("gen_ai.request.stream", value: .bool(true))
            attributes.set("gen_ai.request.max_tokens", value: .int64(Int64(outputTokensMax)))
            if let value = request.sampling.temperature {
                attributes["gen_ai.request.temperature"] = value
            }
            if let value = request.sampling.topP { attributes["gen_ai.request.top_p"] = value }
            if let id = request.conversationID {
                attributes["gen_ai.conversation.id"] = id.description
            }
        }
    }

    /// By which policy the candidate was chosen, and why others were not.
    func decided(_ text: String) { span.attributes["heptad.route.decision"] = text }

    /// Part of the prompt was left out.
    func shortened(_ note: ContextNote) {
        update { attributes in
            attributes["heptad.context.action"] = note.action
            attributes["heptad.context.dropped_messages"] = note.dropped
            attributes["heptad.context.prompt_tokens"] = note.tokens
            attributes["heptad.context.window_tokens"] = note.windowTokens
            if let summary = note.summary {
                attributes["heptad.context.summary"] = summary.rawValue
            }
        }
    }

    /// The answer was not shown.
    func rejected(_ complaint: String) { span.attributes["heptad.route.rejected"] = complaint }

    /// The answer began at another candidate.
    func goesOn(for other: CandidateName, isContinued: Bool) {
        span.attributes["heptad.route.goes_on_for"] = other.description
        span.addEvent(
            SpanEvent(
                name: "heptad.switched",
                attributes: [
                    "heptad.switched.from": .string(other.description),
                    "heptad.switched.is_continued": .bool(isContinued),
                ]))
    }

    func note(_ figures: LocalFigures) {
        update { attributes in
            attributes["heptad.local.wait_seconds"] = figures.waitedMilliseconds / 1000
            attributes["heptad.local.prompt_seconds"] = figures.promptMilliseconds / 1000
            attributes["heptad.local.batch_mean"] = figures.batchMean
            attributes["heptad.local.drafted_tokens"] = figures.draftTokens
            attributes["heptad.local.accepted_tokens"] = figures.draftTokensAccepted
        }
        meters.counter("heptad_local_drafted_tokens_total")
            .increment(by: figures.draftTokens)
        meters.counter("heptad_local_accepted_tokens_total")
            .increment(by: figures.draftTokensAccepted)
        meters.timer("heptad_local_wait_seconds")
            .recordMilliseconds(figures.waitedMilliseconds)
    }

    func completed(_ completion: Completion, responseModel: String) {
        let reason =
            switch completion.finishReason {
            case .stop: "stop"
            case .length: "length"
            case .contentFilter: "content_filter"
            case .toolCalls: "tool_calls"
            }
        // An array as it is would be tried as one of each kind.
        span.attributes["gen_ai.response.finish_reasons"] = SpanAttribute.stringArray([reason])
        if let first = completion.firstTokenMilliseconds {
            span.attributes["gen_ai.response.time_to_first_chunk"] = first / 1000
            meters.timer("gen_ai_client_inference_time_to_first_chunk_seconds")
                .recordMilliseconds(first)
        }
        used(completion.usage, responseModel: responseModel)
    }

    func used(_ usage: TokenUsage, responseModel: String) {
        update { attributes in
            if !responseModel.isEmpty {
                attributes.set("gen_ai.response.model", value: .string(responseModel))
            }
            attributes.set("gen_ai.usage.input_tokens", value: .int64(Int64(usage.input)))
            guard operation == .chat else { return }
            attributes.set("gen_ai.usage.output_tokens", value: .int64(Int64(usage.output)))
            attributes.set(
                "gen_ai.usage.cache_read.input_tokens", value: .int64(Int64(usage.cacheRead)))
            attributes.set(
                "gen_ai.usage.cache_write.input_tokens", value: .int64(Int64(usage.cacheWrite)))
            attributes.set(
                "gen_ai.usage.reasoning.output_tokens", value: .int64(Int64(usage.reasoning)))
            attributes.set("heptad.usage.is_estimated", value: .bool(usage.isEstimated))
        }
        meters.counter("gen_ai_client_inference_usage_input_tokens")
            .increment(by: usage.input)
        if operation == .chat {
            meters.counter("gen_ai_client_inference_usage_cache_read_input_tokens")
                .increment(by: usage.cacheRead)
            meters.counter("gen_ai_client_inference_usage_output_tokens")
                .increment(by: usage.output)
        }
        end(status: nil)
    }

    /// A call that fails took this all the same.
    func took(_ usage: TokenUsage) {
        update { attributes in
            attributes["gen_ai.usage.input_tokens"] = usage.input
            attributes["gen_ai.usage.output_tokens"] = usage.output
        }
    }

    func failed(_ error: any Error) {
        let failure = CandidateFailure(error)
        span.attributes["error.type"] = failure.kind.rawValue
        span.setStatus(SpanStatus(code: .error, message: failure.failure.message))
        end(status: failure.kind.rawValue)
    }

    private func end(status: String?) {
        let isFirst = hasEnded.withLock { hasEnded in
            defer { hasEnded = true }
            return !hasEnded
        }
        guard isFirst else { return }
        let name =
            operation == .chat
            ? "gen_ai_client_inference_duration_seconds"
            : "gen_ai_client_operation_duration_seconds"
        let timer = status.map { meters.timer(name, error: $0) } ?? meters.timer(name)
        timer.recordNanoseconds(max(0, (now() - startedAt).microseconds) * 1000)
        span.end()
    }
}
